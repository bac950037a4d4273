// What a unit says of functions: the tree of those that have code, with the calls that a compiler inlined in them, and
// the names of all.
#pragma once

#include "vm/dwarf/entries.h"

namespace vmrun::vm::dwarf {

inline constexpr uint32_t kNone = 0xffffffff;

class UnitIndex {
 public:
  /// What has a name, or lends one: namespaces, types, functions.
  struct Scope {
    uint64_t offset;  // in .debug_info
    std::string_view name;
    uint64_t origin;  // the entry with the name, where this one has none; 0: none
    uint32_t parent;  // among scopes
    uint16_t tag;
  };
  /// A function's code, or that of an inlined call in it.
  struct Code {
    uint64_t offset;  // of its entry; for an inlined call, of what was called
    uint32_t first_range, range_count;
    uint32_t end;  // what lies in it are the codes up to that one
    uint32_t call_file, call_line, call_column;
    bool inlined;
  };

  /// Reads all entries of the unit. Code lies in (0, limit].
  UnitIndex(Entries& entries, const Unit& unit, uint64_t limit, Budget& budget);

  /// The function that an address belongs to, and the inlined calls around it from the outside to the inside.
  std::vector<const Code*> around(uint64_t address) const;
  /// The scope of an entry; null: it is none.
  const Scope* scope_at(uint64_t offset) const;
  const Scope* parent(const Scope& scope) const { return scope.parent == kNone ? nullptr : &scopes_[scope.parent]; }

 private:
  struct Function {
    Range range;
    uint32_t code;
  };
  void walk(Entries& entries, const Unit& unit, uint64_t limit, Budget& budget);
  bool holds(const Code& code, uint64_t address) const;

  std::vector<Scope> scopes_;  // by offset
  std::vector<Code> codes_;    // each before what lies in it
  std::vector<Range> ranges_;
  std::vector<Function> functions_;  // by begin
};

}  // namespace vmrun::vm::dwarf
