// Many idle guests in one process: what they take of it, and that it is handed back. And guests that share the functions
// of the system interface.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "sched/stack.h"
#include "tests/unit/wasi/tasks.h"

namespace vmrun {
namespace {

// The sanitizers map and keep memory of their own for each page and thread.
#if defined(__has_feature) && (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
constexpr bool kOwnMemoryAlone = false;
#else
constexpr bool kOwnMemoryAlone = true;
#endif

struct Usage {
  size_t kib = 0;  // resident and page tables
  size_t mappings = 0;
};

Usage usage_now() {
  Usage usage;
  std::string line;
  for (std::ifstream status("/proc/self/status"); std::getline(status, line);) {
    for (const char* name : {"VmRSS:", "VmPTE:"}) {
      if (line.rfind(name, 0) == 0) usage.kib += std::strtoull(line.c_str() + std::strlen(name), nullptr, 10);
    }
  }
  for (std::ifstream maps("/proc/self/maps"); std::getline(maps, line);) ++usage.mappings;
  return usage;
}

template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 20'000 && !condition(); ++i) std::this_thread::sleep_for(1ms);
  return condition();
}

}  // namespace

TEST_CASE("idle guests take few mappings and little memory, and all of it is handed back") {
#if defined(__has_feature) && (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
  constexpr size_t kGuests = 200;
#else
  constexpr size_t kGuests = 2000;
#endif
  Config config;
  config.dense_memory = true;
  Engine engine(config);
  const Module module = waiting_module(engine);
  ExecutorConfig tasks;
  tasks.workers = 2;
  tasks.stack_bytes = size_t{512} << 10;
  Executor executor = ok(Executor::create(tasks));
  for (const char* call : {"sleep", "read"}) {
    CAPTURE(call);
    const Pipe pipe;
    std::vector<std::unique_ptr<Store>> stores(kGuests);
    std::vector<Task> handles(kGuests);
    std::atomic<size_t> ended{0};
    const auto start = [&](size_t i) {
      stores[i] = std::make_unique<Store>(engine);
      handles[i] = ok(executor.spawn(*stores[i], [&, i] {
        const WasiContext wasi = ok(WasiContext::create(WasiConfig().stdin_fd(pipe.reading())));
        Instance instance = ok(instantiate_wasi(*stores[i], module, wasi));
        ended += was_interrupted(ok(instance.func(call)).call());
      }));
    };
    const auto all_wait = [&] {
      uint64_t switches = 0;
      return eventually([&] {
        const ExecutorStats stats = executor.stats();
        return stats.ready == 0 && stats.blocked_threads == 0 &&
               std::exchange(switches, stats.switches) == stats.switches;
      });
    };
    start(0);
    REQUIRE(all_wait());
    const Usage before = usage_now();
    for (size_t i = 1; i < kGuests; ++i) start(i);
    REQUIRE(all_wait());
    REQUIRE(executor.live() == kGuests);
    const Usage during = usage_now();
    if (!kOwnMemoryAlone) {
      std::printf("skipped: what a guest takes of the process: a sanitizer takes more\n");
    } else if (sched::has_light_guards()) {
      CHECK(static_cast<double>(during.mappings) - static_cast<double>(before.mappings) < 0.1 * kGuests);
    } else {
      std::printf("skipped: mappings of a guest: this kernel's guards take two each\n");
    }
    if (kOwnMemoryAlone) CHECK(during.kib - before.kib < 40 * kGuests);

    for (const Task& task : handles) task.cancel();
    executor.wait_idle();
    CHECK(ended == kGuests);
    stores.clear();
    // What idle workers keep goes after a second.
    CHECK(eventually([&] { return executor.stats().stacks == 0; }));
    // One slab is kept, with the guards of its stacks.
    const size_t kept = sched::has_light_guards() ? 16 : 16 + 64 * 4;
    if (kOwnMemoryAlone) {
      CHECK(eventually([&] { return usage_now().mappings <= before.mappings + kept; }));
      CHECK(eventually([&] { return usage_now().kib < before.kib + (during.kib - before.kib) / 8; }));
    }
  }
}

TEST_CASE("instances of one store have their contexts, though guests share the functions") {
  Engine engine;
  const Module module = waiting_module(engine);
  const auto reads = [](Instance& instance) {
    CHECK(ok(ok(instance.func("read")).call())[0].as_i32() == 0);
    return static_cast<int>(ok(instance.memory("memory")).data()[16]);
  };
  Store store(engine), other(engine);
  const WasiContext one = ok(WasiContext::create(WasiConfig().stdin_bytes("1")));
  const WasiContext two = ok(WasiContext::create(WasiConfig().stdin_bytes("22")));
  const WasiContext three = ok(WasiContext::create(WasiConfig().stdin_bytes("333")));
  Instance a = ok(instantiate_wasi(store, module, one));
  Instance b = ok(instantiate_wasi(store, module, two));
  Instance c = ok(instantiate_wasi(other, module, three));
  Instance again = ok(instantiate_wasi(store, module, one));
  CHECK(reads(b) == 2);
  CHECK(reads(c) == 3);
  CHECK(reads(a) == 1);
  CHECK(reads(again) == 0);  // the context's stream is at its end
}

TEST_CASE("a shared function is called through a reference in every tier, with the context of the store that calls") {
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt}) {
    CAPTURE(static_cast<int>(tiers));
    Engine engine = engine_of(tiers);
    const Module module = ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_reexport.wasm"));
    const auto context = [](int args) {
      WasiConfig config;
      for (int i = 0; i < args; ++i) config.arg("x");
      return ok(WasiContext::create(config));
    };
    const auto count = [](const Instance& in, const Instance& of) {
      return ok(in.func("count")).call({Val::func(ok(of.func("sizes")))});
    };
    const auto number = [](const Result<std::vector<Val>>& result) { return ok(result)[0].as_i32(); };
    Store one(engine), two(engine), apart(engine);
    const Instance a = ok(instantiate_wasi(one, module, context(1)));
    const Instance b = ok(instantiate_wasi(two, module, context(2)));
    const Instance c = ok(instantiate_wasi(one, module, context(3)));  // the store's second context
    Linker linker(engine);
    ok(add_wasi(linker, context(4)));
    const Instance d = ok(linker.instantiate(apart, module));
    for (int i = 0; i < 30; ++i) {  // also when it has become hot
      CHECK(number(count(a, a)) == 1);
      CHECK(number(count(b, b)) == 2);
      CHECK(number(count(a, c)) == 3);
      CHECK(number(count(c, a)) == 1);
      CHECK(number(count(d, d)) == 4);
    }
    // By way of the embedder a reference reaches nothing of another store.
    CHECK(number(count(b, a)) == 2);
    const auto refused = count(d, a);
    REQUIRE(!refused);
    CHECK(refused.error().kind == ErrorKind::Usage);
    CHECK(!count(a, d).ok());
    CHECK(!count(b, c).ok());
  }
}

}  // namespace vmrun
