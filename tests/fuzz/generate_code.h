// The code of one function, instruction by instruction, by the opcode table's names.
#pragma once

#include "generate.h"
#include "vm/wasm/opcode.h"

namespace vmrun::test::generate {

using vm::Op;

/// The instructions of a family, in the order of the opcode table; with `operand`, those whose first operand has this
/// letter.
inline std::vector<Op> ops_of(vm::Family family, char operand = 0) {
  std::vector<Op> ops;
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    const vm::OpInfo& info = vm::kOpInfo[i];
    if (info.family == family && (operand == 0 || info.signature[0] == operand)) ops.push_back(static_cast<Op>(i));
  }
  return ops;
}

/// What a block takes and leaves: nothing, one value, or a function type of the module.
struct BlockType {
  int64_t code = -64;  // the empty one
  BlockType() = default;
  BlockType(Type result) : code(static_cast<int64_t>(result) - 128) {}
  static BlockType of(uint32_t type_index) {
    BlockType type;
    type.code = type_index;
    return type;
  }
};

class Code {
 public:
  Bytes bytes;

  /// An instruction without immediates, or the opcode of one whose immediates follow.
  Code& op(Op which) {
    const vm::OpInfo& info = vm::op_info(which);
    if (info.prefix == 0) return byte(info.code);
    return byte(info.prefix).u(info.code);
  }
  Code& byte(uint32_t b) { return bytes.push_back(static_cast<uint8_t>(b)), *this; }
  Code& u(uint64_t n) { return append_unsigned(bytes, n), *this; }
  Code& s(int64_t n) { return append_signed(bytes, n), *this; }
  Code& raw(uint64_t bits, unsigned count) {
    for (unsigned i = 0; i < count; ++i) byte(bits >> 8 * i & 0xff);
    return *this;
  }

  Code& i32(uint32_t n) { return op(Op::i32_const).s(static_cast<int32_t>(n)); }
  Code& i64(uint64_t n) { return op(Op::i64_const).s(static_cast<int64_t>(n)); }
  Code& f32_bits(uint32_t bits) { return op(Op::f32_const).raw(bits, 4); }
  Code& f64_bits(uint64_t bits) { return op(Op::f64_const).raw(bits, 8); }
  Code& v128(uint64_t low, uint64_t high) { return op(Op::v128_const).raw(low, 8).raw(high, 8); }

  Code& get(uint32_t local) { return op(Op::local_get).u(local); }
  Code& set(uint32_t local) { return op(Op::local_set).u(local); }
  Code& tee(uint32_t local) { return op(Op::local_tee).u(local); }
  Code& global_get(uint32_t global) { return op(Op::global_get).u(global); }
  Code& global_set(uint32_t global) { return op(Op::global_set).u(global); }

  /// A load, a store or an atomic access. The alignment is the natural one where it must be.
  Code& access(Op which, uint64_t offset, uint32_t memory = 0) {
    const vm::OpInfo& info = vm::op_info(which);
    op(which).byte((info.family == vm::Family::atomic ? info.access_log2 : 0) | (memory != 0 ? 0x40 : 0));
    if (memory != 0) u(memory);
    return u(offset);
  }

  Code& block(BlockType type = {}) { return op(Op::block).s(type.code); }
  Code& loop(BlockType type = {}) { return op(Op::loop).s(type.code); }
  Code& if_(BlockType type = {}) { return op(Op::if_).s(type.code); }
  Code& else_() { return op(Op::else_); }
  Code& end() { return op(Op::end); }
  Code& br(uint32_t depth) { return op(Op::br).u(depth); }
  Code& br_if(uint32_t depth) { return op(Op::br_if).u(depth); }
  Code& call(uint32_t func) { return op(Op::call).u(func); }
  Code& call_indirect(uint32_t type, uint32_t table) { return op(Op::call_indirect).u(type).u(table); }
  Code& drop(size_t count = 1) {
    for (; count > 0; --count) op(Op::drop);
    return *this;
  }
};

}  // namespace vmrun::test::generate
