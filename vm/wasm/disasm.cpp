// Disassembly, by the opcode table.
#include "vm/wasm/disasm.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "vm/wasm/func_decoder_base.h"
#include "vm/wasm/image.h"
#include "vm/wasm/type_reader.h"
#include "vmrun/base/text.h"

namespace vmrun::vm {

namespace {

/// Reads the immediates of one instruction and writes them behind its mnemonic.
class Printer {
 public:
  Printer(const Module& module, const uint8_t*& p) : module_(module), p_(p) {}

  std::string print() {
    const uint8_t* at = p_;
    Op op = skip_instruction(at);
    const OpInfo& info = op_info(op);
    text_ = info.mnemonic;
    ++p_;
    if (info.prefix != 0) u32();
    immediates(op, info);
    p_ = at;
    return std::move(text_);
  }

 private:
  // The code is valid, so that no integer is longer than ten bytes and none runs out of the body.
  uint32_t u32() {
    uint32_t value = 0;
    read_leb<uint32_t, 32>(p_, p_ + 5, value);
    return value;
  }
  uint64_t u64() {
    uint64_t value = 0;
    read_leb<uint64_t, 64>(p_, p_ + 10, value);
    return value;
  }
  int64_t s64() {
    int64_t value = 0;
    read_leb<int64_t, 64>(p_, p_ + 10, value);
    return value;
  }

  void word(std::string_view text) { text_.append(" ").append(text); }
  void number(uint64_t n) { word(std::to_string(n)); }
  void index() { number(u32()); }
  void index_unless_zero(uint32_t n) {
    if (n != 0) number(n);
  }

  std::string heap_type() {
    int64_t code = s64();
    return code < 0 ? to_string(HeapType(static_cast<Heap>(code & 0x7f))) : std::to_string(code);
  }

  std::string val_type() {
    uint8_t code = *p_++;
    if (code == 0x63) return "(ref null " + heap_type() + ")";
    if (code == 0x64) return "(ref " + heap_type() + ")";
    if (code >= 0x7b) return to_string(ValType(static_cast<ValType::Kind>(code)));
    return to_string(HeapType(static_cast<Heap>(code))) + "ref";
  }

  void block_type() {
    if (*p_ == 0x40) {
      ++p_;
    } else if ((*p_ & 0xc0) == 0x40) {
      word("(result " + val_type() + ")");
    } else {
      word("(type " + std::to_string(s64()) + ")");
    }
  }

  void memarg(const OpInfo& info) {
    uint32_t flags = u32();
    if (flags & 0x40) index_unless_zero(u32());
    if (uint64_t offset = u64(); offset != 0) word("offset=" + std::to_string(offset));
    if (uint32_t align = flags & 0x3f; align != info.access_log2) word("align=" + std::to_string(uint64_t{1} << align));
  }

  template <class Float, class Bits>
  void float_const() {
    Bits bits;
    std::memcpy(&bits, p_, sizeof bits);
    p_ += sizeof bits;
    Float value = std::bit_cast<Float>(bits);
    constexpr int kMantissa = sizeof(Float) == 4 ? 23 : 52;
    std::string sign = std::signbit(value) ? "-" : "";
    char buffer[48];
    if (std::isnan(value)) {
      Bits payload = bits & ((Bits{1} << kMantissa) - 1);
      if (payload == Bits{1} << (kMantissa - 1)) return word(sign + "nan");
      std::snprintf(buffer, sizeof buffer, "%snan:0x%llx", sign.c_str(), static_cast<unsigned long long>(payload));
      return word(buffer);
    }
    if (std::isinf(value)) return word(sign + "inf");
    auto [end, status] = std::to_chars(buffer, buffer + sizeof buffer, value);
    static_cast<void>(status);
    word({buffer, end});
  }

  void func_index() {
    uint32_t index = u32();
    number(index);
    std::string_view name = module_.func_name(index);
    if (!name.empty()) word("(; " + printable_name(name) + " ;)");
  }

  void catches() {
    block_type();
    static constexpr std::string_view kNames[] = {"catch", "catch_ref", "catch_all", "catch_all_ref"};
    for (uint32_t n = u32(); n > 0; --n) {
      uint8_t kind = *p_++;
      std::string clause = "(" + std::string(kNames[kind]);
      if (kind < 2) clause += " " + std::to_string(u32());
      clause += " " + std::to_string(u32()) + ")";
      word(clause);
    }
  }

  void immediates(Op op, const OpInfo& info) {
    switch (info.imm) {
      case Imm::none:
      case Imm::zero_byte: break;
      case Imm::block: return block_type();
      case Imm::try_table: return catches();
      case Imm::br_table:
        for (uint32_t n = u32() + 1; n > 0; --n) index();
        break;
      case Imm::cast: {
        uint8_t flags = *p_++;
        index();
        word((flags & 1 ? "(ref null " : "(ref ") + heap_type() + ")");
        return word((flags & 2 ? "(ref null " : "(ref ") + heap_type() + ")");
      }
      case Imm::heap_type: {
        if (op == Op::ref_null) return word(heap_type());
        bool nullable = op == Op::ref_test_null || op == Op::ref_cast_null;
        return word((nullable ? "(ref null " : "(ref ") + heap_type() + ")");
      }
      case Imm::select_types:
        for (uint32_t n = u32(); n > 0; --n) word("(result " + val_type() + ")");
        break;
      case Imm::i32:
      case Imm::i64: return word(std::to_string(s64()));
      case Imm::f32: return float_const<float, uint32_t>();
      case Imm::f64: return float_const<double, uint64_t>();
      case Imm::v128: {
        uint32_t lanes[4];
        std::memcpy(lanes, p_, sizeof lanes);
        word("i32x4");
        for (uint32_t lane : lanes) {
          char buffer[16];
          std::snprintf(buffer, sizeof buffer, "0x%08x", lane);
          word(buffer);
        }
        break;
      }
      case Imm::lanes:
        for (int i = 0; i < 16; ++i) number(*p_++);
        break;
      case Imm::lane: return number(*p_++);
      case Imm::memarg: return memarg(info);
      case Imm::memarg_lane: memarg(info); return number(*p_++);
      case Imm::func: return func_index();
      case Imm::memory:
      case Imm::table: {
        uint32_t which = u32();
        return index_unless_zero(which);
      }
      case Imm::memory_memory:
      case Imm::table_table: {
        uint32_t to = u32(), from = u32();
        if (to != 0 || from != 0) {
          number(to);
          number(from);
        }
        break;
      }
      case Imm::type_table: {
        uint32_t type = u32();
        index_unless_zero(u32());
        return word("(type " + std::to_string(type) + ")");
      }
      case Imm::data_memory:
      case Imm::elem_table: {  // in the text the memory or table comes first
        uint32_t segment = u32();
        index_unless_zero(u32());
        return number(segment);
      }
      case Imm::field:
      case Imm::type_count:
      case Imm::type_data:
      case Imm::type_elem:
      case Imm::type_type: index(); return index();
      case Imm::data:
      case Imm::elem:
      case Imm::global:
      case Imm::label:
      case Imm::local:
      case Imm::tag:
      case Imm::type: return index();
    }
  }

  const Module& module_;
  const uint8_t*& p_;
  std::string text_;
};

}  // namespace

std::string disassemble_instruction(const Module& module, const uint8_t*& p) { return Printer(module, p).print(); }

std::vector<DisasmLine> disassemble(const Module& module, uint32_t func_index) {
  std::vector<DisasmLine> lines;
  const uint8_t* image = module.bytes();
  const ByteRange& body = module.funcs[func_index].body;
  need_bytes(module, body);
  const uint8_t* p = skip_locals(image + body.begin);
  uint32_t depth = 0;
  while (p < image + body.end) {
    DisasmLine line;
    line.offset = static_cast<uint32_t>(p - image);
    const uint8_t* next = p;
    line.op = skip_instruction(next);
    line.size = static_cast<uint32_t>(next - p);
    bool ends = line.op == Op::end || line.op == Op::delegate;
    bool middle = line.op == Op::else_ || line.op == Op::catch_ || line.op == Op::catch_all;
    if (ends && depth > 0) --depth;
    line.depth = middle && depth > 0 ? depth - 1 : depth;
    line.text = disassemble_instruction(module, p);
    switch (line.op) {
      case Op::block:
      case Op::loop:
      case Op::if_:
      case Op::try_:
      case Op::try_table: ++depth; break;
      default: break;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace vmrun::vm
