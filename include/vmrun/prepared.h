// Prepared: a module whose imports have been found, for many instances.
//
//   auto prepared = linker.prepare(*module);  // once: names are looked up
//   for (...) {
//     Store store(engine);
//     auto instance = prepared->instantiate(store);
//   }
#pragma once

#include <memory>

#include "vmrun/base/result.h"
#include "vmrun/fwd.h"
#include "vmrun/instance.h"
#include "vmrun/module.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// What Linker::prepare makes. Shared handle: copies mean the same. Any thread may instantiate, each in its own store. It keeps
/// the module and the definitions alive; what the linker is told later does not change it.
class Prepared {
 public:
  const Module& module() const;
  /// As Linker::instantiate. Errors: those of Instance::instantiate; Usage (a store of another engine).
  Result<Instance> instantiate(Store& store) const;

  struct Impl;

 private:
  friend class Linker;
  explicit Prepared(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace vmrun
#pragma GCC visibility pop
