// Line programs: see line_table.h. DWARF 5, section 6.2.
#include "vm/dwarf/line_table.h"

namespace vmrun::vm::dwarf {

LineTable::LineTable(const Sections& sections, Entries& entries, const Unit& unit, uint64_t limit, Budget& budget)
    : sections_(sections), entries_(entries), unit_(unit), limit_(limit), budget_(budget) {
  if (!unit.root.stmt_list || unit.root.stmt_list.number >= sections.line.size()) return;
  comp_dir_ = entries.text(unit, unit.root.comp_dir, kMaxPath);
  Cursor in(sections.line, unit.root.stmt_list.number);
  if (read_header(in)) run(in);
  std::ranges::sort(sequences_, {}, &Sequence::begin);
}

/// Leaves `in` at the program's first opcode, and ends it behind the last.
bool LineTable::read_header(Cursor& in) {
  uint64_t length = in.u32();
  unit_.offset_size = 4;
  if (length == 0xffffffff) {
    unit_.offset_size = 8;
    length = in.u64();
  }
  if (!in.ok() || length > sections_.line.size() - in.at()) return false;
  const std::span<const uint8_t> bytes = sections_.line.first(in.at() + length);
  in = Cursor(bytes, in.at());
  unit_.version = in.u16();
  if (unit_.version < 2 || unit_.version > 5) return false;
  if (unit_.version == 5) {
    unit_.address_size = in.u8();
    in.u8();  // segment selectors
    if (unit_.address_size != 4 && unit_.address_size != 8) return false;
  }
  const uint64_t header = in.fixed(unit_.offset_size);
  if (!in.ok() || header > bytes.size() - in.at()) return false;
  const uint64_t program = in.at() + header;
  min_length_ = in.u8();
  if (unit_.version >= 4) in.u8();  // operations of an instruction: one, but for very long instruction words
  in.u8();                          // is_stmt at the beginning
  line_base_ = static_cast<int8_t>(in.u8());
  line_range_ = in.u8();
  opcode_base_ = in.u8();
  if (!in.ok() || line_range_ == 0 || opcode_base_ == 0) return false;
  for (uint32_t i = 1; i < opcode_base_; ++i) lengths_.push_back(in.u8());
  unit_.version == 5 ? read_tables(in) : read_old_tables(in);
  in = Cursor(bytes, program);
  return in.ok();
}

void LineTable::read_old_tables(Cursor& in) {
  directories_.push_back(comp_dir_);
  files_.push_back({});  // numbers begin at 1
  for (;;) {
    const std::string_view name = in.string();
    if (name.empty() || !budget_.keep() || !budget_.take(name.size() / 64)) break;
    directories_.push_back(name);
  }
  for (;;) {
    const std::string_view name = in.string();
    if (name.empty() || !budget_.keep() || !budget_.take(name.size() / 64)) break;
    const uint64_t directory = in.uleb();
    in.uleb();  // time
    in.uleb();  // size
    files_.push_back({name, directory});
  }
}

void LineTable::read_tables(Cursor& in) {
  for (const bool are_files : {false, true}) {
    struct Column {
      uint64_t content, form;
    };
    std::vector<Column> columns(std::min<uint32_t>(in.u8(), kMaxFormats));
    for (Column& column : columns) {
      column.content = in.uleb();
      column.form = in.uleb();
    }
    // An entry without columns takes no bytes: a count of them is a count of nothing.
    const uint64_t count = columns.empty() ? 0 : in.uleb();
    for (uint64_t i = 0; i < count && in.ok() && !in.at_end() && budget_.keep() && budget_.take(columns.size()); ++i) {
      File file{};
      for (const Column& column : columns) {
        Value value;
        if (column.form == 0x08) {
          const std::string_view text = in.string();
          budget_.take(text.size() / 64);
          if (column.content == 1) file.name = text;
          continue;
        }
        value = entries_.form(in, column.form, unit_, 0);
        if (column.content == 1) file.name = entries_.text(unit_, value, kMaxPath);
        if (column.content == 2) file.directory = value.number;
      }
      are_files ? files_.push_back(file) : directories_.push_back(file.name);
    }
    if (columns.empty()) in.uleb();
  }
}

void LineTable::run(Cursor& in) {
  struct {
    uint64_t address = 0;
    uint32_t file = 1, line = 1, column = 0;
  } state;
  const auto initial = state;
  uint32_t first = 0;   // row of the sequence
  bool broken = false;  // it goes backwards, or leaves the code
  const auto emit = [&] {
    if (broken || state.address == 0 || state.address > limit_ || state.address > UINT32_MAX ||
        (rows_.size() > first && rows_.back().address > state.address)) {
      broken = true;
      return;
    }
    const LineRow row{static_cast<uint32_t>(state.address), state.file, state.line, state.column};
    if (rows_.size() > first && rows_.back().address == row.address) {
      rows_.back() = row;
    } else if (budget_.keep()) {
      rows_.push_back(row);
    }
  };
  const auto advance = [&](uint64_t operations) { state.address += operations * min_length_; };
  while (!in.at_end() && budget_.take()) {
    const uint8_t opcode = in.u8();
    if (opcode >= opcode_base_) {
      const auto special = static_cast<uint8_t>(opcode - opcode_base_);
      advance(special / line_range_);
      state.line += static_cast<uint32_t>(line_base_ + special % line_range_);
      emit();
      continue;
    }
    switch (opcode) {
      case 0: {
        const uint64_t length = in.uleb(), begin = in.at();
        if (!in.ok() || length == 0) break;
        switch (in.u8()) {
          case 1:  // end of the sequence
            if (rows_.size() > first) {
              const uint64_t last = std::max<uint64_t>(rows_.back().address + uint64_t{1}, broken ? 0 : state.address);
              if (budget_.keep()) {
                sequences_.push_back({rows_[first].address, last, first, static_cast<uint32_t>(rows_.size())});
              }
            }
            first = static_cast<uint32_t>(rows_.size());
            broken = false;
            state = initial;
            break;
          case 2: state.address = in.fixed(static_cast<uint32_t>(std::min<uint64_t>(length - 1, 9))); break;
          default: break;
        }
        if (in.ok() && in.at() <= begin + length) in.skip(begin + length - in.at());
        break;
      }
      case 1: emit(); break;
      case 2: advance(in.uleb()); break;
      case 3: state.line += static_cast<uint32_t>(in.sleb()); break;
      case 4: state.file = static_cast<uint32_t>(in.uleb()); break;
      case 5: state.column = static_cast<uint32_t>(in.uleb()); break;
      case 8: advance((255u - opcode_base_) / line_range_); break;
      case 9: state.address += in.u16(); break;
      default:
        // Without meaning for us: statements, blocks, prologues, and what is unknown.
        for (uint8_t i = 0; i < lengths_[opcode - 1u]; ++i) in.uleb();
    }
  }
}

const LineRow* LineTable::row_at(uint64_t address) const {
  // Sequences do not overlap where a linker made them.
  auto after = std::ranges::upper_bound(sequences_, address, {}, &Sequence::begin);
  if (after == sequences_.begin()) return nullptr;
  const Sequence& sequence = *--after;
  if (address >= sequence.end) return nullptr;
  const auto rows = std::span(rows_).subspan(sequence.first, sequence.last - sequence.first);
  auto row = std::ranges::upper_bound(rows, address, {}, &LineRow::address);
  return row == rows.begin() ? nullptr : &*--row;
}

std::string LineTable::file(uint64_t number) const {
  if (number >= files_.size()) return {};
  const File& file = files_[number];
  std::string path;
  const auto add = [&](std::string_view part) {
    if (part.empty()) return;
    if (part.front() == '/') path.clear();
    if (!path.empty() && path.back() != '/') path += '/';
    path += part.substr(0, kMaxPath);
  };
  add(comp_dir_);
  if (file.directory != 0 && file.directory < directories_.size()) add(directories_[file.directory]);
  add(file.name);
  return path;
}

}  // namespace vmrun::vm::dwarf
