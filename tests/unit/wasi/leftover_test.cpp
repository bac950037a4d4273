// What one guest writes to its memory, by whatever way, no later guest finds: memories go from one to the next without being
// given back to the system.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/ok.h"
#include "vmrun/executor.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

namespace vmrun::test {
namespace {

constexpr int32_t kBegin = 2 * 65536;  // of a new guest's memory, in bytes

struct Guest {
  Store& store;
  Instance instance;
  template <class... Args>
  void run(const char* name, Args... args) {
    ok(ok(ok(instance.func(name)).template typed<void(Args...)>()).call(args...));
  }
  std::span<std::byte> data() { return ok(instance.memory("memory")).data(); }
};

/// The ways to write to the byte `at` and beyond.
const std::vector<std::pair<const char*, std::function<void(Guest&, int32_t)>>> kWays = {
    {"store", [](Guest& g, int32_t at) { g.run("store", at); }},
    {"vector", [](Guest& g, int32_t at) { g.run("vector", at); }},
    {"atomic", [](Guest& g, int32_t at) { g.run("add", at & ~7); }},
    {"fill", [](Guest& g, int32_t at) { g.run("fill", at, std::min(kBegin - at, 5000)); }},
    {"copy", [](Guest& g, int32_t at) { g.run("copy", at); }},
    {"init", [](Guest& g, int32_t at) { g.run("init", at); }},
    {"read", [](Guest& g, int32_t at) { g.run("read", at, std::min(kBegin - at, 9000)); }},
    {"random", [](Guest& g, int32_t at) { g.run("random", at, std::min(kBegin - at, 4097)); }},
    {"host", [](Guest& g, int32_t at) { std::ranges::fill(g.data().subspan(static_cast<size_t>(at)), std::byte{1}); }},
    {"all", [](Guest& g, int32_t) { g.run("fill", 0, kBegin); }},
    {"grown",
     [](Guest& g, int32_t at) {
       CHECK(ok(ok(ok(g.instance.func("grow")).typed<int32_t(int32_t)>()).call(at % 30)) == 2);
       std::ranges::fill(g.data().subspan(g.data().size() - static_cast<size_t>(at)), std::byte{1});
     }},
    {"trap", [](Guest& g, int32_t at) { CHECK(!ok(ok(g.instance.func("trap")).typed<void(int32_t)>()).call(at)); }},
};

/// What is not as the module's data segments leave it.
size_t leftovers(Guest& guest) {
  std::span<std::byte> bytes = guest.data();
  CHECK(bytes.size() == kBegin);
  size_t wrong = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    char expected = 0;
    if (i >= 1000 && i < 1005) expected = "first"[i - 1000];
    if (i >= 70000 && i < 70006) expected = "second"[i - 70000];
    wrong += bytes[i] != std::byte(expected);
  }
  // What it grows by.
  CHECK(ok(ok(ok(guest.instance.func("grow")).typed<int32_t(int32_t)>()).call(38)) == 2);
  bytes = guest.data();
  return wrong + static_cast<size_t>(
                     std::count_if(bytes.begin() + kBegin, bytes.end(), [](std::byte b) { return b != std::byte{0}; }));
}

struct Setting {
  Engine engine;
  Module module;
  WasiConfig wasi;

  Setting(Tiers tiers, bool dense)
      : engine(config(tiers, dense)), module(ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_dirty.wasm"))) {}
  static Config config(Tiers tiers, bool dense) {
    Config config;
    config.tiers = tiers;
    config.dense_memory = dense;
    return config;
  }
  void guest(Store& store, const std::function<void(Guest&)>& body) const {
    const WasiContext context = ok(WasiContext::create(wasi));
    Guest guest{store, ok(instantiate_wasi(store, module, context))};
    body(guest);
  }
};

/// A guest for each way to write, and after each one that looks.
void check_ways(const Setting& setting, const std::function<void(const std::function<void(Store&)>&)>& in_store) {
  for (const auto& [name, write] : kWays) {
    for (int32_t at : {4096, 40000, 65528, 131000}) {
      CAPTURE(name);
      CAPTURE(at);
      size_t found = 1;
      in_store([&](Store& store) { setting.guest(store, [&](Guest& guest) { write(guest, at); }); });
      in_store([&](Store& store) { setting.guest(store, [&](Guest& guest) { found = leftovers(guest); }); });
      CHECK(found == 0);
    }
  }
}

}  // namespace

TEST_CASE("no guest finds what another has written") {
  const int random = ::open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  REQUIRE(random >= 0);
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline}) {
    for (bool dense : {false, true}) {
      for (bool bytes : {false, true}) {
        CAPTURE(static_cast<int>(tiers));
        CAPTURE(dense);
        CAPTURE(bytes);
        Setting setting(tiers, dense);
        if (bytes) {
          setting.wasi.stdin_bytes(std::string(300'000, 'x'));
        } else {
          setting.wasi.stdin_fd(random);  // the kernel writes to the memory
        }
        check_ways(setting, [&](const std::function<void(Store&)>& body) {
          Store store(setting.engine);
          body(store);
        });
        ExecutorConfig config;
        config.workers = 1;
        config.stack_bytes = size_t{512} << 10;
        Executor executor = ok(Executor::create(config));
        check_ways(setting, [&](const std::function<void(Store&)>& body) {
          Store store(setting.engine);
          ok(executor.spawn(store, [&] { body(store); })).join();
        });
      }
    }
  }
  ::close(random);
}

TEST_CASE("no guest finds what another has written, while others come and go and the executor is idle in between") {
  Setting setting(Tiers::Baseline, false);
  ExecutorConfig config;
  config.workers = 2;
  Executor executor = ok(Executor::create(config));
  std::atomic<size_t> wrong{0}, looked{0};
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Store>> stores;
    for (int i = 0; i < 300; ++i) {
      Store& store = *stores.emplace_back(std::make_unique<Store>(setting.engine));
      ok(executor.spawn(store, [&, i] {
        setting.guest(store, [&](Guest& guest) {
          wrong += leftovers(guest);
          ++looked;
          guest.run("fill", (i * 4099) % kBegin, std::min(kBegin - (i * 4099) % kBegin, 3 * i * i));
        });
      }));
      if (i % 7 == 0) executor.wait_idle(), stores.clear();
    }
    executor.wait_idle();
    if (round == 1) ::usleep(1'300'000);  // after a second it gives back what it keeps
  }
  CHECK(looked == 900);
  CHECK(wrong == 0);
}

}  // namespace vmrun::test
