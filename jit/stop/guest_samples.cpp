// The sampler's timers and its signal handler: see guest_samples.h.
#include "jit/stop/guest_samples.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <new>
#include <vector>

#include "interp/sample.h"
#include "jit/code/code.h"
#include "jit/stop/preempt.h"
#include "jit/stop/preempt_stub.h"
#include "jit/stop/sample.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/guest_thread.h"
#include "vm/runtime/samples.h"
#include "vm/runtime/stop.h"

namespace vmrun::jit {
namespace {

using vm::Activation;
using vm::SampleCode;
using vm::SampledFrame;

/// A thread that waits is looked at so rarely, in the end.
constexpr int64_t kLongestInterval = 20'000'000;
/// A thread that has used less than this part of an interval waits, mostly.
constexpr int64_t kBusyPart = 8;
/// So many such ticks in a row make them rarer. On a busy machine a few are nothing unusual, and to set a timer takes
/// longer than a tick does.
constexpr uint32_t kWaitingTicks = 8;

constinit char tick_marker = 0, start_marker = 0;   // by their addresses
constinit std::atomic<int64_t> interval{0};         // 0: nobody samples
constinit std::atomic<uint32_t> handlers{0};        // that are at work
constinit std::atomic<uint32_t> profile_number{0};  // of the profile that is being taken

int64_t clock_now(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// The kernel's tick, which timers of processor time wait for: 4 ms on most machines.
int64_t kernel_tick() {
  timespec resolution{};
  if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0 || resolution.tv_sec != 0) return INT64_MAX;
  return resolution.tv_nsec;
}
/// The clock of timers of an interval: the process's answer, found before the first signal.
constinit std::atomic<clockid_t> timer_clock{CLOCK_MONOTONIC};

/// The thread's timer, as its signal handler finds it.
struct GuestTimer {
  bool made = false, refused = false;
  clockid_t clock = CLOCK_MONOTONIC;
  int id = 0;
  int64_t every = 0;   // what it is set to; 0: it stands still
  int64_t used = 0;    // processor time of the thread at its last tick
  uint32_t waits = 0;  // ticks in a row in which it waited

  bool make() {
    const clockid_t wanted = timer_clock.load(std::memory_order_relaxed);
    if (made && clock != wanted) {
      syscall(SYS_timer_delete, id);
      made = false;
    }
    if (made || refused) return made;
    clock = wanted;
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = kStopSignal;
    event.sigev_value.sival_ptr = &tick_marker;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    // The bare system call, which handlers may make.
    made = syscall(SYS_timer_create, clock, &event, &id) == 0;
    refused = !made;
    return made;
  }
  void set(int64_t nanoseconds) {
    every = nanoseconds;
    itimerspec spec = {};
    spec.it_value.tv_sec = spec.it_interval.tv_sec = nanoseconds / 1'000'000'000;
    spec.it_value.tv_nsec = spec.it_interval.tv_nsec = nanoseconds % 1'000'000'000;
    syscall(SYS_timer_settime, id, 0, &spec, nullptr);
  }
  void start(int64_t nanoseconds) {
    if (nanoseconds == 0 || !make()) return;
    used = clock_now(CLOCK_THREAD_CPUTIME_ID);
    set(nanoseconds);
  }
};
constinit thread_local GuestTimer guest_timer __attribute__((tls_model("initial-exec")));

/// The threads that have run guests.
struct GuestThreads {
  std::mutex mutex;
  std::vector<pid_t> all;
};
GuestThreads& guest_threads() {
  static auto* threads = new GuestThreads;  // threads end while the process does
  return *threads;
}

/// A thread's place in that list, from its first guest to its end.
struct GuestThread {
  pid_t number = 0;
  ~GuestThread() {
    if (number == 0) return;
    if (guest_timer.made) syscall(SYS_timer_delete, guest_timer.id);
    guest_timer.made = false;
    guest_timer.refused = true;
    GuestThreads& threads = guest_threads();
    std::lock_guard lock(threads.mutex);
    std::erase(threads.all, number);
  }
};
thread_local GuestThread guest_thread;

}  // namespace

void guest_samples_prepare_thread() {
  sample_prepare_thread();
  asm volatile("" : : "r"(&guest_thread));
}

namespace {

/// Called on a thread before its first guest, and again when its heat was not sampled for a while (jit/stop/sample.h). A thread
/// that there is no memory to list is in no profile, and its guests run.
void thread_begins() {
  sample_this_thread();
  if (guest_thread.number != 0) return;
  try {
    const auto number = static_cast<pid_t>(syscall(SYS_gettid));
    GuestThreads& threads = guest_threads();
    std::lock_guard lock(threads.mutex);
    threads.all.push_back(number);
    guest_thread.number = number;
    guest_timer.start(interval.load(std::memory_order_acquire));
  } catch (const std::bad_alloc&) {
  }
}

// ---- stacks ---------------------------------------------------------------------------------------------------------

/// The innermost frames of a stack, until there is no more room.
struct Stack {
  std::array<SampledFrame, vm::kMaxSampledFrames> frames;
  size_t count = 0;
  bool cut = false;

  bool add(const SampledFrame& frame) {
    if (count == frames.size()) {
      cut = true;
      return false;
    }
    frames[count++] = frame;
    return true;
  }
  /// The guest's frames at a position.
  bool add(const vm::FrameWalk& walk) {
    if (walk.at().activation->kind == Activation::Kind::interp) {
      SampledFrame frame;
      return !interp::sample_frame(walk.at(), frame) || add(frame);
    }
    vm::FrameInfo info;
    if (!walk.describe(info)) return true;
    while (info.code->module != nullptr) {
      vm::Samples::get().name(*info.code->module);
      if (!add(vm::sampled(info))) return false;
      if (info.call == 0 || !walk.describe_caller(info.call, info)) break;
    }
    return true;
  }
  void add_all(vm::FrameWalk walk) {
    for (; walk.valid() && add(walk); walk.next()) {
    }
  }
  void record(uint64_t nanoseconds) const {
    vm::Samples::get().add({frames.data(), count}, cut, nanoseconds, static_cast<uint64_t>(clock_now(CLOCK_MONOTONIC)),
                           static_cast<uint32_t>(vm::thread_number));
  }
};

/// Forgets time that an earlier profile has left in the vCPU.
void begin_unsampled(vm::Vcpu& cx) {
  const uint32_t number = profile_number.load(std::memory_order_relaxed);
  if (cx.unsampled_profile == number) return;
  cx.unsampled_profile = number;
  cx.unsampled_host = cx.unsampled_guest = 0;
}

/// The guest polls, or its frames end: its position is recorded. Called by vm::poll, whatever the thread.
void count_unsampled(vm::Vcpu& cx) {
  handlers.fetch_add(1, std::memory_order_acquire);
  begin_unsampled(cx);
  uint64_t host = 0, guest = 0;
  std::swap(host, cx.unsampled_host);
  std::swap(guest, cx.unsampled_guest);
  if (interval.load(std::memory_order_acquire) != 0 && cx.activation != nullptr) {
    Stack stack;
    if (host != 0) {
      stack.add(SampledFrame{.code = SampleCode::host});
      stack.add_all(vm::FrameWalk(cx.activation));
      stack.record(host);
    }
    if (guest != 0) {
      stack.count = 0;
      stack.cut = false;
      stack.add_all(vm::FrameWalk(cx.activation));
      stack.record(guest);
    }
  }
  handlers.fetch_sub(1, std::memory_order_release);
}

/// The frames of code that was interrupted in machine code of a function.
void add_machine(Stack& stack, const vm::Vcpu& cx, const InterruptedAt& at) {
  vm::FrameAt frame{cx.activation, at.pc, at.fp, at.sp, nullptr, true, 0};
  const vm::FrameWalk innermost(frame);
  if (!stack.add(innermost)) return;
  vm::FrameWalk walk(frame);
  if (const void* caller = return_address_without_frame(at)) {
    // rbp is still, or again, the caller's.
    if (at.fp == cx.activation->entry_fp) return stack.add_all(vm::FrameWalk(cx.activation->previous));
    frame.pc = caller;
    frame.exact = false;
    walk = vm::FrameWalk(frame);
    const CodeObject* object = CodeSpace::get().find(at.pc);
    if (object != nullptr && is_alone(object->unit)) walk.next();  // one frame of the guest with its caller's
  } else {
    walk.next();
  }
  stack.add_all(walk);
}

/// Time of the guest of `cx` that was used at `at`.
void sample_guest(vm::Vcpu& cx, const InterruptedAt& at, uint64_t nanoseconds) {
  const Activation* running = cx.activation;
  if (running == nullptr) return;
  begin_unsampled(cx);
  const CodeSpace* space = CodeSpace::existing();
  const CodeObject* object = space != nullptr ? space->find(at.pc) : nullptr;
  const bool in_interp = object == nullptr && interp::in_handlers(at.pc);
  Stack stack;
  if (object != nullptr && object->func != nullptr && running->kind == Activation::Kind::machine) {
    add_machine(stack, cx, at);
  } else if (in_interp && running->kind == Activation::Kind::interp) {
    stack.count = interp::sample_running(cx, at.cell, at.interp_fp, stack.frames);
    stack.cut = stack.count == stack.frames.size();
    if (stack.count != 0 && !stack.cut) stack.add_all(vm::FrameWalk(running->previous));
  }
  if (stack.count == 0) {
    (object != nullptr || in_interp ? cx.unsampled_guest : cx.unsampled_host) += nanoseconds;
    cx.requests.fetch_or(static_cast<uint8_t>(vm::Request::sample), std::memory_order_relaxed);
    if (in_interp) cx.budget = 0;
    vm::make_poll(cx);
    return;
  }
  // What could not be said of earlier ticks was in what this code has called without being asked on the way back.
  nanoseconds += cx.unsampled_host + cx.unsampled_guest;
  cx.unsampled_host = cx.unsampled_guest = 0;
  stack.record(nanoseconds);
}

}  // namespace

bool start_guest_samples(int64_t nanoseconds, std::string* why) {
  if (!kStopsBySignal) return *why = "this build, for ThreadSanitizer, gets no signals in guests", false;
  if (interval.load(std::memory_order_relaxed) != 0) return *why = "guests are sampled already", false;
  vm::Samples& samples = vm::Samples::get();
  if (!samples.exists()) return *why = "there is no memory for samples", false;
  samples.reset();
  watch_guest_threads();
  vm::set_request_server(vm::Request::sample, count_unsampled);
  profile_number.fetch_add(1, std::memory_order_relaxed);
  timer_clock.store(nanoseconds >= kernel_tick() ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC,
                    std::memory_order_relaxed);
  interval.store(nanoseconds, std::memory_order_release);
  GuestThreads& threads = guest_threads();
  std::lock_guard lock(threads.mutex);
  for (const pid_t thread : threads.all) {
    siginfo_t info = {};
    info.si_signo = kStopSignal;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = &start_marker;
    syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, kStopSignal, &info);
  }
  return true;
}

void stop_guest_samples() {
  interval.store(0, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  while (handlers.load(std::memory_order_seq_cst) != 0) sched_yield();
}

void watch_guest_threads() { vm::guest_thread_begins.store(&thread_begins, std::memory_order_release); }

bool is_guest_tick(const void* value) { return value == &tick_marker || value == &start_marker; }

void guest_tick(const void* value, const void* ucontext) {
  handlers.fetch_add(1, std::memory_order_seq_cst);
  GuestTimer& timer = guest_timer;
  const int64_t wanted = interval.load(std::memory_order_seq_cst);
  if (value == &start_marker) {
    timer.start(wanted);
  } else if (!timer.made) {
    // The thread ends, and its timer's number may be another's by now.
  } else if (wanted == 0) {
    timer.set(0);
  } else {
    const int64_t now = clock_now(CLOCK_THREAD_CPUTIME_ID);
    const int64_t used = now - timer.used;
    if (used < timer.every / kBusyPart) {
      const int64_t next = std::min(2 * timer.every, std::max(kLongestInterval, wanted));
      if (++timer.waits >= kWaitingTicks && next > timer.every) timer.set(next);
    } else {
      timer.used = now;
      timer.waits = 0;
      if (timer.every != wanted) timer.set(wanted);
      vm::Vcpu* cx = vm::running_vcpu;
      if (cx != nullptr) sample_guest(*cx, interrupted_at(ucontext), static_cast<uint64_t>(used));
    }
  }
  handlers.fetch_sub(1, std::memory_order_release);
}

}  // namespace vmrun::jit
