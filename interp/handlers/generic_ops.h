// What the generic handlers are made of: their declarations, one per row of the opcode table that has a generic form,
// and access to operands in slots. A row without its handler fails to link.
//
// Cells, by kind of instruction (a to d, imm, u, w: see interp/cell.h):
//   most                       a = result, b, c, d = operands
//   lane immediate             as above with d = lane
//   i8x16.shuffle, v128.const  the next cell is the 16 bytes
//   other constants            a = result, the next cell's w = bits
//   guarded loads              a = result, b = address, imm = offset
//   guarded stores             a = value, b = address, imm = offset
//   all other memory accesses  a = result, b, c, d = operands, d = lane; next cell: w = offset, u = memory
//   globals                    a = result or value, imm = index
//   tables and memories        a = result, b, c, d = operands, next cell: w = first index, u = second index
//   wide arithmetic            a = low result, d = high result, b, c = first two operands; next cell's a, b = the
//   others
#pragma once

#include <type_traits>
#include <utility>

#include "interp/handlers/generic.h"
#include "interp/handlers/handler.h"
#include "interp/handlers/speculation.h"
#include "vm/numeric/simd_lanes.h"
#include "vm/wasm/opcode.h"

/// Defines the generic handler of an instruction; `checked` and `guarded` are the two forms of memory accesses.
#define VMRUN_GENERIC(name) VMRUN_HANDLER_ATTRS void plain::name(VMRUN_PARAMS)
#define VMRUN_GENERIC_GUARDED(name) VMRUN_HANDLER_ATTRS void guarded::name(VMRUN_PARAMS)
#define VMRUN_GENERIC_CHECKED(name) VMRUN_HANDLER_ATTRS void checked::name(VMRUN_PARAMS)

/// Leaves by the trap that `code` (a vm::TrapCode not known at compile time) says, if it says one.
#define VMRUN_TRAP_IF(code)                                                                                   \
  do {                                                                                                        \
    if (::vmrun::vm::TrapCode trap_code = (code); VMRUN_UNLIKELY(trap_code != ::vmrun::vm::TrapCode::None)) { \
      cx->trap = trap_code;                                                                                   \
      VMRUN_TAIL(::vmrun::interp::trap_pending);                                                              \
    }                                                                                                         \
  } while (0)

namespace vmrun::interp::generic {

// All rows are declared; only those with a generic form are defined or used. Hidden, so that tables can hold distances.
#define VMRUN_GENERIC_DECLARATION __attribute__((visibility("hidden"))) VMRUN_HANDLER_ATTRS void
#define VMRUN_OP(prefix, code, name, ...) VMRUN_GENERIC_DECLARATION name(VMRUN_PARAMS);
namespace plain {
#include "vm/wasm/opcodes.def"
// Forms that do not follow from the opcode alone.
VMRUN_GENERIC_DECLARATION constant64(VMRUN_PARAMS);
VMRUN_GENERIC_DECLARATION select_v128(VMRUN_PARAMS);
VMRUN_GENERIC_DECLARATION global_get_v128(VMRUN_PARAMS);
VMRUN_GENERIC_DECLARATION global_set_v128(VMRUN_PARAMS);
}  // namespace plain
namespace guarded {
#include "vm/wasm/opcodes.def"
}  // namespace guarded
namespace checked {
#include "vm/wasm/opcodes.def"
}  // namespace checked
#undef VMRUN_OP
#undef VMRUN_GENERIC_DECLARATION

using vm::ops::Vec;

template <class T>
[[gnu::always_inline]] inline T get(const std::byte* fp, unsigned slot) {
  T value;
  std::memcpy(&value, fp + 8 * static_cast<size_t>(slot), sizeof value);
  return value;
}

/// Writes a value of any operand type; what is narrower than a slot is zero-extended.
template <class T>
[[gnu::always_inline]] inline void put(std::byte* fp, unsigned slot, T value) {
  std::byte* p = fp + 8 * static_cast<size_t>(slot);
  if constexpr (std::is_same_v<T, float>) {
    uint64_t wide = std::bit_cast<uint32_t>(value);
    std::memcpy(p, &wide, 8);
  } else if constexpr (sizeof(T) < 8) {
    static_assert(std::is_unsigned_v<T>);
    uint64_t wide = value;
    std::memcpy(p, &wide, 8);
  } else {
    std::memcpy(p, &value, sizeof value);
  }
}

/// a = F(b, c, d): as many operands as F has, of its parameter types.
template <auto F, class R, class... A>
[[gnu::always_inline]] inline void compute_as(const Cell* pc, std::byte* fp, R (*)(A...)) {
  const uint16_t slots[] = {pc->b, pc->c, pc->d};
  [&]<size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
    put<R>(fp, pc->a, F(get<A>(fp, slots[I])...));
  }(std::index_sequence_for<A...>{});
}
template <auto F>
[[gnu::always_inline]] inline void compute(const Cell* pc, std::byte* fp) {
  compute_as<F>(pc, fp, F);
}

/// The same for functions that return a TrapCode and write their result through the last parameter.
template <auto F, class A, class R>
[[gnu::always_inline]] inline vm::TrapCode try_compute_as(const Cell* pc, std::byte* fp, vm::TrapCode (*)(A, R&)) {
  R result{};
  vm::TrapCode code = F(get<A>(fp, pc->b), result);
  if (code == vm::TrapCode::None) [[likely]]
    put<R>(fp, pc->a, result);
  return code;
}
template <auto F, class A, class B, class R>
[[gnu::always_inline]] inline vm::TrapCode try_compute_as(const Cell* pc, std::byte* fp, vm::TrapCode (*)(A, B, R&)) {
  R result{};
  vm::TrapCode code = F(get<A>(fp, pc->b), get<B>(fp, pc->c), result);
  if (code == vm::TrapCode::None) [[likely]]
    put<R>(fp, pc->a, result);
  return code;
}
template <auto F>
[[gnu::always_inline]] inline vm::TrapCode try_compute(const Cell* pc, std::byte* fp) {
  return try_compute_as<F>(pc, fp, F);
}

/// Address of `size` bytes at guest address `address` + offset of a memory, from the two cells of a checked access, or
/// null when they are not all inside.
[[gnu::always_inline]] inline std::byte* checked_address(const Cell* pc, const vm::Instance* inst, uint64_t address,
                                                         uint64_t size) {
  const vm::MemoryInst* memory = inst->memories[pc[1].u];
  uint64_t bytes = memory->bytes.load(std::memory_order_relaxed);
  uint64_t start;
  bool wraps = __builtin_add_overflow(address, pc[1].w, &start);
  bool inside = !wraps && start <= bytes && bytes - start >= size;
  uint64_t mask = speculation_mask(inside);
  if (!inside) [[unlikely]]
    return nullptr;
  return memory->base + (start & mask);
}

}  // namespace vmrun::interp::generic
