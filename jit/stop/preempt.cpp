// The stop signal's handler: see preempt.h.
#include "jit/stop/preempt.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "jit/code/code.h"
#include "jit/stop/guest_samples.h"
#include "jit/stop/knock.h"
#include "jit/stop/preempt_stub.h"
#include "jit/stop/sample.h"
#include "vm/base/earlier_handler.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/stoppable.h"
#include "vm/runtime/vcpus.h"

namespace vmrun::jit {
namespace {

/// First and longest time until the signal comes again. A prologue is over in nanoseconds; a host call may take for
/// ever.
constexpr long kFirstRetry = 20'000, kLastRetry = 5'000'000;  // ns

vm::EarlierHandler earlier;
// What tells our signals from others: their value is an address of ours.
constinit char yield_marker = 0, retry_marker = 0;
constinit std::atomic<uint64_t> signal_count{0}, stop_count{0}, retry_count{0};

/// The thread's timer for another signal; made when first needed, gone when nothing is wanted. `delay` is 0 while there
/// is none. Only the timer's own signal sets it again: whoever asks more often than it fires would put it off for ever.
struct Retry {
  int timer = 0;
  long delay = 0;
};
constinit thread_local Retry retry __attribute__((tls_model("initial-exec")));

void ask_again(bool timer_fired) {
  if (retry.delay == 0) {
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = kStopSignal;
    event.sigev_value.sival_ptr = &retry_marker;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    // The bare system call: the library's function allocates for some kinds of events.
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &retry.timer) != 0) return;
    retry.delay = kFirstRetry;
  } else if (timer_fired) {
    retry.delay = std::min(2 * retry.delay, kLastRetry);
  } else {
    return;
  }
  itimerspec once = {};
  once.it_value.tv_nsec = retry.delay;
  syscall(SYS_timer_settime, retry.timer, 0, &once, nullptr);
  retry_count.fetch_add(1, std::memory_order_relaxed);
}

void ask_no_more() {
  if (retry.delay == 0) return;
  syscall(SYS_timer_delete, retry.timer);
  retry.delay = 0;
}

/// Something is wanted from the guest of this thread.
void stop_guest(vm::Vcpu& cx, void* ucontext, bool timer_fired) {
  signal_count.fetch_add(1, std::memory_order_relaxed);
  const void* pc = interrupted_pc(ucontext);
  const CodeSpace* space = CodeSpace::existing();
  const CodeObject* object = space != nullptr ? space->find(pc) : nullptr;
  const vm::Activation* running = cx.activation;
  if (object != nullptr && running != nullptr && running->kind == vm::Activation::Kind::machine &&
      object->preemptible(pc)) {
    stop_count.fetch_add(1, std::memory_order_relaxed);
    redirect_to_preempt_stub(ucontext);
    ask_no_more();
    return;
  }
  // The runtime looks on the way back to machine code, the interpreter at its next call or back-edge; the rest is over
  // in nanoseconds. So it is only for what takes long that the signal has to come again, and ever more rarely.
  if (vm::ends_calls(cx)) vm::end_stoppable_call(ucontext);
  cx.budget = 0;
  vm::make_poll(cx);
  ask_again(timer_fired);
}

void handle(int signal, siginfo_t* info, void* ucontext) {
  const int saved_errno = errno;
  const void* value = info->si_code == SI_QUEUE || info->si_code == SI_TIMER ? info->si_value.sival_ptr : nullptr;
  vm::Vcpu* cx = vm::running_vcpu;
  const bool tick = is_tick(value);
  if (tick) {
    const uint32_t ticks = 1 + static_cast<uint32_t>(std::max(info->si_overrun, 0));
    cx != nullptr ? sample(*cx, interrupted_pc(ucontext), ticks) : sample_no_guest(ticks);
  }
  const bool guest_sample = is_guest_tick(value);
  if (guest_sample) guest_tick(value, ucontext);
  const bool knocks = is_knock(value);
  if (knocks) hear_knock(ucontext);
  if (cx != nullptr && value == &yield_marker) {
    cx->requests.fetch_or(static_cast<uint8_t>(vm::Request::yield), std::memory_order_relaxed);
  }
  if (cx != nullptr && vm::stop_urgent(*cx)) {
    stop_guest(*cx, ucontext, value == &retry_marker);
  } else {
    ask_no_more();
  }
  // An earlier handler's work is done before ours if the context has been redirected; neither minds. The default action
  // is to ignore the signal.
  const bool ours = value == &yield_marker || value == &retry_marker || tick || guest_sample || knocks;
  if (!ours) (void)earlier.pass_on(signal, info, ucontext);
  errno = saved_errno;
}

}  // namespace

void preempt_install() {
  if (!kStopsBySignal) return;
  static std::once_flag once;
  std::call_once(once, [] {
    prepare_preempt_stub();
    earlier.replace(kStopSignal, handle, SA_RESTART);
    vm::set_stop_signal(kStopSignal);
  });
}

void preempt_thread(pthread_t thread) {
  if (!kStopsBySignal) {
    vm::for_each_vcpu(
        [](void*, vm::VcpuEntry& entry) {
          if (entry.cx.thread.load(std::memory_order_relaxed) > 0) vm::ask(entry.cx, vm::Request::yield);
        },
        nullptr);
    return;
  }
  sigval value;
  value.sival_ptr = &yield_marker;
  // Fails when too many signals are queued: the next attempt will do.
  pthread_sigqueue(thread, kStopSignal, value);
}

PreemptCounts preempt_counts() {
  return {signal_count.load(std::memory_order_relaxed), stop_count.load(std::memory_order_relaxed),
          retry_count.load(std::memory_order_relaxed)};
}

vm::Transfer serve_preemption(const StoppedAt& at, vm::Vcpu** running) {
  vm::Vcpu& cx = *vm::running_vcpu;
  *running = &cx;
  vm::Activation& activation = *cx.activation;
  activation.pc = at.pc;
  activation.fp = at.fp;
  activation.sp = at.sp;
  activation.exact = true;
  const vm::TrapCode code = vm::poll(cx);
  // Maybe another thread by now.
  if (code != vm::TrapCode::None) return vm::leave_by_trap(cx, code);
  activation.exact = false;
  return {};
}

}  // namespace vmrun::jit
