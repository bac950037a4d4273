// Tail calls between the tiers take constant stack, and both stacks have one limit.
#include "tests/cross_tier/cases.h"
#include "tests/support/tiers_world.h"
#include "vm/runtime/store.h"

namespace vmrun::spine {
namespace {

constexpr vm::Tier kAll[] = {vm::Tier::interp, vm::Tier::baseline, vm::Tier::opt};
enum class How : uint8_t { direct, indirect, beyond_registers };
constexpr const char* kHows[] = {"direct", "indirect", "arguments beyond the registers"};
constexpr unsigned kHowCount = std::size(kHows), kTierCount = std::size(kAll);

/// More than either stack has room for, at 16 bytes a call.
constexpr int32_t kTimes = 1'000'000;

Types params_of(How how) {
  Types params = {i32, i64};
  if (how == How::beyond_registers) {
    for (int i = 0; i < 9; ++i) params.push_back(i64), params.push_back(f64);
  }
  return params;
}

/// Function `self` of type (i32 left, i64 sum, ...) -> i64: tail-calls `other` with one less left and one more in sum.
Code partner(How how, uint32_t type, uint32_t other, uint32_t element) {
  Code c;
  c.block().get(0).br_if(0).get(1).ret().end();
  c.get(0).i32_const(1).i32_sub().get(1).i64_const(1).i64_add();
  const auto params = static_cast<uint32_t>(params_of(how).size());
  for (uint32_t i = 2; i < params; ++i) c.get(i);
  how == How::indirect ? c.i32_const(static_cast<int32_t>(element)).return_call_indirect(type) : c.return_call(other);
  return c;
}

void tail_case(unsigned number) {
  const auto how = static_cast<How>(number % kHowCount);
  const vm::Tier first = kAll[number / kHowCount % kTierCount], second = kAll[number / kHowCount / kTierCount];
  ModuleBuilder m;
  const Types params = params_of(how);
  const uint32_t type = m.type(params, {i64});
  const uint32_t a = m.func("a", type), b = m.func("b", type);
  m.element(a), m.element(b);
  m.define(a, partner(how, type, b, 1));
  m.define(b, partner(how, type, a, 0));
  World world;
  const Module module = world.compile(m.build());
  World::promote(module, a, first);
  World::promote(module, b, second);
  Instance instance = ok(world.linker.instantiate(world.store, module));
  std::vector<Val> args;
  for (Type t : params) args.push_back(t == i32 ? Val::i32(kTimes) : t == i64 ? Val::i64(0) : Val::f64(0));
  for (int round = 0; round < 2; ++round) {
    CHECK(ok(ok(instance.func("a")).call(args))[0].as_i64() == kTimes);
    CHECK(world.store.impl().vcpu().activation == nullptr);
  }
  for (auto [func, tier] : {std::pair{a, first}, {b, second}}) {
    const auto runs = World::runs(module, func);
    for (unsigned t = 0; t < vm::kTiers; ++t) {
      // A pair of one tier of the optimiser may have become a loop.
      if (first == vm::Tier::opt && second == vm::Tier::opt) continue;
      CHECK(runs[t] == (t == static_cast<unsigned>(tier) ? uint64_t{kTimes} + (func == a ? 2 : 0) : 0));
    }
  }
}
std::string tail_name(unsigned number) {
  return std::string("tail calls: ") + kHows[number % kHowCount] + ": " +
         vm::to_string(kAll[number / kHowCount % kTierCount]) + " and " +
         vm::to_string(kAll[number / kHowCount / kTierCount]);
}
[[maybe_unused]] const int registered =
    register_cases<kHowCount * kTierCount * kTierCount, tail_case>(tail_name, __FILE__);

TEST_CASE("spine: tail calls: both stacks have one limit") {
  // a and b call each other without end, in two tiers, having been entered from a third: however frames are spread over
  // the stacks, the store's limit is what they may use in all.
  for (unsigned n = 0; n < kTierCount * kTierCount * kTierCount; ++n) {
    CAPTURE(n);
    ModuleBuilder m;
    const uint32_t type = m.type({i32}, {i32});
    const uint32_t start = m.func("start", type), a = m.func("a", type), b = m.func("b", type);
    m.define(start, Code().get(0).call(a).i32_const(1).i32_add());
    // The depth is left in memory.
    for (auto [self, other] : {std::pair{a, b}, {b, a}}) {
      m.define(self,
               Code().i32_const(0).get(0).i32_store().get(0).i32_const(1).i32_add().call(other).i32_const(1).i32_add());
    }
    World world;
    constexpr uint64_t kStack = 256 << 10;
    StoreLimits limits;
    limits.stack_bytes = kStack;
    Store store(world.engine, limits);
    const Module module = world.compile(m.build());
    World::promote(module, start, kAll[n % kTierCount]);
    World::promote(module, a, kAll[n / kTierCount % kTierCount]);
    World::promote(module, b, kAll[n / kTierCount / kTierCount]);
    Instance instance = ok(world.linker.instantiate(store, module));
    auto result = ok(instance.func("start")).call({Val::i32(1)});
    REQUIRE_FALSE(result);
    CHECK(result.error().trap == TrapCode::StackOverflow);
    const uint64_t depth = *reinterpret_cast<const uint32_t*>(ok(instance.memory("memory")).data().data());
    // No frame is smaller than 16 bytes or larger than 1 KiB, crossings included.
    CHECK(depth <= kStack / 16);
    CHECK(depth >= kStack / 1024);
  }
}

}  // namespace
}  // namespace vmrun::spine
