// An interrupt of a store ends what its guest waits for in a task, and nothing else of the task.
#include <poll.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>
#include <vector>

#include "tests/unit/wasi/tasks.h"

namespace vmrun {
namespace {

/// What a guest may wait in: an export of wasi_wait, or memory.atomic.wait.
constexpr const char* kWaits[] = {"read", "write_on", "sleep", "poll", "wait"};

/// A guest of each kind of wait, with a standard input that has nothing and an output that nobody reads.
struct Waiting {
  Pipe in, out;
  Module system, memory;
  std::vector<std::unique_ptr<Guest>> guests;

  explicit Waiting(const Engine& engine)
      : system(waiting_module(engine)),
        memory(ok(Module::compile_file(engine, VMRUN_FIXTURES "/engine_memory64.wasm"))) {
    for (const char* name : kWaits) {
      guests.push_back(std::make_unique<Guest>(engine, is_memory(name) ? memory : system,
                                               WasiConfig().stdin_fd(in.reading()).stdout_fd(out.writing())));
    }
  }
  static bool is_memory(std::string_view name) { return name == "wait"; }
  size_t size() const { return guests.size(); }
  Store& store(size_t i) { return guests[i]->store; }
  Result<std::vector<Val>> call(size_t i) {
    if (!is_memory(kWaits[i])) return guests[i]->call(kWaits[i]);
    return ok(guests[i]->instance.func("wait")).call({Val::i32(0), Val::i32(0), Val::i64(-1)});
  }
};

/// Calls `waits[i]` `rounds` times in a task of each, and `interrupt(i)` from here until all have been interrupted so
/// often.
template <class Interrupt>
void check_interrupts(Executor& executor, Waiting& waits, int rounds, Interrupt interrupt) {
  std::atomic<size_t> interrupted{0}, cancelled{0}, other{0};
  std::vector<std::atomic<int>> round(waits.size());
  for (size_t i = 0; i < waits.size(); ++i) {
    ok(executor.spawn(waits.store(i), [&, i] {
      for (int k = 1; k <= rounds; ++k) {
        round[i] = k;
        (was_interrupted(waits.call(i)) ? interrupted : other) += 1;
        cancelled += this_task::take_stop() != StopReason::None;
      }
      round[i] = rounds + 1;
    }));
  }
  for (int k = 1; k <= rounds; ++k) {
    for (size_t i = 0; i < waits.size(); ++i) {
      while (round[i] != k) std::this_thread::yield();
    }
    if (k % 4 == 1) std::this_thread::sleep_for(5ms);  // they are suspended then, as a rule
    for (size_t i = 0; i < waits.size(); ++i) interrupt(i);
  }
  executor.wait_idle();
  CHECK(interrupted == waits.size() * static_cast<size_t>(rounds));
  CHECK(other == 0);
  CHECK(cancelled == 0);
}

TEST_CASE("an interrupt ends what a guest waits for in a task, again and again") {
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt, Tiers::Auto}) {
    const Engine engine = engine_of(tiers);
    for (const char* io : kIo) {
      for (unsigned workers : {1u, 2u}) {
        CAPTURE(static_cast<int>(tiers));
        CAPTURE(io);
        CAPTURE(workers);
        Waiting waits(engine);
        Executor executor = executor_with(workers, io);
        check_interrupts(executor, waits, 12, [&](size_t i) { waits.store(i).interrupt(); });
        // The stores are good for further tasks, and for threads.
        check_interrupts(executor, waits, 1, [&](size_t i) { waits.store(i).interrupt(); });
        for (size_t i = 0; i < waits.size(); ++i) {
          waits.store(i).interrupt();
          CHECK(was_interrupted(waits.call(i)));
        }
      }
    }
  }
}

/// What the handler interrupts.
std::atomic<Store*> of_handler{nullptr};
std::atomic<unsigned> handled{0};

/// SIGUSR1's and SIGALRM's handler meanwhile.
struct Handlers {
  struct sigaction before[2];
  Handlers() {
    struct sigaction action = {};
    action.sa_handler = [](int) {
      const int saved_errno = errno;
      if (Store* store = of_handler.load()) store->interrupt();
      handled.fetch_add(1);
      errno = saved_errno;
    };
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    REQUIRE(::sigaction(SIGUSR1, &action, &before[0]) == 0);
    REQUIRE(::sigaction(SIGALRM, &action, &before[1]) == 0);
  }
  ~Handlers() {
    ::sigaction(SIGUSR1, &before[0], nullptr);
    ::sigaction(SIGALRM, &before[1], nullptr);
    of_handler = nullptr;
  }
};

TEST_CASE("a signal handler's interrupt ends what a guest waits for in a task") {
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    CAPTURE(static_cast<int>(tiers));
    const Engine engine = engine_of(tiers);
    Waiting waits(engine);
    Executor executor = executor_with(1, "auto");
    const Handlers handlers;
    check_interrupts(executor, waits, 8, [&](size_t i) {
      of_handler = &waits.store(i);
      REQUIRE(::raise(SIGUSR1) == 0);
    });
  }
}

TEST_CASE("a signal handler's interrupts come on any thread, whatever that does, while guests begin to wait and end") {
  const Engine engine = engine_of(Tiers::Baseline);
  Waiting waits(engine);
  Executor executor = executor_with(2, "auto");
  const Handlers handlers;
  // A signal of the process comes to the executor's threads, once there are some, since this one blocks it.
  ok(executor.spawn([] {})).join();
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
  const itimerval often{{0, 200}, {0, 200}}, never{};
  std::atomic<size_t> other{0};
  const unsigned before = handled;
  for (size_t i = 0; i < waits.size(); ++i) {
    of_handler = &waits.store(i);
    REQUIRE(::setitimer(ITIMER_REAL, &often, nullptr) == 0);
    // Others keep the workers busy meanwhile: they yield, sleep, and make tasks.
    std::atomic<bool> end{false};
    const Task busy = ok(executor.spawn([&] {
      while (!end) {
        ok(executor.spawn([] { this_task::sleep_for(1us); })).join();
        this_task::yield();
      }
    }));
    for (int k = 0; k < 30; ++k) {
      const Task task = ok(executor.spawn(waits.store(i), [&] {
        for (int n = 0; n < 5; ++n) other += !was_interrupted(waits.call(i));
      }));
      CHECK(task.join());
    }
    REQUIRE(::setitimer(ITIMER_REAL, &never, nullptr) == 0);
    end = true;
    CHECK(busy.join());
  }
  executor.wait_idle();
  pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  CHECK(other == 0);
  CHECK(handled > before);
}

TEST_CASE("of an interrupt and what a guest waits for, either ends the wait, and nothing is left of the interrupt") {
  const Engine engine = engine_of(Tiers::Baseline);
  const Module module = waiting_module(engine);
  for (const char* io : kIo) {
    CAPTURE(io);
    const Pipe in;
    Guest guest(engine, module, WasiConfig().stdin_fd(in.reading()));
    Executor executor = executor_with(2, io);
    constexpr int kRounds = 600;
    std::atomic<int> round{0}, told{0}, reads{0}, interrupts{0}, wrong{0};
    const Task task = ok(executor.spawn(guest.store, [&] {
      char drained[8];
      for (int i = 1; i <= kRounds; ++i) {
        round = i;
        const auto result = guest.call("read");
        const bool read = result.ok() && (*result)[0].as_i32() == 0;
        reads += read;
        interrupts += was_interrupted(result);
        wrong += !read && !was_interrupted(result);
        while (told != i) this_task::yield();
        guest.store.clear_interrupt();
        // The interrupt may have come right after the guest's read.
        pollfd left{in.reading(), POLLIN, 0};
        if (::poll(&left, 1, 0) == 1) wrong += ::read(in.reading(), drained, sizeof drained) != 1 || read;
        // Without an interrupt it waits on, whatever came before.
        const Task writer = ok(executor.spawn([&] {
          this_task::yield();
          CHECK(::write(in.writing(), "y", 1) == 1);
        }));
        const auto next = guest.call("read");
        wrong += !next || (*next)[0].as_i32() != 0;
        writer.join();
      }
    }));
    for (int i = 1; i <= kRounds; ++i) {
      while (round != i) std::this_thread::yield();
      for (volatile int spin = 0; spin < (i % 40) * 25; spin = spin + 1) {
      }
      if (i % 2 != 0) guest.store.interrupt();
      CHECK(::write(in.writing(), "x", 1) == 1);
      if (i % 2 == 0) guest.store.interrupt();
      told = i;
    }
    CHECK(task.join());
    CHECK(wrong == 0);
    CHECK(reads + interrupts == kRounds);
    MESSAGE(reads.load() << " reads, " << interrupts.load() << " interrupts");
  }
}

TEST_CASE("an interrupt leaves what a host function of the embedder's waits for alone") {
  Engine engine;
  Store store(engine);
  Executor executor = executor_with(1, "auto");
  std::atomic<bool> inside{false}, slept{false};
  Linker linker(engine);
  ok(linker.func_wrap("env", "missing", [&](int32_t) {
    inside = true;
    slept = this_task::sleep_for(30ms);
  }));
  const Module module = ok(Module::compile_file(engine, VMRUN_FIXTURES "/cli_needs_import.wasm"));
  const Instance instance = ok(linker.instantiate(store, module));
  const Task task = ok(executor.spawn(store, [&] { CHECK(was_interrupted(ok(instance.func("call")).call())); }));
  while (!inside) std::this_thread::yield();
  store.interrupt();
  CHECK(task.join());
  CHECK(slept);
}

}  // namespace
}  // namespace vmrun
