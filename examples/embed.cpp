// Embedding in one page: a host function, a call into the guest, and what a trap looks like.
//
//   embed            runs with the module below, which is
//                    (module (import "host" "log" (func (param i32)))
//                      (func (export "sum_to") (param i32) (result i32) (local i32)
//                        loop  local.get 1  local.get 0  i32.add  local.set 1
//                              local.get 0  i32.const 1  i32.sub  local.tee 0  br_if 0  end
//                        local.get 1  call 0  local.get 1)
//                      (func (export "divide") (param i32 i32) (result i32)
//                        local.get 0  local.get 1  i32.div_s))
#include <cstdint>
#include <cstdio>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

const std::vector<uint8_t> kImage = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x10, 0x03, 0x60, 0x01, 0x7f, 0x00, 0x60, 0x01, 0x7f,
    0x01, 0x7f, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f, 0x02, 0x0c, 0x01, 0x04, 0x68, 0x6f, 0x73, 0x74, 0x03, 0x6c,
    0x6f, 0x67, 0x00, 0x00, 0x03, 0x03, 0x02, 0x01, 0x02, 0x07, 0x13, 0x02, 0x06, 0x73, 0x75, 0x6d, 0x5f, 0x74,
    0x6f, 0x00, 0x01, 0x06, 0x64, 0x69, 0x76, 0x69, 0x64, 0x65, 0x00, 0x02, 0x0a, 0x27, 0x02, 0x1d, 0x01, 0x01,
    0x7f, 0x03, 0x40, 0x20, 0x01, 0x20, 0x00, 0x6a, 0x21, 0x01, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x22, 0x00, 0x0d,
    0x00, 0x0b, 0x20, 0x01, 0x10, 0x00, 0x20, 0x01, 0x0b, 0x07, 0x00, 0x20, 0x00, 0x20, 0x01, 0x6d, 0x0b,
};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

}  // namespace

int main() {
  // An engine and its modules may be shared by threads; a store and what lives in it belong to one thread at a time.
  vmrun::Engine engine;
  auto module = vmrun::Module::compile(engine, kImage, "example");
  if (!module) return fail(module.error());

  // A linker holds what guests may import. Host functions are plain callables; their wasm type follows from theirs.
  vmrun::Linker linker(engine);
  auto defined = linker.func_wrap("host", "log", [](int32_t value) { std::printf("guest says %d\n", value); });
  if (!defined) return fail(defined.error());

  vmrun::StoreLimits limits;
  limits.memory_bytes = 16 << 20;
  vmrun::Store store(engine, limits);
  auto instance = linker.instantiate(store, *module);
  if (!instance) return fail(instance.error());

  // Typed: checked once, then as cheap as a call gets.
  auto sum_to = instance->func("sum_to")->typed<int32_t(int32_t)>();
  if (!sum_to) return fail(sum_to.error());
  auto sum = sum_to->call(100);
  if (!sum) return fail(sum.error());
  std::printf("sum_to(100) = %d\n", *sum);

  // Dynamic: values with their types. This one traps, and says where.
  auto quotient = instance->func("divide")->call({vmrun::Val::i32(1), vmrun::Val::i32(0)});
  if (quotient) return 1;
  std::printf("divide(1, 0): %s\n", quotient.error().to_string().c_str());
  return quotient.error().trap == vmrun::TrapCode::IntegerDivideByZero ? 0 : 1;
}
