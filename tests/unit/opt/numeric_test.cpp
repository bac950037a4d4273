// Optimised code gives the interpreter's results for every numeric and vector instruction, load and store.
#include "tests/support/numeric_compare.h"

namespace {

vmrun::jit::Compiler& compiler() {
  std::string why;
  vmrun::jit::Compiler* loaded = vmrun::jit::load_opt_compiler(&why);
  if (loaded == nullptr) FAIL(why);
  return *loaded;
}

constexpr vmrun::test::Variant kVariants[] = {vmrun::test::Variant::stack};

}  // namespace

TEST_CASE("vector instructions of the optimising tier") { vmrun::test::compare_all(compiler(), true, kVariants); }
TEST_CASE("scalar instructions of the optimising tier") { vmrun::test::compare_all(compiler(), false, kVariants); }
TEST_CASE("loads and stores of the optimising tier with explicit checks") {
  vmrun::test::compare_dense(compiler(), kVariants);
}
