// Calls out of baseline code for whose signatures there is no memory for trampolines: into the interpreter and the host,
// with results, exceptions and traps coming back.
#include <doctest/doctest.h>

#include <string>

#include "jit/code.h"
#include "jit/compiler.h"
#include "jit/publish.h"
#include "jit/shape.h"
#include "jit/trampoline.h"
#include "tests/support/ok.h"
#include "vm/store.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

using test::ok;

struct World {
  Engine engine{configured()};
  Store store{engine};
  Instance instance;
  int host_calls = 0;

  World() : instance(start()) {}
  static Config configured() {
    jit::initialize();
    Config config;
    config.tiers = Tiers::Interp;
    return config;
  }
  Instance start() {
    Linker linker(engine);
    auto mix = [this](int32_t i, double d, int64_t a, int64_t b, int64_t c, int64_t e, int64_t f, int64_t g, float h) {
      ++host_calls;
      return std::tuple<float, int64_t, int32_t>(static_cast<float>(d) + h, a - b + c - e + f - g, -i);
    };
    REQUIRE(linker.host_func("host", "mix", HostFunc::typed(mix)));
    return ok(linker.instantiate(store, ok(Module::compile_file(engine, VMRUN_FIXTURES "/baseline_slow_call.wasm"))));
  }
  const vm::Module& module() { return *instance.func("direct")->impl()->instance->module; }
  Result<int64_t> call(const char* name, int64_t x) { return instance.func(name)->typed<int64_t(int64_t)>()->call(x); }
  /// Gives the exports baseline code, and $tail.
  void compile_callers() {
    std::unique_ptr<jit::Compiler> compiler = jit::make_baseline_compiler();
    for (uint32_t i = module().imported_funcs; i < module().funcs.size(); ++i) {
      if (jit::Shape::key(module().func_type(i)) != "i:i" && jit::Shape::key(module().func_type(i)) != "i:ifvii")
        continue;
      jit::CompileRequest request;
      request.module = &module();
      request.func_index = i;
      const jit::CompileResult result = compiler->compile(request);
      REQUIRE(result.status == jit::CompileResult::Status::done);
      REQUIRE(jit::publish_function(module().code(i), result.code->begin + result.code->entry, vm::Tier::baseline));
    }
  }
};

/// No memory for more trampolines, for a while.
struct NoTrampolines {
  NoTrampolines() { jit::CodeSpace::get().set_trampoline_budget(0); }
  ~NoTrampolines() { jit::CodeSpace::get().set_trampoline_budget(jit::kTrampolineBudget); }
};

}  // namespace

TEST_CASE("calls without trampolines") {
  World world, plain;
  world.compile_callers();
  NoTrampolines none;
  // A function of a new signature gets no machine code, and no harm is done.
  const uint32_t many = world.module().imported_funcs;
  CHECK(jit::trampolines(world.module().func_type(many)) == nullptr);
  CHECK(!jit::publish_function(world.module().code(many), nullptr, vm::Tier::baseline));
  for (int round = 0; round < 3; ++round) {
    for (const char* name : {"direct", "indirect", "tail", "host", "caught"}) {
      INFO(name);
      for (const int64_t x : {int64_t{0}, int64_t{-5}, int64_t{0x123456789abcdef}}) {
        const Result<int64_t> expected = plain.call(name, x), got = world.call(name, x);
        REQUIRE(expected);
        if (!got) FAIL(got.error().to_string());
        CHECK(*got == *expected);
      }
    }
    const Result<int64_t> trapped = world.call("traps", 1);
    REQUIRE(!trapped);
    CHECK(trapped.error().trap == TrapCode::IntegerDivideByZero);
    CHECK(*world.call("caught", 40) == 42);
    CHECK(*world.call("host", 10) == (6 + 7) + 10 * (10 - 2 + 3 - 4 + 5 - 6) + (int64_t{1} << 32) - 5);
  }
  CHECK(world.host_calls == 3 * 4);
}
