// Entries into running loops: random functions move from the interpreter, and from baseline code, into tier-2 code at
// each of their loops and at several iterations, with operands, locals and exceptions of all types alive, and give the
// same results, traps, exceptions and backtraces as in the interpreter.
#include <doctest/doctest.h>

#include "tests/support/tiers_world.h"
#include "tests/unit/opt/random.h"
#include "tests/unit/opt/seeds.h"
#include "vm/wasm/func_decoder_base.h"

using namespace vmrun;

namespace {

constexpr uint32_t kSubject = 1;

std::vector<uint32_t> loops_of(const vm::Module& module) {
  std::vector<uint32_t> loops;
  const vm::ByteRange body = module.funcs[kSubject].body;
  const uint8_t* image = module.bytes();
  for (const uint8_t* p = vm::skip_locals(image + body.begin); p < image + body.end;) {
    const auto offset = static_cast<uint32_t>(p - image);
    if (vm::skip_instruction(p) == vm::Op::loop) loops.push_back(offset);
  }
  return loops;
}

/// What came of calls with a few arguments, as text.
std::string outcome(spine::World& world, const Module& module) {
  Store store(world.engine);
  Instance instance = spine::ok(world.linker.instantiate(store, module));
  auto subject = spine::ok(spine::ok(instance.func("subject")).typed<int64_t(int32_t)>());
  std::string text;
  for (int32_t argument : {0, 1, 2}) {
    Result<int64_t> result = subject.call(argument);
    if (result) {
      text += std::to_string(*result) + "\n";
      continue;
    }
    text += result.error().message;
    for (const auto& frame : result.error().backtrace) {
      text += " " + std::to_string(frame.func_index) + "@" + std::to_string(frame.offset);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("random functions enter tier-2 code at any of their loops") {
  using tiering::Promotion;
  spine::World world;
  uint64_t entered = 0, tried = 0;
  for (uint64_t seed : vmrun::test::seeds(24)) {
    CAPTURE(seed);
    const spine::Bytes image = vmrun::test::RandomModule(seed).image;
    world.engine.impl()->tiers->set_schedule(spine::World::nothing());
    const Module interpreted = world.compile(image);
    const std::string expected = outcome(world, interpreted);
    auto compare = [&](const tiering::Schedule& schedule) {
      world.engine.impl()->tiers->set_schedule(schedule);
      const Module module = world.compile(image);
      CHECK(outcome(world, module) == expected);
      if (schedule.back().unit == jit::kWholeFunction) return;
      ++tried;
      entered += spine::World::osr_entries(module, kSubject, vm::Tier::opt);
    };
    compare({{kSubject, jit::kWholeFunction, 0, vm::Tier::opt}});
    const std::vector<uint32_t> loops = loops_of(*interpreted.impl());
    for (size_t i = 0; i < loops.size() && i < 6; ++i) {
      const uint32_t loop = loops[(i + seed) % loops.size()];
      CAPTURE(loop);
      compare({{kSubject, loop, static_cast<uint32_t>(1 + i), vm::Tier::opt}});
      compare({{kSubject, jit::kWholeFunction, 0, vm::Tier::baseline},
               {kSubject, loop, static_cast<uint32_t>(1 + i), vm::Tier::opt}});
    }
  }
  MESSAGE(entered << " entries in " << tried << " runs");
  CHECK(entered > tried / 8);
}
