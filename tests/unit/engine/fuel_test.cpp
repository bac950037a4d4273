// Fuel: what guests use up is known beforehand, and the same in every tier. tests/fixtures/fuel.wat has the numbers.
#include "vm/wasm/fuel.h"

#include <chrono>
#include <vector>

#include "tests/unit/engine/fixture.h"
#include "vm/wasm/module.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

struct Way {
  const char* name;
  Tiers tiers;
  Effort effort;
  Inlining inlining = Inlining::On;
  bool dense = false;
};
constexpr Way kTiers[] = {
    {"quick", Tiers::Interp, Effort::Quick},
    {"careful", Tiers::Interp, Effort::Careful},
    {"quick, checked", Tiers::Interp, Effort::Quick, Inlining::On, true},
    {"careful, checked", Tiers::Interp, Effort::Careful, Inlining::On, true},
    {"baseline", Tiers::Baseline, Effort::Auto},
    {"baseline, checked", Tiers::Baseline, Effort::Auto, Inlining::On, true},
    {"optimised", Tiers::Opt, Effort::Auto},
    {"optimised, all inlined", Tiers::Opt, Effort::Auto, Inlining::All},
    {"optimised, nothing inlined", Tiers::Opt, Effort::Auto, Inlining::Off},
    {"optimised, checked", Tiers::Opt, Effort::Auto, Inlining::On, true},
    {"steps", Tiers::Steps, Effort::Auto},
};

constexpr uint64_t kPlenty = uint64_t{1} << 40;

Config metered(const Way& tier = kTiers[0]) {
  Config config;
  config.tiers = tier.tiers;
  config.effort = tier.effort;
  config.inlining = tier.inlining;
  config.dense_memory = tier.dense;
  config.fuel = true;
  return config;
}

struct Metered {
  Engine engine;
  Store store;
  std::vector<uint64_t> seen;  // by the host function: what is left
  uint64_t refill = 0;         // what it sets, if anything
  Instance instance;

  explicit Metered(const Config& config, const StoreLimits& limits = {})
      : engine(config), store(engine, limits), instance(nullptr) {
    Linker linker(engine);
    ok(linker.func_wrap("env", "host", [this](int32_t) {
      seen.push_back(store.fuel());
      if (refill != 0) ok(store.set_fuel(refill));
    }));
    instance = ok(linker.instantiate(store, load(engine, "fuel")));
  }

  struct Ended {
    uint64_t used = 0;
    TrapCode trap = TrapCode::None;
    std::vector<Val> results;
  };
  Ended call(const char* name, std::initializer_list<int32_t> args, uint64_t fuel = kPlenty) {
    ok(store.set_fuel(fuel));
    std::vector<Val> values;
    for (int32_t arg : args) values.push_back(Val::i32(arg));
    Result<std::vector<Val>> done = ok(instance.func(name)).call(values);
    Ended outcome;
    outcome.used = fuel - store.fuel();
    if (done) {
      outcome.results = *done;
    } else {
      outcome.trap = done.error().trap;
    }
    return outcome;
  }
  uint64_t used(const char* name, std::initializer_list<int32_t> args) { return call(name, args).used; }
  int32_t word(uint64_t at) {
    int32_t value = 0;
    std::memcpy(&value, ok(instance.memory("memory")).data().data() + at, sizeof value);
    return value;
  }
};

template <class Check>
void in_every_tier(Check check) {
  for (const Way& tier : kTiers) {
    CAPTURE(tier.name);
    Metered guest(metered(tier));
    // More than once: functions move up.
    for (int round = 0; round < 3; ++round) check(guest);
  }
}

}  // namespace

TEST_CASE("fuel: an instruction costs a unit, and so does the entry") {
  in_every_tier([](Metered& guest) {
    CHECK(guest.used("nothing", {}) == 1);
    CHECK(guest.used("sum", {3, 4}) == 4);
    CHECK(guest.used("loop", {0}) == 1 + 3 + 1);
    CHECK(guest.used("loop", {1}) == 1 + 3 + 9 + 1);
    CHECK(guest.used("loop", {1000}) == 1 + 3 + 9000 + 1);
  });
}

TEST_CASE("fuel: very many locals and clauses cost more") {
  in_every_tier([](Metered& guest) { CHECK(guest.used("many_locals", {5}) == 1 + 18 + 1); });
  // (func (export "f") (param i32) (result i32) (block (try_table (catch_all 0) ...)) local.get 0), with 20 clauses
  std::vector<uint8_t> image{0, 'a', 's', 'm', 1, 0,   0, 0, 1,  6,  1, 0x60, 1, 0x7f, 1,    0x7f, 3,    2, 1,
                             0, 7,   5,   1,   1, 'f', 0, 0, 10, 53, 1, 51,   0, 2,    0x40, 0x1f, 0x40, 20};
  for (int i = 0; i < 20; ++i) image.insert(image.end(), {2, 0});
  image.insert(image.end(), {0x0b, 0x0b, 0x20, 0, 0x0b});
  for (const Way& tier : kTiers) {
    CAPTURE(tier.name);
    const Engine engine(metered(tier));
    const Module module = ok(Module::compile(engine, image, "clauses"));
    Store store(engine);
    const Instance instance = ok(Instance::instantiate(store, module, {}));
    ok(store.set_fuel(100));
    CHECK(ok(ok(instance.func("f")).call({Val::i32(5)}))[0].as_i32() == 5);
    CHECK(100 - store.fuel() == 1 + 4 + 1);
  }
}

TEST_CASE("fuel: a counted loop is paid for to the unit, however it runs, and stops where it cannot be") {
  static constexpr int32_t kWords = 256;
  static constexpr uint64_t kAll = 1 + 16 * kWords;
  in_every_tier([](Metered& guest) {
    auto* words = reinterpret_cast<int32_t*>(ok(guest.instance.memory("memory")).data().data());
    const auto fill = [&] {
      for (int32_t i = 0; i < kWords; ++i) {
        words[i] = i;
        words[1024 + i] = 7 * i;
        words[2048 + i] = -1;
      }
    };
    const auto is_done = [&](int32_t from, int32_t to) {
      for (int32_t i = from; i < to; ++i) {
        if (words[2048 + i] != 8 * i) return false;
      }
      return true;
    };
    for (const uint64_t fuel : {kPlenty, kAll, kAll + 15}) {
      fill();
      const auto all = guest.call("add_arrays", {4 * kWords}, fuel);
      CHECK(all.trap == TrapCode::None);
      CHECK(all.used == kAll);
      CHECK(is_done(0, kWords));
    }
    for (const int32_t words_paid : {0, 1, 7, 100, kWords - 1}) {
      for (const uint64_t more : {0, 15}) {
        fill();
        const uint64_t paid = 1 + 16 * static_cast<uint64_t>(words_paid);
        const auto cut = guest.call("add_arrays", {4 * kWords}, paid + more);
        CHECK(cut.trap == TrapCode::OutOfFuel);
        CHECK(cut.used == paid);
        CHECK(is_done(0, words_paid));
        CHECK(words[2048 + words_paid] == -1);
      }
    }
    // It leaves the memory on its way: what was done until then is paid for, and no more.
    const auto beyond = guest.call("add_arrays", {-4});
    CHECK(beyond.trap == TrapCode::MemoryOutOfBounds);
    CHECK(beyond.used == 1 + 16 * ((65536 - 8192) / 4) + 9);
  });
}

namespace {

/// What `winding` does with so much fuel, segment by segment.
struct Wound {
  uint64_t left;
  int32_t odd = 0, sum = 0;  // as they are in the memory
  bool ends = false;
  Wound(int32_t n, uint64_t fuel) : left(fuel) { ends = run(n); }

 private:
  bool pay(uint64_t units) {
    if (left < units) return false;
    left -= units;
    return true;
  }
  bool run(int32_t n) {
    int32_t s = 0;
    if (!pay(1)) return false;
    for (; n != 0; --n) {
      if (!pay(4)) return false;
      if (n % 2 != 0) {
        if (!pay(6)) return false;
        odd = n;
        if (!pay(4) || !pay(1)) return false;
        s += n;
      } else {
        if (!pay(4)) return false;
        s += 2;
      }
      if (!pay(8)) return false;
      sum = s;
    }
    return pay(1);
  }
};

}  // namespace

TEST_CASE("fuel: wherever a guest runs out, what was paid for is done, and nothing else") {
  static constexpr int32_t kTurns = 5;
  static constexpr uint64_t kAll = 1 + 3 * 23 + 2 * 16 + 1;
  CHECK(Wound(kTurns, kAll).ends);
  CHECK_FALSE(Wound(kTurns, kAll - 1).ends);
  in_every_tier([](Metered& guest) {
    for (uint64_t fuel = 0; fuel <= kAll + 3; ++fuel) {
      CAPTURE(fuel);
      std::memset(ok(guest.instance.memory("memory")).data().data(), 0, 32);
      const auto ended = guest.call("winding", {kTurns}, fuel);
      const Wound expected(kTurns, fuel);
      CHECK(ended.trap == (expected.ends ? TrapCode::None : TrapCode::OutOfFuel));
      CHECK(fuel - ended.used == expected.left);
      CHECK(guest.word(16) == expected.odd);
      CHECK(guest.word(20) == expected.sum);
    }
  });
}

TEST_CASE("fuel: tail calls by a table with as many parameters as there are registers") {
  in_every_tier([](Metered& guest) {
    const auto turned = guest.call("turn", {1003});
    REQUIRE(turned.results.size() == 1);
    CHECK(turned.results[0].as_i32() == 3);
    CHECK(turned.used == 8 + 1003 * 14 + 5);
    const auto cut = guest.call("turn", {1003}, 8 + 500 * 14 + 3);
    CHECK(cut.trap == TrapCode::OutOfFuel);
    CHECK(cut.used == 8 + 500 * 14);
  });
}

TEST_CASE("fuel: a loop that nobody sees anything of has used some up when it is stopped") {
  using namespace std::chrono_literals;
  for (const Way& tier : kTiers) {
    CAPTURE(tier.name);
    Metered guest(metered(tier));
    const Deadline deadline(guest.store, 20ms);
    const auto stopped = guest.call("forever", {});
    CHECK(stopped.trap == TrapCode::Interrupted);
    CHECK(stopped.used > 1000);
  }
}

TEST_CASE("fuel: a sum over an array") {
  in_every_tier([](Metered& guest) {
    auto* words = reinterpret_cast<int32_t*>(ok(guest.instance.memory("memory")).data().data());
    for (int32_t i = 0; i < 100; ++i) words[i] = i;
    const auto all = guest.call("sum_array", {400});
    REQUIRE(all.results.size() == 1);
    CHECK(all.results[0].as_i32() == 4950);
    CHECK(all.used == 1 + 100 * 12 + 1);
    const auto cut = guest.call("sum_array", {400}, 1 + 60 * 12 + 11);
    CHECK(cut.trap == TrapCode::OutOfFuel);
    CHECK(cut.used == 1 + 60 * 12);
  });
}

TEST_CASE("fuel: what lies behind a trap costs nothing") {
  in_every_tier([](Metered& guest) {
    CHECK(guest.used("divide", {6, 3}) == 13);
    const auto divided = guest.call("divide", {6, 0});
    CHECK(divided.trap == TrapCode::IntegerDivideByZero);
    CHECK(divided.used == 1 + 3 + 3);
    CHECK(guest.used("load", {0}) == 8);
    const auto loaded = guest.call("load", {-1});
    CHECK(loaded.trap == TrapCode::MemoryOutOfBounds);
    CHECK(loaded.used == 1 + 3 + 2);
    // A load and a store that machine code may do by one instruction.
    CHECK(guest.used("add_in_place", {0}) == 7);
    const auto added = guest.call("add_in_place", {-1});
    CHECK(added.trap == TrapCode::MemoryOutOfBounds);
    CHECK(added.used == 1 + 3);
    // In a callee that may be inlined.
    CHECK(guest.used("load_in_callee", {0}) == 10);
    CHECK(guest.call("load_in_callee", {-1}).used == 1 + 2 + 1 + 2);
  });
}

TEST_CASE("fuel: host functions see what is left, and may change it") {
  in_every_tier([](Metered& guest) {
    guest.seen.clear();
    guest.refill = 0;
    CHECK(guest.used("calls", {1}) == 1 + 2 + 7 + 2 + 2 + 3);
    CHECK(guest.seen == std::vector<uint64_t>{kPlenty - 3, kPlenty - 12, kPlenty - 16});
    guest.seen.clear();
    CHECK(guest.used("calls", {0}) == 1 + 2 + 7 + 2 + 2 + 2);
    CHECK(guest.seen == std::vector<uint64_t>{kPlenty - 3, kPlenty - 12, kPlenty - 16});
    guest.seen.clear();
    guest.refill = 100;
    CHECK(guest.call("calls", {1}, 3).trap == TrapCode::None);
    CHECK(guest.seen == std::vector<uint64_t>{0, 100 - 9, 100 - 4});
    CHECK(guest.store.fuel() == 99);
    guest.refill = 0;
  });
}

TEST_CASE("fuel: what cannot be paid for does not begin") {
  in_every_tier([](Metered& guest) {
    for (uint64_t fuel = 0; fuel < 8; ++fuel) {
      CAPTURE(fuel);
      std::memset(ok(guest.instance.memory("memory")).data().data(), 0, 16);
      const auto loaded = guest.call("load", {0}, fuel);
      CHECK(loaded.trap == TrapCode::OutOfFuel);
      CHECK(loaded.used == 0);
      CHECK(guest.word(0) == 0);
    }
    CHECK(guest.call("load", {0}, 8).trap == TrapCode::None);
    CHECK(guest.store.fuel() == 0);
    CHECK(guest.call("loop", {5}, 4 + 3 * 9 + 8).used == 4 + 3 * 9);
    CHECK(guest.call("loop", {5}, 4 + 5 * 9).used == 4 + 5 * 9);
    CHECK(guest.call("loop", {5}, 4 + 5 * 9 + 1).trap == TrapCode::None);
    // The callee's first segment is what is missing.
    const auto deep = guest.call("load_in_callee", {0}, 5);
    CHECK(deep.trap == TrapCode::OutOfFuel);
    CHECK(deep.used == 3);
  });
}

TEST_CASE("fuel: a guest that runs without end stops, and what it did is there") {
  in_every_tier([](Metered& guest) {
    std::memset(ok(guest.instance.memory("memory")).data().data(), 0, 16);
    const auto spun = guest.call("spin", {}, 1 + 7 * 100'000 + 6);
    CHECK(spun.trap == TrapCode::OutOfFuel);
    CHECK(spun.used == 1 + 7 * 100'000);
    CHECK(guest.word(4) == 100'000);
  });
}

TEST_CASE("fuel: instructions on ranges cost by their length") {
  in_every_tier([](Metered& guest) {
    CHECK(guest.used("fill", {0, 0}) == 6);
    CHECK(guest.used("fill", {0, 1}) == 6 + 1);
    CHECK(guest.used("fill", {0, 16}) == 6 + 1);
    CHECK(guest.used("fill", {0, 60'000}) == 6 + 3750);
    CHECK(guest.used("copy", {100}) == 5 + 7);
    CHECK(guest.used("fill_table", {4}) == 5 + 4);
    // What is out of bounds costs too: it is paid for before it is looked at.
    const auto beyond = guest.call("fill", {60'000, 6'000});
    CHECK(beyond.trap == TrapCode::MemoryOutOfBounds);
    CHECK(beyond.used == 5 + 375);
    // Nothing is written that cannot be paid for.
    guest.call("fill", {0, 16});
    const auto poor = guest.call("fill", {0, 48}, 5 + 2);
    CHECK(poor.trap == TrapCode::OutOfFuel);
    CHECK(poor.used == 5);
    CHECK(guest.call("fill_table", {4}, 5 + 3).trap == TrapCode::OutOfFuel);
  });
  for (const Way& tier : kTiers) {
    CAPTURE(tier.name);
    Metered guest(metered(tier));
    CHECK(guest.used("grow_table", {10}) == 4 + 10);
    CHECK(guest.call("grow_table", {1'000'000}).used == 4);  // beyond its maximum: -1
    CHECK(guest.call("grow_table", {20}, 4 + 19).trap == TrapCode::OutOfFuel);
    CHECK(ok(guest.instance.table("table")).size() == 14);
  }
}

TEST_CASE("fuel: exceptions") {
  in_every_tier([](Metered& guest) {
    CHECK(guest.used("catch", {0}) == 1 + 2 + 1);
    CHECK(guest.used("catch", {1}) == 1 + 2 + 1 + 3);
  });
}

TEST_CASE("fuel: a trap says so, with the place") {
  Metered guest(metered());
  ok(guest.store.set_fuel(5));
  const auto done = ok(guest.instance.func("load_in_callee")).call(std::vector<Val>{Val::i32(0)});
  REQUIRE_FALSE(done);
  CHECK(done.error().kind == ErrorKind::Trap);
  CHECK(done.error().message == "out of fuel");
  REQUIRE(done.error().backtrace.size() == 2);
}

TEST_CASE("fuel: an engine that does not meter says so") {
  Engine engine;
  Store store(engine, {.fuel = 100});
  const Result<void> set = store.set_fuel(5);
  REQUIRE_FALSE(set);
  CHECK(set.error().kind == ErrorKind::Usage);
  CHECK(set.error().message.find("Config::fuel") != std::string::npos);
  CHECK(store.fuel() == 0);
  Metered guest(metered(), {.fuel = 100});
  CHECK(guest.store.fuel() == 100);
  CHECK(Store(guest.engine).fuel() == 0);
}

TEST_CASE("fuel: a store has none to begin with") {
  Metered guest(metered());
  const auto done = ok(guest.instance.func("nothing")).call({});
  REQUIRE_FALSE(done);
  CHECK(done.error().trap == TrapCode::OutOfFuel);
}

TEST_CASE("fuel: a store beside another takes half of it") {
  Engine engine(metered());
  Store store(engine, {.fuel = 101});
  std::unique_ptr<Store> other = Store::beside(store);
  CHECK(store.fuel() == 51);
  CHECK(other->fuel() == 50);
}

TEST_CASE("fuel: stored code is metered, or not, as the engine wants it") {
  for (const bool metered_first : {true, false}) {
    CAPTURE(metered_first);
    Config config;
    config.tiers = Tiers::Baseline;
    Config with = config;
    with.fuel = true;
    SerializeOptions options;
    options.code = SerializeOptions::Code::Baseline;
    const std::vector<uint8_t> bytes = ok(load(Engine(metered_first ? with : config), "fuel").serialize(options));
    Engine engine(metered_first ? config : with);
    Store store(engine);
    Linker linker(engine);
    ok(linker.func_wrap("env", "host", [](int32_t) {}));
    Instance instance = ok(linker.instantiate(store, ok(Module::deserialize(engine, bytes, "fuel"))));
    const auto run = [&] { return ok(instance.func("loop")).call(std::vector<Val>{Val::i32(10)}); };
    if (metered_first) {
      CHECK(run().ok());
    } else {
      CHECK_FALSE(run().ok());
      ok(store.set_fuel(1000));
      CHECK(run().ok());
      CHECK(store.fuel() == 1000 - 95);
    }
  }
}

TEST_CASE("fuel: segments end where control may go elsewhere") {
  Engine engine(metered());
  const Module module = load(engine, "fuel");
  const vm::Module& image = *module.impl();
  for (uint32_t i = image.imported_funcs; i < image.funcs.size(); ++i) {
    CAPTURE(i);
    uint32_t before = image.funcs[i].body.begin;
    for (const vm::FuelSegment& segment : vm::fuel_segments(image, i)) {
      CHECK(segment.offset > before);
      CHECK(segment.offset < image.funcs[i].body.end);
      CHECK(segment.units > 0);
      before = segment.offset;
    }
  }
}
