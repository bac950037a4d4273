// Optimised code of metered functions: that there is some, and of what kind.
#include "tests/unit/opt/fixture.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

struct MeteredModule {
  std::shared_ptr<vm::TypeRegistry> registry = std::make_shared<vm::TypeRegistry>();
  std::shared_ptr<vm::Module> module;

  MeteredModule() {
    auto image = vm::Image::open(VMRUN_FIXTURES "/fuel.wasm");
    REQUIRE(image);
    auto decoded = vm::decode_module(*image, registry);
    REQUIRE(decoded);
    module = *decoded;
    module->metered = true;
  }
  jit::CompileRequest request(uint32_t func_index, Inlining inlining) const {
    jit::CompileRequest request;
    request.module = module.get();
    request.func_index = func_index;
    request.unit = jit::kWholeFunction;
    request.inlining = inlining;
    return request;
  }
  std::string ir(const std::string& name) const {
    for (const vm::Export& e : module->exports) {
      if (e.kind == vm::ExternKind::func && e.name == name) return plugin().print_ir(request(e.index, Inlining::On));
    }
    FAIL("no function " << name);
    return {};
  }
};

}  // namespace

TEST_CASE("fuel: every function compiles") {
  const MeteredModule metered;
  for (uint32_t i = metered.module->imported_funcs; i < metered.module->funcs.size(); ++i) {
    for (const Inlining inlining : {Inlining::On, Inlining::Off, Inlining::All}) {
      CAPTURE(i);
      const jit::CompileResult made = plugin().compiler->compile(metered.request(i, inlining));
      CHECK_MESSAGE(made.status == jit::CompileResult::Status::done, made.reason);
    }
  }
}

TEST_CASE("fuel: counted loops over memory are vectors") {
  const MeteredModule metered;
  CHECK(metered.ir("add_arrays").find(" x i32>") != std::string::npos);
  CHECK(metered.ir("sum_array").find(" x i32>") != std::string::npos);
}
