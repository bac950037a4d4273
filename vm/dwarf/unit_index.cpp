// The functions of a unit: see unit_index.h.
#include "vm/dwarf/unit_index.h"

namespace vmrun::vm::dwarf {
namespace {

bool is_scope(uint16_t tag) {
  switch (tag) {
    case kClassType:
    case kStructureType:
    case kUnionType:
    case kInterfaceType:
    case kSubprogram:
    case kNamespace: return true;
    default: return false;
  }
}

uint32_t number(Value value) { return value.form == Form::number ? static_cast<uint32_t>(value.number) : 0; }

}  // namespace

UnitIndex::UnitIndex(Entries& entries, const Unit& unit, uint64_t limit, Budget& budget) {
  walk(entries, unit, limit, budget);
  std::ranges::sort(functions_, {}, [](const Function& f) { return f.range.begin; });
}

void UnitIndex::walk(Entries& entries, const Unit& unit, uint64_t limit, Budget& budget) {
  /// An entry whose children are being read: what they lie in.
  struct Open {
    uint32_t scope, code;
    bool own;  // `code` is this entry's own
  };
  std::vector<Open> open;
  Cursor in = entries.cursor(unit, unit.first);
  Entry entry;
  while (!in.at_end() && open.size() < kMaxNesting && entries.read(unit, in, entry)) {
    if (entry.tag == 0) {
      if (open.empty()) break;
      if (open.back().own) codes_[open.back().code].end = static_cast<uint32_t>(codes_.size());
      open.pop_back();
      if (open.empty()) break;
      continue;
    }
    const Attributes& a = entry.attributes;
    Open within = open.empty() ? Open{kNone, kNone, false} : open.back();
    within.own = false;
    const Value origin = a.abstract_origin ? a.abstract_origin : a.specification;
    const uint64_t origin_at = origin.form == Form::reference ? origin.number : 0;
    if (is_scope(entry.tag)) {
      if (!budget.keep()) break;
      const Value name = a.name || origin_at != 0 ? a.name : a.linkage_name;
      scopes_.push_back({entry.offset, entries.text(unit, name, kMaxName), origin_at, within.scope, entry.tag});
      within.scope = static_cast<uint32_t>(scopes_.size() - 1);
    }
    const bool inlined = entry.tag == kInlinedSubroutine;
    if (inlined || entry.tag == kSubprogram) {
      const auto first = static_cast<uint32_t>(ranges_.size());
      entries.ranges(unit, a, limit, ranges_);
      const auto count = static_cast<uint32_t>(ranges_.size()) - first;
      if (count != 0 && (within.code != kNone || !inlined)) {
        if (!budget.keep()) break;
        const auto code = static_cast<uint32_t>(codes_.size());
        codes_.push_back({inlined ? origin_at : entry.offset, first, count, kNone, number(a.call_file),
                          number(a.call_line), number(a.call_column), inlined});
        if (within.code == kNone) {
          for (uint32_t i = first; i < first + count; ++i) {
            if (budget.keep()) functions_.push_back({ranges_[i], code});
          }
        }
        if (!entry.children) codes_[code].end = code + 1;
        within.code = code;
        within.own = true;
      }
    }
    if (entry.children) open.push_back(within);
    if (open.empty()) break;  // a unit without children
  }
  for (Code& code : codes_) {
    if (code.end == kNone) code.end = static_cast<uint32_t>(codes_.size());
  }
}

bool UnitIndex::holds(const Code& code, uint64_t address) const {
  const auto ranges = std::span(ranges_).subspan(code.first_range, code.range_count);
  return std::ranges::any_of(ranges, [&](const Range& r) { return address >= r.begin && address < r.end; });
}

std::vector<const UnitIndex::Code*> UnitIndex::around(uint64_t address) const {
  std::vector<const Code*> found;
  auto after = std::ranges::upper_bound(functions_, address, {}, [](const Function& f) { return f.range.begin; });
  if (after == functions_.begin()) return found;
  const Function& function = *--after;
  if (address >= function.range.end) return found;
  found.push_back(&codes_[function.code]);
  uint32_t end = codes_[function.code].end;
  uint64_t looked_at = 0;
  for (uint32_t at = function.code + 1; at < end && found.size() <= kMaxInlined;) {
    const Code& code = codes_[at];
    looked_at += code.range_count;
    if (looked_at > kMaxLookedAt) break;
    if (!holds(code, address)) {
      at = code.end;
      continue;
    }
    if (!code.inlined) found.clear();  // a function within a function
    found.push_back(&code);
    end = code.end;
    ++at;
  }
  return found;
}

const UnitIndex::Scope* UnitIndex::scope_at(uint64_t offset) const {
  const auto found = std::ranges::lower_bound(scopes_, offset, {}, &Scope::offset);
  return found == scopes_.end() || found->offset != offset ? nullptr : &*found;
}

}  // namespace vmrun::vm::dwarf
