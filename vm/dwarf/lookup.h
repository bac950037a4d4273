// From addresses of a guest's code to its source.
#pragma once

#include <map>
#include <memory>

#include "vm/dwarf/line_table.h"
#include "vm/dwarf/unit_index.h"

namespace vmrun::vm::dwarf {

/// Units are read when an address in them is first asked for. One thread at a time.
class Lookup {
 public:
  /// The sections live as long as this. Addresses are at most `limit`.
  Lookup(const Sections& sections, uint64_t limit, Budget budget = {});
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  /// The function that the instruction at `address` was in, in the source; before it those that the guest's compiler
  /// inlined there, innermost first: each with the place of the instruction or of its call. Empty: unknown.
  std::vector<SourceLine> at(uint64_t address);
  /// Whether any unit has code. Without: the image was rewritten by something that does not keep debug information.
  bool has_code() const { return !ranges_.empty(); }
  /// Whether the unit's entries are in another file, whose name this is (split DWARF); empty: of no unit.
  const std::string& split_into() const { return split_into_; }
  /// Whether what reading may cost is spent; what was asked since is unknown.
  bool spent() const { return budget_.spent(); }

 private:
  struct UnitRange {
    Range range;
    uint32_t unit;
  };
  const UnitIndex& index(uint32_t unit);
  const LineTable& lines(uint32_t unit);
  const UnitIndex* index_of(uint64_t offset);
  std::string name(uint64_t offset);

  Sections sections_;
  uint64_t limit_;
  Budget budget_;
  Entries entries_{sections_, budget_};
  std::vector<Unit> units_;  // by offset
  std::vector<std::unique_ptr<UnitIndex>> indices_;
  std::vector<std::unique_ptr<LineTable>> lines_;
  std::vector<UnitRange> ranges_;  // by begin
  std::string split_into_;
};

}  // namespace vmrun::vm::dwarf
