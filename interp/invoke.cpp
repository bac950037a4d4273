// From the host into a guest, and the slow paths that are neither unwinding nor translation.
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "interp/bridge.h"
#include "interp/code_store.h"
#include "interp/entry.h"
#include "interp/interp.h"
#include "interp/runtime.h"
#include "vm/activation.h"
#include "vm/fault.h"
#include "vm/native_stack.h"
#include "vm/stop.h"
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

TrapCode poll_here(vm::Vcpu& cx, const Cell* pc, std::byte* fp, vm::Instance* inst) {
  vm::Activation& running = *cx.activation;
  running.pc = pc;
  running.fp = fp;
  running.instance = inst;
  running.exact = true;
  const TrapCode code = vm::poll(cx);
  running.exact = false;
  return code;
}

TrapCode call_polled(vm::Vcpu& cx, const Cell* pc, std::byte* fp, vm::Instance* inst) {
  // Order: the limits first, so that a request made in between is not lost.
  std::atomic_ref<std::byte*>(cx.stack_limit).store(cx.stack_end, std::memory_order_seq_cst);
  std::atomic_ref<std::byte*>(cx.native_limit).store(cx.native_end, std::memory_order_seq_cst);
  if (vm::stop_wanted(cx)) {
    if (TrapCode code = poll_here(cx, pc, fp, inst); code != TrapCode::None) return code;
  }
  return fp + pc->imm > cx.stack_end ? TrapCode::StackOverflow : TrapCode::None;
}

namespace {

/// Makes `activation` the newest one, with what is left of either stack as the limit of the one it uses. False: nothing
/// is left.
bool begin(vm::Vcpu& vcpu, const vm::Module& module, vm::Activation& activation) {
  vm::Activation* previous = vcpu.activation;
  auto* sp = static_cast<std::byte*>(__builtin_frame_address(0));
  activation.previous = previous;
  activation.from_host = true;
  activation.saved_stack_end = vcpu.stack_end;
  activation.saved_native_end = vcpu.native_end;
  if (vcpu.budget <= 0) vcpu.budget = slice_of(module);
  vcpu.native_floor = vm::native_floor(vcpu);
  ptrdiff_t room;
  if (previous == nullptr) {
    vcpu.backtrace.clear();
    activation.top = vcpu.stack_base;
    room = vcpu.stack_end - vcpu.stack_base;
  } else {
    activation.top = previous->top;
    room = previous->kind == vm::Activation::Kind::interp ? vcpu.stack_end - previous->top : sp - vcpu.native_end;
  }
  if (room < 0 || sp < vcpu.native_floor || vcpu.host_depth >= vcpu.store->limits().host_depth) return false;
  if (activation.kind == vm::Activation::Kind::interp) {
    activation.entry_fp = activation.top + sizeof(Link);
    std::byte* end = std::min(vm::real_stack_end(vcpu), activation.top + room);
    if (activation.entry_fp > end) return false;
    vm::set_limits(vcpu, end, vcpu.native_end);
  } else {
    vm::set_limits(vcpu, vcpu.stack_end, std::max(vcpu.native_floor, sp - room));
  }
  std::atomic_ref(vcpu.activation).store(&activation, std::memory_order_release);  // others look whether there is one
  ++vcpu.host_depth;
  return true;
}

void end(vm::Vcpu& vcpu, const vm::Activation& activation) {
  --vcpu.host_depth;
  std::atomic_ref(vcpu.activation).store(activation.previous, std::memory_order_release);
  vm::set_limits(vcpu, activation.saved_stack_end, activation.saved_native_end);
}

Outcome overflow(vm::Vcpu& vcpu) {
  vcpu.trap = TrapCode::StackOverflow;
  if (vcpu.activation != nullptr) vcpu.backtrace = vm::backtrace(vcpu);
  return Outcome::Trap;
}

}  // namespace

Outcome invoke(vm::Vcpu& vcpu, vm::FuncRecord& func, const vm::Slot* args, vm::Slot* results) {
  if (func.host != nullptr) return func.host(func.host_env, vcpu, nullptr, args, results);
  vm::Instance* inst = func.instance;
  vm::FuncCode& code = *func.code;
  const auto* entry = static_cast<const Cell*>(code.entry.load(std::memory_order_acquire));

  vm::Activation activation;
  const bool machine = entry == bridge_cell(code);
  if (machine) activation.kind = vm::Activation::Kind::machine;
  vm::Vcpu* before = vm::set_running(&vcpu);
  if (!begin(vcpu, *inst->module, activation)) {
    vm::end_running(&vcpu, before);
    return overflow(vcpu);
  }
  if (machine) {
    machine_entries(code).from_host(&vcpu, &code, inst, args, results, &activation);
  } else {
    const vm::FuncType& type = inst->module->registry->get(func.type).func;
    const ParamPlaces places = param_places(&func, inst);
    std::byte* fp = activation.entry_fp;
    link_of(fp)->pc = exit_cell(type);
    if (type.param_slots != 0) std::memcpy(fp, args, 8 * size_t{type.param_slots});
    auto param = [fp](uint64_t slot) { return slot == ParamPlaces::kAbsent ? 0 : slot_get(fp, slot & 0xfff); };
    const uint64_t regs[4] = {param(places.int0), param(places.int1), param(places.float0), param(places.float1)};
    enter_handlers(entry, fp, &vcpu, inst, &activation, regs);
    if (activation.outcome == Outcome::Return && type.result_slots != 0) {
      std::memcpy(results, fp, 8 * size_t{type.result_slots});
    }
  }
  end(vcpu, activation);
  vm::end_running(&vcpu, before);
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
