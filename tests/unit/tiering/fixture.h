// What the tests of tiering share: managers of a test's own, and waiting for what they do.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "jit/compiler.h"
#include "tests/support/ok.h"
#include "tiering/manager.h"
#include "vm/wasm/module.h"
#include "vmrun/vmrun.h"

namespace vmrun::tiering {

using test::ok;

/// Whether the condition comes true at all: however long that takes on a busy machine.
inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 200'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

/// A compiler that is not there.
inline jit::Compiler* none(std::string* why) {
  *why = "not in this test";
  return nullptr;
}

/// Options of a manager that has `baseline` for a compiler and no other, and one thread.
inline Options only_baseline(jit::Compiler& baseline) {
  Options options;
  options.mode = &mode_of(Tiers::InterpBaseline);
  options.threads = 1;
  options.baseline = [&baseline](std::string*) { return &baseline; };
  options.opt = none;
  return options;
}

/// Options of a manager that has `opt` for a compiler and no other.
inline Options only_opt(jit::Compiler& opt, unsigned threads) {
  Options options;
  options.threads = threads;
  options.idle = false;
  options.baseline = none;
  options.opt = [&opt](std::string*) { return &opt; };
  return options;
}

/// A module that is in the hands of a manager of the test's own, and not in its engine's. Functions by their index.
class Attached {
 public:
  Attached(Manager& manager, const Module& module, StoredCode stored = {})
      : manager_(manager), module_(const_cast<vm::Module&>(*module.impl())) {
    manager_.attach(module_, {}, std::move(stored));
  }
  ~Attached() { detach(); }
  void detach() {
    if (module_.tiers != nullptr) manager_.detach(module_);
  }
  vm::FuncCode& code(uint32_t func) { return module_.code(func); }
  vm::BlockState state(uint32_t func, vm::Tier tier) { return code(func).state[static_cast<unsigned>(tier)].load(); }
  /// As if the function was called for the first time.
  void call_first(uint32_t func) { module_.tiers->first_call(module_.tiers, code(func)); }
  /// As if the interpreter had entered the function often, so many times.
  void heat(uint32_t func, unsigned times = 1) {
    for (; times != 0; --times) module_.tiers->hot_function(module_.tiers, code(func));
  }
  TierStats stats(vm::Tier tier) { return Manager::stats(module_, tier); }

 private:
  Manager& manager_;
  vm::Module& module_;
};

}  // namespace vmrun::tiering
