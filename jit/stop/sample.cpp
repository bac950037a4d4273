// The timers behind sample.h.
#include "jit/stop/sample.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "jit/code/code.h"
#include "jit/stop/preempt.h"
#include "vm/blocks/policy.h"
#include "vm/runtime/guest_thread.h"
#include "vm/runtime/instance.h"
#include "vm/runtime/stop.h"

namespace vmrun::jit {
namespace {

constinit SampleServer server;
constinit std::atomic<bool> serving{false};
constinit char tick_marker = 0;  // tells the timers' signals from others, by its address

/// Whether a tick was charged that nobody has decided about yet.
constinit thread_local bool charged __attribute__((tls_model("initial-exec"))) = false;

/// The thread's timer, as its signal handler finds it.
struct Timer {
  enum class State : uint8_t { none, refused, ticking, suspended } state = State::none;
  uint32_t idle = 0;  // ticks since the last one that met a guest
  int id = 0;

  /// The bare system calls, as for the other timer of this signal: handlers may make them.
  bool make() {
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = kStopSignal;
    event.sigev_value.sival_ptr = &tick_marker;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    return syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &id) == 0;
  }
  void tick_every(int64_t nanoseconds) {
    itimerspec every = {};
    every.it_value.tv_nsec = every.it_interval.tv_nsec = nanoseconds;
    syscall(SYS_timer_settime, id, 0, &every, nullptr);
  }
};
constinit thread_local Timer timer __attribute__((tls_model("initial-exec")));

struct TimerEnd {
  bool wanted = false;
  ~TimerEnd() {
    if (wanted) syscall(SYS_timer_delete, timer.id);
  }
};
thread_local TimerEnd timer_end;

}  // namespace

void sample_prepare_thread() { asm volatile("" : : "r"(&timer_end)); }

void set_sample_server(const SampleServer& given) {
  server = given;
  serving.store(true, std::memory_order_release);
}

bool can_sample() {
  if (!kStopsBySignal) return false;
  static const bool works = [] {
    int id = 0;
    sigevent event = {};
    event.sigev_notify = SIGEV_NONE;
    if (syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &id) != 0) return false;
    syscall(SYS_timer_delete, id);
    return true;
  }();
  return works;
}

void sample_this_thread() {
  if (!serving.load(std::memory_order_acquire) || CodeSpace::existing() == nullptr) return;
  if (timer.state == Timer::State::none) {
    timer_end.wanted = timer.make();
    timer.state = timer_end.wanted ? Timer::State::suspended : Timer::State::refused;
  }
  if (timer.state != Timer::State::suspended) return;
  timer.idle = 0;
  timer.state = Timer::State::ticking;
  timer.tick_every(policy::kSampleNanoseconds);
}

bool is_tick(const void* value) { return value == &tick_marker; }

void sample_no_guest(uint32_t ticks) {
  timer.idle += ticks;
  if (timer.idle < kIdleTicks || timer.state != Timer::State::ticking) return;
  timer.tick_every(0);
  timer.state = Timer::State::suspended;
  vm::guest_thread_paused();
}

namespace {

/// A tick in a loop's unit. One that is called so often that each call costs more than it saves is called no more.
void judge_unit(const CodeObject& object) {
  vm::LoopTable* loops = object.func->loops.load(std::memory_order_acquire);
  vm::LoopCode* loop = loops != nullptr ? loops->find(loop_of(object.unit)) : nullptr;
  if (loop == nullptr || !object.contains(loop->unit.load(std::memory_order_relaxed))) return;
  const uint32_t calls = loop->polls.load(std::memory_order_relaxed);
  if (calls <= policy::kMostUnitCalls) {
    // What has been long ago counts less: at an even pace it is twice the calls of a tick.
    loop->polls.store(calls / 2, std::memory_order_relaxed);
    return;
  }
  vm::BlockState ready = vm::BlockState::ready;
  if (!loop->alone.compare_exchange_strong(ready, vm::BlockState::failed, std::memory_order_acq_rel)) return;
  loop->unit.store(nullptr, std::memory_order_release);
  // Baseline code of the loop is nothing better.
  const bool entered =
      loop->state[static_cast<size_t>(vm::Tier::opt)].load(std::memory_order_relaxed) == vm::BlockState::ready;
  vm::Tier tier = vm::Tier::opt;
  if (!entered) loop->entry_tier.compare_exchange_strong(tier, vm::Tier::baseline, std::memory_order_relaxed);
}

}  // namespace

void sample(vm::Vcpu& cx, const void* pc, uint32_t ticks) {
  timer.idle = 0;
  const CodeSpace* space = CodeSpace::existing();
  const CodeObject* object = space != nullptr ? space->find(pc) : nullptr;
  if (object == nullptr || object->func == nullptr) return;
  if (is_alone(object->unit)) return judge_unit(*object);
  if (object->tier != vm::Tier::baseline) return;
  const int64_t polls = server.charge(*object->func, ticks);
  if (polls == 0) return;
  charged = true;
  cx.budget = -polls;
  std::atomic_ref<std::byte*>(cx.native_limit)
      .store(reinterpret_cast<std::byte*>(UINTPTR_MAX), std::memory_order_relaxed);
}

bool decide_if_sampled(vm::FuncCode& code, bool at_entry) {
  if (!charged) return false;
  charged = false;
  return server.decide(code, at_entry);
}

}  // namespace vmrun::jit
