// The line program of a unit, and the table that it makes: from addresses to files, lines and columns.
#pragma once

#include "vm/dwarf/entries.h"

namespace vmrun::vm::dwarf {

struct LineRow {
  uint32_t address;
  uint32_t file, line, column;
};

class LineTable {
 public:
  /// Runs the program of the unit's stmt_list. Rows lie in (0, limit].
  LineTable(const Sections& sections, Entries& entries, const Unit& unit, uint64_t limit, Budget& budget);

  /// The row that an address belongs to; null: none.
  const LineRow* row_at(uint64_t address) const;
  /// The path of a file by the number that rows and calls have.
  std::string file(uint64_t number) const;

 private:
  struct File {
    std::string_view name;
    uint64_t directory;
  };
  /// Rows [first, last) for addresses [begin, end), in order.
  struct Sequence {
    uint64_t begin, end;
    uint32_t first, last;
  };
  bool read_header(Cursor& in);
  void read_old_tables(Cursor& in);
  void read_tables(Cursor& in);
  void run(Cursor& in);

  const Sections& sections_;
  Entries& entries_;
  Unit unit_;  // with sizes of the line program's own header
  uint64_t limit_;
  Budget& budget_;
  uint8_t min_length_ = 1, line_range_ = 1, opcode_base_ = 1;
  int8_t line_base_ = 0;
  std::vector<uint8_t> lengths_;  // operands of standard opcodes
  std::string_view comp_dir_;
  std::vector<std::string_view> directories_;
  std::vector<File> files_;
  std::vector<LineRow> rows_;
  std::vector<Sequence> sequences_;  // by begin
};

}  // namespace vmrun::vm::dwarf
