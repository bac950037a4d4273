// Leaving the fast path: traps, polls, exceptions; and the few moves that only the quick translator uses.
#include "interp/handlers/calls.h"
#include "interp/handlers/handler.h"
#include "interp/runtime.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/stop.h"

namespace vmrun::interp {

using vm::Outcome;
using vm::TrapCode;

// ---- traps ----------------------------------------------------------------------------------------------------------

/// Ends all frames since the host's entry, whose newest one stands at `pc`. The caller returns, which leaves to the host,
/// when this is the host's own activation.
#define VMRUN_LEAVE(outcome, is_exact)                     \
  do {                                                     \
    (void)mem, (void)r0, (void)r1, (void)r2, (void)r3;     \
    (void)f0, (void)f1, (void)f2, (void)f3;                \
    vm::Activation* running = cx->activation;              \
    running->pc = pc;                                      \
    running->fp = fp;                                      \
    running->instance = inst;                              \
    running->exact = is_exact;                             \
    vm::Transfer out = vm::leave_to_host(*cx, outcome);    \
    if (cx->activation != running) vm::transfer(*cx, out); \
  } while (0)

VMRUN_COLD_HANDLER trap_pending(VMRUN_PARAMS) { VMRUN_LEAVE(Outcome::Trap, true); }
VMRUN_COLD_HANDLER leave_error(VMRUN_PARAMS) { VMRUN_LEAVE(Outcome::Error, true); }

template <TrapCode code>
VMRUN_COLD_HANDLER trap(VMRUN_PARAMS) {
  cx->trap = code;
  VMRUN_TAIL(trap_pending);
}

#define VMRUN_INSTANTIATE(name) template void trap<TrapCode::name>(VMRUN_PARAMS) __attribute__((preserve_none));
VMRUN_INSTANTIATE(Unreachable)
VMRUN_INSTANTIATE(IntegerDivideByZero)
VMRUN_INSTANTIATE(IntegerOverflow)
VMRUN_INSTANTIATE(InvalidConversionToInteger)
VMRUN_INSTANTIATE(MemoryOutOfBounds)
VMRUN_INSTANTIATE(TableOutOfBounds)
VMRUN_INSTANTIATE(UndefinedElement)
VMRUN_INSTANTIATE(UninitializedElement)
VMRUN_INSTANTIATE(IndirectCallTypeMismatch)
VMRUN_INSTANTIATE(NullReference)
VMRUN_INSTANTIATE(NullFunctionReference)
VMRUN_INSTANTIATE(NullExceptionReference)
VMRUN_INSTANTIATE(CastFailure)
VMRUN_INSTANTIATE(UnalignedAtomic)
VMRUN_INSTANTIATE(ExpectedSharedMemory)
VMRUN_INSTANTIATE(StackOverflow)
VMRUN_INSTANTIATE(OutOfMemory)
VMRUN_INSTANTIATE(Interrupted)
VMRUN_INSTANTIATE(Unsupported)
VMRUN_INSTANTIATE(OutOfFuel)
#undef VMRUN_INSTANTIATE

// ---- polls ----------------------------------------------------------------------------------------------------------

VMRUN_COLD_HANDLER poll_loop(VMRUN_PARAMS) {
  if (vm::stop_wanted(*cx)) {
    if (TrapCode code = poll_here(*cx, pc, fp, inst); code != TrapCode::None) {
      cx->trap = code;
      VMRUN_TAIL(trap_pending);
    }
  }
  SliceEnd next = slice_ended(*cx, inst, pc);
  if (next.machine != nullptr) {
    // No register is live at a header of quick code.
    r2 = reinterpret_cast<uint64_t>(next.code);
    r3 = reinterpret_cast<uint64_t>(next.machine);
  }
  VMRUN_DISPATCH(next.pc);
}

VMRUN_COLD_HANDLER poll_call(VMRUN_PARAMS) {
  TrapCode code = call_polled(*cx, pc, fp, inst);
  if (code != TrapCode::None) {
    cx->trap = code;
    VMRUN_TAIL(trap_pending);
  }
  VMRUN_DISPATCH(pc);
}

// ---- exceptions -----------------------------------------------------------------------------------------------------

/// Goes on where the running activation says. r15 alone is set, to cx.
VMRUN_COLD_HANDLER landed(VMRUN_PARAMS) {
  const vm::Activation* running = cx->activation;
  pc = static_cast<const Cell*>(running->pc);
  fp = running->fp;
  inst = running->instance;
  mem = inst->memory0_base;
  r0 = r1 = r2 = r3 = 0;
  f0 = f1 = f2 = f3 = 0;
  if (VMRUN_UNLIKELY(!cx->exception.is_null())) {  // the search was interrupted
    cx->exception = {};
    VMRUN_TRAP(Interrupted);
  }
  VMRUN_DISPATCH(pc);
}

VMRUN_COLD_HANDLER throw_pending(VMRUN_PARAMS) {
  vm::Activation* running = cx->activation;
  running->pc = pc;
  running->fp = fp;
  running->instance = inst;
  if (VMRUN_LIKELY(land_exception(*cx, *running))) VMRUN_TAIL(landed);
  vm::Transfer out = vm::raise_exception(*cx, true);
  if (cx->activation != running) vm::transfer(*cx, out);
}

namespace {

VMRUN_HANDLER throw_(VMRUN_PARAMS) {
  if (!make_exception(*cx, pc, fp, inst)) VMRUN_TRAP(OutOfMemory);
  VMRUN_TAIL(throw_pending);
}

VMRUN_HANDLER throw_ref(VMRUN_PARAMS) {
  vm::Ref exception{slot_get(fp, pc->a)};
  if (exception.is_null()) VMRUN_TRAP(NullExceptionReference);
  cx->exception = exception;
  VMRUN_TAIL(throw_pending);
}

VMRUN_HANDLER unreachable(VMRUN_PARAMS) { VMRUN_TRAP(Unreachable); }

/// The segment that begins here costs `imm` units.
VMRUN_HANDLER charge(VMRUN_PARAMS) {
  const uint64_t fuel = cx->fuel, units = static_cast<uint32_t>(pc->imm);
  if (VMRUN_UNLIKELY(fuel < units)) VMRUN_TRAP(OutOfFuel);
  cx->fuel = fuel - units;
  VMRUN_NEXT;
}
VMRUN_HANDLER unsupported(VMRUN_PARAMS) { VMRUN_TRAP(Unsupported); }
VMRUN_HANDLER stack_overflow(VMRUN_PARAMS) { VMRUN_TRAP(StackOverflow); }

// ---- moves ----------------------------------------------------------------------------------------------------------

typedef uint64_t Pair __attribute__((vector_size(16), aligned(8)));

VMRUN_HANDLER move_vector(VMRUN_PARAMS) {
  slot_set(fp, pc->a, slot_get<Pair>(fp, pc->b));
  VMRUN_NEXT;
}
VMRUN_HANDLER const_vector(VMRUN_PARAMS) {
  slot_set(fp, pc->a, Pair{pc[1].w, pc[1].u});
  VMRUN_NEXT2;
}
VMRUN_HANDLER select_vector(VMRUN_PARAMS) {
  unsigned source = slot_get<uint32_t>(fp, pc->d) != 0 ? pc->b : pc->c;
  slot_set(fp, pc->a, slot_get<Pair>(fp, source));
  VMRUN_NEXT;
}
VMRUN_HANDLER move_slots(VMRUN_PARAMS) {
  std::byte* to = fp + 8 * size_t{pc->a};
  const std::byte* from = fp + 8 * size_t{pc->b};
  for (uint32_t n = static_cast<uint32_t>(pc->imm); n != 0; --n, to += 8, from += 8) {
    asm("" : "+r"(to));
    slot_set(to, 0, slot_get(from, 0));
  }
  VMRUN_NEXT;
}

}  // namespace

Handler select_throw() { return &throw_; }
Handler select_throw_ref() { return &throw_ref; }
Handler select_unreachable() { return &unreachable; }
Handler select_charge() { return &charge; }
Handler select_unsupported() { return &unsupported; }
Handler select_stack_overflow() { return &stack_overflow; }
Handler select_move_vector() { return &move_vector; }
Handler select_const_vector() { return &const_vector; }
Handler select_select_vector() { return &select_vector; }
Handler select_move_slots() { return &move_slots; }

}  // namespace vmrun::interp
