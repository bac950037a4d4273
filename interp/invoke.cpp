// From the host into a guest, and the slow paths that are neither unwinding nor translation.
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <utility>

#include "interp/bridge.h"
#include "interp/entry.h"
#include "interp/interp.h"
#include "interp/published.h"
#include "interp/runtime.h"
#include "vm/base/assert.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/native_stack.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/runtime/store_use.h"

namespace vmrun::interp {

using vm::Outcome;
using vm::TrapCode;

ParamPlaces work_out_places(const vm::FuncType& type) {
  ParamPlaces places{
      ParamPlaces::kAbsent, ParamPlaces::kAbsent, ParamPlaces::kAbsent, ParamPlaces::kAbsent, 0, 0, 1, 1};
  ParamWalk walk;
  for (vm::ValType param : type.params) {
    ParamWalk::Place place = walk.next(param);
    if (place.reg < 0) {
      places.simple = 0;
    } else if (place.cls == RegClass::integer) {
      (place.reg == 0 ? places.int0 = place.slot& 0xfff : places.int1 = place.slot & 0xfff);
    } else {
      (place.reg == 0 ? places.float0 = place.slot& 0xfff : places.float1 = place.slot & 0xfff);
    }
  }
  places.area = std::max(type.param_slots, type.result_slots) & 0xfff;
  ExitKind exit = ExitKind::other;
  if (!type.results.empty()) {
    const RegClass cls = reg_class(type.results[0]);
    if (cls == RegClass::integer) exit = ExitKind::integer;
    if (cls == RegClass::floating) exit = ExitKind::floating;
    if (cls == RegClass::vector || type.results.size() > 1) places.simple = 0;
  }
  places.exit = static_cast<uint64_t>(exit) & 3;
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
  acquire_cells();
  return fp + pc->imm > cx.stack_end ? TrapCode::StackOverflow : TrapCode::None;
}

namespace {

using Kind = vm::Activation::Kind;

/// The record of an entry, and whose guest ran on this thread before. Filled by enter(), but for the position, which
/// whoever leaves the segment fills: clearing it first would be a tenth of the cost of a call.
struct HostEntry {
  HostEntry() {}
  union {
    vm::Activation activation;
  };
  vm::Vcpu* before;
};

// Entering and leaving are functions of their own: the guest may come back on another thread, where addresses of
// thread-local variables that were computed before are wrong. Single words are loaded and stored as such (by atomic_ref),
// because a wide load behind two narrow stores waits for the stores to be done: that alone was 5 ns.

std::byte* load(std::byte*& word) { return std::atomic_ref(word).load(std::memory_order_relaxed); }
void store(std::byte*& word, std::byte* value) { std::atomic_ref(word).store(value, std::memory_order_relaxed); }

/// Whether `record` can be of an older frame of the same stack than `entry` is in.
bool older(const vm::Activation* record, const HostEntry& entry) {
  return reinterpret_cast<uintptr_t>(record) > reinterpret_cast<uintptr_t>(&entry.activation);
}

/// The stack that guests of the vCPU are entered on. On a thread that has run none yet it has no room.
vm::NativeStack native_stack(const vm::Vcpu& cx) {
  if (cx.fiber_floor != nullptr && vm::thread_stack.floor != nullptr) [[unlikely]]
    return cx.store->named_stack();
  return vm::thread_stack;
}

/// Makes the entry's activation the newest one, with what is left of either stack as the limit of the one it uses.
/// False: refused() says why not.
template <Kind kKind>
[[gnu::noinline]] bool enter(vm::Vcpu& cx, const vm::Module& module, HostEntry& entry) {
  vm::Activation& activation = entry.activation;
  vm::Activation* previous = cx.activation;
  const vm::NativeStack stack = native_stack(cx);
  std::byte* const floor = stack.floor;
  auto* const sp = static_cast<std::byte*>(__builtin_frame_address(0));
  std::byte *const stack_end = load(cx.stack_end), *const native_end = load(cx.native_end);
  std::byte* top = cx.stack_base;
  ptrdiff_t room = stack_end - top;
#ifdef VMRUN_ASSERTIONS
  if (vm::other_user(*cx.store)) return false;
#endif
  if (previous == nullptr) [[likely]] {
    cx.backtrace.clear();
    // A failure that a host function announced and did not end with.
    if (cx.store->host_failure) [[unlikely]]
      cx.store->host_failure.reset();
  } else {
    // Before anything of the guest that waits is touched: it may be another thread's.
    if (!older(previous, entry) || cx.native_floor != floor) [[unlikely]]
      return false;
    top = previous->top;
    room = previous->kind == Kind::interp ? stack_end - top : sp - native_end;
  }
  if (!stack.holds(sp)) [[unlikely]]
    return false;
  entry.before = vm::enter_running(cx);
  activation.previous = previous;
  activation.kind = kKind;
  activation.from_host = true;
  activation.exact = false;
  activation.outcome = Outcome::Return;
  store(activation.saved_stack_end, stack_end);
  store(activation.saved_native_end, native_end);
  if (cx.budget <= 0) [[unlikely]]
    cx.budget = slice_of(module);
  activation.top = top;
  bool fits = room >= 0 && cx.host_depth < cx.store->limits().host_depth;
  if constexpr (kKind == Kind::interp) {
    activation.entry_fp = top + sizeof(Link);
    std::byte* const end = std::min(vm::real_stack_end(cx), top + room);
    fits = fits && activation.entry_fp <= end;
    if (fits) {
      store(cx.stack_end, end);
      store(cx.stack_limit, end);
    }
  } else if (fits) {
    std::byte* const end = std::max(floor, sp - room);
    store(cx.native_end, end);
    store(cx.native_limit, end);
  }
  if (!fits) {
    vm::end_running(&cx, entry.before);
    return false;
  }
  cx.native_floor = floor;
  std::atomic_ref(cx.activation).store(&activation, std::memory_order_release);  // others look whether there is one
  ++cx.host_depth;
  // Behind the stores of the thread and of the limits (vm/runtime/stop.h).
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (vm::stop_wanted(cx)) [[unlikely]]
    vm::repeat_request(cx);
  return true;
}

[[gnu::noinline]] void leave(vm::Vcpu& cx, HostEntry& entry) {
  vm::Activation& activation = entry.activation;
  vm::Activation* const previous = activation.previous;
  --cx.host_depth;
  std::atomic_ref(cx.activation).store(previous, std::memory_order_release);
  std::byte *const stack_end = load(activation.saved_stack_end), *const native_end = load(activation.saved_native_end);
  if (previous == nullptr && entry.before == nullptr) [[likely]] {
    // Nobody runs by the limits now, and whoever enters looks for requests.
    store(cx.stack_end, stack_end);
    store(cx.native_end, native_end);
    store(cx.stack_limit, stack_end);
    store(cx.native_limit, native_end);
    vm::leave_running(cx);
  } else {
    if (vm::running_vcpu != &cx) [[unlikely]] {
      vm::misuse(
          "a guest went on while another store's guest was running: a host function that switches stacks does "
          "so inside a GuestPause");
    }
    vm::set_limits(cx, stack_end, native_end);
    vm::end_running(&cx, entry.before);
  }
}

/// Whether the thread had not been made fit to run guests yet, and is now.
[[gnu::noinline, gnu::cold]] bool thread_prepared() {
  if (vm::thread_stack.floor != nullptr) return false;
  vm::prepare_thread();
  return true;
}

Outcome refused_because(vm::Vcpu& cx, std::string why) {
  cx.store->host_failure = Error(ErrorKind::Usage, std::move(why));
  cx.is_exit = false;
  return Outcome::Error;
}

/// Why there was no entry.
[[gnu::noinline, gnu::cold]] Outcome refused(vm::Vcpu& cx, const HostEntry& entry) {
  const vm::NativeStack stack = native_stack(cx);
  const bool on_it = vm::NativeStack{stack.floor - stack.reserve, stack.room + stack.reserve}.holds(&entry);
  if (const std::optional<Error> other = vm::other_user(*cx.store)) return refused_because(cx, other->message);
  if (cx.activation != nullptr && (cx.native_floor != stack.floor || !on_it)) {
    return refused_because(cx, "a guest of this store waits on another stack: calls into the store come from that one");
  }
  if (cx.activation != nullptr && !older(cx.activation, entry)) {
    vm::misuse("a call into a store whose guest is gone without an end: a host function was left by longjmp");
  }
  if (stack.room == 0) {
    return refused_because(
        cx, "this thread's stack is too small: guests need " + std::to_string(vm::kMinNativeStack >> 10) + " KiB");
  }
  if (!on_it) {
    return refused_because(cx,
                           "the call comes from a stack that is not the thread's: Store::set_native_stack names it");
  }
  cx.trap = TrapCode::StackOverflow;
  if (cx.activation != nullptr) cx.backtrace = vm::backtrace(cx);
  return Outcome::Trap;
}

/// A guest calls a host function, which calls into this store, where nobody has named a stack for: while that lasts, the guest's
/// stack, on which this is.
class GuestsStack {
 public:
  explicit GuestsStack(vm::Vcpu& cx) {
    const vm::Vcpu* guest = vm::running_vcpu;
    if (guest == nullptr || guest->fiber_floor == nullptr || cx.fiber_floor != nullptr || cx.activation != nullptr)
      return;
    const vm::NativeStack stack = native_stack(*guest);
    std::byte* const lowest = stack.floor - stack.reserve;
    const size_t bytes = stack.room + stack.reserve;
    if (!vm::NativeStack{lowest, bytes}.holds(this)) return;
    store_ = cx.store;
    store_->set_native_stack(lowest, bytes);
  }
  ~GuestsStack() {
    if (store_ != nullptr) store_->set_native_stack(nullptr, 0);
  }
  GuestsStack(const GuestsStack&) = delete;
  GuestsStack& operator=(const GuestsStack&) = delete;
  explicit operator bool() const { return store_ != nullptr; }

 private:
  vm::Store* store_ = nullptr;
};

/// What invoke() does where there was no entry.
[[gnu::noinline, gnu::cold]] Outcome invoke_elsewhere(vm::Vcpu& vcpu, vm::FuncRecord& func, const vm::Slot* args,
                                                      vm::Slot* results, const HostEntry& entry) {
  if (const GuestsStack here(vcpu); here) return invoke(vcpu, func, args, results);
  return refused(vcpu, entry);
}

// A host function that throws through handlers ends the process here (std::terminate); through machine code, which
// unwinders know nothing of, it ends it by itself. Functions made by HostFunc do not throw (vmrun/func.h).
[[gnu::noinline]] Outcome invoke_interp(vm::Vcpu& vcpu, vm::FuncRecord& func, const vm::Slot* args, vm::Slot* results,
                                        const Cell* cell) noexcept {
  vm::Instance* inst = func.instance;
  HostEntry entry;
  while (!enter<Kind::interp>(vcpu, *inst->module, entry)) {
    if (!thread_prepared()) return invoke_elsewhere(vcpu, func, args, results, entry);
  }
  const ParamPlaces places = param_places(&func, inst);
  auto param = [args](uint64_t slot) { return slot == ParamPlaces::kAbsent ? 0 : args[slot & 0xfff].bits; };
  const auto exit = static_cast<ExitKind>(places.exit);
  vm::Activation& activation = entry.activation;
  std::byte* fp = activation.entry_fp;
  auto* slots = reinterpret_cast<vm::Slot*>(fp);
  link_of(fp)->pc = exit_cell(exit);
  const vm::FuncType* type = nullptr;
  if (places.simple == 0) {
    type = &inst->module->registry->get(func.type).func;
    std::copy_n(args, type->param_slots, slots);
  }
  enter_handlers(cell, fp, inst->memory0_base, &vcpu, inst, param(places.int0), param(places.int1), &activation,
                 std::bit_cast<double>(param(places.float0)), std::bit_cast<double>(param(places.float1)));
  if (activation.outcome == Outcome::Return) {
    if (type != nullptr) {
      std::copy_n(slots, type->result_slots, results);
    } else if (exit != ExitKind::other) {
      results[0] = slots[0];
    }
  }
  leave(vcpu, entry);
  return entry.activation.outcome;
}

[[gnu::noinline]] Outcome invoke_machine(vm::Vcpu& vcpu, vm::FuncRecord& func, const vm::Slot* args,
                                         vm::Slot* results) {
  vm::FuncCode& code = *func.code;
  HostEntry entry;
  while (!enter<Kind::machine>(vcpu, *code.module, entry)) {
    if (!thread_prepared()) return invoke_elsewhere(vcpu, func, args, results, entry);
  }
  vm::Instance* inst = func.instance;
  machine_entries(code).from_host(&vcpu, inst, inst->memory0_base, args, results, &entry.activation, &code);
  leave(vcpu, entry);
  return entry.activation.outcome;
}

/// Whether a host function that the host itself calls has half of what is kept for such functions. They may call each other
/// without a guest between, and so without an activation that would be compared with a limit. A stack of unknown ends, and
/// one on which no guest runs, is its owner's affair.
[[gnu::noinline]] bool host_has_room(const vm::Vcpu& cx) {
  vm::NativeStack stack = native_stack(cx);
  if (stack.floor == nullptr && thread_prepared()) [[unlikely]]
    stack = native_stack(cx);
  const auto beneath = stack.floor - static_cast<std::byte*>(__builtin_frame_address(0));
  const auto all = static_cast<ptrdiff_t>(stack.reserve), half = all / 2;
  return stack.room == 0 || beneath <= half || beneath > all;
}

[[gnu::noinline, gnu::cold]] Outcome no_room_for_host(vm::Vcpu& cx) {
  cx.trap = TrapCode::StackOverflow;
  if (cx.activation != nullptr) cx.backtrace = vm::backtrace(cx);
  return Outcome::Trap;
}

}  // namespace

Outcome invoke(vm::Vcpu& vcpu, vm::FuncRecord& func, const vm::Slot* args, vm::Slot* results) {
  if (func.host != nullptr) {
    if (!host_has_room(vcpu)) [[unlikely]]
      return no_room_for_host(vcpu);
    return func.host(func.host_env, vcpu, nullptr, args, results);
  }
  const auto* cell = static_cast<const Cell*>(func.code->entry.load(std::memory_order_acquire));
  if (cell == bridge_cell(*func.code)) return invoke_machine(vcpu, func, args, results);
  return invoke_interp(vcpu, func, args, results, cell);
}

// ---- faults ---------------------------------------------------------------------------------------------------------

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

void register_faults() {
  vm::fault_register_code(__start_vmrun_handlers, __stop_vmrun_handlers, "the interpreter", redirect_fault);
}

}  // namespace vmrun::interp
