// The baseline compiler takes every function of random modules that hold every instruction of the opcode table but those
// on heap objects, which the interpreter does not execute either.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "jit/compiler.h"
#include "tests/fuzz/generate.h"
#include "tests/support/module_bytes.h"
#include "vm/wasm/func_decoder.h"

using namespace vmrun;

namespace {

/// The instructions of an own function.
void collect(const vm::Module& module, uint32_t func, std::set<vm::Op>& seen) {
  const uint8_t* p = vm::skip_locals(module.bytes() + module.funcs[func].body.begin);
  const uint8_t* end = module.bytes() + module.funcs[func].body.end;
  while (p < end) seen.insert(vm::skip_instruction(p));
}

}  // namespace

TEST_CASE("every instruction is compiled") {
  std::unique_ptr<jit::Compiler> compiler = jit::make_baseline_compiler();
  std::set<vm::Op> seen;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    auto module = test::decode(vmrun::test::generate_module(seed));
    REQUIRE(module);
    for (uint32_t f = (*module)->imported_funcs; f < (*module)->funcs.size(); ++f) {
      collect(**module, f, seen);
      jit::CompileRequest request;
      request.module = module->get();
      request.func_index = f;
      const jit::CompileResult result = compiler->compile(request);
      INFO("seed " << seed << ", function " << f << ": " << result.reason);
      CHECK(result.status == jit::CompileResult::Status::done);
    }
  }
  std::string missing;
  for (size_t i = 0; i < vm::kOpCount; ++i) {
    if (vm::kOpInfo[i].is_gc_object() || seen.contains(static_cast<vm::Op>(i))) continue;
    missing += std::string(vm::kOpInfo[i].mnemonic) + " ";
  }
  CHECK(missing == "");
}
