// Writing DWARF 4: see gdb_lines.h. Sections 2, 3.3, 6.2 and 7.5 of the standard.
#include "jit/code/gdb_lines.h"

#include <algorithm>
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
/// An inlined call: of which function, and where that was called.
struct Call {
  uint32_t function;    // among Places::functions
  uint32_t file, line;  // file: from 1; 0: unknown
  bool operator==(const Call&) const = default;
};
/// The inlined calls that code from `pc` on lies in, outermost first.
struct Stretch {
  uint64_t pc;
  std::vector<Call> calls;
};
/// Inlined calls in one another, and in all of a piece of code; an image may claim any. What is beyond has its line alone.
constexpr size_t kMostCalls = 64, kMostCallsInAll = 1 << 16;

/// What there is to tell about a piece of code.
class Places {
 public:
  explicit Places(const CodeObject& code) : code_(code) {
    uint32_t seen = 0;
    for (const SourceMark& mark : code.marks) {
      if (mark.place != seen) add(reinterpret_cast<uint64_t>(code.begin) + mark.pc, mark.place);
      seen = mark.place;
    }
    // A debugger takes a function's first line for its prologue, and stops at the second.
    const auto begin = reinterpret_cast<uint64_t>(code.begin);
    if (!rows.empty() && rows[0].pc != begin) rows.insert(rows.begin(), {begin, rows[0].file, rows[0].line, 0});
  }

  /// The innermost line at each place, where it differs from the one before. The first is a known one.
  std::vector<Row> rows;
  std::vector<Stretch> stretches;  // each differs from the one before; at first there is no call
  std::vector<std::string> files, functions;

 private:
  using Numbers = std::unordered_map<std::string, uint32_t>;
  /// Where the name is in `all`.
  static uint32_t number(const std::string& name, Numbers& numbers, std::vector<std::string>& all) {
    const auto [found, fresh] = numbers.try_emplace(name, static_cast<uint32_t>(all.size()));
    if (fresh) all.push_back(name);
    return found->second;
  }
  uint32_t file(const std::string& name) { return name.empty() ? 0 : number(name, file_numbers_, files) + 1; }

  /// A compiler's own instructions, of line 0, keep the line before; what has no source at all is of no line.
  void add_row(uint64_t pc, const SourceLine& line) {
    const bool is_known = line.line != 0 && !line.file.empty();
    if (!is_known && (rows.empty() || !line.file.empty() || !line.function.empty())) return;
    const Row row = is_known ? Row{pc, file(line.file), line.line, line.column} : Row{pc, rows.back().file, 0, 0};
    if (rows.size() > 1 && rows.back().pc == pc) rows.pop_back();
    if (rows.empty() || rows.back().file != row.file || rows.back().line != row.line) rows.push_back(row);
  }

  void add(uint64_t pc, uint32_t place) {
    // Innermost first: calls that the guest's compiler has inlined, the function itself, and the same of its caller, where
    // it is our compiler that has inlined it.
    std::vector<SourceLine> lines;
    for (;;) {
      std::vector<SourceLine> here = code_.func->module->sources().at(code_.offset_of(place));
      const bool is_inlined = (place & kInlined) != 0;
      if (here.empty()) here.emplace_back();
      if (lines.empty()) add_row(pc, here[0]);
      if (is_inlined) {
        here.back().function = code_.func->module->func_label(code_.inlined[place & ~kInlined].func_index);
      }
      lines.insert(lines.end(), here.begin(), here.end());
      if (!is_inlined || lines.size() > kMostCalls) break;
      place = code_.inlined[place & ~kInlined].caller;
    }
    Stretch stretch{pc, {}};
    for (size_t i = lines.size() - 1; i-- > 0 && stretch.calls.size() < kMostCalls;) {
      const std::string& name = lines[i].function;
      stretch.calls.push_back({number(name.empty() ? "[inlined]" : name, function_numbers_, functions),
                               file(lines[i + 1].file), lines[i + 1].line});
    }
    if (calls_ + stretch.calls.size() > kMostCallsInAll) stretch.calls.clear();
    if (!stretches.empty() && stretches.back().pc == pc) stretches.pop_back();
    if (stretches.empty() ? !stretch.calls.empty() : stretches.back().calls != stretch.calls) {
      calls_ += stretch.calls.size();
      stretches.push_back(std::move(stretch));
    }
  }

  const CodeObject& code_;
  Numbers file_numbers_, function_numbers_;
  size_t calls_ = 0;
};

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

enum : uint8_t { kUnit = 0x11, kInlinedCall = 0x1d, kSubprogram = 0x2e };
enum : uint8_t {
  kName = 0x03,
  kStmtList = 0x10,
  kLowPc = 0x11,
  kHighPc = 0x12,
  kLanguage = 0x13,
  kInline = 0x20,
  kProducer = 0x25,
  kAbstractOrigin = 0x31,
  kDeclFile = 0x3a,
  kDeclLine = 0x3b,
  kExternal = 0x3f,
  kCallFile = 0x58,
  kCallLine = 0x59
};
enum : uint8_t {
  kAddr = 0x01,
  kData2 = 0x05,
  kData8 = 0x07,
  kString = 0x08,
  kData1 = 0x0b,
  kUdata = 0x0f,
  kRef4 = 0x13,
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
  entry(2, kSubprogram, true,
        {kName, kString, kExternal, kPresent, kDeclFile, kUdata, kDeclLine, kUdata, kLowPc, kAddr, kHighPc, kData8});
  entry(3, kSubprogram, false, {kName, kString, kInline, kData1});
  entry(4, kInlinedCall, true,
        {kAbstractOrigin, kRef4, kLowPc, kAddr, kHighPc, kData8, kCallFile, kUdata, kCallLine, kUdata});
  out.u8(0);
  return std::move(out.bytes);
}

/// The functions of inlined calls. Where the entry of each is.
std::vector<uint32_t> put_functions(Out& out, const std::vector<std::string>& functions) {
  std::vector<uint32_t> entries;
  for (const std::string& name : functions) {
    entries.push_back(static_cast<uint32_t>(out.bytes.size()));
    out.uleb(3);
    out.text(name);
    out.u8(1);  // inlined
  }
  return entries;
}

/// Calls in one another, each for as long as stretches in a row lie in it.
void put_calls(Out& out, const std::vector<Stretch>& stretches, uint64_t end, const std::vector<uint32_t>& entries) {
  struct Open {
    const Call* call;
    uint64_t begin;
    size_t length_at;
  };
  std::vector<Open> open;
  const auto close = [&](size_t depth, uint64_t pc) {
    for (; open.size() > depth; open.pop_back()) {
      const uint64_t length = pc - open.back().begin;
      std::memcpy(out.bytes.data() + open.back().length_at, &length, sizeof length);
      out.u8(0);  // no further calls in it
    }
  };
  for (const Stretch& stretch : stretches) {
    size_t same = 0;
    while (same < std::min(open.size(), stretch.calls.size()) && *open[same].call == stretch.calls[same]) ++same;
    close(same, stretch.pc);
    for (; same < stretch.calls.size(); ++same) {
      const Call& call = stretch.calls[same];
      out.uleb(4);
      out.put(entries[call.function]);
      out.put(stretch.pc);
      open.push_back({&call, stretch.pc, out.bytes.size()});
      out.put(uint64_t{0});
      out.uleb(call.file);
      out.uleb(call.line);
    }
  }
  close(0, end);
}

}  // namespace

DebugLines debug_lines(const CodeObject& code, const std::string& name) {
  if (code.func == nullptr || !code.func->module->has_debug_info()) return {};
  const Places places(code);
  const std::vector<Row>& rows = places.rows;
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
  out.text(places.files[rows[0].file - 1]);
  out.put(uint32_t{0});  // line program
  range();
  const std::vector<uint32_t> entries = put_functions(out, places.functions);
  out.uleb(2);
  out.text(name);
  out.uleb(rows[0].file);
  out.uleb(rows[0].line);
  range();
  put_calls(out, places.stretches, reinterpret_cast<uint64_t>(code.begin) + code.size, entries);
  out.u8(0);  // no more in the function
  out.u8(0);  // and in the unit
  out.set_length(0);
  return {std::move(out.bytes), abbreviations(), line_program(code, rows, places.files)};
}

}  // namespace vmrun::jit
