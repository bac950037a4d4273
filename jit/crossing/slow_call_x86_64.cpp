// Slow calls on x86-64: see slow_call.h.
#include "jit/crossing/slow_call.h"

#if defined(__x86_64__)

#include <cstring>

#include "interp/interp.h"
#include "jit/crossing/abi.h"
#include "jit/crossing/unwind.h"
#include "vm/base/assert.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/layout.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/wasm/module.h"

namespace vmrun::jit {
namespace {

using vm::Slot;

/// What enter() keeps on its frame, and what it returns in.
struct Registers {
  uint64_t ints[kIntParams];
  Slot vectors[kVectorParams][2];
};
/// What lies above them.
struct Caller {
  std::byte* fp;
  const void* pc;
};
static_assert(sizeof(Registers) % 16 == 0);

/// Slots of a value in a register or the area, as many as its type has.
Slot* place_of(Place place, Registers& registers, Slot* area) {
  switch (place.in) {
    case Place::In::integer: return reinterpret_cast<Slot*>(&registers.ints[place.index]);
    case Place::In::vector: return registers.vectors[place.index];
    case Place::In::area: break;
  }
  return area + size_t{kAreaSlot / sizeof(Slot)} * place.index;
}

constexpr size_t kMaxCallSlots = vm::kAreaBytes / sizeof(Slot);

/// Nothing here may need a destructor: traps and exceptions leave from it.
void call(vm::Vcpu* cx, vm::FuncCode* code, vm::Instance* caller, vm::Instance* inst, Registers* registers) {
  const auto* from = reinterpret_cast<const Caller*>(registers + 1);
  vm::Activation& running = *cx->activation;
  running.pc = from->pc;
  running.fp = from->fp;
  running.sp = const_cast<Caller*>(from + 1);
  const vm::FuncType& type = code->host != nullptr ? cx->store->registry()->get(code->host->type).func
                                                   : code->module->func_type(code->func_index);
  VMRUN_ASSERT(type.param_slots <= kMaxCallSlots && type.result_slots <= kMaxCallSlots, "a signature fits the area");
  Slot slots[kMaxCallSlots];
  Slot* slot = slots;
  PlaceWalk params = PlaceWalk::params();
  for (vm::ValType t : type.params) {
    std::memcpy(slot, place_of(params.next(t), *registers, cx->area), t.slots() * sizeof(Slot));
    slot += t.slots();
  }
  vm::Outcome outcome;
  if (code->host != nullptr) {
    outcome = code->host->host(code->host->host_env, *cx, caller, slots, slots);
  } else {
    outcome = interp::invoke(*cx, *inst->funcs[code->func_index], slots, slots);
  }
  if (outcome != vm::Outcome::Return) host_failed(cx, outcome);
  if (vm::stop_wanted(*cx)) poll_after_host(cx);
  slot = slots;
  PlaceWalk results = PlaceWalk::results();
  for (vm::ValType t : type.results) {
    std::memcpy(place_of(results.next(t), *registers, cx->area), slot, t.slots() * sizeof(Slot));
    slot += t.slots();
  }
}

__attribute__((naked)) void enter() {
  asm("pushq %%rbp\n"
      "movq %%rsp, %%rbp\n"
      "subq $%c1, %%rsp\n"
      "movq %%r15, (%%rsp)\n"
      "movq %%rdi, 8(%%rsp)\n"
      "movq %%rsi, 16(%%rsp)\n"
      "movq %%rdx, 24(%%rsp)\n"
      "movq %%rcx, 32(%%rsp)\n"
      "movq %%r8, 40(%%rsp)\n"
      "vmovups %%xmm0, 48(%%rsp)\n"
      "vmovups %%xmm1, 64(%%rsp)\n"
      "vmovups %%xmm2, 80(%%rsp)\n"
      "vmovups %%xmm3, 96(%%rsp)\n"
      "vmovups %%xmm4, 112(%%rsp)\n"
      "vmovups %%xmm5, 128(%%rsp)\n"
      "vmovups %%xmm6, 144(%%rsp)\n"
      "vmovups %%xmm7, 160(%%rsp)\n"
      "movq %%r12, %%rdi\n"
      "movq %%r9, %%rsi\n"
      "movq %%r11, %%rdx\n"
      "movq %%r13, %%rcx\n"
      "movq %%rsp, %%r8\n"
      "callq %P0\n"
      "movq (%%rsp), %%rax\n"
      "vmovups 48(%%rsp), %%xmm0\n"
      "movq %c2(%%r12), %%rdx\n"
      "leave\n"
      "retq\n"
      :
      : "i"(&call), "i"(sizeof(Registers)), "i"(vm::layout::vcpu::fuel));
}
static_assert(offsetof(Registers, vectors) == 48 && sizeof(Registers) == 176);

}  // namespace

const void* slow_call_entry() { return reinterpret_cast<const void*>(&enter); }

}  // namespace vmrun::jit

#endif
