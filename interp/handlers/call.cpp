// Calls, tail calls, returns and the ways in and out of the interpreter. See abi.h for cells and frames.
#include <type_traits>

#include "interp/bridge.h"
#include "interp/handlers/calls.h"
#include "interp/handlers/handler.h"
#include "interp/handlers/speculation.h"
#include "interp/runtime.h"
#include "vm/blocks/policy.h"
#include "vm/runtime/stop.h"

namespace vmrun::interp {
namespace {

using vm::FuncRecord;
using vm::TrapCode;

/// The entry of a function of any instance.
[[gnu::always_inline]] inline const Cell* entry_of(const vm::FuncCode* code) {
  return static_cast<const Cell*>(code->entry.load(std::memory_order_acquire));
}

[[gnu::always_inline]] inline uint64_t int_at(int loc, const std::byte* fp, unsigned slot, uint64_t r0, uint64_t r1,
                                              uint64_t r2, uint64_t r3) {
  return loc == kSlot ? slot_get(fp, slot) : loc == 1 ? r0 : loc == 2 ? r1 : loc == 3 ? r2 : r3;
}

// ---- entering a function --------------------------------------------------------------------------------------------

template <int Ints, int Floats>
VMRUN_HANDLER enter(VMRUN_PARAMS) {
  if constexpr (Ints > 0) slot_set(fp, pc->a, r0);
  if constexpr (Ints > 1) slot_set(fp, pc->b, r1);
  if constexpr (Floats > 0) slot_set(fp, pc->c, f0);
  if constexpr (Floats > 1) slot_set(fp, pc->d, f1);
  std::byte* slot = fp + 8 * size_t{pc[1].a};
  for (uint32_t n = pc[1].b; n != 0; --n, slot += 8) {
    asm("" : "+r"(slot));  // keeps this from becoming a call of memset
    slot_set<uint64_t>(slot, 0, 0);
  }
  auto* code = static_cast<vm::FuncCode*>(pc[1].q);
  uint32_t heat = code->heat.load(std::memory_order_relaxed) + 1;
  code->heat.store(heat, std::memory_order_relaxed);
  if (VMRUN_UNLIKELY(static_cast<int32_t>(heat) >= static_cast<int32_t>(policy::kHotEntries))) VMRUN_TAIL(enter_hot);
  VMRUN_NEXT2;
}

// ---- calls ----------------------------------------------------------------------------------------------------------

// The record to call waits in r3 (no argument register) for the rare kinds of callee.

/// As poll_call, where r3 holds the callee: goes on with it in `next`. The call cannot be dispatched again, because r3 may
/// have been its operand.
template <Handler next>
VMRUN_COLD_HANDLER poll_callee(VMRUN_PARAMS) {
  TrapCode code = call_polled(*cx, pc, fp, inst);
  if (code != TrapCode::None) {
    cx->trap = code;
    VMRUN_TAIL(trap_pending);
  }
  VMRUN_TAIL(next);
}

/// Behind a host function: the way on, whichever, wants no virtual register as it was, so none need be saved.
#define VMRUN_FORGET_REGISTERS() \
  do {                           \
    r0 = r1 = r2 = r3 = 0;       \
    f0 = f1 = f2 = f3 = 0;       \
  } while (0)

VMRUN_COLD_HANDLER call_host(VMRUN_PARAMS);
VMRUN_COLD_HANDLER tail_call_host(VMRUN_PARAMS);

/// A wasm function of another instance, or a host function.
VMRUN_HANDLER_ATTRS __attribute__((noinline)) void call_foreign(VMRUN_PARAMS) {
  auto* record = reinterpret_cast<FuncRecord*>(r3);
  std::byte* callee = fp + pc->imm;
  if (VMRUN_UNLIKELY(callee > cx->stack_limit)) VMRUN_TAIL(poll_callee<&call_foreign>);
  if (record->host != nullptr) VMRUN_TAIL(call_host);
  Link* link = link_of(callee);
  link->outer = pc;
  link->inst = inst;
  link->pc = boundary_cell();
  fp = callee;
  inst = record->instance;
  mem = inst->memory0_base;
  VMRUN_DISPATCH(entry_of(record->code));
}

VMRUN_HANDLER_ATTRS __attribute__((noinline)) void tail_call_foreign(VMRUN_PARAMS) {
  auto* record = reinterpret_cast<FuncRecord*>(r3);
  if (record->host != nullptr) VMRUN_TAIL(tail_call_host);
  Link* link = link_of(fp);
  if (link->pc != boundary_cell()) {
    link->outer = link->pc;
    link->inst = inst;
    link->pc = boundary_cell();
  }
  inst = record->instance;
  mem = inst->memory0_base;
  VMRUN_DISPATCH(entry_of(record->code));
}

#define VMRUN_CALL_RECORD(record)                          \
  do {                                                     \
    FuncRecord* callee_record = (record);                  \
    if (VMRUN_UNLIKELY(callee_record->instance != inst)) { \
      r3 = reinterpret_cast<uint64_t>(callee_record);      \
      VMRUN_TAIL(call_foreign);                            \
    }                                                      \
    VMRUN_CALL(pc, callee_record->code);                   \
  } while (0)

#define VMRUN_TAIL_CALL_RECORD(record)                               \
  do {                                                               \
    FuncRecord* callee_record = (record);                            \
    if (VMRUN_UNLIKELY(fp > cx->stack_limit)) VMRUN_TAIL(poll_call); \
    if (VMRUN_UNLIKELY(callee_record->instance != inst)) {           \
      r3 = reinterpret_cast<uint64_t>(callee_record);                \
      VMRUN_TAIL(tail_call_foreign);                                 \
    }                                                                \
    VMRUN_DISPATCH(entry_of(callee_record->code));                   \
  } while (0)

template <bool Tail>
VMRUN_HANDLER call_direct(VMRUN_PARAMS) {
  if constexpr (Tail) {
    if (VMRUN_UNLIKELY(fp > cx->stack_limit)) VMRUN_TAIL(poll_call);
    VMRUN_DISPATCH(entry_of(static_cast<vm::FuncCode*>(pc[1].p)));
  } else {
    VMRUN_CALL(pc, static_cast<vm::FuncCode*>(pc[1].p));
  }
}

template <bool Tail>
VMRUN_HANDLER call_import(VMRUN_PARAMS) {
  FuncRecord* record = inst->funcs[pc[1].u];
  if constexpr (Tail) {
    VMRUN_TAIL_CALL_RECORD(record);
  } else {
    VMRUN_CALL_RECORD(record);
  }
}

/// Calls the record in r3.
template <bool Tail>
VMRUN_HANDLER_ATTRS __attribute__((noinline)) void call_known(VMRUN_PARAMS) {
  auto* record = reinterpret_cast<FuncRecord*>(r3);
  std::byte* callee = Tail ? fp : fp + pc->imm;
  if (VMRUN_UNLIKELY(callee > cx->stack_limit)) VMRUN_TAIL(poll_callee<&call_known<Tail>>);
  if (record->instance != inst) {
    if constexpr (Tail) VMRUN_TAIL(tail_call_foreign);
    VMRUN_TAIL(call_foreign);
  }
  if constexpr (!Tail) link_of(callee)->pc = pc;
  fp = callee;
  VMRUN_DISPATCH(entry_of(record->code));
}

/// The types differ: the callee's may still be a subtype. r3 holds the record.
template <bool Tail>
VMRUN_HANDLER_ATTRS __attribute__((noinline)) void call_subtype(VMRUN_PARAMS) {
  if (!callee_matches(reinterpret_cast<FuncRecord*>(r3), static_cast<uint32_t>(pc[1].u), inst)) {
    VMRUN_TRAP(IndirectCallTypeMismatch);
  }
  VMRUN_TAIL(call_known<Tail>);
}

template <bool Tail, int Loc>
VMRUN_HANDLER call_indirect(VMRUN_PARAMS) {
  const vm::TableInst* table = inst->tables[pc[1].u >> 32];
  uint64_t index = int_at(Loc, fp, pc->a, r0, r1, r2, r3);
  bool inside = index < table->size;
  uint64_t mask = speculation_mask(inside);
  if (VMRUN_UNLIKELY(!inside)) VMRUN_TRAP(UndefinedElement);
  auto* record = table->elems[index & mask].as<FuncRecord>();
  if (VMRUN_UNLIKELY(record == nullptr)) VMRUN_TRAP(UninitializedElement);
  if (VMRUN_UNLIKELY(static_cast<uint32_t>(record->type) != static_cast<uint32_t>(pc[1].u))) {
    r3 = reinterpret_cast<uint64_t>(record);
    VMRUN_TAIL(call_subtype<Tail>);
  }
  if constexpr (Tail) {
    VMRUN_TAIL_CALL_RECORD(record);
  } else {
    VMRUN_CALL_RECORD(record);
  }
}

template <bool Tail, int Loc>
VMRUN_HANDLER call_ref(VMRUN_PARAMS) {
  auto* record = reinterpret_cast<FuncRecord*>(int_at(Loc, fp, pc->a, r0, r1, r2, r3));
  if (VMRUN_UNLIKELY(record == nullptr)) VMRUN_TRAP(NullFunctionReference);
  if constexpr (Tail) {
    VMRUN_TAIL_CALL_RECORD(record);
  } else {
    VMRUN_CALL_RECORD(record);
  }
}

// ---- host functions -------------------------------------------------------------------------------------------------

/// Puts register parameters into the slots where a host function reads all of them.
#define VMRUN_SPILL_PARAMS(base, places)                                                \
  do {                                                                                  \
    if ((places).int0 != ParamPlaces::kAbsent) slot_set((base), (places).int0, r0);     \
    if ((places).int1 != ParamPlaces::kAbsent) slot_set((base), (places).int1, r1);     \
    if ((places).float0 != ParamPlaces::kAbsent) slot_set((base), (places).float0, f0); \
    if ((places).float1 != ParamPlaces::kAbsent) slot_set((base), (places).float1, f1); \
  } while (0)

VMRUN_COLD_HANDLER call_host(VMRUN_PARAMS) {
  auto* record = reinterpret_cast<FuncRecord*>(r3);
  std::byte* callee = fp + pc->imm;
  ParamPlaces places = param_places(record, inst);
  VMRUN_SPILL_PARAMS(callee, places);
  vm::Activation* activation = cx->activation;
  activation->pc = pc;
  activation->fp = fp;
  activation->instance = inst;
  activation->top = callee + 8 * places.area;
  auto* slots = reinterpret_cast<vm::Slot*>(callee);
  vm::Outcome outcome = record->host(record->host_env, *cx, inst, slots, slots);
  VMRUN_FORGET_REGISTERS();
  activation->pc = nullptr;
  if (VMRUN_LIKELY(outcome == vm::Outcome::Return)) {
    // Here, because the guest may have no loop and no call before its end; the host function may have been cut short.
    if (VMRUN_UNLIKELY(vm::stop_wanted(*cx))) {
      if (TrapCode code = call_polled(*cx, pc, fp, inst); code != TrapCode::None) {
        cx->trap = code;
        VMRUN_TAIL(trap_pending);
      }
    }
    r0 = slot_get(callee, 0);
    f0 = slot_get<double>(callee, 0);
    VMRUN_DISPATCH(pc + kCallCells);
  }
  if (outcome == vm::Outcome::Trap) VMRUN_TAIL(trap_pending);
  if (outcome == vm::Outcome::Exception) VMRUN_TAIL(throw_pending);
  VMRUN_TAIL(leave_error);
}

VMRUN_COLD_HANDLER tail_call_host(VMRUN_PARAMS) {
  auto* record = reinterpret_cast<FuncRecord*>(r3);
  ParamPlaces places = param_places(record, inst);
  VMRUN_SPILL_PARAMS(fp, places);
  vm::Activation* activation = cx->activation;
  activation->pc = pc;
  activation->fp = fp;
  activation->instance = inst;
  activation->top = fp + 8 * places.area;
  auto* slots = reinterpret_cast<vm::Slot*>(fp);
  vm::Outcome outcome = record->host(record->host_env, *cx, inst, slots, slots);
  VMRUN_FORGET_REGISTERS();
  activation->pc = nullptr;
  if (outcome == vm::Outcome::Trap) VMRUN_TAIL(trap_pending);
  if (outcome == vm::Outcome::Error) VMRUN_TAIL(leave_error);
  r0 = slot_get(fp, 0);
  f0 = slot_get<double>(fp, 0);
  if (VMRUN_LIKELY(outcome == vm::Outcome::Return)) VMRUN_RETURN;
  // The frame that made the tail call is gone: the exception comes out of its caller's call.
  const Link* link = link_of(fp);
  pc = link->pc;
  if (pc == boundary_cell()) {
    inst = link->inst;
    mem = inst->memory0_base;
    pc = link->outer;
  }
  fp -= pc->imm;
  VMRUN_TAIL(throw_pending);
}

// ---- returns --------------------------------------------------------------------------------------------------------

VMRUN_HANDLER return_(VMRUN_PARAMS) { VMRUN_RETURN; }

template <int Loc>
VMRUN_HANDLER return_int(VMRUN_PARAMS) {
  r0 = int_at(Loc, fp, pc->a, r0, r1, r2, r3);
  VMRUN_RETURN;
}

template <int Loc>
VMRUN_HANDLER return_float(VMRUN_PARAMS) {
  if constexpr (Loc == kSlot) f0 = slot_get<double>(fp, pc->a);
  if constexpr (Loc > 1) f0 = Loc == 2 ? f1 : Loc == 3 ? f2 : f3;
  VMRUN_RETURN;
}

/// A callee of another instance returned.
VMRUN_HANDLER return_boundary(VMRUN_PARAMS) {
  const Link* link = link_of(fp);
  inst = link->inst;
  mem = inst->memory0_base;
  pc = link->outer;
  fp -= pc->imm;
  VMRUN_DISPATCH(pc + kCallCells);
}

// ---- in and out ----

template <ExitKind Kind>
VMRUN_HANDLER leave(VMRUN_PARAMS) {
  (void)pc, (void)mem, (void)inst, (void)r1, (void)r2, (void)r3, (void)f1, (void)f2, (void)f3;
  if constexpr (Kind == ExitKind::integer) slot_set(fp, 0, r0);
  if constexpr (Kind == ExitKind::floating) slot_set(fp, 0, f0);
  cx->activation->outcome = vm::Outcome::Return;
}

VMRUN_HANDLER impossible(VMRUN_PARAMS) { VMRUN_TRAP(Unsupported); }

// What a frame that is called from no guest code finds as its caller's call: no code to return to, no distance.
constexpr Cell call_like() { return {{.handler = &impossible}, {.u = 0}}; }
constexpr Cell no_translation() { return {{.w = 0}, {.u = 0}}; }
VMRUN_HANDLER out_of_memory(VMRUN_PARAMS) { VMRUN_TRAP(OutOfMemory); }
const Cell kOutOfMemory[] = {{{.handler = &out_of_memory}, {.u = 0}}};
VMRUN_HANDLER interrupted(VMRUN_PARAMS) { VMRUN_TRAP(Interrupted); }
const Cell kInterrupted[] = {{{.handler = &interrupted}, {.u = 0}}};

const Cell kBoundary[] = {call_like(), no_translation(), {{.handler = &return_boundary}, {.u = 0}}};
const Cell kExits[3][3] = {
    {call_like(), no_translation(), {{.handler = &leave<ExitKind::other>}, {.u = 0}}},
    {call_like(), no_translation(), {{.handler = &leave<ExitKind::integer>}, {.u = 0}}},
    {call_like(), no_translation(), {{.handler = &leave<ExitKind::floating>}, {.u = 0}}},
};

VMRUN_HANDLER translate_stub(VMRUN_PARAMS) {
  const Cell* code = translate_at_first_call(pc);
  VMRUN_DISPATCH(code);
}

}  // namespace

const Cell* boundary_cell() { return kBoundary; }
const Cell* out_of_memory_cell() { return kOutOfMemory; }
const Cell* interrupted_cell() { return kInterrupted; }
void make_exit_cells(Cell cells[3], Handler handler) {
  cells[0] = call_like();
  cells[1] = no_translation();
  cells[2] = {{.handler = handler}, {.u = 0}};
}
const Cell* exit_cell(ExitKind kind) { return kExits[static_cast<size_t>(kind)]; }
Handler translate_handler() { return &translate_stub; }

/// Function quick code was entered so often that better code pays. pc is the enter cell, which has done its work.
VMRUN_COLD_HANDLER enter_hot(VMRUN_PARAMS) {
  promote_entered(static_cast<vm::FuncCode*>(pc[1].q));
  VMRUN_NEXT2;
}

Handler select_enter(unsigned ints, unsigned floats) {
  static constexpr Handler kTable[3][3] = {{&enter<0, 0>, &enter<0, 1>, &enter<0, 2>},
                                           {&enter<1, 0>, &enter<1, 1>, &enter<1, 2>},
                                           {&enter<2, 0>, &enter<2, 1>, &enter<2, 2>}};
  return kTable[ints][floats];
}

template <bool Tail>
static Handler pick_call(CallKind kind, int loc) {
  static constexpr Handler kIndirect[] = {&call_indirect<Tail, 0>, &call_indirect<Tail, 1>, &call_indirect<Tail, 2>,
                                          &call_indirect<Tail, 3>, &call_indirect<Tail, 4>};
  static constexpr Handler kRef[] = {&call_ref<Tail, 0>, &call_ref<Tail, 1>, &call_ref<Tail, 2>, &call_ref<Tail, 3>,
                                     &call_ref<Tail, 4>};
  switch (kind) {
    case CallKind::direct: return &call_direct<Tail>;
    case CallKind::import: return &call_import<Tail>;
    case CallKind::indirect: return kIndirect[loc];
    case CallKind::ref: return kRef[loc];
  }
  return nullptr;
}
Handler select_call(CallKind kind, int loc) { return pick_call<false>(kind, loc); }
Handler select_tail_call(CallKind kind, int loc) { return pick_call<true>(kind, loc); }

Handler select_return() { return &return_; }
Handler select_return_int(int loc) {
  static constexpr Handler kTable[] = {&return_int<0>, &return_, &return_int<2>, &return_int<3>, &return_int<4>};
  return kTable[loc];
}
Handler select_return_float(int loc) {
  static constexpr Handler kTable[] = {&return_float<0>, &return_, &return_float<2>, &return_float<3>,
                                       &return_float<4>};
  return kTable[loc];
}

}  // namespace vmrun::interp
