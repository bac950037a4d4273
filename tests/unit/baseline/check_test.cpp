// The check mode compiles all that the plain mode does, with checks in it. That its code finds nothing wrong is what the
// fuzzers of builds with assertions test.
#include <doctest/doctest.h>

#include "jit/compiler.h"
#include "tests/fuzz/generate.h"
#include "tests/support/module_bytes.h"

using namespace vmrun;

TEST_CASE("checks where paths meet") {
  std::unique_ptr<jit::Compiler> compiler = jit::make_baseline_compiler();
  size_t plain = 0, checked = 0;
  for (uint64_t seed = 1000; seed < 1040; ++seed) {
    auto module = test::decode(vmrun::test::generate_module(seed));
    REQUIRE(module);
    for (uint32_t f = (*module)->imported_funcs; f < (*module)->funcs.size(); ++f) {
      for (bool check : {false, true}) {
        jit::CompileRequest request;
        request.module = module->get();
        request.func_index = f;
        request.check_merges = check;
        const jit::CompileResult result = compiler->compile(request);
        REQUIRE(result.status == jit::CompileResult::Status::done);
        (check ? checked : plain) += result.code.text;
      }
    }
  }
  CHECK(checked > plain);
}
