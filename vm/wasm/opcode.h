// The instruction set as data: enum, names, decoding tables and immediates, all from vm/wasm/opcodes.def.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "vm/base/value.h"
#include "vm/wasm/features.h"
#include "vm/wasm/types.h"

namespace vmrun::vm {

/// An instruction. Values are dense, in the order of vm/wasm/opcodes.def; names are the specification's mnemonics with '_'
/// for '.', and a trailing '_' where C++ has a keyword.
enum class Op : uint16_t {
#define VMRUN_OP(prefix, code, name, ...) name,
#include "vm/wasm/opcodes.def"
#undef VMRUN_OP
};

inline constexpr size_t kOpCount = 0
#define VMRUN_OP(...) +1
#include "vm/wasm/opcodes.def"
#undef VMRUN_OP
    ;

/// What kind of work an instruction does. Instructions of a family have signatures of one form, where it names one.
enum class Family : uint8_t {
  control,        // blocks, branches, calls, returns, exceptions
  parametric,     // nop, drop, select: values of any type
  local,          // local.get, local.set, local.tee
  global,         // global.get, global.set
  table,          // all that reach a table; elem.drop
  load,           // of scalars: address to value
  store,          // of scalars: address, value
  memory,         // size, growth, bulk operations; data.drop
  constant,       // of scalars
  int_test,       // eqz
  int_unary,      // counts and sign extensions within a type
  int_binary,     // arithmetic without a trap, logic, shifts
  int_divide,     // quotients and remainders, which trap
  int_compare,    // two integers to an i32
  int_wide,       // 128-bit results, in two values
  float_unary,    // signs, roundings, roots
  float_binary,   // arithmetic, minimum and maximum, copysign
  float_compare,  // two floats to an i32
  convert,        // one scalar to another type
  reference,      // what needs no object heap: null, functions, casts
  object,         // structs, arrays, i31
  vector,         // all computations with a v128, its constants and lanes
  vector_memory,  // loads and stores of a v128 or its lanes
  atomic,         // accesses, waiting and waking, the fence
};

/// Whether a family computes one scalar from one, and one scalar from two.
constexpr bool is_unary(Family family) {
  using enum Family;
  return family == int_test || family == int_unary || family == float_unary || family == convert;
}
constexpr bool is_binary(Family family) {
  using enum Family;
  return family == int_binary || family == int_divide || family == int_compare || family == float_binary ||
         family == float_compare;
}
/// Whether a family works on vectors.
constexpr bool is_vector(Family family) { return family == Family::vector || family == Family::vector_memory; }

/// What follows the opcode (WebAssembly 3.0, 5.4). In `Immediate` an index stands in `index` and a second one in
/// `index2`, in the order of the binary.
enum class Imm : uint8_t {
  none,
  block,        // block type
  br_table,     // vector of labels and the default
  cast,         // flags, label (index), two heap types (type2 the source, type the target)
  data,         // data segment
  data_memory,  // data segment (index), memory (mem.memory)
  elem,         // element segment
  elem_table,   // element segment (index), table (index2)
  f32,
  f64,
  field,  // type (index), field (index2)
  func,
  global,
  heap_type,  // as a type (type): nullable for ref.null, ref_test_null, ref_cast_null
  i32,
  i64,
  label,
  lane,
  lanes,  // 16 lane numbers, in v128
  local,
  memarg,
  memarg_lane,
  memory,         // memory (mem.memory)
  memory_memory,  // destination (mem.memory), source (index2)
  select_types,   // the one type of a typed select (type)
  table,
  table_table,  // destination (index), source (index2)
  tag,
  try_table,  // block type and catch clauses
  type,
  type_count,  // type (index), number of operands (index2)
  type_data,   // type (index), data segment (index2)
  type_elem,   // type (index), element segment (index2)
  type_table,  // type (index), table (index2)
  type_type,   // type (index), type (index2)
  v128,
  zero_byte,
};

/// Memory argument of loads, stores and atomics. `offset` fits 32 bits unless the memory is 64-bit.
struct MemArg {
  uint64_t offset;
  uint32_t memory;
  uint32_t align;  // log2 of the hinted alignment
};

/// Decoded immediates of one instruction. Only the members that its Imm kind names are set.
struct Immediate {
  Immediate() {}  // members stay unset: this is filled once per instruction

  union {
    int32_t i32;
    int64_t i64;
    uint32_t f32bits;
    uint64_t f64bits;
    MemArg mem;
    V128 v128;
    std::array<uint8_t, 16> lanes;
  };
  uint32_t index;   // the first index that is not a memory
  uint32_t index2;  // the second index
  uint8_t lane;
  ValType type;   // select: the type of its operands; ref.null, ref.test, ref.cast, br_on_cast: the target type
  ValType type2;  // br_on_cast: the source type
};

enum OpFlags : uint8_t { kCanTrap = 1, kWritesRef = 2, kConst = 4, kGcObject = 8, kCommutes = 16 };

/// One row of the table.
struct OpInfo {
  const char* mnemonic;
  const char* signature;  // operands ':' results, one letter each; "*" for a rule of its own (see vm/wasm/opcodes.def)
  uint16_t code;          // opcode byte, or the number after the prefix
  uint8_t prefix;         // 0, 0xfb, 0xfc, 0xfd or 0xfe
  Family family;
  Imm imm;
  Feature feature;
  uint8_t flags;
  uint8_t access_log2;  // natural alignment of a memory access; of an immediate lane, its bytes

  constexpr bool can_trap() const { return (flags & kCanTrap) != 0; }
  constexpr bool writes_ref() const { return (flags & kWritesRef) != 0; }
  constexpr bool is_const() const { return (flags & kConst) != 0; }
  constexpr bool is_gc_object() const { return (flags & kGcObject) != 0; }
  constexpr bool commutes() const { return (flags & kCommutes) != 0; }
};

inline constexpr OpInfo kOpInfo[kOpCount] = {
#define VMRUN_OP(prefix, code, name, mnemonic, family, immediate, signature, feature, flags, access) \
  {mnemonic, signature, code, prefix, Family::family, Imm::immediate, Feature::feature, flags, access},
#include "vm/wasm/opcodes.def"
#undef VMRUN_OP
};

constexpr const OpInfo& op_info(Op op) { return kOpInfo[static_cast<size_t>(op)]; }

/// The specification's name of `op`, such as "i32.add". "try", "catch" and the like for the older exceptions.
constexpr std::string_view mnemonic(Op op) { return op_info(op).mnemonic; }

constexpr Family family(Op op) { return op_info(op).family; }

/// Whether a scalar operation may exchange its operands. Where both are NaNs, the result may be either.
constexpr bool commutes(Op op) { return op_info(op).commutes(); }

inline constexpr uint16_t kNoOp = 0xffff;

namespace detail {
template <size_t N>
constexpr std::array<uint16_t, N> make_op_table(uint8_t prefix) {
  std::array<uint16_t, N> table{};
  table.fill(kNoOp);
  for (size_t i = 0; i < kOpCount; ++i)
    if (kOpInfo[i].prefix == prefix) table[kOpInfo[i].code] = static_cast<uint16_t>(i);
  return table;
}
}  // namespace detail

/// Op by opcode byte, and by the number after each prefix; kNoOp where there is none.
inline constexpr auto kOpByByte = detail::make_op_table<256>(0);
inline constexpr auto kOpByFb = detail::make_op_table<32>(0xfb);
inline constexpr auto kOpByFc = detail::make_op_table<32>(0xfc);
inline constexpr auto kOpByFd = detail::make_op_table<0x120>(0xfd);
inline constexpr auto kOpByFe = detail::make_op_table<0x50>(0xfe);

/// Whether an opcode that begins with this byte goes on with a number.
constexpr bool is_prefix(uint8_t byte) { return byte >= 0xfb && byte <= 0xfe; }

/// The Op with this prefix byte and number, as a number, or kNoOp.
constexpr uint16_t prefixed_op(uint8_t prefix, uint32_t code) {
  switch (prefix) {
    case 0xfb: return code < kOpByFb.size() ? kOpByFb[code] : kNoOp;
    case 0xfc: return code < kOpByFc.size() ? kOpByFc[code] : kNoOp;
    case 0xfd: return code < kOpByFd.size() ? kOpByFd[code] : kNoOp;
    case 0xfe: return code < kOpByFe.size() ? kOpByFe[code] : kNoOp;
    default: return kNoOp;
  }
}

}  // namespace vmrun::vm
