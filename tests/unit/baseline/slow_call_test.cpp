// Calls out of baseline code for whose signatures there is no memory for trampolines: into the interpreter and the host,
// with results, exceptions and traps coming back.
#include <doctest/doctest.h>

#include <string>

#include "jit/code/code.h"
#include "jit/compiler.h"
#include "jit/crossing/publish.h"
#include "jit/crossing/shape.h"
#include "jit/crossing/trampoline.h"
#include "tests/support/installed.h"
#include "tests/support/ok.h"
#include "vm/runtime/store.h"
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
      const jit::CodeObject& code = test::installed(compiler->compile(request), module());
      REQUIRE(jit::publish_function(module().code(i), test::entry_of(code), vm::Tier::baseline));
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
  World world;
  world.compile_callers();
  // By another engine.
  constexpr int64_t kArguments[] = {0, -5, 0x123456789abcdef};
  constexpr struct {
    const char* name;
    int64_t results[3];
  } kRows[] = {{"direct", {-21474831427, -21474831542, 1885667150504367158}},
               {"indirect", {-21474831427, -21474831542, 1885667150504367158}},
               {"tail", {-21474831427, -21474831542, 1885667150504367158}},
               {"host", {4294967264, 4294967214, 819855296459836214}},
               {"caught", {2, -3, 81985529216486897}}};
  NoTrampolines none;
  // A function of a new signature gets no machine code, and no harm is done.
  const uint32_t many = world.module().imported_funcs;
  CHECK(jit::trampolines(world.module().func_type(many)) == nullptr);
  CHECK(!jit::publish_function(world.module().code(many), nullptr, vm::Tier::baseline));
  for (int round = 0; round < 3; ++round) {
    for (const auto& row : kRows) {
      CAPTURE(row.name);
      for (int i = 0; i < 3; ++i) {
        const Result<int64_t> got = world.call(row.name, kArguments[i]);
        if (!got) FAIL(got.error().to_string());
        CHECK(*got == row.results[i]);
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
