// Calls on stacks of the embedder's own: refused until the stack is named, and within its bounds afterwards.
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <thread>

#include "tests/support/child.h"
#include "tests/unit/engine/fixture.h"

namespace vmrun::test {
namespace {

/// A fiber of the embedder's. Beneath its stack lie bytes that nobody may write.
class Fiber {
 public:
  static constexpr size_t kBytes = 512 << 10, kBeneath = 1 << 20;

  explicit Fiber(std::function<void()> body) : body_(std::move(body)) {
    void* memory = mmap(nullptr, kBeneath + kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    memory_ = static_cast<std::byte*>(memory);
    std::fill_n(memory_, kBeneath, std::byte{0x5a});
    getcontext(&own_);
    own_.uc_stack.ss_sp = low();
    own_.uc_stack.ss_size = kBytes;
    own_.uc_link = &caller_;
    const auto self = reinterpret_cast<uintptr_t>(this);
    makecontext(&own_, reinterpret_cast<void (*)()>(&Fiber::run), 2, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self));
  }
  ~Fiber() { munmap(memory_, kBeneath + kBytes); }

  void* low() const { return memory_ + kBeneath; }
  /// Runs the body until it ends or leaves.
  void resume() { swapcontext(&caller_, &own_); }
  /// By the body: back to who resumed it.
  void leave() { swapcontext(&own_, &caller_); }
  bool untouched_beneath() const {
    return std::all_of(memory_, memory_ + kBeneath, [](std::byte b) { return b == std::byte{0x5a}; });
  }

 private:
  static void run(unsigned high, unsigned low) { reinterpret_cast<Fiber*>(uintptr_t{high} << 32 | low)->body_(); }
  std::function<void()> body_;
  std::byte* memory_;
  ucontext_t own_, caller_;
};

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)  // they would have to be told of the switches

constexpr Tiers kTiers[] = {Tiers::Interp, Tiers::Baseline, Tiers::Opt};

Config in(Tiers tiers) {
  Config config;
  config.tiers = tiers;
  return config;
}

TEST_CASE("a call from a stack that nobody named is refused, with what to do") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Basic b(in(tiers));
    auto add = b.func<int32_t(int32_t, int32_t)>("add");
    std::optional<Error> error;
    Fiber fiber([&] {
      Result<int32_t> sum = add.call(2, 3);
      if (!sum) error = sum.error();
    });
    fiber.resume();
    REQUIRE(error);
    CHECK(error->kind == ErrorKind::Usage);
    CHECK(error->message == "the call comes from a stack that is not the thread's: Store::set_native_stack names it");
    CHECK(ok(add.call(2, 3)) == 5);
  }
}

TEST_CASE("on a named stack guests run, and recursion ends within it") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Basic b(in(tiers));
    TrapCode deep = TrapCode::None, beyond = TrapCode::None, nested_deep = TrapCode::None;
    int32_t sum = 0, nested = 0;
    Fiber fiber([&] {
      sum = b.func<int32_t(int32_t, int32_t)>("via_host").call(2, 3).value_or(0);
      nested = b.func<int32_t(int32_t)>("nested").call(10).value_or(0);
      deep = b.func<int32_t(int32_t)>("down").call(0).error().trap;
      nested_deep = b.func<int32_t(int32_t)>("nested").call(1'000'000).error().trap;
      beyond = b.func<int32_t(int32_t)>("load").call(-1).error().trap;
    });
    ok(b.store.set_native_stack(fiber.low(), Fiber::kBytes));
    fiber.resume();
    ok(b.store.reset_native_stack());
    CHECK(sum == 5);
    CHECK(nested == 10);
    CHECK(deep == TrapCode::StackOverflow);
    CHECK(nested_deep == TrapCode::StackOverflow);
    CHECK(beyond == TrapCode::MemoryOutOfBounds);
    CHECK(fiber.untouched_beneath());
    CHECK(ok(b.func<int32_t(int32_t, int32_t)>("add").call(2, 3)) == 5);
  }
}

TEST_CASE("a call from elsewhere than the named stack is refused too") {
  Basic b;
  Fiber fiber([] {});
  ok(b.store.set_native_stack(fiber.low(), Fiber::kBytes));
  CHECK(b.func<int32_t(int32_t, int32_t)>("add").call(2, 3).error().kind == ErrorKind::Usage);
  ok(b.store.reset_native_stack());
  CHECK(ok(b.func<int32_t(int32_t, int32_t)>("add").call(2, 3)) == 5);
}

TEST_CASE("calls into a store whose guest waits come from its stack") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Engine engine(in(tiers));
    Store store(engine);
    Linker linker(engine);
    linker.unknown_imports_trap(true);
    std::optional<Error> from_fiber, from_thread, naming;
    ok(linker.func_wrap("env", "note", [&](Caller& caller, int64_t, double) {
      auto load = ok(ok(caller.instance().func("load")).typed<int32_t(int32_t)>());
      Fiber fiber([&] { from_fiber = load.call(8).error(); });
      naming = caller.store().set_native_stack(fiber.low(), Fiber::kBytes).error();
      fiber.resume();
      std::thread([&] { from_thread = load.call(8).error(); }).join();
      CHECK(ok(load.call(8)) == 0x6c6c6568);
    }));
    ok(linker.func_wrap("env", "add", [](int32_t a, int32_t c) { return a + c; }));
    Instance instance = ok(linker.instantiate(store, load(engine, "engine_basic")));
    CHECK(ok(ok(ok(instance.func("via_host")).typed<int32_t(int32_t, int32_t)>()).call(2, 3)) == 5);
    REQUIRE(naming);
    CHECK(naming->kind == ErrorKind::Usage);
    for (const auto* refused : {&from_fiber, &from_thread}) {
      REQUIRE(*refused);
      CHECK((*refused)->kind == ErrorKind::Usage);
    }
    CHECK(from_fiber->message ==
          "a guest of this store waits on another stack: calls into the store come from that one");
    CHECK(from_thread->message.find("runs on another thread") != std::string::npos);
  }
}

/// A guest on a fiber of its own, whose host functions leave it in the middle.
struct Turns {
  Store store;
  Linker linker;
  Instance instance{nullptr};
  int32_t sum = 0;
  TrapCode load = TrapCode::None, deep = TrapCode::None;
  Fiber fiber;

  Turns(const Engine& engine, bool pause) : store(engine), linker(engine), fiber([this] { run(); }) {
    linker.unknown_imports_trap(true);
    ok(linker.func_wrap("env", "note", [this, pause](int64_t, double) {
      std::optional<GuestPause> paused;
      if (pause) paused.emplace();
      fiber.leave();
    }));
    ok(linker.func_wrap("env", "add", [](int32_t a, int32_t c) { return a + c; }));
    ok(store.set_native_stack(fiber.low(), Fiber::kBytes));
  }
  void instantiate(const Module& module) { instance = ok(linker.instantiate(store, module)); }
  template <class Signature>
  TypedFunc<Signature> func(const char* name) {
    return ok(ok(instance.func(name)).template typed<Signature>());
  }
  void run() {
    sum = func<int32_t(int32_t, int32_t)>("via_host").call(2, 3).value_or(0);
    load = func<int32_t(int32_t)>("load").call(-1).error().trap;
    fiber.leave();
    deep = func<int32_t(int32_t)>("down").call(0).error().trap;
  }
};

TEST_CASE("guests on fibers take turns in their host functions, and trap where they are") {
  for (Tiers tiers : kTiers) {
    CAPTURE(static_cast<int>(tiers));
    Engine engine(in(tiers));
    const Module module = load(engine, "engine_basic");
    Turns first(engine, true), second(engine, true);
    for (Turns* guest : {&first, &second}) guest->instantiate(module);
    for (int turn = 0; turn < 3; ++turn) {
      for (Turns* guest : {&first, &second}) guest->fiber.resume();
    }
    for (const Turns* guest : {&first, &second}) {
      CHECK(guest->sum == 5);
      CHECK(guest->load == TrapCode::MemoryOutOfBounds);
      CHECK(guest->deep == TrapCode::StackOverflow);
      CHECK(guest->fiber.untouched_beneath());
    }
  }
}

/// The first guest goes on as if the second were it.
TEST_CASE("stack child: turns without a pause" * doctest::skip()) {
  Engine engine(in(Tiers::Baseline));
  const Module module = load(engine, "engine_basic");
  Turns first(engine, false), second(engine, false);
  for (Turns* guest : {&first, &second}) guest->instantiate(module);
  for (Turns* guest : {&first, &second, &first, &second}) guest->fiber.resume();
}
TEST_CASE("guests that take turns without a pause are noticed") {
  const Ended ended = in_child("stack child: turns without a pause");
  CAPTURE(ended.text);
  CHECK(ended.status == -SIGABRT);
  CHECK(says(ended, "inside a GuestPause"));
}

#endif

TEST_CASE("named stacks that are none are refused") {
  Engine engine;
  Store store(engine);
  std::byte somewhere[16];
  CHECK(store.set_native_stack(somewhere, Store::kMinNativeStack - 1).error().kind == ErrorKind::Usage);
  CHECK(store.set_native_stack(nullptr, 1 << 20).error().kind == ErrorKind::Usage);
  CHECK(store.set_native_stack(somewhere, SIZE_MAX).error().kind == ErrorKind::Usage);  // ends beyond all addresses
}

TEST_CASE("a thread with a small stack runs no guests") {
  Basic b;
  size_t has = 0;
  const auto call_on = [&](size_t bytes) {
    std::optional<Result<std::vector<Val>>> result;
    auto body = [&] {
      result = ok(b.instance.func("add")).call({Val::i32(2), Val::i32(3)});
      pthread_attr_t own;
      if (pthread_getattr_np(pthread_self(), &own) != 0) return;
      pthread_attr_getstacksize(&own, &has);
      pthread_attr_destroy(&own);
    };
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    REQUIRE(pthread_attr_setstacksize(&attributes, bytes) == 0);
    pthread_t thread;
    const auto run = [](void* function) -> void* {
      (*static_cast<decltype(body)*>(function))();
      return nullptr;
    };
    REQUIRE(pthread_create(&thread, &attributes, run, &body) == 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    return *result;
  };
  const auto refused = call_on(96 << 10);
  if (has >= 128 << 10) {
    MESSAGE("skipped: a thread that is to have 96 KiB of stack gets ", has, " bytes here");
    return;
  }
  CHECK(refused.error().kind == ErrorKind::Usage);
  CHECK(refused.error().message == "this thread's stack is too small: guests need 128 KiB");
  CHECK(ok(call_on(256 << 10))[0].as_i32() == 5);
}

}  // namespace
}  // namespace vmrun::test
