// Source places: see lookup.h.
#include "vm/dwarf/lookup.h"

namespace vmrun::vm::dwarf {

Lookup::Lookup(const Sections& sections, uint64_t limit, Budget budget)
    : sections_(sections), limit_(limit), budget_(budget) {
  std::vector<Range> ranges;
  for (uint64_t at = 0, next = 0; at < sections_.info.size() && budget_.keep(8); at = next) {
    const std::optional<Unit> unit = entries_.unit_at(at, &next);
    if (unit) {
      const auto number = static_cast<uint32_t>(units_.size());
      units_.push_back(*unit);
      ranges.clear();
      entries_.ranges(*unit, unit->root, limit_, ranges);
      for (const Range& range : ranges) ranges_.push_back({range, number});
      if (unit->root.dwo_name && split_into_.empty()) {
        split_into_ = entries_.text(*unit, unit->root.dwo_name, kMaxPath);
      }
    }
    if (next <= at) break;
  }
  indices_.resize(units_.size());
  lines_.resize(units_.size());
  std::ranges::sort(ranges_, {}, [](const UnitRange& r) { return r.range.begin; });
}

std::vector<SourceLine> Lookup::at(uint64_t address) {
  std::vector<SourceLine> places;
  auto after = std::ranges::upper_bound(ranges_, address, {}, [](const UnitRange& r) { return r.range.begin; });
  if (after == ranges_.begin()) return places;
  const UnitRange& found = *--after;
  if (address >= found.range.end) return places;

  const LineTable& table = lines(found.unit);
  SourceLine place;
  if (const LineRow* row = table.row_at(address); row != nullptr && row->line != 0) {
    place = {{}, table.file(row->file), row->line, row->column};
  }
  const std::vector<const UnitIndex::Code*> around = index(found.unit).around(address);
  for (size_t i = around.size(); i-- > 0;) {
    place.function = name(around[i]->offset);
    places.push_back(std::move(place));
    if (around[i]->call_line == 0) {
      place = {};
    } else {
      place = {{}, table.file(around[i]->call_file), around[i]->call_line, around[i]->call_column};
    }
  }
  if (around.empty() && place.line != 0) places.push_back(std::move(place));
  return places;
}

const UnitIndex& Lookup::index(uint32_t unit) {
  if (indices_[unit] == nullptr) {
    indices_[unit] = std::make_unique<UnitIndex>(entries_, units_[unit], limit_, budget_);
  }
  return *indices_[unit];
}

const LineTable& Lookup::lines(uint32_t unit) {
  if (lines_[unit] == nullptr) {
    lines_[unit] = std::make_unique<LineTable>(sections_, entries_, units_[unit], limit_, budget_);
  }
  return *lines_[unit];
}

const UnitIndex* Lookup::index_of(uint64_t offset) {
  auto after = std::ranges::upper_bound(units_, offset, {}, &Unit::offset);
  if (after == units_.begin()) return nullptr;
  --after;
  return offset < after->end ? &index(static_cast<uint32_t>(after - units_.begin())) : nullptr;
}

/// The name of a function's entry, behind those of the scopes that it lies in.
std::string Lookup::name(uint64_t offset) {
  const UnitIndex* index = nullptr;
  const UnitIndex::Scope* scope = nullptr;
  for (uint32_t i = 0; i < kMaxReferences && offset != 0; ++i) {
    index = index_of(offset);
    scope = index == nullptr ? nullptr : index->scope_at(offset);
    if (scope == nullptr || !scope->name.empty()) break;
    offset = scope->origin;
  }
  if (scope == nullptr || scope->name.empty()) return {};
  std::string name(scope->name);
  // A scope may itself be declared elsewhere; then the name is shorter than it could be.
  for (uint32_t i = 0; i < kMaxNesting; ++i) {
    scope = index->parent(*scope);
    if (scope == nullptr) break;
    std::string_view outer = scope->name;
    if (outer.empty()) outer = scope->tag == kNamespace ? "(anonymous namespace)" : "(anonymous)";
    if (name.size() + outer.size() + 2 > kMaxName) break;
    name.insert(0, "::").insert(0, outer);
  }
  return name;
}

}  // namespace vmrun::vm::dwarf
