// Loops over memory in tier-2 code: copies of them whose accesses cannot fault are vectorised, and whatever a loop
// does, at the memory's end, beyond 32 bits or over what it has just written, its result, its trap, the trap's place
// and the memory are then those of the interpreter.
#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "tests/support/tiers_world.h"
#include "tests/unit/opt/fixture.h"
#include "tests/unit/opt/seeds.h"

using namespace vmrun;

namespace {

constexpr uint32_t kPage = 65536;

/// A module with one random function of two pointers and a count: loops of loads and stores by pointers that move.
class RandomLoops {
 public:
  explicit RandomLoops(uint64_t seed) : random_(seed) {
    using namespace spine;
    const uint32_t subject = m_.func("subject", m_.type({i32, i32, i32}, {i64}));
    // Locals: pointers 0, 1, the count 2, the index 3, what is carried from iteration to iteration 4, the sum 5.
    for (uint32_t i = 0; i < 1 + pick(2); ++i) loop();
    c_.get(4).i64_extend_i32_u().get(5).i64_add();
    m_.define(subject, c_, {i32, i32, i64});
    image = m_.build();
  }
  spine::Bytes image;

 private:
  uint32_t pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  /// Pushes an address; returns the offset beside it.
  uint32_t address() {
    switch (pick(6)) {
      case 0: c_.get(0).get(3).i32_add(); break;                                // p[i]
      case 1: c_.get(1).get(3).i32_const(pick(4)).op({0x74}).i32_add(); break;  // q[i << n]
      case 2: c_.get(pick(2)).i32_const(static_cast<int32_t>(pick(64)) - 32).i32_add(); break;
      case 3: c_.i32_const(static_cast<int32_t>(pick(kPage))).get(3).i32_add(); break;
      default: c_.get(pick(2)); break;
    }
    return pick(4) == 0 ? pick(40) : 4 * pick(3);
  }
  void value() {
    switch (pick(5)) {
      case 0: c_.get(3); break;
      case 1: c_.get(4); break;
      default: load(); break;
    }
    if (pick(3) == 0) c_.i32_const(static_cast<int32_t>(pick(1000))).op({static_cast<uint8_t>(0x6a + pick(3))});
    if (pick(4) == 0) c_.get(4).i32_add();
  }
  void load() {
    static constexpr uint8_t kLoads[] = {0x28, 0x28, 0x2c, 0x2d, 0x2e, 0x2f};
    const uint32_t offset = address();
    c_.op({kLoads[pick(6)], 0}).u(offset);
  }
  void statement(int depth) {
    using namespace spine;
    static constexpr uint8_t kStores[] = {0x36, 0x36, 0x3a, 0x3b};
    switch (pick(depth == 0 ? 5 : 4)) {
      case 0: value(), c_.set(4); break;
      case 1: value(), c_.i64_extend_i32_u().get(5).i64_add().set(5); break;
      case 4:
        value();
        c_.op({0x04, 0x40});
        statement(1);
        c_.end();
        break;
      default: {
        const uint32_t offset = address();
        value();
        c_.op({kStores[pick(4)], 0}).u(offset);
      }
    }
  }
  void loop() {
    const int32_t by = pick(3) == 0 ? -1 : 1, step = static_cast<int32_t>(1 + pick(3)) * by;
    if (by > 0) c_.i32_const(0).set(3);
    if (by < 0) c_.get(2).set(3);
    c_.block().get(2).i32_eqz().br_if(0).loop();
    for (uint32_t i = 0, n = 1 + pick(4); i < n; ++i) statement(0);
    static constexpr int32_t kSteps[] = {0, 1, 1, 2, 4, 4, 8, 16, -1, -4, -8};
    for (uint32_t p = 0; p < 2; ++p) {
      if (const int32_t by_pointer = kSteps[pick(11)]; by_pointer != 0)
        c_.get(p).i32_const(by_pointer).i32_add().set(p);
    }
    c_.get(3).i32_const(step).i32_add().tee(3);
    if (by < 0) {
      c_.i32_const(static_cast<int32_t>(pick(3)) - 1 - step);
      c_.op({static_cast<uint8_t>(0x4a + pick(2))});  // gt_s, gt_u
    } else {
      c_.get(2);
      static constexpr uint8_t kCompares[] = {0x47, 0x48, 0x49, 0x4c, 0x4d};  // ne, lt_s, lt_u, le_s, le_u
      c_.op({kCompares[step == 1 ? pick(5) : 1 + pick(2)]});
    }
    c_.br_if(0).end().end();
  }

  std::mt19937_64 random_;
  spine::ModuleBuilder m_;
  spine::Code c_;
};

/// Calls with pointers in the middle, at both ends, beyond, and close to each other; after each, what came of it and
/// what is in memory.
std::string outcome(spine::World& world, const Module& module, uint64_t seed) {
  std::mt19937_64 random(seed);
  Store store(world.engine);
  Instance instance = spine::ok(world.linker.instantiate(store, module));
  Func func = spine::ok(instance.func("subject"));
  auto subject = spine::ok(func.typed<int64_t(int32_t, int32_t, int32_t)>());
  std::byte* memory = func.impl()->instance->memory0_base;
  for (uint32_t i = 0; i < kPage; ++i) memory[i] = static_cast<std::byte>(random());
  std::string text;
  for (int call = 0; call < 14; ++call) {
    auto place = [&]() -> uint32_t {
      switch (random() % 6) {
        case 0: return static_cast<uint32_t>(kPage - random() % 400);
        case 1: return static_cast<uint32_t>(random() % 400);
        case 2: return static_cast<uint32_t>(0 - random() % 400);
        default: return static_cast<uint32_t>(random() % (kPage - 8192) + 4096);
      }
    };
    const uint32_t p = place();
    const uint32_t q = random() % 2 == 0 ? p + static_cast<uint32_t>(random() % 80) - 40 : place();
    const uint32_t n = static_cast<uint32_t>(random() % (call % 3 == 0 ? 20 : 300));
    Result<int64_t> result = subject.call(static_cast<int32_t>(p), static_cast<int32_t>(q), static_cast<int32_t>(n));
    if (result) {
      text += std::to_string(*result);
    } else {
      text += result.error().message;
      for (const auto& frame : result.error().backtrace) text += " @" + std::to_string(frame.offset);
    }
    uint64_t hash = 14695981039346656037u;
    for (uint32_t i = 0; i < kPage; i += 8) {
      uint64_t word;
      std::memcpy(&word, memory + i, 8);
      hash = (hash ^ word) * 1099511628211u;
    }
    text += " " + std::to_string(hash) + "\n";
  }
  return text;
}

/// The code of a loop that adds up `n` words from `p`.
spine::Bytes sum_of_words() {
  using namespace spine;
  ModuleBuilder m;
  Code c;
  c.loop().get(2).get(0).i32_load().i32_add().set(2);
  c.get(0).i32_const(4).i32_add().set(0);
  c.get(1).i32_const(1).i32_sub().tee(1).br_if(0).end().get(2);
  m.define(m.func("sum", m.type({i32, i32}, {i32})), c, {i32});
  return m.build();
}

}  // namespace

TEST_CASE("random loops over memory do what the interpreter does") {
  spine::World world;
  for (uint64_t seed : vmrun::test::seeds(40)) {
    CAPTURE(seed);
    const spine::Bytes image = RandomLoops(seed).image;
    world.engine.impl()->tiers->set_schedule(spine::World::nothing());
    const std::string expected = outcome(world, world.compile(image), seed);
    world.engine.impl()->tiers->set_schedule({{0, jit::kWholeFunction, 0, vm::Tier::opt}});
    CHECK(outcome(world, world.compile(image), seed) == expected);
  }
}

TEST_CASE("a loop over guarded memory is vectorised, and exact where it traps") {
  vmrun::test::Bench bench(sum_of_words());
  const jit::CodeObject* code = bench.compile("sum");
  const std::string text =
      vmrun::test::plugin().disassemble(code->begin, code->text, reinterpret_cast<uint64_t>(code->begin));
  CHECK(text.find("ymm") != std::string::npos);
}
