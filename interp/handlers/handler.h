// What every handler file needs: dispatch, operand access by location, and the exits to traps and polls.
#pragma once

#include <bit>
#include <cstring>

#include "interp/abi.h"
#include "interp/cell.h"

/// Declares a handler. Handlers lie in one section, so that the fault handler knows them by address, and carry no
/// sanitizer code, because that would push and would look at guest memory as if it were ours. (More attributes, such as
/// no_profile_instrument_function, would keep std::bit_cast and the like from being inlined.)
#define VMRUN_HANDLER_ATTRS                                                                   \
  __attribute__((preserve_none, section("vmrun_handlers"), disable_sanitizer_instrumentation, \
                 no_sanitize("address", "thread", "undefined")))
#define VMRUN_HANDLER VMRUN_HANDLER_ATTRS static void
/// A slow path: tail-called by handlers, never inlined into them. It may push; it must not touch guarded memory.
#define VMRUN_COLD_HANDLER VMRUN_HANDLER_ATTRS __attribute__((noinline, cold)) void

#define VMRUN_TAIL(function) [[clang::musttail]] return function(VMRUN_ARGS)
#define VMRUN_DISPATCH(next)                            \
  do {                                                  \
    pc = (next);                                        \
    [[clang::musttail]] return pc->handler(VMRUN_ARGS); \
  } while (0)
#define VMRUN_NEXT VMRUN_DISPATCH(pc + 1)
#define VMRUN_NEXT2 VMRUN_DISPATCH(pc + 2)
#define VMRUN_LIKELY(x) __builtin_expect(!!(x), 1)
#define VMRUN_UNLIKELY(x) __builtin_expect(!!(x), 0)
/// Leaves by a trap; `code` is an enumerator of vm::TrapCode. `pc` must be a cell of the trapping instruction.
#define VMRUN_TRAP(code) [[clang::musttail]] return ::vmrun::interp::trap<::vmrun::vm::TrapCode::code>(VMRUN_ARGS)
/// After an access that may fault: keeps the compiler from moving `pc`'s update in front of it.
#define VMRUN_FAULT_BARRIER asm volatile("" : "+r"(pc) : : "memory")
/// Takes a back-edge to `target`: counts the budget down and polls when it is used up.
#define VMRUN_BACK_EDGE(target)                                                   \
  do {                                                                            \
    pc = (target);                                                                \
    if (VMRUN_UNLIKELY(--cx->budget < 0)) VMRUN_TAIL(::vmrun::interp::poll_loop); \
    [[clang::musttail]] return pc->handler(VMRUN_ARGS);                           \
  } while (0)

namespace vmrun::interp {

/// Where an operand of a location-templated handler is: a frame slot, one of the pinned registers, or the cell itself.
inline constexpr int kSlot = 0;
inline constexpr int kIntRegs = 4;    // r0..r3 are locations 1..4
inline constexpr int kFloatRegs = 4;  // f0..f3 are locations 1..4; an f32 lives in the low half
inline constexpr int kImm = 5;        // an immediate in the cell (or the next one)

/// A slot of the frame as T (uint64_t, uint32_t, double, float, vm::V128...).
template <class T = uint64_t>
[[gnu::always_inline]] inline T slot_get(const std::byte* fp, unsigned index) {
  T value;
  std::memcpy(&value, fp + 8 * static_cast<size_t>(index), sizeof value);
  return value;
}
/// Writes a 64-bit slot (T of 8 bytes), a vector (16), or a zero-extended 32-bit integer.
template <class T>
[[gnu::always_inline]] inline void slot_set(std::byte* fp, unsigned index, T value) {
  if constexpr (std::is_same_v<T, uint32_t>) {
    uint64_t wide = value;
    std::memcpy(fp + 8 * static_cast<size_t>(index), &wide, sizeof wide);
  } else {
    std::memcpy(fp + 8 * static_cast<size_t>(index), &value, sizeof value);
  }
}

typedef float Float2 __attribute__((vector_size(8)));
/// An f32 in the low half of a float register, without instructions.
[[gnu::always_inline]] inline float low_float(double reg) { return std::bit_cast<Float2>(reg)[0]; }
[[gnu::always_inline]] inline double from_float(float value) {
  Float2 pair;
  pair[0] = value;
  return std::bit_cast<double>(pair);
}

/// Ends the activation with a trap of this code at `pc`, fills the backtrace and returns to `invoke`.
template <vm::TrapCode code>
VMRUN_COLD_HANDLER trap(VMRUN_PARAMS);
/// The same with the code in cx->trap.
VMRUN_COLD_HANDLER trap_pending(VMRUN_PARAMS);
/// Raises the exception in cx->exception at `pc` (a call or throw cell).
VMRUN_COLD_HANDLER throw_pending(VMRUN_PARAMS);
/// A back-edge was taken with the budget used up; `pc` is its target. Charges heat, polls, may enter better code. All
/// registers survive.
VMRUN_COLD_HANDLER poll_loop(VMRUN_PARAMS);
/// A call at `pc` (the first of its natural cells) found no room below cx->stack_limit: polls and dispatches `pc`
/// again, or traps.
VMRUN_COLD_HANDLER poll_call(VMRUN_PARAMS);

}  // namespace vmrun::interp

/// Calls `code_ptr` (vm::FuncCode*) of the running instance from the natural call cells at `call` (const Cell*).
#define VMRUN_CALL(call, code_ptr)                                                                                \
  do {                                                                                                            \
    const ::vmrun::interp::Cell* call_cell = (call);                                                              \
    std::byte* callee_fp = fp + call_cell->imm;                                                                   \
    if (VMRUN_UNLIKELY(callee_fp > cx->stack_limit)) {                                                            \
      pc = call_cell;                                                                                             \
      VMRUN_TAIL(::vmrun::interp::poll_call);                                                                     \
    }                                                                                                             \
    ::vmrun::interp::link_of(callee_fp)->pc = call_cell;                                                          \
    fp = callee_fp;                                                                                               \
    VMRUN_DISPATCH(static_cast<const ::vmrun::interp::Cell*>((code_ptr)->entry.load(std::memory_order_acquire))); \
  } while (0)
/// Returns to the caller; r0 or f0 and the slots from 0 hold the results.
#define VMRUN_RETURN                                                           \
  do {                                                                         \
    const ::vmrun::interp::Cell* call_cell = ::vmrun::interp::link_of(fp)->pc; \
    fp -= call_cell->imm;                                                      \
    VMRUN_DISPATCH(call_cell + ::vmrun::interp::kCallCells);                   \
  } while (0)
