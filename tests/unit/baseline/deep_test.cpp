// Operand stacks thousands deep under everything that looks through the operands, and loops with more vectors than are
// worth copying. Were any of it done once for each operand and instruction, this would take minutes.
#include <doctest/doctest.h>

#include "jit/compiler.h"
#include "tests/support/module_bytes.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

constexpr uint32_t kDeep = 30'000, kLoops = 2'000;

/// Type 0: () -> (), type 1: (i32) -> i32. Function 0 does nothing; function 1, exported as "f", has the body.
test::Bytes module_with(const test::Bytes& body) {
  test::Bytes out = test::kHeader, code = {2, 2, 0, 0x0b};
  test::append_u32(code, static_cast<uint32_t>(body.size()));
  test::append(code, body);
  test::append_section(out, 1, {2, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f});
  test::append_section(out, 3, {2, 0, 1});
  test::append_section(out, 7, {1, 1, 'f', 0, 1});
  test::append_section(out, 10, code);
  return out;
}

/// Below `middle`, kDeep times: the parameter, 5 and the parameter plus 3. All are added up in the end.
test::Bytes deep(const test::Bytes& middle) {
  test::Bytes body = {1, 1, 0x7f};
  for (uint32_t i = 0; i < kDeep; ++i) {
    constexpr uint8_t kThree[][5] = {{0x20, 0}, {0x41, 5}, {0x20, 0, 0x41, 3, 0x6a}};
    body.insert(body.end(), kThree[i % 3], kThree[i % 3] + (i % 3 == 2 ? 5 : 2));
  }
  for (uint32_t i = 0; i < kDeep; ++i) test::append(body, middle);
  for (uint32_t i = 1; i < kDeep; ++i) body.push_back(0x6a);
  body.push_back(0x0b);
  return module_with(body);
}

int32_t run(const test::Bytes& bytes, Tiers tiers, int32_t n) {
  Config config;
  config.tiers = tiers;
  Engine engine(config);
  Result<Module> module = Module::compile(engine, bytes);
  REQUIRE(module);
  Store store(engine);
  Result<Instance> instance = Instance::instantiate(store, *module, {});
  REQUIRE(instance);
  Func f = *instance->func("f");
  const Val argument[] = {Val::i32(n)};
  Result<std::vector<Val>> results = f.call(argument);
  REQUIRE(results);
  if (tiers == Tiers::Baseline) CHECK(module->tier_stats(Tier::Baseline).functions >= 1);
  return (*results)[0].as_i32();
}

}  // namespace

TEST_CASE("deep stacks") {
  const test::Bytes middles[] = {
      {0x10, 0},                                                                    // call 0
      {0x20, 0, 0x04, 0x40, 0x0b},                                                  // local.get 0, if end
      {0x03, 0x40, 0x0b},                                                           // loop end
      {0x41, 7, 0x21, 1},                                                           // 1 = 7
      {0x20, 0, 0x41, 1, 0x6a, 0x21, 0},                                            // 0 = 0 + 1
      {0x20, 0, 0x41, 9, 0x46, 0x04, 0x40, 0x41, 2, 0x21, 0, 0x0b},                 // if (0 == 9) 0 = 2
      {0x20, 0, 0x20, 0, 0x20, 0, 0x6d, 0x6a, 0x1a},                                // drop(0 + 0 / 0)
      {0x02, 0x7f, 0x20, 0, 0x20, 0, 0x0d, 0, 0x1a, 0x41, 1, 0x0b, 0x22, 1, 0x1a},  // 1 = 0 ?: 1
  };
  for (const test::Bytes& middle : middles) {
    CAPTURE(middle[0]);
    const test::Bytes bytes = deep(middle);
    for (int32_t n : {4, 9}) {
      const auto third = static_cast<int32_t>(kDeep / 3);
      CHECK(run(bytes, Tiers::Baseline, n) == third * (n + 5 + n + 3));
    }
  }
}

TEST_CASE("a br_table that goes to tens of thousands of blocks with a result") {
  constexpr uint32_t kBlocks = 40'000;
  test::Bytes body = {0};
  for (uint32_t i = 0; i < kBlocks; ++i) body.insert(body.end(), {0x02, 0x7f});
  body.insert(body.end(), {0x41, 1, 0x20, 0, 0x0e});
  test::append_u32(body, kBlocks - 1);
  for (uint32_t i = 0; i < kBlocks; ++i) test::append_u32(body, i);
  // From the n-th of them on, each block adds one.
  for (uint32_t i = 0; i < kBlocks; ++i) body.insert(body.end(), {0x0b, 0x41, 1, 0x6a});
  body.push_back(0x0b);
  const test::Bytes bytes = module_with(body);
  for (int32_t n : {0, 1, 12'345, int32_t{kBlocks} - 1})
    CHECK(run(bytes, Tiers::Baseline, n) == int32_t{kBlocks} - n + 1);
}

TEST_CASE("very many loops around very many accesses") {
  test::Bytes body = {1, 1, 0x7f};
  for (uint32_t i = 0; i < kDeep; ++i) test::append(body, {0x03, 0x40});
  for (uint32_t i = 0; i < kDeep; ++i) test::append(body, {0x20, 0, 0x21, 1});
  for (uint32_t i = 0; i < kDeep; ++i) body.push_back(0x0b);
  test::append(body, {0x20, 1, 0x0b});
  CHECK(run(module_with(body), Tiers::Baseline, 31) == 31);
}

TEST_CASE("vectors at very many loops") {
  // As many locals, each a v128, as loops.
  test::Bytes body = {1};
  test::append_u32(body, kLoops);
  body.push_back(0x7b);
  for (uint32_t i = 0; i < kLoops; ++i) test::append(body, {0x03, 0x40, 0x0b});
  test::append(body, {0x20, 0, 0x0b});
  const test::Bytes bytes = module_with(body);
  auto module = test::decode(bytes);
  REQUIRE(module);
  jit::CompileRequest request;
  request.module = module->get();
  request.func_index = 1;
  const jit::CompileResult result = jit::make_baseline_compiler()->compile(request);
  CHECK(result.status == jit::CompileResult::Status::unsupported);
  CHECK(result.reason == "more vectors at loops than are worth copying");
  // It runs all the same.
  CHECK(run(bytes, Tiers::Auto, 12) == 12);
}
