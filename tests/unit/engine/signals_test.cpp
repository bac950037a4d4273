// The signals that vmrun takes over: what was there before goes on as if nothing had changed, and threads that have them
// blocked run guests all the same.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csetjmp>
#include <string>
#include <thread>

#include "jit/stop/preempt.h"
#include "tests/support/child.h"
#include "tests/unit/engine/fixture.h"

namespace vmrun::test {
namespace {

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt};

/// What an earlier handler saw.
struct Seen {
  std::atomic<int> calls{0};
  bool own_blocked = false, user1_blocked = false, on_thread_stack = false;
  int code = 0;
};
Seen seen;

bool is_blocked(int signal) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return sigismember(&mask, signal) == 1;
}

bool on_thread_stack() {
  pthread_attr_t attributes;
  pthread_getattr_np(pthread_self(), &attributes);
  void* low = nullptr;
  size_t size = 0;
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)), end = reinterpret_cast<uintptr_t>(low);
  return here - end < size;
}

void note(int signal, siginfo_t* info, void*) {
  ++seen.calls;
  seen.own_blocked = is_blocked(signal);
  seen.user1_blocked = is_blocked(SIGUSR1);
  seen.on_thread_stack = on_thread_stack();
  seen.code = info->si_code;
}
void note_plain(int) { ++seen.calls; }

void install(int signal, int flags) {
  struct sigaction action = {};
  action.sa_flags = flags | SA_SIGINFO;
  action.sa_sigaction = note;
  sigaddset(&action.sa_mask, SIGUSR1);
  REQUIRE(sigaction(signal, &action, nullptr) == 0);
}

/// A guest that traps by a fault, in this engine's tier.
void check_trap() {
  Basic b;
  CHECK(b.func<int32_t(int32_t)>("load").call(-1).error().trap == TrapCode::MemoryOutOfBounds);
}

TEST_CASE("signal child: ignored" * doctest::skip()) {
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::signal(signal, SIG_IGN);
  check_trap();
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) CHECK(raise(signal) == 0);
  check_trap();
}
TEST_CASE("signal child: ignored but a fault" * doctest::skip()) {
  ::signal(SIGSEGV, SIG_IGN);
  check_trap();
  *static_cast<volatile int*>(nullptr) = 1;
}
TEST_CASE("signal child: default" * doctest::skip()) {
  check_trap();
  raise(SIGSEGV);
}
TEST_CASE("signal child: mask and flags" * doctest::skip()) {
  install(SIGSEGV, 0);
  install(SIGFPE, SA_NODEFER);
  install(SIGBUS, SA_NODEFER);
  install(SIGURG, 0);
  struct sigaction plain = {};
  plain.sa_handler = note_plain;
  REQUIRE(sigaction(SIGILL, &plain, nullptr) == 0);
  check_trap();
  CHECK(seen.calls == 0);

  raise(SIGSEGV);
  CHECK(seen.calls == 1);
  CHECK(seen.own_blocked);
  CHECK(seen.user1_blocked);
  CHECK(seen.on_thread_stack);
  CHECK(!is_blocked(SIGSEGV));
  CHECK(!is_blocked(SIGUSR1));
  raise(SIGFPE);
  CHECK(seen.calls == 2);
  CHECK(!seen.own_blocked);
  CHECK(seen.user1_blocked);
  raise(SIGILL);
  CHECK(seen.calls == 3);
  if (jit::kStopsBySignal) {
    raise(SIGURG);
    CHECK(seen.calls == 4);
    CHECK(seen.own_blocked);
    CHECK(seen.user1_blocked);
  }
  check_trap();
}
TEST_CASE("signal child: its own stack" * doctest::skip()) {
  install(SIGSEGV, SA_ONSTACK);
  check_trap();
  raise(SIGSEGV);
  CHECK(seen.calls == 1);
  CHECK(!seen.on_thread_stack);
}
TEST_CASE("signal child: once" * doctest::skip()) {
  install(SIGSEGV, SA_RESETHAND);
  check_trap();
  raise(SIGSEGV);
  CHECK(seen.calls == 1);
  check_trap();
  raise(SIGSEGV);
}

sigjmp_buf back;
TEST_CASE("signal child: a fault of the host's" * doctest::skip()) {
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    if (info->si_addr == reinterpret_cast<void*>(16)) siglongjmp(back, 1);
  };
  REQUIRE(sigaction(SIGSEGV, &action, nullptr) == 0);
  check_trap();
  for (int i = 0; i < 3; ++i) {
    if (sigsetjmp(back, 1) == 0) {
      *reinterpret_cast<volatile int*>(16) = 1;
      FAIL("no fault");
    }
  }
  CHECK(!is_blocked(SIGSEGV));
  check_trap();
}

TEST_CASE("what was done about a signal before is done as before") {
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  CHECK(in_child("signal child: ignored").status == 0);
  CHECK(in_child("signal child: ignored but a fault").status == -SIGSEGV);
  CHECK(in_child("signal child: default").status == -SIGSEGV);
  CHECK(in_child("signal child: mask and flags").status == 0);
  CHECK(in_child("signal child: its own stack").status == 0);
  CHECK(in_child("signal child: once").status == -SIGSEGV);
  CHECK(in_child("signal child: a fault of the host's").status == 0);
#endif
}

TEST_CASE("a host function's own read is not cut short by an interrupt") {
  Engine engine;
  Store store(engine);
  Linker linker(engine);
  linker.unknown_imports_trap(true);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  ssize_t got = 0;
  ok(linker.func_wrap("env", "note", [&](int64_t, double) {
    char c;
    got = ::read(ends[0], &c, 1);
  }));
  Instance instance = ok(linker.instantiate(store, load(engine, "engine_basic")));
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    store.interrupt();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    (void)!::write(ends[1], "x", 1);
  });
  const Result<std::vector<Val>> result = ok(instance.func("via_host")).call({Val::i32(2), Val::i32(3)});
  other.join();
  CHECK(got == 1);
  REQUIRE(!result);
  CHECK(result.error().trap == TrapCode::Interrupted);
  for (int fd : ends) ::close(fd);
}

// ---- blocked signals ----

void with_all_blocked(const std::function<void()>& body) {
  std::thread([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    body();
  }).join();
}

TEST_CASE("a guest traps on a thread that has its signals blocked") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Config config;
    config.tiers = tiers;
    Basic b(config);
    TrapCode load = TrapCode::None, divide = TrapCode::None;
    with_all_blocked([&] {
      load = b.func<int32_t(int32_t)>("load").call(-1).error().trap;
      divide = b.func<int32_t(int32_t, int32_t)>("divide").call(INT32_MIN, -1).error().trap;
    });
    CHECK(load == TrapCode::MemoryOutOfBounds);
    CHECK(divide == TrapCode::IntegerOverflow);
  }
}

TEST_CASE("an interrupt reaches a thread that has its signals blocked") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Config config;
    config.tiers = tiers;
    Basic b(config);
    std::atomic<bool> done{false};
    std::thread other([&] {
      while (!done) {
        b.store.interrupt();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    TrapCode trap = TrapCode::None;
    with_all_blocked([&] { trap = b.func<void()>("spin").call().error().trap; });
    done = true;
    other.join();
    CHECK(trap == TrapCode::Interrupted);
  }
}

/// Runs guests on a thread that has an alternate stack of the embedder's, of a page above one that nobody may touch.
TEST_CASE("signal child: a small alternate stack" * doctest::skip()) {
  std::thread([] {
    constexpr size_t kPage = 4096;
    auto* memory =
        static_cast<std::byte*>(mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(mprotect(memory, kPage, PROT_NONE) == 0);
    stack_t stack = {};
    stack.ss_sp = memory + kPage;
    stack.ss_size = kPage;
    if (sigaltstack(&stack, nullptr) != 0) return;  // a processor whose signal frames are larger
    for (Tiers tiers : kTiers) {
      Config config;
      config.tiers = tiers;
      Basic b(config);
      CHECK(b.func<int32_t(int32_t)>("load").call(-1).error().trap == TrapCode::MemoryOutOfBounds);
      std::thread stopper([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        b.store.interrupt();
      });
      CHECK(b.func<void()>("spin").call().error().trap == TrapCode::Interrupted);
      stopper.join();
    }
  }).join();
}
TEST_CASE("a small alternate stack of the embedder's is replaced") {
  const Ended ended = in_child("signal child: a small alternate stack");
  CAPTURE(ended.text);
  CHECK(ended.status == 0);
}

/// Engines, modules and stores that are static die in forked children too, where the compile threads are not.
TEST_CASE("signal child: fork and exit" * doctest::skip()) {
  for (Tiers tiers : {Tiers::Auto, Tiers::Opt}) {
    Config config;
    config.tiers = tiers;
    config.eager_baseline = true;
    auto* basic = new Basic(config);
    ok(basic->func<int32_t(int32_t, int32_t)>("add").call(2, 3));
    if (const pid_t child = fork(); child == 0) {
      alarm(20);
      delete basic;
      _exit(4);
    } else {
      int status = 0;
      REQUIRE(waitpid(child, &status, 0) == child);
      CHECK(WIFEXITED(status));
      CHECK(WEXITSTATUS(status) == 4);
    }
    delete basic;
  }
}
TEST_CASE("a forked child may end with what it has of its parent's engines") {
  const Ended ended = in_child("signal child: fork and exit");
  CAPTURE(ended.text);
  CHECK(ended.status == 0);
}

}  // namespace
}  // namespace vmrun::test
