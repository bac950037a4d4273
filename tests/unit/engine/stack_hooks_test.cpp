// Stacks of tasks by the embedder's hooks, and stacks as small as they may be: guests end within them.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tests/unit/engine/fixture.h"
#include "vmrun/executor.h"

namespace vmrun::test {
namespace {

/// Painted stacks with painted bytes beneath each.
class Stacks {
 public:
  static constexpr size_t kBeneath = 64 << 10;

  ~Stacks() { CHECK(live_.empty()); }

  StackHooks hooks() {
    return {.allocate = [this](size_t bytes) -> std::optional<HostStack> {
              auto* low = static_cast<std::byte*>(std::aligned_alloc(4096, kBeneath + bytes));
              std::fill_n(low, kBeneath + bytes, std::byte{0x5a});
              std::lock_guard hold(lock_);
              live_[low + kBeneath] = bytes;
              ++given;
              return HostStack{low + kBeneath, bytes, this};
            },
            .release =
                [this](const HostStack& stack) {
                  CHECK(stack.handle == this);
                  std::lock_guard hold(lock_);
                  REQUIRE(live_.erase(stack.low) == 1);
                  // The first byte was written when the stack was looked at.
                  const std::byte* at = stack.low + 1;
                  while (at < stack.low + stack.size && *at == std::byte{0x5a}) ++at;
                  least_left = std::min(least_left, static_cast<size_t>(at - stack.low));
                  const std::byte* const beneath = stack.low - kBeneath;
                  if (!std::all_of(beneath, beneath + kBeneath, [](std::byte b) { return b == std::byte{0x5a}; })) {
                    overrun = true;
                  }
                  std::free(stack.low - kBeneath);
                }};
  }

  std::atomic<int> given{0};
  size_t least_left = SIZE_MAX;
  bool overrun = false;

 private:
  std::mutex lock_;
  std::map<std::byte*, size_t> live_;
};

#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)  // whose frames are larger

TEST_CASE("guests on stacks of 128 KiB by the embedder compile, recur, trap and call the host within them") {
  for (const Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt, Tiers::Auto}) {
    CAPTURE(static_cast<int>(tiers));
    Stacks stacks;
    {
      Config config;
      config.tiers = tiers;
      config.backtrace_details = true;
      Engine engine(config);
      Executor executor =
          ok(Executor::create({.workers = 2, .stack_bytes = Store::kMinNativeStack, .stack_hooks = stacks.hooks()}));
      std::atomic<int> right{0};
      for (int i = 0; i < 8; ++i) {
        ok(executor.spawn([&] {}));  // one without a store, too
        auto store = std::make_shared<Store>(engine);
        ok(executor.spawn(*store, [&, store] {
          Linker linker(engine);
          linker.unknown_imports_trap(true);
          ok(linker.func_wrap("env", "again", [](Caller& caller, int32_t n) -> Result<int32_t> {
            if (n == 0) return 0;
            return ok(ok(caller.instance().func("nested")).typed<int32_t(int32_t)>()).call(n - 1);
          }));
          const Instance instance = ok(linker.instantiate(*store, load(engine, "engine_basic")));
          const auto call = [&](const char* name, int32_t argument) {
            return ok(ok(instance.func(name)).typed<int32_t(int32_t)>()).call(argument);
          };
          right += call("down", 0).error().trap == TrapCode::StackOverflow ? 1 : 0;
          right += call("nested", 1'000'000).error().trap == TrapCode::StackOverflow ? 1 : 0;
          right += call("load", -1).error().trap == TrapCode::MemoryOutOfBounds ? 1 : 0;
          right += ok(call("grow", 1)) == 1 ? 1 : 0;
        }));
      }
      executor.wait_idle();
      CHECK(right == 8 * 4);
    }
    CHECK(stacks.given > 0);
    CHECK(!stacks.overrun);
    // What guests leave to others is not used up by half.
    CHECK(stacks.least_left > size_t{16} << 10);
    MESSAGE("left of a stack at the least: " << stacks.least_left);
  }
}

#endif

TEST_CASE("a hook that gives no stack, garbage or an exception fails the task, and nothing else") {
  alignas(16) static std::byte buffer[1 << 20];
  int how = 0, released = 0;
  StackHooks hooks{.allocate = [&](size_t bytes) -> std::optional<HostStack> {
                     switch (how) {
                       case 0: return std::nullopt;
                       case 1: throw std::runtime_error("no");
                       case 2: return HostStack{nullptr, bytes, nullptr};
                       case 3: return HostStack{buffer + 8, bytes, nullptr};
                       case 4: return HostStack{buffer, bytes - 16, nullptr};
                       case 5: return HostStack{reinterpret_cast<std::byte*>(~uintptr_t{15}), bytes, nullptr};
                       case 6: return HostStack{reinterpret_cast<std::byte*>(4096), bytes, nullptr};
                       default: return HostStack{buffer, sizeof buffer, nullptr};
                     }
                   },
                   .release =
                       [&](const HostStack&) {
                         ++released;
                         throw 5;
                       }};
  {
    Executor executor = ok(Executor::create({.workers = 1, .stack_hooks = hooks}));
    Basic b;
    int ran = 0;
    for (how = 0; how < 7; ++how) {
      const Task task = ok(executor.spawn(b.store, [&] { ++ran; }));
      CHECK(task.join());
      CHECK(task.failed());
    }
    CHECK(ran == 0);
    CHECK(released == 5);
    int32_t sum = 0;
    Event go;
    const Task task = ok(executor.spawn(b.store, [&] {
      sum = ok(b.func<int32_t(int32_t, int32_t)>("add").call(2, 3));
      go.wait();
    }));
    // The stack is taken now, and is not taken twice.
    while (executor.stats().parks == 0) std::this_thread::yield();
    const Task second = ok(executor.spawn([&] { ++ran; }));
    CHECK(second.join());
    CHECK(second.failed());
    go.set();
    CHECK(task.join());
    CHECK(!task.failed());
    CHECK(sum == 5);
  }
  CHECK(released == 7);
  CHECK(Executor::create({.stack_hooks = StackHooks{}}).error().kind == ErrorKind::Usage);
}

}  // namespace
}  // namespace vmrun::test
