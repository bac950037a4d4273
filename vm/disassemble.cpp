// Disassembly by the opcode table: what follows an opcode is read and shown by its immediate kind.
#include "vm/disassemble.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "vm/assert.h"
#include "vm/opcode.h"
#include "vm/reader.h"

namespace vmrun::vm {
namespace {

std::string hex(uint64_t value) {
  char text[20];
  const auto end = std::to_chars(text, text + sizeof text, value, 16);
  return "0x" + std::string(text, end.ptr);
}

template <class Float, class Bits>
std::string float_text(Bits bits) {
  const Float value = std::bit_cast<Float>(bits);
  if (std::isnan(value)) {
    const Bits fraction = bits & ((Bits{1} << (sizeof(Float) == 4 ? 23 : 52)) - 1);
    return std::string(std::signbit(value) ? "-" : "") + "nan:" + hex(fraction);
  }
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end.ptr);
}

/// Reads immediates of valid code and turns them into text.
class Operands {
 public:
  Operands(const Module& module, const uint8_t* begin, const uint8_t* end) : r_(module.bytes(), begin, end) {}

  Reader& reader() { return r_; }

  std::string text(const OpInfo& info) {
    switch (info.imm) {
      case Imm::none:
        return "";
      case Imm::block:
        return block_type();
      case Imm::br_table:
        return br_table();
      case Imm::cast:
        return cast();
      case Imm::data:
      case Imm::elem:
      case Imm::func:
      case Imm::global:
      case Imm::label:
      case Imm::local:
      case Imm::tag:
      case Imm::type:
        return index();
      case Imm::memory:
      case Imm::table:
        return index_unless_zero();
      case Imm::data_memory:
      case Imm::elem_table:
        return segment_and_space();
      case Imm::memory_memory:
      case Imm::table_table:
        return two_spaces();
      case Imm::field:
      case Imm::type_count:
      case Imm::type_data:
      case Imm::type_elem:
      case Imm::type_type:
        return index() + index();
      case Imm::type_table:
        return type_table();
      case Imm::f32:
        return " " + float_text<float, uint32_t>(raw<uint32_t>());
      case Imm::f64:
        return " " + float_text<double, uint64_t>(raw<uint64_t>());
      case Imm::i32:
        return signed_number();
      case Imm::i64:
        return signed_number();
      case Imm::heap_type:
        return " " + heap_type();
      case Imm::lane:
        return " " + std::to_string(byte());
      case Imm::lanes: {
        std::string out;
        for (int i = 0; i < 16; ++i) out += " " + std::to_string(byte());
        return out;
      }
      case Imm::memarg:
        return memarg(info);
      case Imm::memarg_lane: {
        std::string out = memarg(info);
        return out + " " + std::to_string(byte());
      }
      case Imm::select_types: {
        std::string out = " (result";
        for (uint32_t n = u32(); n > 0; --n) out += " " + val_type();
        return out + ")";
      }
      case Imm::try_table:
        return try_table();
      case Imm::v128: {
        std::string out = " i32x4";
        for (int i = 0; i < 4; ++i) {
          char word[16];
          std::snprintf(word, sizeof word, " 0x%08x", raw<uint32_t>());
          out += word;
        }
        return out;
      }
      case Imm::zero_byte:
        byte();
        return "";
    }
    return "";
  }

 private:
  uint32_t u32() {
    uint32_t out = 0;
    r_.u32(out);
    return out;
  }
  uint8_t byte() {
    uint8_t out = 0;
    r_.u8(out);
    return out;
  }
  template <class T>
  T raw() {
    T out{};
    const uint8_t* at;
    if (r_.bytes(sizeof out, at)) std::memcpy(&out, at, sizeof out);
    return out;
  }
  int64_t s64() {
    int64_t out = 0;
    r_.s64(out);
    return out;
  }

  std::string index() { return " " + std::to_string(u32()); }
  std::string index_unless_zero() {
    const uint32_t i = u32();
    return i == 0 ? "" : " " + std::to_string(i);
  }
  std::string signed_number() { return " " + std::to_string(s64()); }
  std::string two_spaces() {
    const uint32_t a = u32(), b = u32();
    return a == 0 && b == 0 ? "" : " " + std::to_string(a) + " " + std::to_string(b);
  }
  // In the binary the segment comes first, in the text the table or memory does.
  std::string segment_and_space() {
    const uint32_t segment = u32(), space = u32();
    return (space == 0 ? "" : " " + std::to_string(space)) + " " + std::to_string(segment);
  }
  std::string type_table() {
    const uint32_t type = u32(), table = u32();
    return (table == 0 ? "" : " " + std::to_string(table)) + " (type " + std::to_string(type) + ")";
  }

  std::string heap_type() {
    const int64_t code = s64();
    if (code >= 0) return std::to_string(code);
    return to_string(HeapType(static_cast<Heap>(code & 0x7f)));
  }

  std::string val_type() {
    const uint8_t code = byte();
    if (code == 0x64) return "(ref " + heap_type() + ")";
    if (code == 0x63) return "(ref null " + heap_type() + ")";
    if (code >= 0x7b) return to_string(ValType(static_cast<ValType::Kind>(code)));
    return to_string(ValType::ref(static_cast<Heap>(code), true));
  }

  std::string block_type() {
    const uint8_t first = *r_.p();
    if (first == 0x40) {
      byte();
      return "";
    }
    if ((first & 0xc0) == 0x40) return " (result " + val_type() + ")";
    return " (type " + std::to_string(s64()) + ")";
  }

  std::string br_table() {
    std::string out;
    for (uint32_t n = u32() + 1; n > 0; --n) out += " " + std::to_string(u32());
    return out;
  }

  std::string cast() {
    const uint8_t flags = byte();
    std::string out = " " + std::to_string(u32());
    for (unsigned bit = 0; bit < 2; ++bit) {
      out += (flags >> bit & 1) != 0 ? " (ref null " : " (ref ";
      out += heap_type() + ")";
    }
    return out;
  }

  std::string memarg(const OpInfo& info) {
    uint32_t align = u32();
    uint32_t memory = 0;
    if ((align & 0x40) != 0) {
      align &= ~0x40u;
      memory = u32();
    }
    uint64_t offset = 0;
    r_.u64(offset);
    std::string out;
    if (memory != 0) out += " " + std::to_string(memory);
    if (offset != 0) out += " offset=" + std::to_string(offset);
    if (align != info.access_log2) out += " align=" + std::to_string(uint64_t{1} << align);
    return out;
  }

  std::string try_table() {
    static constexpr const char* kClauses[] = {"catch", "catch_ref", "catch_all", "catch_all_ref"};
    std::string out = block_type();
    for (uint32_t n = u32(); n > 0; --n) {
      const uint8_t kind = byte();
      out += std::string(" (") + kClauses[kind & 3];
      if (kind < 2) out += index();
      out += index() + ")";
    }
    return out;
  }

  Reader r_;
};

bool opens_block(Op op) {
  return op == Op::block || op == Op::loop || op == Op::if_ || op == Op::try_ || op == Op::try_table;
}
bool splits_block(Op op) { return op == Op::else_ || op == Op::catch_ || op == Op::catch_all; }

}  // namespace

std::vector<DisassembledOp> disassemble(const Module& module, uint32_t func_index) {
  const ByteRange body = module.funcs[func_index].body;
  Operands operands(module, module.bytes() + body.begin, module.bytes() + body.end);
  Reader& r = operands.reader();
  uint32_t groups = 0;
  r.u32(groups);
  for (; groups > 0; --groups) {
    uint32_t count;
    uint8_t type;
    r.u32(count);
    r.u8(type);
    int64_t heap;
    if (type == 0x63 || type == 0x64) r.s33(heap);
  }

  std::vector<DisassembledOp> out;
  uint32_t depth = 0;
  while (!r.at_end()) {
    const auto begin = static_cast<uint32_t>(r.offset());
    uint8_t first = 0;
    uint32_t code = 0;
    r.u8(first);
    uint16_t number = kOpByByte[first];
    if (first >= 0xfb) {
      r.u32(code);
      number = prefixed_op(first, code);
    }
    VMRUN_ASSERT(number != kNoOp, "disassembling valid code");
    const Op op = static_cast<Op>(number);
    const OpInfo& info = op_info(op);
    if ((op == Op::end || op == Op::delegate) && depth > 0) --depth;
    DisassembledOp line;
    line.depth = splits_block(op) && depth > 0 ? depth - 1 : depth;
    line.text = std::string(info.mnemonic) + operands.text(info);
    line.bytes = {begin, static_cast<uint32_t>(r.offset())};
    if (opens_block(op)) ++depth;
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace vmrun::vm
