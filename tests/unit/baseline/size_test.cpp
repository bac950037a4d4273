// How long code may become is seen whoever encodes it.
#include <doctest/doctest.h>

#include "jit/baseline/assembler_x86_64.h"

using vmrun::jit::baseline::CodeTooLarge;
using vmrun::jit::baseline::FastAssembler;
namespace x86 = asmjit::x86;

TEST_CASE("no instruction makes the buffer grow beyond the limit") {
  constexpr size_t kMost = size_t{1} << 20, kBytes = 4;  // vpaddd of low registers
  asmjit::CodeHolder code;
  asmjit::Environment environment;
  environment.setArch(asmjit::Arch::kX64);
  REQUIRE(code.init(environment) == asmjit::kErrorOk);
  FastAssembler a;
  REQUIRE(code.attach(&a) == asmjit::kErrorOk);
  a.begin(kMost);
  auto many = [&] {
    for (size_t bytes = 0; bytes < 16 * kMost; bytes += kBytes) a.vpaddd(x86::xmm0, x86::xmm1, x86::xmm2);
  };
  CHECK_THROWS_AS(many(), CodeTooLarge);
  CHECK(a.offset() > kMost);
  CHECK(a.offset() < 3 * kMost);
}
