// An interrupt ends a guest that waits in a system call, whenever it comes.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "doctest/doctest.h"
#include "jit/stop/preempt.h"
#include "tests/support/ok.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

namespace vmrun {
namespace {

using test::ok;

/// A guest whose standard input never has anything, and whose standard output is never read.
struct Waiting {
  int in[2], out[2];
  Engine engine;
  Store store;
  Linker linker;
  Instance instance{nullptr};

  static Config config(Tiers tiers) {
    Config config;
    config.tiers = tiers;
    return config;
  }
  explicit Waiting(Tiers tiers) : engine(config(tiers)), store(engine), linker(engine) {
    REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
    const WasiContext wasi = ok(WasiContext::create(WasiConfig().stdin_fd(in[0]).stdout_fd(out[1])));
    REQUIRE(add_wasi(linker, wasi));
    instance = ok(linker.instantiate(store, ok(Module::compile_file(engine, VMRUN_FIXTURES "/wasi_wait.wasm"))));
  }
  ~Waiting() {
    for (int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
  }
  Result<std::vector<Val>> call(const char* name) { return ok(instance.func(name)).call(); }
};

void check_interrupted(const Result<std::vector<Val>>& result) {
  REQUIRE(!result);
  CHECK(result.error().kind == ErrorKind::Trap);
  CHECK(result.error().trap == TrapCode::Interrupted);
}

TEST_CASE("an interrupt ends calls that wait: reading, writing, sleeping, polling") {
  if (!jit::kStopsBySignal) return;
  for (Tiers tiers : {Tiers::Interp, Tiers::Baseline, Tiers::Opt, Tiers::Auto}) {
    for (const char* name : {"read", "write_on", "sleep", "poll"}) {
      CAPTURE(static_cast<int>(tiers));
      CAPTURE(name);
      Waiting w(tiers);
      std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        w.store.interrupt();
      });
      check_interrupted(w.call(name));
      other.join();
    }
  }
}

TEST_CASE("an interrupt that comes just before the wait is not lost") {
  if (!jit::kStopsBySignal) return;
  Waiting w(Tiers::Baseline);
  std::atomic<int> round{0};
  constexpr int kRounds = 4000;
  std::thread other([&] {
    for (int i = 1; i <= kRounds; ++i) {
      while (round.load() != i) std::this_thread::yield();
      for (volatile int spin = 0; spin < (i % 40) * 25; spin = spin + 1) {
      }
      w.store.interrupt();
    }
  });
  for (int i = 1; i <= kRounds; ++i) {
    round = i;
    check_interrupted(w.call("read"));
  }
  other.join();
}

}  // namespace
}  // namespace vmrun
