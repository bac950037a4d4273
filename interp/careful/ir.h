// The careful translator's intermediate form of one function: a linear list of instructions over virtual registers,
// divided into basic blocks. Everything lives in arrays that are reused from one function to the next.
//
// A virtual register is a local (numbers 0 to locals - 1), an operand-stack value, a merge point of block results, or one
// of the fixed places that calls, returns and function entry prescribe. Locals and merge points have several
// definitions; other values have one definition and one use, which is what lets fusion move their definition to it.
#pragma once

#include <cstdint>

#include "interp/abi.h"
#include "interp/code_room.h"
#include "interp/fused.h"
#include "interp/handlers/calls.h"
#include "interp/select.h"
#include "vm/wasm/opcode.h"

namespace vmrun::interp::ir {

enum class Kind : uint8_t {
  nop,
  binary,        // d = a op b
  unary,         // d = op a
  move,          // d = a
  select,        // d = c ? a : b
  load,          // d = memory[a, b]
  store,         // memory[a, b] = c
  branch,        // to label `target`
  branch_if,     // if a op b
  branch_float,  // if a op b (or not: kNegate)
  branch_test,   // if (a & b) op 0
  br_table,      // a; labels in extra[list ..+ count]; the default is last
  call,          // b = index or reference; arguments in extra; d = first result
  tail_call,     // the same without result
  ret,           // a = first result or none; further fixed places in extra
  unreachable,
  charge,      // imm units of fuel
  global_get,  // d
  global_set,  // a
  generic,     // any other instruction, slots only: sources in extra, immediate in immediates[imm]
  // Made by fusion.
  binary2,         // d = two integer operations in one (Form)
  float2,          // d = two float operations in one (Form)
  load_op,         // d = c op memory[a] (kReverse: memory op c)
  read_modify,     // memory[a, b] = memory[a, b] op c
  global_adjust,   // d = global += imm
  global_set_add,  // global = a + imm
  min_max,         // d = a op b ? a : b for a comparison op
};

enum Flags : uint8_t {
  kConstB = 1,    // b is the constant imm
  kConstC = 2,    // c is the constant imm (stores)
  kConstA = 4,    // a is the constant imm (moves, left operands)
  kNegate = 8,    // float comparison: the result is inverted
  kReverse = 16,  // load_op: memory is the left operand
  kOwn = 32,      // global: in this instance
};

inline constexpr uint32_t kNoReg = 0xffffffff;

struct Inst {
  Kind kind = Kind::nop;
  uint8_t flags = 0;
  vm::Op op = vm::Op::nop;
  uint32_t d = kNoReg, a = kNoReg, b = kNoReg, c = kNoReg;
  union {
    uint32_t offset = 0;  // loads and stores: by Address mode
    uint32_t target;      // branches: label
    uint32_t list;        // first of `extra`
  };
  uint64_t imm = 0;
  uint32_t where = 0;  // byte offset of the wasm instruction
  vm::Op op2 = vm::Op::nop;
  Address mode = Address::base_offset;
  uint8_t shift = 0;
  uint8_t depth = 0;  // loops around it
  CallKind call = CallKind::direct;
  uint16_t count = 0;  // entries of `extra`
};
static_assert(sizeof(Inst) == 48);

enum class Place : uint8_t {
  any,          // wherever the allocator puts it; `slot` is its home if it is a local
  reg,          // r[slot] or f[slot]
  own_slot,     // slot `slot` of this frame
  callee_slot,  // slot `slot` of the frame that the next call makes
};

enum class Class : uint8_t { integer, floating, vector };

/// What a register holds.
struct Content {
  Class cls;
  bool i32 = false;
};
inline constexpr Content kI32Content{Class::integer, true}, kI64Content{Class::integer, false};

struct Reg {
  Class cls = Class::integer;
  Place place = Place::any;
  int8_t hint = -1;  // a preferred register
  bool i32 = false;  // holds an i32: its upper half is zero
  uint32_t slot = kNone;
  int32_t def = -1;  // the last instruction that defines it
  int32_t use = -1;  // the last one that uses it
};

struct Block {
  uint32_t begin;
};

/// A loop header that quick code may enter at.
struct Header {
  uint32_t label;
  uint32_t offset;       // of the `loop` opcode
  uint32_t list, count;  // in Function::canonical: operands on the stack there
};
struct CanonicalOperand {
  uint32_t reg;
  uint32_t slot;
};

struct Function {
  CodeVector<Inst> code;
  CodeVector<Reg> regs;
  CodeVector<uint32_t> extra;
  CodeVector<vm::Immediate> immediates;
  CodeVector<Block> blocks;
  CodeVector<uint32_t> label_block;  // per label: its block
  CodeVector<Header> headers;
  CodeVector<CanonicalOperand> canonical;
  uint32_t locals = 0;  // registers 0 .. locals - 1
  uint32_t local_slots = 0;
  uint32_t first_temp = 0;  // slots from here on are free of canonical values
  uint32_t max_depth = 0;
  bool has_call = false;

  void clear() {
    code.clear();
    regs.clear();
    extra.clear();
    immediates.clear();
    blocks.clear();
    label_block.clear();
    headers.clear();
    canonical.clear();
    locals = local_slots = first_temp = max_depth = 0;
    has_call = false;
  }
};

}  // namespace vmrun::interp::ir
