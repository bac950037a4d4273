// Preemption: code with nothing but registers in use is stopped by a signal, yields, and goes on on any worker, with
// all its registers. The signal handler and the routine it leads to stand for those of machine code.
#include <doctest/doctest.h>
#include <ucontext.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <set>
#include <thread>
#include <vector>

#include "sched/scheduler.h"

using namespace vmrun::sched;
using namespace std::chrono_literals;

namespace {

// The thread sanitizer holds back signals until the thread makes a call of its knowledge: there, code polls.
#if defined(__has_feature) && __has_feature(thread_sanitizer)
#define SIGNALS 0
#else
#define SIGNALS 1
#endif

std::atomic<uint64_t> stops{0};

struct Loop {
  volatile bool stop = false;
  std::atomic<int> runs{0};
};

// Gives way; a task that comes back cancelled is told so, as a guest would trap.
void give_way() {
  if (preempted() != CancelReason::None && switch_user() != nullptr) {
    static_cast<Loop*>(switch_user())->stop = true;
  }
}

}  // namespace

#if SIGNALS
extern "C" char __start_stoppable[], __stop_stoppable[];
extern "C" void stop_here();
extern "C" void stopped_task() { give_way(); }

// Entered instead of the next instruction: the pc to go on at lies at 128(return address), below the red zone. Saves
// everything, gives way, restores everything.
asm(R"(
.text
.globl stop_here
stop_here:
  pushfq
  push %rax; push %rcx; push %rdx; push %rbx; push %rbp; push %rsi; push %rdi
  push %r8; push %r9; push %r10; push %r11; push %r12; push %r13; push %r14; push %r15
  mov %rsp, %rbp
  sub $8192, %rsp
  and $-64, %rsp
  xor %eax, %eax
  lea 512(%rsp), %rdi
  mov $8, %ecx
  rep stosq
  mov $-1, %eax
  mov $-1, %edx
  xsave64 (%rsp)
  cld
  call stopped_task
  mov $-1, %eax
  mov $-1, %edx
  xrstor64 (%rsp)
  mov %rbp, %rsp
  pop %r15; pop %r14; pop %r13; pop %r12; pop %r11; pop %r10; pop %r9; pop %r8
  pop %rdi; pop %rsi; pop %rbp; pop %rbx; pop %rdx; pop %rcx; pop %rax
  popfq
  ret $128
)");
#endif

namespace {

using Vector = double __attribute__((vector_size(32)));

// Eight vectors and an integer live throughout, no memory touched.
__attribute__((section("stoppable"), noinline, disable_sanitizer_instrumentation)) double busy(uint64_t n,
                                                                                               double seed) {
  Vector a{seed, seed + 1, seed + 2, seed + 3}, b = a * 2, c = a * 3, d = a * 5;
  const Vector k{0.5, 0.25, 0.125, 0.0625};
  uint64_t x = 1;
  for (uint64_t i = 0; i < n; ++i) {
    x = x * 6364136223846793005u + i;
    const double y = static_cast<double>(x >> 40);
    a = a * k + y;
    b = b * k + a;
    c = c * k + b;
    d = d * k + c;
  }
  const Vector sum = a + b + c + d;
  return sum[0] + sum[1] + sum[2] + sum[3] + static_cast<double>(x >> 32);
}

// Stops only for a flag in memory, which a canceller sets: an endless guest loop.
__attribute__((section("stoppable"), noinline, disable_sanitizer_instrumentation)) uint64_t
endless(const volatile bool* stop) {
  uint64_t n = 0;
  while (!*stop) {
    ++n;
#if !SIGNALS
    if (preempt_requested()) {
      give_way();
    }
#endif
  }
  return n;
}

double busy_for_test(uint64_t n, double seed) {
#if SIGNALS
  return busy(n, seed);
#else
  const double result = busy(n, seed);
  if (preempt_requested()) {
    preempted();
  }
  return result;
#endif
}

#if SIGNALS
void on_signal(int, siginfo_t*, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto pc = static_cast<uintptr_t>(registers[REG_RIP]);
  if (pc >= reinterpret_cast<uintptr_t>(__start_stoppable) && pc < reinterpret_cast<uintptr_t>(__stop_stoppable)) {
    const auto sp = static_cast<uintptr_t>(registers[REG_RSP]) - 128 - 8;
    *reinterpret_cast<uintptr_t*>(sp) = pc;
    registers[REG_RSP] = static_cast<greg_t>(sp);
    registers[REG_RIP] = reinterpret_cast<greg_t>(&stop_here);
    stops.fetch_add(1);
  }
}
#endif

struct Signals {
  explicit Signals(Scheduler& s) {
#if SIGNALS
    struct sigaction action{};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigaction(SIGURG, &action, &before);
    s.set_preempt([](void*, const Preemption& what) noexcept { pthread_kill(what.worker, SIGURG); }, nullptr);
#else
    s.set_preempt([](void*, const Preemption&) noexcept { stops.fetch_add(1); }, nullptr);
#endif
  }
  ~Signals() {
#if SIGNALS
    sigaction(SIGURG, &before, nullptr);
  }
  struct sigaction before{};
#else
  }
#endif
};

Config preempting(unsigned workers) { return {.workers = workers, .slice = 200us, .preempt_alone = true}; }

}  // namespace

TEST_CASE("stopped computations give exact results, whatever thread they go on on") {
  const uint64_t n = SIGNALS ? 3'000'000 : 2'000'000;
  const double expected = busy(n, 1.5);
  for (unsigned workers : {1u, 2u, 8u}) {
    CAPTURE(workers);
    Scheduler s(preempting(workers));
    Signals signals(s);
    std::atomic<int> wrong{0};
    // As often as it takes to be stopped, and to go on elsewhere: on a busy machine one round may not do.
    Counters c;
    do {
      for (int i = 0; i < 8; ++i) {
        s.spawn([&] {
          for (int k = 0; k < 4; ++k) {
            wrong += busy_for_test(n, 1.5) != expected ? 1 : 0;
          }
        });
      }
      s.wait_idle();
      c = s.counters();
    } while (c.preempt_requests == 0 || (SIGNALS && c.preemptions <= 10) ||
             (SIGNALS && workers == 2 && c.migrations == 0));
    CHECK(wrong == 0);
    MESSAGE(c.preemptions << " preemptions, " << c.migrations << " migrations, " << c.preempt_requests << " requests");
  }
}

TEST_CASE("8 endless loops share two workers, and are stopped by cancellation and deadline") {
  Scheduler s(preempting(2));
  Signals signals(s);
  static const SwitchHooks hooks{.resume = [](void* user) noexcept { static_cast<Loop*>(user)->runs.fetch_add(1); },
                                 .suspend = nullptr};
  std::vector<Loop> loops(8);
  std::vector<Task> tasks;
  for (size_t i = 0; i < loops.size(); ++i) {
    SpawnOptions options{.hooks = &hooks, .user = &loops[i]};
    if (i >= 4) {
      options.deadline = Clock::now() + 60ms;
    }
    tasks.push_back(s.spawn(
        [&loops, i] {
          CHECK(endless(&loops[i].stop) > 0);
          CHECK(cancel_reason() == (i < 4 ? CancelReason::Requested : CancelReason::Deadline));
        },
        options));
  }
  for (size_t i = 0; i < loops.size(); ++i) {
    while (loops[i].runs < 3 && !tasks[i].done()) {  // a deadline may have come first
      std::this_thread::sleep_for(1ms);
    }
  }
  for (size_t i = 0; i < 4; ++i) {
    tasks[i].cancel();
  }
  for (Task& t : tasks) {
    CHECK(t.join() == Wake::Unparked);
  }
  CHECK(stops > 0);
}

TEST_CASE("three endless loops take turns on two workers") {
  // A stopped task makes room for those that wait for the other worker: none keeps one to itself.
  struct Runner {
    volatile bool stop = false;
    std::atomic<pthread_t> first{0};
    std::atomic<bool> moved{false};
  };
  static const SwitchHooks hooks{.resume =
                                     [](void* user) noexcept {
                                       auto& runner = *static_cast<Runner*>(user);
                                       pthread_t none = 0;
                                       const pthread_t here = pthread_self();
                                       if (!runner.first.compare_exchange_strong(none, here) && none != here) {
                                         runner.moved.store(true);
                                       }
                                     },
                                 .suspend = nullptr};
  Scheduler s(preempting(2));
  Signals signals(s);
  Runner runners[3];
  for (Runner& runner : runners) s.spawn([&runner] { endless(&runner.stop); }, {.hooks = &hooks, .user = &runner});
  for (Runner& runner : runners) {
    while (!runner.moved) std::this_thread::sleep_for(1ms);
  }
  for (Runner& runner : runners) runner.stop = true;
  s.wait_idle();
}

TEST_CASE("a task that is to stop need not wait until those before it have had their slices") {
  for (unsigned workers : {1u, 2u}) {
    CAPTURE(workers);
    Scheduler s({.workers = workers, .slice = std::chrono::hours(1)});
    Signals signals(s);
    std::vector<Loop> loops(20);
    std::vector<Task> tasks;
    for (Loop& loop : loops) {
      tasks.push_back(s.spawn([&loop] { endless(&loop.stop); }, {.user = &loop}));
    }
    // The last ones have not had a turn, and the first ones would not give theirs up.
    for (size_t i = loops.size(); i-- != 10;) {
      tasks[i].cancel();
      CHECK(tasks[i].join() == Wake::Unparked);
    }
    // By its deadline, and by what a signal handler does.
    auto due = std::make_unique<Loop>();
    Task late = s.spawn([&due] { endless(&due->stop); }, {.deadline = Clock::now() + 1ms, .user = due.get()});
    CHECK(late.join() == Wake::Unparked);
    std::atomic<bool> told{false};
    Task waiting = s.spawn([&] {
      while (!told) park();
    });
    told = true;
    waiting.unpark_soon();
    CHECK(waiting.join() == Wake::Unparked);
    // The slices are long again, once what was under way is over.
    uint64_t before = 0, after = s.counters().preemptions;
    for (int i = 0; i < 100 && before != after; ++i) {
      before = after;
      std::this_thread::sleep_for(20ms);
      after = s.counters().preemptions;
    }
    CHECK(after == before);
    for (Task& t : tasks) t.cancel();
    s.wait_idle();
  }
}

TEST_CASE("a task is stopped only when another waits, unless asked otherwise") {
  Scheduler s({.workers = 2, .slice = 1ms});
  Signals signals(s);
  volatile bool stop = false;
  Task task = s.spawn([&] { endless(&stop); });
  std::this_thread::sleep_for(20ms);
  CHECK(s.counters().preemptions == 0);
  CHECK(s.counters().preempt_requests == 0);
  stop = true;
  task.join();
}
