// Units of .debug_info and their entries: abbreviations, attributes, and what the forms of attributes stand for.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>

#include "vm/dwarf/cursor.h"
#include "vm/dwarf/dwarf.h"

namespace vmrun::vm::dwarf {

enum Tag : uint16_t {
  kClassType = 0x02,
  kStructureType = 0x13,
  kUnionType = 0x17,
  kInlinedSubroutine = 0x1d,
  kSubprogram = 0x2e,
  kInterfaceType = 0x38,
  kNamespace = 0x39,
};

enum class Form : uint8_t {
  none,
  address,
  address_index,
  number,
  string,
  str,
  line_str,
  str_index,
  reference,
  offset,
  range_index
};
/// An attribute: its number by what kind of form. `string`: where it begins in .debug_info.
struct Value {
  Form form = Form::none;
  uint64_t number = 0;
  explicit operator bool() const { return form != Form::none; }
};

/// The attributes that lines and names need; others are skipped.
struct Attributes {
  Value name, linkage_name, low_pc, high_pc, ranges, abstract_origin, specification, call_file, call_line, call_column,
      stmt_list, comp_dir, str_offsets_base, addr_base, rnglists_base, dwo_name;
};

/// An entry as it was read. Tag 0: the end of a list of children.
struct Entry {
  uint64_t offset = 0;
  uint16_t tag = 0;
  bool children = false;
  Attributes attributes;
};

/// A unit's header, and what its first entry says of all others.
struct Unit {
  uint64_t offset = 0, first = 0, end = 0;  // of the header, the first entry, what follows the unit
  uint64_t abbrev = 0;
  uint16_t version = 0;
  uint8_t address_size = 4, offset_size = 4;
  uint64_t str_offsets_base = 0, addr_base = 0, rnglists_base = 0, low_pc = 0;
  Attributes root;
};

class Entries {
 public:
  Entries(const Sections& sections, Budget& budget) : sections_(sections), budget_(budget) {}

  /// The unit whose header begins at `offset`. Nothing where none can be read; then `*next` is where to go on, or 0.
  std::optional<Unit> unit_at(uint64_t offset, uint64_t* next);
  /// The entry at the cursor, which must be over .debug_info up to the unit's end. False at what cannot be read.
  bool read(const Unit& unit, Cursor& in, Entry& entry);
  /// A cursor for `read`.
  Cursor cursor(const Unit& unit, uint64_t at) const { return Cursor(sections_.info.first(unit.end), at); }

  std::string_view text(const Unit& unit, Value value, size_t limit) const;
  std::optional<uint64_t> address(const Unit& unit, Value value) const;
  /// Appends the entry's code: low_pc to high_pc, or a list of ranges; only what lies in (0, limit].
  void ranges(const Unit& unit, const Attributes& attributes, uint64_t limit, std::vector<Range>& out);
  /// Reads a value of `form`, and says which kind it is of.
  Value form(Cursor& in, uint64_t form, const Unit& unit, int64_t constant);

 private:
  struct Spec {
    uint32_t attribute, form;
    int64_t constant;
  };
  struct Abbrev {
    uint16_t tag = 0;
    bool children = false;
    std::vector<Spec> specs;
  };
  using Table = std::unordered_map<uint64_t, Abbrev>;
  const Table& table(uint64_t offset);
  void list_of_ranges(const Unit& unit, uint64_t at, uint64_t limit, std::vector<Range>& out);
  void list_of_pairs(const Unit& unit, uint64_t at, uint64_t limit, std::vector<Range>& out);

  const Sections& sections_;
  Budget& budget_;
  std::unordered_map<uint64_t, Table> tables_;
};

}  // namespace vmrun::vm::dwarf
