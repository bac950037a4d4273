// Guests beside libuv: examples/event_loop.cpp with libuv's loop in place of epoll's. The module is
//
//   (module (import "host" "ask" (func (param i32) (result i32)))
//     (func (export "run") (param i32) (result i32)  local.get 0  call 0  i32.const 1  i32.add))
#include <uv.h>

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

constexpr int32_t kCalls = 100;

/// What the loop's callback works on.
struct Waiting {
  vmrun::Completions& completions;
  std::vector<std::unique_ptr<Call>> calls;
  int32_t ended = 0, right = 0;
};

/// The descriptor of the completions is readable.
void take_ends(uv_poll_t* poll, int status, int) {
  auto& waiting = *static_cast<Waiting*>(poll->data);
  if (status == 0) {
    for (const uint64_t token : waiting.completions.take()) {
      const vmrun::Result<int32_t>& result = waiting.calls[token]->result;
      waiting.right += result.ok() && *result == 2 * static_cast<int32_t>(token) + 1;
      ++waiting.ended;
    }
    if (waiting.ended < kCalls) return;
  }
  uv_poll_stop(poll);
  uv_close(reinterpret_cast<uv_handle_t*>(poll), nullptr);
}

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

  Waiting waiting{*completions, {}};
  for (int32_t i = 0; i < kCalls; ++i) {
    Call& call = *waiting.calls.emplace_back(std::make_unique<Call>(engine));
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

  uv_loop_t loop;
  uv_poll_t poll;
  if (uv_loop_init(&loop) != 0 || uv_poll_init(&loop, &poll, completions->descriptor()) != 0) return 1;
  poll.data = &waiting;
  uv_poll_start(&poll, UV_READABLE, take_ends);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  std::printf("%d calls ended, %d with the right result\n", waiting.ended, waiting.right);
  return waiting.right == kCalls ? 0 : 1;
}
