// Memories: text into a guest and back, and a memory that guests on two threads share. The modules are
//
//   (module (memory (export "memory") 1)
//     (func (export "upper") (param $at i32) (param $size i32) (local $end i32)
//       (local.set $end (i32.add (local.get $at) (local.get $size)))
//       (block $done (loop $on
//         (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
//         (if (i32.lt_u (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)) (i32.const 26))
//           (then (i32.store8 (local.get $at) (i32.sub (i32.load8_u (local.get $at)) (i32.const 32)))))
//         (local.set $at (i32.add (local.get $at) (i32.const 1)))
//         (br $on)))))
//
//   (module (import "env" "memory" (memory 1 1 shared))
//     (func (export "add") (param i32) (result i32) (i32.atomic.rmw.add (i32.const 0) (local.get 0))))
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

const std::vector<uint8_t> kUpper = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x00, 0x03, 0x02, 0x01,
    0x00, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x12, 0x02, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, 0x05,
    0x75, 0x70, 0x70, 0x65, 0x72, 0x00, 0x00, 0x0a, 0x3f, 0x01, 0x3d, 0x01, 0x01, 0x7f, 0x20, 0x00, 0x20, 0x01, 0x6a,
    0x21, 0x02, 0x02, 0x40, 0x03, 0x40, 0x20, 0x00, 0x20, 0x02, 0x4f, 0x0d, 0x01, 0x20, 0x00, 0x2d, 0x00, 0x00, 0x41,
    0xe1, 0x00, 0x6b, 0x41, 0x1a, 0x49, 0x04, 0x40, 0x20, 0x00, 0x20, 0x00, 0x2d, 0x00, 0x00, 0x41, 0x20, 0x6b, 0x3a,
    0x00, 0x00, 0x0b, 0x20, 0x00, 0x41, 0x01, 0x6a, 0x21, 0x00, 0x0c, 0x00, 0x0b, 0x0b, 0x0b};
const std::vector<uint8_t> kAdder = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01,
                                     0x7f, 0x01, 0x7f, 0x02, 0x10, 0x01, 0x03, 0x65, 0x6e, 0x76, 0x06, 0x6d, 0x65,
                                     0x6d, 0x6f, 0x72, 0x79, 0x02, 0x03, 0x01, 0x01, 0x03, 0x02, 0x01, 0x00, 0x07,
                                     0x07, 0x01, 0x03, 0x61, 0x64, 0x64, 0x00, 0x00, 0x0a, 0x0c, 0x01, 0x0a, 0x00,
                                     0x41, 0x00, 0x20, 0x00, 0xfe, 0x1e, 0x02, 0x00, 0x0b};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

/// Copies `text` into the guest's memory, lets it change it there, and copies it out.
vmrun::Result<std::string> upper(vmrun::Instance instance, const std::string& text) {
  auto memory = instance.memory("memory");
  if (!memory) return memory.error();
  auto func = instance.func("upper");
  if (!func) return func.error();
  auto typed = func->typed<void(uint32_t, uint32_t)>();
  if (!typed) return typed.error();

  constexpr uint32_t kAt = 16;
  // An empty span: not all of that is inside.
  std::span<std::byte> place = memory->range(kAt, text.size());
  if (place.data() == nullptr) return vmrun::Error(vmrun::ErrorKind::Limit, "the text is too long for the guest");
  std::memcpy(place.data(), text.data(), text.size());
  if (auto done = typed->call(kAt, static_cast<uint32_t>(text.size())); !done) return done.error();
  place = memory->range(kAt, text.size());  // the guest may have grown its memory
  return std::string(reinterpret_cast<const char*>(place.data()), place.size());
}

/// Adds one to the shared word so many times, in a guest of this thread's own store.
vmrun::Result<void> count(const vmrun::Module& module, const vmrun::SharedMemory& memory, int times) {
  vmrun::Store store(module.engine());
  vmrun::Linker linker(module.engine());
  if (auto ok = linker.define("env", "memory", memory); !ok) return ok;
  auto instance = linker.instantiate(store, module);
  if (!instance) return instance.error();
  auto add = instance->func("add")->typed<int32_t(int32_t)>();
  for (int i = 0; i < times; ++i) {
    if (auto before = add->call(1); !before) return before.error();
  }
  return {};
}

}  // namespace

int main() {
  vmrun::Engine engine;
  auto module = vmrun::Module::compile(engine, kUpper, "upper");
  if (!module) return fail(module.error());
  vmrun::Store store(engine);
  auto instance = vmrun::Instance::instantiate(store, *module, {});
  if (!instance) return fail(instance.error());
  auto text = upper(*instance, "hello, memory");
  if (!text) return fail(text.error());
  std::printf("%s\n", text->c_str());
  if (auto huge = upper(*instance, std::string(100'000, 'x'))) return 1;

  auto adder = vmrun::Module::compile(engine, kAdder, "adder");
  if (!adder) return fail(adder.error());
  vmrun::MemoryType type;
  type.min = 1;
  type.max = 1;
  type.shared = true;
  auto shared = vmrun::SharedMemory::create(engine, type);
  if (!shared) return fail(shared.error());
  constexpr int kTimes = 100'000;
  vmrun::Result<void> other;
  std::thread thread([&] { other = count(*adder, *shared, kTimes); });
  vmrun::Result<void> own = count(*adder, *shared, kTimes);
  thread.join();
  if (!own || !other) return fail(own ? other.error() : own.error());
  int32_t sum;
  std::memcpy(&sum, shared->data().data(), sizeof sum);
  std::printf("two threads counted to %d\n", sum);
  return *text == "HELLO, MEMORY" && sum == 2 * kTimes ? 0 : 1;
}
