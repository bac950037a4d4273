// Limits: of memory, of the stack, of time, and an end from another thread. After each the store is as good as before. The
// module is
//
//   (module (memory 1)
//     (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
//     (func $deep (export "deep") (call $deep))
//     (func (export "spin") (loop $on (br $on))))
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

using namespace std::chrono_literals;

const std::vector<uint8_t> kImage = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x09, 0x02, 0x60, 0x01,
                                     0x7f, 0x01, 0x7f, 0x60, 0x00, 0x00, 0x03, 0x04, 0x03, 0x00, 0x01, 0x01, 0x05,
                                     0x03, 0x01, 0x00, 0x01, 0x07, 0x16, 0x03, 0x04, 0x67, 0x72, 0x6f, 0x77, 0x00,
                                     0x00, 0x04, 0x64, 0x65, 0x65, 0x70, 0x00, 0x01, 0x04, 0x73, 0x70, 0x69, 0x6e,
                                     0x00, 0x02, 0x0a, 0x15, 0x03, 0x06, 0x00, 0x20, 0x00, 0x40, 0x00, 0x0b, 0x04,
                                     0x00, 0x10, 0x01, 0x0b, 0x07, 0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x0b};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

bool traps(const char* what, const vmrun::Result<std::vector<vmrun::Val>>& result, vmrun::TrapCode code) {
  std::printf("%s: %s\n", what, result ? "it returned" : result.error().message.c_str());
  return !result && result.error().trap == code;
}

}  // namespace

int main() {
  vmrun::Engine engine;
  auto module = vmrun::Module::compile(engine, kImage, "hungry");
  if (!module) return fail(module.error());

  vmrun::StoreLimits limits;
  limits.memory_bytes = 4 << 20;  // of all memories of the store
  limits.stack_bytes = 256 << 10;
  vmrun::Store store(engine, limits);
  auto instance = vmrun::Instance::instantiate(store, *module, {});
  if (!instance) return fail(instance.error());

  // Memory: growth fails, which a guest sees as -1.
  auto grow = instance->func("grow")->typed<int32_t(int32_t)>();
  auto too_much = grow->call(1000);
  if (!too_much) return fail(too_much.error());
  std::printf("growing by 1000 pages: %d\n", *too_much);
  bool right = *too_much == -1 && *grow->call(10) == 1;

  // The stack: recursion traps.
  right &= traps("endless recursion", instance->func("deep")->call(), vmrun::TrapCode::StackOverflow);

  // Time: for the calls that are made while the deadline lives.
  {
    const vmrun::Deadline deadline(store, 50ms);
    right &= traps("endless loop, 50 ms", instance->func("spin")->call(), vmrun::TrapCode::Interrupted);
  }

  // Another thread changes its mind.
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    store.interrupt();
  });
  right &= traps("endless loop, interrupted", instance->func("spin")->call(), vmrun::TrapCode::Interrupted);
  other.join();

  right &= *grow->call(0) == 11;
  std::printf("%llu bytes at most\n", static_cast<unsigned long long>(store.peak_memory_bytes()));
  return right ? 0 : 1;
}
