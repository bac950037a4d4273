// Entries of .debug_info: see entries.h.
#include "vm/dwarf/entries.h"

namespace vmrun::vm::dwarf {
namespace {

Value* slot(Attributes& a, uint32_t attribute) {
  switch (attribute) {
    case 0x03: return &a.name;
    case 0x6e:
    case 0x2007: return &a.linkage_name;
    case 0x11: return &a.low_pc;
    case 0x12: return &a.high_pc;
    case 0x55: return &a.ranges;
    case 0x31: return &a.abstract_origin;
    case 0x47: return &a.specification;
    case 0x58: return &a.call_file;
    case 0x59: return &a.call_line;
    case 0x57: return &a.call_column;
    case 0x10: return &a.stmt_list;
    case 0x1b: return &a.comp_dir;
    case 0x72: return &a.str_offsets_base;
    case 0x73: return &a.addr_base;
    case 0x74: return &a.rnglists_base;
    case 0x76:
    case 0x2130: return &a.dwo_name;
    default: return nullptr;
  }
}

/// Code that is there: linkers leave 0, or an address beyond all code, for what they dropped.
void add_range(uint64_t begin, uint64_t end, uint64_t limit, Budget& budget, std::vector<Range>& out) {
  if (begin != 0 && begin < end && end <= limit && budget.keep()) out.push_back({begin, end});
}

}  // namespace

std::optional<Unit> Entries::unit_at(uint64_t offset, uint64_t* next) {
  *next = 0;
  if (!budget_.take()) return std::nullopt;
  Cursor in(sections_.info, offset);
  Unit unit;
  unit.offset = offset;
  uint64_t length = in.u32();
  if (length == 0xffffffff) {
    unit.offset_size = 8;
    length = in.u64();
  }
  if (!in.ok() || length > sections_.info.size() - in.at()) return std::nullopt;
  unit.end = in.at() + length;
  *next = unit.end;
  in = cursor(unit, in.at());
  unit.version = in.u16();
  if (unit.version < 2 || unit.version > 5) return std::nullopt;
  if (unit.version == 5) {
    const uint8_t type = in.u8();
    unit.address_size = in.u8();
    unit.abbrev = in.fixed(unit.offset_size);
    // A skeleton has an id of what it stands for; type units have no code.
    if (type == 4 || type == 5) in.skip(8);
    if (type == 2 || type == 6) return std::nullopt;
  } else {
    unit.abbrev = in.fixed(unit.offset_size);
    unit.address_size = in.u8();
  }
  if (unit.address_size != 4 && unit.address_size != 8) return std::nullopt;
  unit.first = in.at();
  // Bases of tables are where a table begins behind its header, unless the unit says so itself.
  if (unit.version == 5) unit.str_offsets_base = unit.addr_base = unit.rnglists_base = unit.offset_size == 4 ? 8 : 16;
  Entry root;
  if (!in.ok() || !read(unit, in, root) || root.tag == 0) return std::nullopt;
  const Attributes& a = root.attributes;
  if (a.str_offsets_base) unit.str_offsets_base = a.str_offsets_base.number;
  if (a.addr_base) unit.addr_base = a.addr_base.number;
  if (a.rnglists_base) unit.rnglists_base = a.rnglists_base.number;
  unit.low_pc = address(unit, a.low_pc).value_or(0);
  unit.root = a;
  return unit;
}

const Entries::Table& Entries::table(uint64_t offset) {
  const auto [at, fresh] = tables_.try_emplace(offset);
  Table& table = at->second;
  if (!fresh || !budget_.keep()) return table;
  Cursor in(sections_.abbrev, offset);
  while (const uint64_t code = in.uleb()) {
    Abbrev abbrev;
    abbrev.tag = static_cast<uint16_t>(in.uleb());
    abbrev.children = in.u8() != 0;
    for (;;) {
      const uint64_t attribute = in.uleb(), form = in.uleb();
      const int64_t constant = form == 0x21 ? in.sleb() : 0;
      if (!in.ok() || (attribute == 0 && form == 0)) break;
      if (abbrev.specs.size() == kMaxAttributes || attribute > 0xffff || form > 0xffff || !budget_.keep()) {
        in.fail();
        break;
      }
      abbrev.specs.push_back({static_cast<uint32_t>(attribute), static_cast<uint32_t>(form), constant});
    }
    if (!in.ok() || abbrev.tag == 0 || !budget_.keep()) break;
    table.try_emplace(code, std::move(abbrev));
  }
  return table;
}

bool Entries::read(const Unit& unit, Cursor& in, Entry& entry) {
  entry = Entry{};
  entry.offset = in.at();
  const uint64_t code = in.uleb();
  if (!in.ok() || !budget_.take()) return false;
  if (code == 0) return true;
  const Table& abbrevs = table(unit.abbrev);
  const auto found = abbrevs.find(code);
  if (found == abbrevs.end()) return false;
  const Abbrev& abbrev = found->second;
  entry.tag = abbrev.tag;
  entry.children = abbrev.children;
  if (!budget_.take(abbrev.specs.size())) return false;
  for (const Spec& spec : abbrev.specs) {
    const Value value = form(in, spec.form, unit, spec.constant);
    if (Value* kept = slot(entry.attributes, spec.attribute)) *kept = value;
  }
  return in.ok();
}

Value Entries::form(Cursor& in, uint64_t form, const Unit& unit, int64_t constant) {
  const auto skipped = [&](uint64_t count) {
    in.skip(count);
    return Value{};
  };
  for (int again = 0; form == 0x16 && again < 4; ++again) form = in.uleb();  // indirect
  switch (form) {
    case 0x01: return {Form::address, in.fixed(unit.address_size)};
    case 0x03: return skipped(in.u16());
    case 0x04: return skipped(in.u32());
    case 0x05: return {Form::number, in.u16()};
    case 0x06: return {Form::number, in.u32()};
    case 0x07: return {Form::number, in.u64()};
    case 0x08: {
      const uint64_t at = in.at();
      budget_.take(in.string().size() / 64);
      return {Form::string, at};
    }
    case 0x09:
    case 0x18: return skipped(in.uleb());  // block, exprloc
    case 0x0a: return skipped(in.u8());
    case 0x0b:
    case 0x0c: return {Form::number, in.u8()};
    case 0x0d: return {Form::number, static_cast<uint64_t>(in.sleb())};
    case 0x0e: return {Form::str, in.fixed(unit.offset_size)};
    case 0x0f: return {Form::number, in.uleb()};
    case 0x10: return {Form::reference, in.fixed(unit.version == 2 ? unit.address_size : unit.offset_size)};
    case 0x11: return {Form::reference, unit.offset + in.u8()};
    case 0x12: return {Form::reference, unit.offset + in.u16()};
    case 0x13: return {Form::reference, unit.offset + in.u32()};
    case 0x14: return {Form::reference, unit.offset + in.u64()};
    case 0x15: return {Form::reference, unit.offset + in.uleb()};
    case 0x17: return {Form::offset, in.fixed(unit.offset_size)};
    case 0x19: return {Form::number, 1};  // flag_present
    case 0x1a:
    case 0x1f02: return {Form::str_index, in.uleb()};
    case 0x1b:
    case 0x1f01: return {Form::address_index, in.uleb()};
    case 0x1c: return skipped(4);
    case 0x1d:
    case 0x1f20:
    case 0x1f21: return skipped(unit.offset_size);  // in another file
    case 0x1e: return skipped(16);
    case 0x1f: return {Form::line_str, in.fixed(unit.offset_size)};
    case 0x20:
    case 0x24: return skipped(8);
    case 0x21: return {Form::number, static_cast<uint64_t>(constant)};
    case 0x22: in.uleb(); return {};
    case 0x23: return {Form::range_index, in.uleb()};
    case 0x25:
    case 0x26:
    case 0x27:
    case 0x28: return {Form::str_index, in.fixed(static_cast<uint32_t>(form - 0x24))};
    case 0x29:
    case 0x2a:
    case 0x2b:
    case 0x2c: return {Form::address_index, in.fixed(static_cast<uint32_t>(form - 0x28))};
    default: in.fail(); return {};  // of unknown size
  }
}

std::string_view Entries::text(const Unit& unit, Value value, size_t limit) const {
  switch (value.form) {
    case Form::string: return string_at(sections_.info, value.number, limit);
    case Form::str: return string_at(sections_.str, value.number, limit);
    case Form::line_str: return string_at(sections_.line_str, value.number, limit);
    case Form::str_index: {
      if (value.number > sections_.str_offsets.size()) return {};
      Cursor in(sections_.str_offsets, unit.str_offsets_base);
      in.skip(value.number * unit.offset_size);
      const uint64_t at = in.fixed(unit.offset_size);
      return in.ok() ? string_at(sections_.str, at, limit) : std::string_view();
    }
    default: return {};
  }
}

std::optional<uint64_t> Entries::address(const Unit& unit, Value value) const {
  if (value.form == Form::address) return value.number;
  if (value.form != Form::address_index || value.number > sections_.addr.size()) return std::nullopt;
  Cursor in(sections_.addr, unit.addr_base);
  in.skip(value.number * unit.address_size);
  const uint64_t address = in.fixed(unit.address_size);
  return in.ok() ? std::optional(address) : std::nullopt;
}

void Entries::ranges(const Unit& unit, const Attributes& a, uint64_t limit, std::vector<Range>& out) {
  if (a.ranges) {
    if (unit.version < 5) return list_of_pairs(unit, a.ranges.number, limit, out);
    uint64_t at = a.ranges.number;
    if (a.ranges.form == Form::range_index) {
      if (at > sections_.rnglists.size()) return;
      Cursor in(sections_.rnglists, unit.rnglists_base);
      in.skip(at * unit.offset_size);
      at = unit.rnglists_base + in.fixed(unit.offset_size);
      if (!in.ok()) return;
    }
    return list_of_ranges(unit, at, limit, out);
  }
  const std::optional<uint64_t> low = address(unit, a.low_pc);
  if (!low || !a.high_pc) return;
  const std::optional<uint64_t> high = address(unit, a.high_pc);
  if (high) return add_range(*low, *high, limit, budget_, out);
  if (*low <= limit && a.high_pc.number <= limit) add_range(*low, *low + a.high_pc.number, limit, budget_, out);
}

void Entries::list_of_pairs(const Unit& unit, uint64_t at, uint64_t limit, std::vector<Range>& out) {
  Cursor in(sections_.ranges, at);
  const uint64_t all_ones = unit.address_size == 4 ? 0xffffffff : ~uint64_t{0};
  for (uint64_t base = unit.low_pc; budget_.take();) {
    const uint64_t begin = in.fixed(unit.address_size), end = in.fixed(unit.address_size);
    if (!in.ok() || (begin == 0 && end == 0)) return;
    if (begin == all_ones) {
      base = end;
    } else if (base <= limit && begin <= limit && end <= limit) {
      add_range(base + begin, base + end, limit, budget_, out);
    }
  }
}

void Entries::list_of_ranges(const Unit& unit, uint64_t at, uint64_t limit, std::vector<Range>& out) {
  Cursor in(sections_.rnglists, at);
  const auto indexed = [&] { return address(unit, {Form::address_index, in.uleb()}).value_or(0); };
  const auto add = [&](uint64_t begin, uint64_t size_or_end, bool is_size) {
    if (begin > limit || size_or_end > limit) return;
    add_range(begin, is_size ? begin + size_or_end : size_or_end, limit, budget_, out);
  };
  for (uint64_t base = unit.low_pc; in.ok() && budget_.take();) {
    switch (in.u8()) {
      case 0: return;
      case 1: base = indexed(); break;
      case 2: {  // startx_endx
        const uint64_t begin = indexed();
        add(begin, indexed(), false);
        break;
      }
      case 3: {  // startx_length
        const uint64_t begin = indexed();
        add(begin, in.uleb(), true);
        break;
      }
      case 4: {  // offset_pair
        const uint64_t begin = in.uleb(), end = in.uleb();
        if (base <= limit && begin <= limit && end <= limit) add(base + begin, base + end, false);
        break;
      }
      case 5: base = in.fixed(unit.address_size); break;
      case 6: {  // start_end
        const uint64_t begin = in.fixed(unit.address_size);
        add(begin, in.fixed(unit.address_size), false);
        break;
      }
      case 7: {  // start_length
        const uint64_t begin = in.fixed(unit.address_size);
        add(begin, in.uleb(), true);
        break;
      }
      default: return;
    }
  }
}

}  // namespace vmrun::vm::dwarf
