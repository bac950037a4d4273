// Guests beside an event loop that is not ours: epoll here, asio or libuv alike.
//
// The loop hands out calls into guests and learns of their ends by one descriptor. The guests ask the host for something
// that takes a while; each is suspended meanwhile, and no thread waits with it. The module is
//
//   (module (import "host" "ask" (func (param i32) (result i32)))
//     (func (export "run") (param i32) (result i32)  local.get 0  call 0  i32.const 1  i32.add))
#include <sys/epoll.h>
#include <unistd.h>

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

}  // namespace

int main() {
  vmrun::Engine engine;
  auto module = vmrun::Module::compile(engine, kImage, "example");
  if (!module) return fail(module.error());
  vmrun::Linker linker(engine);
  auto defined = linker.func_wrap("host", "ask", [](int32_t number) -> int32_t {
    vmrun::this_task::sleep_for(20ms);  // suspends the guest; so do vmrun/sync.h and this_task::wait_fd
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
    options.timeout = 10s;  // a guest that takes longer traps
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

  const int loop = epoll_create1(EPOLL_CLOEXEC);
  epoll_event interest{};
  interest.events = EPOLLIN;
  epoll_ctl(loop, EPOLL_CTL_ADD, completions->descriptor(), &interest);
  int32_t ended = 0, right = 0;
  while (ended < kCalls) {
    epoll_event event;
    if (epoll_wait(loop, &event, 1, -1) != 1) continue;
    for (const uint64_t token : completions->take()) {
      const Call& call = *calls[token];
      if (!call.result) return fail(call.result.error());
      right += *call.result == 2 * static_cast<int32_t>(token) + 1;
      ++ended;
    }
  }
  close(loop);
  std::printf("%d calls ended, %d with the right result\n", ended, right);
  return right == kCalls ? 0 : 1;
}
