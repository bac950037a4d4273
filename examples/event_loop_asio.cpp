// Guests beside asio: examples/event_loop.cpp with asio's loop in place of epoll's. What is asio's is one descriptor to wait
// for; timers, sockets and whatever else the program does with its loop go on meanwhile. The module is
//
//   (module (import "host" "ask" (func (param i32) (result i32)))
//     (func (export "run") (param i32) (result i32)  local.get 0  call 0  i32.const 1  i32.add))
#include <asio.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#include "vmrun/executor.h"
#include "vmrun/vmrun.h"

namespace {

using namespace std::chrono_literals;

const std::vector<uint8_t> kImage = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x02, 0x0c, 0x01,
    0x04, 0x68, 0x6f, 0x73, 0x74, 0x03, 0x61, 0x73, 0x6b, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00, 0x07, 0x07, 0x01, 0x03,
    0x72, 0x75, 0x6e, 0x00, 0x01, 0x0a, 0x0b, 0x01, 0x09, 0x00, 0x20, 0x00, 0x10, 0x00, 0x41, 0x01, 0x6a, 0x0b,
};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

/// A call into a guest: its store is the task's until the task has ended.
struct Call {
  explicit Call(const vmrun::Engine& engine) : store(engine) {}
  vmrun::Store store;
  vmrun::Result<int32_t> result = 0;
};

/// Hands the ends of calls to asio's loop.
class Ends {
 public:
  Ends(asio::io_context& loop, vmrun::Completions& completions)
      : readable_(loop, completions.descriptor()), completions_(completions) {}
  ~Ends() { readable_.release(); }  // the descriptor is the completions' own
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;

  /// Calls `ended(token)` for `left` ends, in the loop.
  template <class F>
  void wait(size_t left, F ended) {
    if (left == 0) return;
    readable_.async_wait(asio::posix::stream_descriptor::wait_read, [this, left, ended](const asio::error_code& error) {
      if (error) return;
      const std::vector<uint64_t> tokens = completions_.take();
      for (const uint64_t token : tokens) ended(token);
      wait(left - tokens.size(), ended);
    });
  }

 private:
  asio::posix::stream_descriptor readable_;
  vmrun::Completions& completions_;
};

}  // namespace

int main() {
  vmrun::Engine engine;
  auto module = vmrun::Module::compile(engine, kImage, "example");
  if (!module) return fail(module.error());
  vmrun::Linker linker(engine);
  auto defined = linker.func_wrap("host", "ask", [](int32_t number) -> int32_t {
    vmrun::this_task::sleep_for(20ms);  // suspends the guest
    return 2 * number;
  });
  if (!defined) return fail(defined.error());
  auto completions = vmrun::Completions::create();
  if (!completions) return fail(completions.error());
  auto executor = vmrun::Executor::create();
  if (!executor) return fail(executor.error());

  constexpr int32_t kCalls = 100;
  std::vector<std::unique_ptr<Call>> calls;
  for (int32_t i = 0; i < kCalls; ++i) {
    Call& call = *calls.emplace_back(std::make_unique<Call>(engine));
    vmrun::TaskOptions options;
    options.completions = &*completions;
    options.token = static_cast<uint64_t>(i);
    auto task = executor->spawn(
        call.store,
        [&, i] {
          auto instance = linker.instantiate(call.store, *module);
          if (!instance) {
            call.result = instance.error();
            return;
          }
          auto run = instance->func("run")->typed<int32_t(int32_t)>();
          call.result = run ? run->call(i) : vmrun::Result<int32_t>(run.error());
        },
        options);
    if (!task) return fail(task.error());
  }

  asio::io_context loop;
  // Something of the program's own.
  int ticks = 0;
  asio::steady_timer timer(loop, 5ms);
  timer.async_wait([&](const asio::error_code&) { ++ticks; });
  Ends ends(loop, *completions);
  int32_t right = 0;
  ends.wait(kCalls, [&](uint64_t token) {
    const vmrun::Result<int32_t>& result = calls[token]->result;
    right += result.ok() && *result == 2 * static_cast<int32_t>(token) + 1;
  });
  loop.run();
  std::printf("%d of %d calls ended with the right result, and the timer rang\n", right, kCalls);
  return right == kCalls && ticks == 1 ? 0 : 1;
}
