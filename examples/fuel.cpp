// Fuel: guests that may execute so many instructions and no more, wherever they run and however busy the machine is. The
// module is
//
//   (module
//     (import "env" "more" (func $more))
//     (func $count (export "count") (param $n i32) (result i32) (local $i i32)
//       (loop $on
//         (local.set $i (i32.add (local.get $i) (i32.const 1)))
//         (br_if $on (i32.lt_u (local.get $i) (local.get $n))))
//       (local.get $i))
//     (func (export "patient") (result i32)
//       (call $more)
//       (call $count (i32.const 1000))))
#include <cstdint>
#include <cstdio>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

const std::vector<uint8_t> kImage = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0d, 0x03, 0x60, 0x00, 0x00, 0x60, 0x01, 0x7f,
    0x01, 0x7f, 0x60, 0x00, 0x01, 0x7f, 0x02, 0x0c, 0x01, 0x03, 0x65, 0x6e, 0x76, 0x04, 0x6d, 0x6f, 0x72,
    0x65, 0x00, 0x00, 0x03, 0x03, 0x02, 0x01, 0x02, 0x07, 0x13, 0x02, 0x05, 0x63, 0x6f, 0x75, 0x6e, 0x74,
    0x00, 0x01, 0x07, 0x70, 0x61, 0x74, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x02, 0x0a, 0x23, 0x02, 0x17, 0x01,
    0x01, 0x7f, 0x03, 0x40, 0x20, 0x01, 0x41, 0x01, 0x6a, 0x21, 0x01, 0x20, 0x01, 0x20, 0x00, 0x49, 0x0d,
    0x00, 0x0b, 0x20, 0x01, 0x0b, 0x09, 0x00, 0x10, 0x00, 0x41, 0xe8, 0x07, 0x10, 0x01, 0x0b};

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

unsigned long long number(uint64_t n) { return n; }

}  // namespace

int main() {
  vmrun::Config config;
  config.fuel = true;  // all code of the engine uses up fuel, a unit an instruction
  vmrun::Engine engine(config);
  auto module = vmrun::Module::compile(engine, kImage, "counting");
  if (!module) return fail(module.error());

  // A store begins without fuel; each has its own.
  vmrun::Store store(engine);
  vmrun::Linker linker(engine);
  auto defined = linker.func_wrap("env", "more", [&] {
    std::printf("the host sees %llu units, and makes them 10000\n", number(store.fuel()));
    (void)store.set_fuel(10'000);
  });
  if (!defined) return fail(defined.error());
  auto instance = linker.instantiate(store, *module);
  if (!instance) return fail(instance.error());
  auto count = instance->func("count")->typed<int32_t(int32_t)>();
  if (!count) return fail(count.error());

  // Enough: 1 to enter, 8 for each iteration, 1 for the result.
  (void)store.set_fuel(1000);
  auto counted = count->call(100);
  if (!counted) return fail(counted.error());
  std::printf("counting to %d used up %llu units\n", *counted, number(1000 - store.fuel()));
  bool right = store.fuel() == 1000 - (1 + 8 * 100 + 1);

  // Not enough: it ends in front of what it cannot pay for, at the same place whatever compiled the code.
  (void)store.set_fuel(1000);
  counted = count->call(1'000'000);
  right &= !counted && counted.error().trap == vmrun::TrapCode::OutOfFuel;
  std::printf("counting to a million: %s, %llu units left\n", counted ? "it returned" : counted.error().message.c_str(),
              number(store.fuel()));
  right &= store.fuel() == (1000 - 1) % 8;

  // A host function may give more.
  (void)store.set_fuel(5);
  auto patient = instance->func("patient")->typed<int32_t()>();
  if (!patient) return fail(patient.error());
  counted = patient->call();
  if (!counted) return fail(counted.error());
  std::printf("counted to %d with what the host gave\n", *counted);
  return right && *counted == 1000 ? 0 : 1;
}
