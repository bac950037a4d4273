// Where compiles run: optimised code is made on compile threads only, whose stacks are made for LLVM; and what is said
// when a plug-in is missing.
#include <doctest/doctest.h>

#include <atomic>
#include <fstream>

#include "tests/support/module_builder.h"
#include "tests/unit/tiering/fixture.h"
#include "vm/base/plugin.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {
namespace {

/// Refuses everything, and remembers where it was asked.
class Asked : public jit::Compiler {
 public:
  std::atomic<unsigned> here{0}, elsewhere{0};
  std::atomic<size_t> stack{0};
  vm::Tier tier() const override { return vm::Tier::opt; }
  jit::CompileResult compile(const jit::CompileRequest&) override {
    ++(is_compile_thread() ? elsewhere : here);
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    size_t size = 0;
    pthread_attr_getstacksize(&attributes, &size);
    pthread_attr_destroy(&attributes);
    stack = size;
    return {jit::CompileResult::Status::unsupported, "a test at 0"};
  }
};

/// Has no memory at all.
class Hungry : public Asked {
 public:
  jit::CompileResult compile(const jit::CompileRequest&) override { throw std::bad_alloc(); }
};

Module compile(Engine& engine) {
  spine::ModuleBuilder builder;
  const uint32_t type = builder.type({spine::i64}, {spine::i64});
  builder.define(builder.func("f", type), spine::Code().get(0));
  return ok(Module::compile(engine, builder.build(), "thread"));
}

Config interp() {
  Config config;
  config.tiers = Tiers::Interp;
  return config;
}

TEST_CASE("optimised code is made on a compile thread, whoever wants it") {
  CHECK(!is_compile_thread());
  for (const Tiers tiers : {Tiers::Opt, Tiers::Steps, Tiers::Auto}) {
    Asked opt;
    Engine engine(interp());
    const Module module = compile(engine);
    Options options = only_opt(opt, 1);
    options.mode = &mode_of(tiers);
    Manager manager(options);
    Attached attached(manager, module);
    vm::Module& image = const_cast<vm::Module&>(*module.impl());
    if (tiers == Tiers::Opt) {
      image.tiers->first_call(image.tiers, attached.code(0));
    } else if (tiers == Tiers::Steps) {
      attached.heat(0);
    } else {
      CHECK(Manager::promote(image, 0, vm::Tier::opt) == "a test at 0");
    }
    CHECK(opt.here == 0);
    CHECK(opt.elsewhere == 1);
    CHECK(opt.stack >= policy::kCompileStack);
    CHECK(attached.state(0, vm::Tier::opt) == vm::BlockState::failed);
  }
}

TEST_CASE("several threads that wait for the one compile thread all get their answer") {
  Asked opt;
  Engine engine(interp());
  const Module one = compile(engine), other = compile(engine);
  Manager manager(only_opt(opt, 1));
  Attached first(manager, one), second(manager, other);
  std::vector<std::thread> threads;
  std::atomic<unsigned> answers{0};
  for (unsigned i = 0; i < 8; ++i) {
    threads.emplace_back(
        [&, i] { answers += Manager::promote(*(i % 2 == 0 ? one : other).impl(), 0, vm::Tier::opt) == "a test at 0"; });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(answers == 8);
  CHECK(opt.elsewhere == 2);
}

TEST_CASE("memory that is missing while something is compiled is an error of that block") {
  Hungry opt;
  Engine engine(interp());
  const Module module = compile(engine);
  Manager manager(only_opt(opt, 1));
  Attached attached(manager, module);
  CHECK(Manager::promote(*module.impl(), 0, vm::Tier::opt) == "no memory for code");
  CHECK(attached.state(0, vm::Tier::opt) == vm::BlockState::failed);
}

TEST_CASE("the optimiser brings its own LLVM, and no other library of it is loaded") {
  std::string why;
  REQUIRE_MESSAGE(jit::load_opt_compiler(&why) != nullptr, why);
  std::ifstream maps("/proc/self/maps");
  std::string line;
  unsigned lines = 0;
  for (; std::getline(maps, line); ++lines) CHECK_MESSAGE(line.find("libLLVM") == std::string::npos, line);
  CHECK(lines != 0);
}

TEST_CASE("a plug-in that is missing is said to be looked for in each folder") {
  std::string why;
  CHECK(vm::open_plugin("vmrun-none.so", &why) == nullptr);
  CHECK(why.find("there is no vmrun-none.so in /") == 0);
  for (const char* part : {"/../lib/vmrun", "VMRUN_PLUGINS"}) CHECK(why.find(part) != std::string::npos);
}

}  // namespace
}  // namespace vmrun::tiering
