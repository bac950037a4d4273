// Entries into running loops: from the interpreter into both machine tiers, and from baseline into optimised code, with
// values of every type alive, into inner and outer loops, and with a trap or a throw as the first thing that happens
// afterwards. Each case asserts the result, the backtrace and, by counters, which code was entered where.
#include <functional>

#include "tests/cross_tier/cases.h"
#include "tests/support/tiers_world.h"

namespace vmrun::spine {
namespace {

using vm::Tier;

struct Pair {
  Tier from, to;
  bool alone = false;  // baseline code calls the loop, which is a unit by itself
};
constexpr Pair kPairs[] = {{Tier::interp, Tier::baseline},
                           {Tier::interp, Tier::opt},
                           {Tier::baseline, Tier::opt},
                           {Tier::interp, Tier::opt, true},
                           {Tier::baseline, Tier::opt, true}};

enum class What : uint8_t {
  live,
  inner_loop,
  outer_loop,
  trap,
  caught_in_loop,
  caught_around_loop,
  caught_by_caller,
  uncaught,
};
constexpr const char* kWhats[] = {"all types live",
                                  "inner loop",
                                  "outer loop",
                                  "trap",
                                  "throw caught in the loop",
                                  "throw caught around the loop",
                                  "throw caught by the caller",
                                  "throw uncaught"};
constexpr unsigned kWhatCount = std::size(kWhats);

/// A module whose function `subject` has the loop, whose opcode and other places are marked.
struct Guest {
  Bytes image;
  uint32_t subject = 0, caller = 0;
  uint32_t loop = 0, here = 0, call = 0;  // offsets in bodies: of the loop, of what ends it, of the caller's call
  uint32_t entry_at = 3;                  // the back-edge that moves over
  bool by_caller = false;                 // call `caller`
  std::function<std::vector<Val>(Store&)> args;
  std::function<void(const std::vector<Val>& args, const std::vector<Val>& results)> check;  // beside equality
};

constexpr int64_t kVoid = -64;

Code& f32_add(Code& c) { return c.op({0x92}); }

/// Parameters: rounds, then a value of each type that can be passed. All of them, 20 integers, 12 floats and 4 vectors
/// in locals, an exception, and a value of each type under the loop stay alive and change with each iteration.
Guest all_types_live() {
  Guest g;
  ModuleBuilder m;
  const uint32_t pair = m.type({}, {i32, i64});
  const uint32_t pair_and_ref = m.type({}, {i32, i64, exnref});
  const uint32_t tag = m.tag(m.type({i32, i64}, {}));
  g.subject = m.func("subject", m.type({i32, i64, f32, f64, v128, funcref, externref},
                                       {i64, f32, f64, v128, funcref, externref, i32, funcref, externref}));
  enum : uint32_t { n, a, b, c64, d, e, f, params };
  Types locals;
  const auto local = [&](Type type, uint32_t count = 1) {
    const auto first = static_cast<uint32_t>(params + locals.size());
    locals.insert(locals.end(), count, type);
    return first;
  };
  const uint32_t i = local(i32), exn = local(exnref), x = local(i64, 20), y = local(f64, 12), z = local(v128, 4),
                 w = local(f32, 4);
  const uint32_t a2 = local(i64), b2 = local(f32), c2 = local(f64), d2 = local(v128), e2 = local(funcref),
                 f2 = local(externref), exn2 = local(exnref), p32 = local(i32), p64 = local(i64);
  Code c;
  for (uint32_t k = 0; k < 20; ++k) c.get(a).i64_const(k * 1000003).i64_add().set(x + k);
  for (uint32_t k = 0; k < 12; ++k) c.get(c64).f64_const(k * 0.25).f64_add().set(y + k);
  for (uint32_t k = 0; k < 4; ++k) c.get(d).set(z + k), c.get(b).set(w + k);
  // An exception to hold on to.
  c.block(pair_and_ref).try_table(kVoid, 1, tag, 0).i32_const(41).i64_const(7).throw_(tag).end().unreachable().end();
  c.set(exn).drop().drop();
  c.get(a).get(c64).get(d).get(f).get(e).get(b).get(exn);
  c.mark("loop").loop();
  c.get(i).i32_const(1).i32_add().set(i);
  for (uint32_t k = 0; k < 20; ++k) {
    c.get(x + k).get(i).i64_extend_i32_u().i64_add().get(x + (k + 7) % 20).i64_add().set(x + k);
  }
  for (uint32_t k = 0; k < 12; ++k) c.get(y + k).get(y + (k + 5) % 12).f64_add().set(y + k);
  for (uint32_t k = 0; k < 4; ++k) {
    c.get(z + k).get(z + (k + 1) % 4).i64x2_add().set(z + k);
    f32_add(c.get(w + k).get(w + (k + 1) % 4)).set(w + k);
  }
  c.get(a).i64_const(1).i64_add().set(a).get(c64).f64_const(1).f64_add().set(c64);
  c.get(i).get(n).i32_lt_u().br_if(0).end();
  c.set(exn2).set(b2).set(e2).set(f2).set(d2).set(c2).set(a2);
  // What either exception carries: 48 and 48.
  for (uint32_t one : {exn, exn2}) {
    c.block(pair).try_table(kVoid, 0, tag, 0).get(one).throw_ref().end().unreachable().end();
    c.get(p64).i64_add().set(p64).get(p32).i32_add().set(p32);
  }
  c.get(a).get(a2).i64_add().get(p64).i64_add();
  for (uint32_t k = 0; k < 20; ++k) c.get(x + k).i64_add();
  c.get(b2);
  for (uint32_t k = 0; k < 4; ++k) f32_add(c.get(w + k));
  c.get(c64).get(c2).f64_add();
  for (uint32_t k = 0; k < 12; ++k) c.get(y + k).f64_add();
  c.get(d2);
  for (uint32_t k = 0; k < 4; ++k) c.get(z + k).i64x2_add();
  c.get(e).get(f).get(i).get(p32).i32_add().get(e2).get(f2);
  m.define(g.subject, c, locals);
  g.image = m.build();
  g.loop = m.offset(g.subject, "loop");
  static int cell = 0;
  g.args = [](Store& store) {
    Func func = ok(Func::wrap(store, [] {}));
    return std::vector<Val>{
        Val::i32(9),     Val::i64(123456789012345),   Val::f32(1.5f), Val::f64(0.1), Val::v128({3, ~0ull}),
        Val::func(func), Val::externref(store, &cell)};
  };
  g.check = [](const std::vector<Val>& args, const std::vector<Val>& results) {
    CHECK(results[4].as_ref().bits == args[5].as_ref().bits);
    CHECK(results[7].as_ref().bits == args[5].as_ref().bits);
    CHECK(results[5].as_ref().bits == args[6].as_ref().bits);
    CHECK(results[8].as_ref().bits == args[6].as_ref().bits);
    CHECK(results[6].as_i32() == 9 + 41 + 41);
  };
  return g;
}

/// sum of i * 100 + j over both loops, operands under each; the entry is into one of the two.
Guest nested(bool inner) {
  Guest g;
  ModuleBuilder m;
  g.subject = m.func("subject", m.type({i32, i32}, {i64, f64, i32, i32}));
  enum : uint32_t { n, k, i, j, sum, f };
  Code c;
  c.f64_const(0.5).i32_const(11);
  c.mark("outer").loop();
  c.i32_const(0).set(j).get(i).i32_const(1).i32_add().set(i);
  c.get(i).i32_const(7).i32_add();  // under the inner loop
  c.mark("inner").loop();
  c.get(j).i32_const(1).i32_add().set(j);
  c.get(sum).get(i).i64_extend_i32_u().i64_const(100).op({0x7e}).i64_add().get(j).i64_extend_i32_u().i64_add().set(sum);
  c.get(j).get(k).i32_lt_u().br_if(0).end();
  c.get(f).i32_add().set(f);
  c.get(i).get(n).i32_lt_u().br_if(0).end();
  c.i32_const(1).i32_add();
  // (f64 i32) under the loops; results in the order of the type.
  c.set(j).get(sum).op({0xb9}).f64_add().set(6).get(sum).get(6).get(j).get(f);
  m.define(g.subject, c, {i32, i32, i64, i32, f64});
  g.image = m.build();
  g.loop = m.offset(g.subject, inner ? "inner" : "outer");
  g.entry_at = inner ? 7 : 2;
  g.args = [](Store&) { return std::vector<Val>{Val::i32(6), Val::i32(5)}; };
  g.check = [](const std::vector<Val>&, const std::vector<Val>& results) {
    CHECK(results[0].as_i64() == 6 * 15 + 5 * 100 * 21);
    CHECK(results[1].as_f64() == 0.5 + 6 * 15 + 5 * 100 * 21);
    CHECK(results[2].as_i32() == 12);
    CHECK(results[3].as_i32() == 21 + 6 * 7);
  };
  return g;
}

/// The first thing that happens after the entry, at the third back-edge: iteration 3 traps or throws.
Guest ending(What what) {
  Guest g;
  ModuleBuilder m;
  const uint32_t one = m.type({i32}, {i32});
  const uint32_t pair = m.type({}, {i32, i64});
  const uint32_t tag = m.tag(m.type({i32, i64}, {}));
  g.subject = m.func("subject", one);
  g.caller = m.func("caller", one);
  g.by_caller = true;
  enum : uint32_t { n, i, got };
  Code c;
  const auto end_at_3 = [&] {
    c.block().get(i).i32_const(3).i32_ne().br_if(0);
    if (what == What::trap) {
      c.i32_const(-4).mark("here").i32_load().drop();
    } else {
      c.get(i).i64_const(100).mark("here").throw_(tag);
    }
    c.end();
  };
  const auto add_caught = [&] { c.i32_wrap_i64().i32_add().get(got).i32_add().set(got); };
  switch (what) {
    case What::caught_in_loop:  // and the loop goes on
      c.mark("loop").loop();
      c.block().block(pair).try_table(kVoid, 0, tag, 0);
      end_at_3();
      c.end().br(1).end();
      add_caught();
      c.end();
      c.get(i).i32_const(1).i32_add().tee(i).get(n).i32_lt_u().br_if(0).end();
      c.get(got).get(i).i32_add();
      break;
    case What::caught_around_loop:
      c.block(pair).try_table(kVoid, 0, tag, 0);
      c.mark("loop").loop();
      end_at_3();
      c.get(i).i32_const(1).i32_add().tee(i).get(n).i32_lt_u().br_if(0).end();
      c.end().i32_const(-1).ret().end();
      add_caught();
      c.get(got).get(i).i32_add();
      break;
    default:
      c.mark("loop").loop();
      end_at_3();
      c.get(i).i32_const(1).i32_add().tee(i).get(n).i32_lt_u().br_if(0).end();
      c.i32_const(-1);
      break;
  }
  m.define(g.subject, c, {i32, i32});
  Code call;
  if (what == What::caught_by_caller) {
    call.block(pair).try_table(kVoid, 0, tag, 0).get(0).mark("call").call(g.subject).ret().end().unreachable().end();
    call.i32_wrap_i64().i32_add();
  } else {
    call.get(0).mark("call").call(g.subject).i32_const(1000).i32_add();
  }
  m.define(g.caller, call);
  g.image = m.build();
  g.loop = m.offset(g.subject, "loop");
  g.here = m.offset(g.subject, "here");
  g.call = m.offset(g.caller, "call");
  g.args = [](Store&) { return std::vector<Val>{Val::i32(8)}; };
  g.check = [what](const std::vector<Val>&, const std::vector<Val>& results) {
    CHECK(results[0].as_i32() == (what == What::caught_in_loop       ? 103 + 8 + 1000
                                  : what == What::caught_around_loop ? 103 + 3 + 1000
                                                                     : 103));
  };
  return g;
}

Guest guest_of(What what) {
  switch (what) {
    case What::live: return all_types_live();
    case What::inner_loop: return nested(true);
    case What::outer_loop: return nested(false);
    default: return ending(what);
  }
}

/// The loop's offset in the image.
uint32_t loop_offset(const Module& module, const Guest& g) {
  return module.impl()->funcs[g.subject].body.begin + g.loop;
}

/// Runs the guest in a world of its own, whose schedule `plan` makes from a module of the same image.
template <class Plan, class Check>
std::vector<std::string> run(const Guest& g, Plan plan, Check check_counts) {
  World world;
  {
    const Module first = world.compile(g.image);
    tiering::Schedule schedule = plan(first);
    if (!schedule.empty()) world.engine.impl()->tiers->set_schedule(std::move(schedule));
  }
  const Module module = world.compile(g.image);
  Instance instance = ok(world.linker.instantiate(world.store, module));
  const std::vector<Val> args = g.args(world.store);
  auto result = ok(instance.func(g.by_caller ? "caller" : "subject")).call(args);
  std::vector<std::string> said;
  if (result) {
    if (g.check) g.check(args, *result);
    for (const Val& v : *result) {
      if (!v.type().is_ref()) said.push_back(v.to_string());
    }
  } else {
    said.push_back(result.error().message);
    for (const FrameInfo& frame : result.error().backtrace) {
      said.push_back(std::to_string(frame.func_index) + "+" + std::to_string(frame.offset));
    }
  }
  check_counts(module);
  return said;
}

void osr_case(unsigned number) {
  const Pair pair = kPairs[number / kWhatCount];
  const auto what = static_cast<What>(number % kWhatCount);
  const Guest g = guest_of(what);
  const std::vector<std::string> expected = run(
      g, [](const Module&) { return tiering::Schedule(); },
      [&](const Module& module) {
        CHECK(World::runs(module, g.subject)[0] == 1);
        CHECK(World::runs(module, g.subject)[1] == 0);
        CHECK(World::runs(module, g.subject)[2] == 0);
      });
  const std::vector<std::string> said = run(
      g,
      [&](const Module& module) {
        tiering::Schedule schedule;
        if (pair.from != Tier::interp) schedule.push_back({.func_index = g.subject, .tier = pair.from});
        const uint32_t unit = loop_offset(module, g) | (pair.alone ? jit::kAlone : 0);
        schedule.push_back({.func_index = g.subject, .unit = unit, .at = g.entry_at, .tier = pair.to});
        return schedule;
      },
      [&](const Module& module) {
        for (unsigned tier = 0; tier < vm::kTiers; ++tier) {
          CAPTURE(tier);
          const auto one = static_cast<Tier>(tier);
          // Entered once at its beginning in the one tier, and once in mid-loop in the other.
          CHECK(World::runs(module, g.subject)[tier] == (one == pair.from ? 1 : 0));
          const uint64_t entries = World::osr_entries(module, g.subject, one);
          if (pair.alone && one == Tier::opt) {
            CHECK(entries >= 1);  // each time that the loop begins
          } else {
            CHECK(entries == (one == (pair.alone ? Tier::baseline : pair.to) ? 1 : 0));
          }
          const vm::TierCounts& counts = module.impl()->code(g.subject).counts.load()[tier];
          const bool throws = what >= What::caught_in_loop;
          CHECK(counts.traps.load() == (what == What::trap && one == pair.to ? 1 : 0));
          CHECK(counts.throws.load() == (throws && one == pair.to                 ? 1
                                         : what == What::live && one == pair.from ? 1
                                                                                  : 0));
        }
        if (what == What::trap || what == What::uncaught) {
          const auto at = [&](uint32_t func, uint32_t offset) {
            return std::to_string(func) + "+" + std::to_string(module.impl()->funcs[func].body.begin + offset);
          };
          REQUIRE(expected.size() == 3);
          CHECK(expected[1] == at(g.subject, g.here));
          CHECK(expected[2] == at(g.caller, g.call));
        }
      });
  CHECK(said == expected);
}

std::string osr_name(unsigned number) {
  const Pair pair = kPairs[number / kWhatCount];
  return std::string("osr: ") + vm::to_string(pair.from) + " to " + vm::to_string(pair.to) +
         (pair.alone ? " alone: " : ": ") + kWhats[number % kWhatCount];
}

[[maybe_unused]] const int registered = register_cases<std::size(kPairs) * kWhatCount, osr_case>(osr_name, __FILE__);

TEST_CASE("spine: osr: constants beneath a loop, whichever way led there") {
  // A loop on the way to another one wants what lies beneath it in memory, and so does the entry into the other one; but
  // the first is not always come by.
  for (const bool leaves : {false, true}) {
    CAPTURE(leaves);
    ModuleBuilder m;
    const uint32_t subject = m.func("subject", m.type({i32, i32}, {i64}));
    enum : uint32_t { n, first, i };
    const auto count = [](Code& c) {
      c.loop().get(i).i32_const(1).i32_add().tee(i).i32_const(3).i32_lt_u().br_if(0).end();
    };
    Code c;
    c.i64_const(4520);
    if (leaves) {
      c.block().get(first).i32_eqz().br_if(0);
    } else {
      c.get(first).op({0x04, 0x40});
    }
    count(c);
    c.end();
    c.mark("loop").loop().get(n).i32_const(1).i32_sub().tee(n).br_if(0).end();
    m.define(subject, c, {i32});
    const Bytes image = m.build();
    for (const int32_t by_the_first : {0, 1}) {
      World world;
      const uint32_t offset = world.compile(image).impl()->funcs[subject].body.begin + m.offset(subject, "loop");
      world.engine.impl()->tiers->set_schedule({{.func_index = subject, .tier = Tier::baseline},
                                                {.func_index = subject, .unit = offset, .at = 2, .tier = Tier::opt}});
      const Module module = world.compile(image);
      Instance instance = ok(world.linker.instantiate(world.store, module));
      const auto results = ok(ok(instance.func("subject")).call({Val::i32(9), Val::i32(by_the_first)}));
      CHECK(results[0].as_i64() == 4520);
      CHECK(World::osr_entries(module, subject, Tier::opt) == 1);
    }
  }
}

TEST_CASE("spine: osr: locals that the body never names") {
  // Baseline code leaves whatever was on the stack in their slots.
  ModuleBuilder m;
  const uint32_t fill = m.func("fill", m.type({i64}, {})), subject = m.func("subject", m.type({i32}, {i32}));
  const uint32_t both = m.func("both", m.type({}, {i32}));
  Code all;
  for (uint32_t i = 1; i <= 40; ++i) all.get(0).set(i);
  for (uint32_t i = 1; i <= 40; ++i) all.get(i).drop();
  m.define(fill, all, Types(40, i64));
  Code c;
  c.mark("loop").loop().get(0).i32_const(1).i32_sub().tee(0).br_if(0).end().get(0);
  m.define(subject, c, {i32, i32, f32, i64, i32, i32, f64, i32});
  m.define(both, Code().i64_const(-1).call(fill).i32_const(9).call(subject));
  const Bytes image = m.build();
  World world;
  const uint32_t offset = world.compile(image).impl()->funcs[subject].body.begin + m.offset(subject, "loop");
  world.engine.impl()->tiers->set_schedule({{.func_index = fill, .tier = Tier::baseline},
                                            {.func_index = subject, .tier = Tier::baseline},
                                            {.func_index = both, .tier = Tier::baseline},
                                            {.func_index = subject, .unit = offset, .at = 2, .tier = Tier::opt}});
  const Module module = world.compile(image);
  Instance instance = ok(world.linker.instantiate(world.store, module));
  CHECK(ok(ok(instance.func("both")).call({}))[0].as_i32() == 0);
  CHECK(World::osr_entries(module, subject, Tier::opt) == 1);
}

}  // namespace
}  // namespace vmrun::spine
