// Baseline code gives the interpreter's results for every numeric and vector instruction, load and store, wherever its
// operands are.
#include "tests/support/numeric_compare.h"

TEST_CASE("vector instructions") {
  vmrun::test::compare_all(*vmrun::jit::make_baseline_compiler(), true, vmrun::test::kVariants);
}

TEST_CASE("scalar instructions") {
  vmrun::test::compare_all(*vmrun::jit::make_baseline_compiler(), false, vmrun::test::kVariants);
}

TEST_CASE("loads and stores with explicit checks") {
  vmrun::test::compare_dense(*vmrun::jit::make_baseline_compiler(), vmrun::test::kVariants);
}
