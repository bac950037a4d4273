// From the host into a guest, and the slow paths that are neither unwinding nor translation.
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "interp/code_store.h"
#include "interp/interp.h"
#include "interp/runtime.h"
#include "vm/fault.h"
#include "vm/store.h"

namespace vmrun::interp {

using vm::Outcome;
using vm::TrapCode;

ParamPlaces work_out_places(const vm::FuncType& type) {
  ParamPlaces places{ParamPlaces::kAbsent, ParamPlaces::kAbsent, ParamPlaces::kAbsent, ParamPlaces::kAbsent, 0, 1};
  ParamWalk walk;
  for (vm::ValType param : type.params) {
    ParamWalk::Place place = walk.next(param);
    if (place.reg < 0) continue;
    if (place.cls == RegClass::integer) {
      (place.reg == 0 ? places.int0 = place.slot& 0xfff : places.int1 = place.slot & 0xfff);
    } else {
      (place.reg == 0 ? places.float0 = place.slot& 0xfff : places.float1 = place.slot & 0xfff);
    }
  }
  places.area = std::max(type.param_slots, type.result_slots) & 0xfff;
  return places;
}

uint64_t remember_places(vm::FuncRecord* record, const vm::Instance* inst) {
  const vm::Instance* owner = record->instance != nullptr ? record->instance : inst;
  record->places = std::bit_cast<uint64_t>(work_out_places(owner->module->registry->get(record->type).func));
  return record->places;
}

bool callee_matches(const vm::FuncRecord* record, uint32_t expected, const vm::Instance* inst) {
  return inst->module->registry->matches(record->type, vm::TypeId{expected});
}

TrapCode call_polled(vm::Vcpu& cx, const std::byte* callee) {
  // Order: the limit first, so that a request made in between is not lost.
  std::atomic_ref<std::byte*>(cx.stack_limit).store(cx.stack_end, std::memory_order_seq_cst);
  if (cx.interrupt.exchange(false, std::memory_order_acq_rel)) return TrapCode::Interrupted;
  return callee > cx.stack_end ? TrapCode::StackOverflow : TrapCode::None;
}

namespace {

/// Runs handlers from `entry` on until one returns. `native_sp` is what they see as the stack pointer: should one of
/// them fault, the way out starts from there.
__attribute__((noinline, disable_sanitizer_instrumentation, no_sanitize("address", "thread", "undefined"))) void run(
    const Cell* pc, std::byte* fp, vm::Vcpu* cx, vm::Instance* inst, const ParamPlaces places) {
  auto int_param = [fp](uint64_t slot) { return slot == ParamPlaces::kAbsent ? 0 : slot_get(fp, slot & 0xfff); };
  auto float_param = [fp](uint64_t slot) {
    return slot == ParamPlaces::kAbsent ? 0 : slot_get<double>(fp, slot & 0xfff);
  };
  uint64_t r0 = int_param(places.int0), r1 = int_param(places.int1);
  double f0 = float_param(places.float0), f1 = float_param(places.float1);
  std::byte* mem = inst->memory0_base;
  std::byte* sp;
#if defined(__x86_64__)
  asm volatile("mov %%rsp, %0" : "=r"(sp));
  cx->activation->native_sp = sp - 8;  // the call pushes the return address
#elif defined(__aarch64__)
  asm volatile("mov %0, sp" : "=r"(sp));
  cx->activation->native_sp = sp;
#endif
  pc->handler(pc, fp, mem, cx, inst, r0, r1, 0, 0, f0, f1, 0, 0);
}

}  // namespace

Outcome invoke(vm::Vcpu& vcpu, vm::FuncRecord& func, const vm::Slot* args, vm::Slot* results) {
  if (func.host != nullptr) return func.host(func.host_env, vcpu, nullptr, args, results);
  vm::fault_prepare_thread();
  vm::Instance* inst = func.instance;
  const vm::FuncType& type = inst->module->registry->get(func.type).func;
  const ParamPlaces places = param_places(&func, inst);

  vm::Activation activation;
  activation.previous = vcpu.activation;
  std::byte* base = vcpu.activation != nullptr ? vcpu.activation->top : vcpu.stack_base;
  std::byte* fp = base + sizeof(Link);
  activation.entry_fp = fp;
  if (vcpu.activation == nullptr) vcpu.backtrace.clear();
  if (fp > vcpu.stack_end || vcpu.host_depth >= vcpu.store->limits().host_depth) {
    vcpu.trap = TrapCode::StackOverflow;
    if (vcpu.activation != nullptr) vcpu.backtrace = backtrace(vcpu);
    return Outcome::Trap;
  }
  vcpu.activation = &activation;
  ++vcpu.host_depth;
  link_of(fp)->pc = exit_cell(type);
  if (type.param_slots != 0) std::memcpy(fp, args, 8 * size_t{type.param_slots});
  if (vcpu.budget <= 0) vcpu.budget = kBudgetSlice;

  run(static_cast<const Cell*>(func.code->entry.load(std::memory_order_acquire)), fp, &vcpu, inst, places);

  --vcpu.host_depth;
  vcpu.activation = activation.previous;
  if (activation.outcome == Outcome::Return && type.result_slots != 0) {
    std::memcpy(results, fp, 8 * size_t{type.result_slots});
  }
  return activation.outcome;
}

// ---- faults
// -----------------------------------------------------------------------------------------------------------

extern "C" {
extern const char __start_vmrun_handlers[] __attribute__((visibility("hidden")));
extern const char __stop_vmrun_handlers[] __attribute__((visibility("hidden")));
}

namespace {

/// Sends a faulting handler to the trap's: its arguments are all where a handler expects them.
bool redirect_fault(int signal, const void*, void* context) {
  auto* machine = static_cast<ucontext_t*>(context);
  Handler exit = signal == SIGFPE ? &trap<TrapCode::IntegerOverflow> : &trap<TrapCode::MemoryOutOfBounds>;
#if defined(__x86_64__)
  auto* cx = reinterpret_cast<vm::Vcpu*>(machine->uc_mcontext.gregs[REG_R15]);
  machine->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(exit);
  machine->uc_mcontext.gregs[REG_RSP] = reinterpret_cast<greg_t>(cx->activation->native_sp);
#else
#error "state where handlers keep cx and redirect the fault"
#endif
  return true;
}

}  // namespace

void register_faults() { vm::fault_register_code(__start_vmrun_handlers, __stop_vmrun_handlers, redirect_fault); }

}  // namespace vmrun::interp
