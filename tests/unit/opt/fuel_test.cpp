// Optimised code of metered functions: that there is some, and of what kind.
#include "tests/unit/opt/fixture.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

struct MeteredBench : Bench {
  MeteredBench() : Bench("fuel") { module->metered = true; }
  std::string ir(const std::string& name) const { return plugin().print_ir(request(index(name))); }
};

}  // namespace

TEST_CASE("fuel: every function compiles") {
  const MeteredBench bench;
  for (uint32_t i = bench.module->imported_funcs; i < bench.module->funcs.size(); ++i) {
    for (const Inlining inlining : {Inlining::On, Inlining::Off, Inlining::All}) {
      CAPTURE(i);
      jit::CompileRequest request = bench.request(i);
      request.inlining = inlining;
      const jit::CompileResult made = plugin().compiler->compile(request);
      CHECK_MESSAGE(made.status == jit::CompileResult::Status::done, made.reason);
    }
  }
}

TEST_CASE("fuel: counted loops over memory are vectors") {
  const MeteredBench bench;
  CHECK(bench.ir("add_arrays").find(" x i32>") != std::string::npos);
  CHECK(bench.ir("sum_array").find(" x i32>") != std::string::npos);
}
