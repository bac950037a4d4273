// Writing DWARF 4: see gdb_lines.h. Sections 2, 3.3, 6.2 and 7.5 of the standard.
#include "jit/code/gdb_lines.h"

#include <cstring>
#include <unordered_map>

#include "vm/wasm/module.h"
#include "vm/wasm/sources.h"

namespace vmrun::jit {
namespace {

class Out {
 public:
  template <class T>
  void put(T value) {
    const size_t at = bytes.size();
    bytes.resize(at + sizeof value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
  }
  void u8(unsigned value) { put(static_cast<uint8_t>(value)); }
  void uleb(uint64_t value) {
    for (; value >= 0x80; value >>= 7) u8(static_cast<unsigned>(value & 0x7f) | 0x80);
    u8(static_cast<unsigned>(value));
  }
  void sleb(int64_t value) {
    for (;; value >>= 7) {
      const auto low = static_cast<unsigned>(value & 0x7f);
      const bool last = (value >> 6) == 0 || (value >> 6) == -1;
      u8(last ? low : low | 0x80);
      if (last) return;
    }
  }
  /// Without a NUL in it, and with one behind.
  void text(std::string_view value) {
    value = value.substr(0, value.find('\0'));
    bytes.insert(bytes.end(), value.begin(), value.end());
    u8(0);
  }
  /// The length of what follows `at`, where there is room for it.
  void set_length(size_t at) {
    const auto length = static_cast<uint32_t>(bytes.size() - at - 4);
    std::memcpy(bytes.data() + at, &length, sizeof length);
  }
  std::vector<char> bytes;
};

struct Row {
  uint64_t pc;
  uint32_t file, line, column;  // file: from 1
};

/// The lines of all marks, each where it differs from the one before. Lines that are not known keep the one before.
std::vector<Row> rows_of(const CodeObject& code, std::vector<std::string>& files) {
  const vm::Sources& sources = code.func->module->sources();
  std::unordered_map<std::string, uint32_t> numbers;
  std::vector<Row> rows;
  uint32_t asked = 0;
  for (const SourceMark& mark : code.marks) {
    const uint32_t offset = code.offset_of(mark.place);
    if (offset == asked) continue;
    asked = offset;
    const std::vector<SourceLine> lines = sources.at(offset);
    if (lines.empty() || lines[0].line == 0 || lines[0].file.empty()) continue;
    const auto [number, fresh] = numbers.try_emplace(lines[0].file, static_cast<uint32_t>(files.size() + 1));
    if (fresh) files.push_back(lines[0].file);
    const Row row{reinterpret_cast<uint64_t>(code.begin) + mark.pc, number->second, lines[0].line, lines[0].column};
    if (!rows.empty() && rows.back().pc == row.pc) rows.pop_back();
    if (!rows.empty() && rows.back().file == row.file && rows.back().line == row.line) continue;
    rows.push_back(row);
  }
  // A debugger takes a function's first line for its prologue, and stops at the second.
  const auto begin = reinterpret_cast<uint64_t>(code.begin);
  if (!rows.empty() && rows[0].pc != begin) rows.insert(rows.begin(), {begin, rows[0].file, rows[0].line, 0});
  return rows;
}

std::vector<char> line_program(const CodeObject& code, const std::vector<Row>& rows,
                               const std::vector<std::string>& files) {
  constexpr uint8_t kOperands[] = {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
  enum : uint8_t { kExtended, kCopy, kAdvancePc, kAdvanceLine, kSetFile, kSetColumn };
  Out out;
  out.put(uint32_t{0});
  out.put(uint16_t{4});
  const size_t header = out.bytes.size();
  out.put(uint32_t{0});
  out.u8(1);     // smallest instruction
  out.u8(1);     // operations in one
  out.u8(1);     // rows begin statements
  out.u8(0xfb);  // special opcodes: not used
  out.u8(14);
  out.u8(sizeof kOperands + 1);
  for (uint8_t count : kOperands) out.u8(count);
  out.u8(0);  // no directories
  for (const std::string& file : files) {
    out.text(file);
    for (int i = 0; i < 3; ++i) out.uleb(0);
  }
  out.u8(0);
  out.set_length(header);
  out.u8(kExtended);
  out.uleb(9);
  out.u8(2);  // set address
  out.put(rows[0].pc);
  uint64_t pc = rows[0].pc;
  int64_t line = 1;
  for (const Row& row : rows) {
    out.u8(kAdvancePc);
    out.uleb(row.pc - pc);
    out.u8(kSetFile);
    out.uleb(row.file);
    out.u8(kSetColumn);
    out.uleb(row.column);
    out.u8(kAdvanceLine);
    out.sleb(int64_t{row.line} - line);
    out.u8(kCopy);
    pc = row.pc;
    line = row.line;
  }
  out.u8(kAdvancePc);
  out.uleb(reinterpret_cast<uint64_t>(code.begin) + code.size - pc);
  out.u8(kExtended);
  out.uleb(1);
  out.u8(1);  // end of the sequence
  out.set_length(0);
  return std::move(out.bytes);
}

enum : uint8_t { kUnit = 0x11, kSubprogram = 0x2e };
enum : uint8_t {
  kName = 0x03,
  kStmtList = 0x10,
  kLowPc = 0x11,
  kHighPc = 0x12,
  kLanguage = 0x13,
  kProducer = 0x25,
  kDeclFile = 0x3a,
  kDeclLine = 0x3b,
  kExternal = 0x3f
};
enum : uint8_t {
  kAddr = 0x01,
  kData2 = 0x05,
  kData8 = 0x07,
  kString = 0x08,
  kUdata = 0x0f,
  kSecOffset = 0x17,
  kPresent = 0x19
};

std::vector<char> abbreviations() {
  Out out;
  const auto entry = [&](uint8_t number, uint8_t tag, bool children, std::initializer_list<uint8_t> pairs) {
    out.u8(number);
    out.u8(tag);
    out.u8(children ? 1 : 0);
    for (uint8_t byte : pairs) out.u8(byte);
    out.put(uint16_t{0});
  };
  entry(1, kUnit, true,
        {kProducer, kString, kLanguage, kData2, kName, kString, kStmtList, kSecOffset, kLowPc, kAddr, kHighPc, kData8});
  entry(2, kSubprogram, false,
        {kName, kString, kExternal, kPresent, kDeclFile, kUdata, kDeclLine, kUdata, kLowPc, kAddr, kHighPc, kData8});
  out.u8(0);
  return std::move(out.bytes);
}

}  // namespace

DebugLines debug_lines(const CodeObject& code, const std::string& name) {
  if (code.func == nullptr || !code.func->module->has_debug_info()) return {};
  std::vector<std::string> files;
  const std::vector<Row> rows = rows_of(code, files);
  if (rows.empty()) return {};
  Out out;
  const auto range = [&] {
    out.put(reinterpret_cast<uint64_t>(code.begin));
    out.put(uint64_t{code.size});
  };
  out.put(uint32_t{0});
  out.put(uint16_t{4});
  out.put(uint32_t{0});  // abbreviations
  out.u8(8);             // bytes of an address
  out.uleb(1);
  out.text("vmrun");
  out.put(uint16_t{0x0c});  // C99: what debuggers know names and types of best
  out.text(files[rows[0].file - 1]);
  out.put(uint32_t{0});  // line program
  range();
  out.uleb(2);
  out.text(name);
  out.uleb(rows[0].file);
  out.uleb(rows[0].line);
  range();
  out.u8(0);
  out.set_length(0);
  return {std::move(out.bytes), abbreviations(), line_program(code, rows, files)};
}

}  // namespace vmrun::jit
