// What tiering does for each loop of a function is bounded, however many there are, however deep they are nested and
// however long the function's signature is.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "engine/engine_impl.h"
#include "tests/support/module_builder.h"
#include "tests/unit/tiering/fixture.h"
#include "tiering/loop_nest.h"
#include "vm/wasm/loops.h"

namespace {
thread_local uint64_t allocations = 0, allocated_bytes = 0;  // of this thread, so far
void* allocate(size_t size) noexcept {
  ++allocations;
  allocated_bytes += size;
  return std::malloc(size != 0 ? size : 1);
}
void give(void* p) noexcept { std::free(p); }
}  // namespace

void* operator new(size_t size) {
  if (void* p = allocate(size)) return p;
  throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](size_t size) { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
#include "tests/support/replace_delete.h"

namespace vmrun::tiering {
namespace {

using spine::Code;
using vm::Tier;

/// One function, of index 0.
Module module_of(const Engine& engine, const Code& code, const spine::Types& params) {
  spine::ModuleBuilder builder;
  builder.define(builder.func("f", builder.type(params, {})), code);
  return ok(Module::compile(engine, builder.build(), "bounds"));
}

Code nested(uint32_t depth) {
  Code code;
  for (uint32_t i = 0; i < depth; ++i) code.loop();
  for (uint32_t i = 0; i < depth; ++i) code.end();
  return code;
}

Engine interpreter() {
  Config config;
  config.tiers = Tiers::Interp;
  return Engine(config);
}

/// Refuses whatever it is asked for.
class Refusing final : public jit::Compiler {
 public:
  Tier tier() const override { return Tier::opt; }
  jit::CompileResult compile(const jit::CompileRequest&) override {
    return {jit::CompileResult::Status::unsupported, "not in this test"};
  }
};

TEST_CASE("a signature is looked at once for all entries at a function's loops") {
  constexpr uint32_t kLoops = 4000;
  Code code;
  for (uint32_t i = 0; i < kLoops; ++i) code.loop().end();
  Engine engine = interpreter();
  const Module module = module_of(engine, code, spine::Types(900, spine::i32));
  const std::unique_ptr<jit::Compiler> baseline = jit::make_baseline_compiler();
  Manager manager(only_baseline(*baseline));
  Attached attached(manager, module);
  const uint64_t before = allocations;
  REQUIRE(Manager::promote(*module.impl(), 0, Tier::baseline) == "");
  // Buffers that grow, and a few for each object; a key of 900 letters takes several each time that it is made.
  CHECK(allocations - before < kLoops);
  const vm::LoopTable* loops = vm::loops_of(attached.code(0));
  REQUIRE(loops != nullptr);
  CHECK(loops->count == kLoops);
  for (uint32_t i = 0; i < loops->count; ++i) REQUIRE(loops->loops[i].entry.load() != nullptr);
}

TEST_CASE("what is kept of a nest of loops is in proportion to the loops") {
  constexpr uint32_t kDepth = 4000;
  static_assert(kDepth > LoopNest::kMost);
  Engine engine = interpreter();
  const Module module = module_of(engine, nested(kDepth), {});
  Refusing opt;
  Manager manager(only_opt(opt, 1));
  if (!manager.samples()) return;  // then heat is charged to loops without those around them
  Attached attached(manager, module);
  vm::FuncCode& code = attached.code(0);
  const vm::LoopTable* loops = vm::loops_of(code);
  REQUIRE(loops != nullptr);
  REQUIRE(loops->count == kDepth);
  vm::TierHooks* hooks = module.impl()->tiers;
  hooks->hot_loop(hooks, code, loops->loops[kDepth - 1], Tier::baseline);
  uint32_t charged = 0;
  for (uint32_t i = 0; i < kDepth; ++i) charged += loops->loops[i].heat.load() != 0;
  CHECK(charged == LoopNest::kMost);
  CHECK(loops->loops[kDepth - 1].heat.load() == loops->loops[kDepth - LoopNest::kMost].heat.load());

  const uint64_t before = allocated_bytes;
  for (uint32_t i = 0; i < kDepth; ++i) hooks->hot_loop(hooks, code, loops->loops[i], Tier::baseline);
  CHECK(allocated_bytes - before < 64 * size_t{kDepth});
}

TEST_CASE("which loops are around a loop") {
  Code code;
  code.loop();                                   // 0
  code.block().loop().end().end();               // 1, in 0
  code.loop().block().loop().end().end();        // 2, in 0; 3, in 2
  code.unreachable().loop().loop().end().end();  // nobody gets to these two
  code.end().end();
  code.loop().end();  // 4
  Engine engine = interpreter();
  const Module module = module_of(engine, code, {});
  const vm::LoopTable* all = vm::loops_of(module.impl()->code(0));
  REQUIRE(all != nullptr);
  REQUIRE(all->count == 7);
  std::vector<vm::LoopCode> reached(5);
  for (size_t i = 0; i < 5; ++i) reached[i].offset = all->loops[i < 4 ? i : 6].offset;
  const vm::LoopTable table{5, reached.data()};
  const LoopNest nest(*module.impl(), 0, table);
  const std::vector<uint32_t> want[5] = {{0}, {0, 1}, {0, 2}, {0, 2, 3}, {4}};
  for (uint32_t i = 0; i < 5; ++i) {
    const LoopNest::Around around = nest.around(i);
    CHECK(std::vector<uint32_t>(around.begin(), around.end()) == want[i]);
  }
}

}  // namespace
}  // namespace vmrun::tiering
