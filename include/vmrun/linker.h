// Linker: names for what modules import, and instantiation by those names.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "vmrun/base/result.h"
#include "vmrun/engine.h"
#include "vmrun/func.h"
#include "vmrun/instance.h"
#include "vmrun/memory.h"
#include "vmrun/module.h"
#include "vmrun/prepared.h"
#include "vmrun/store.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// A set of definitions by (module name, item name). Host functions and shared memories belong to no store: a linker that
/// holds only them can instantiate in any number of stores. Other definitions (`define`, `instance`) belong to the store they come
/// from, and using them in another one is a Link error. One thread at a time changes a linker; once it no longer
/// changes, several may instantiate from it, each in its own store. Copyable; one that was moved
/// from may only be assigned to or destroyed.
class Linker {
 public:
  explicit Linker(const Engine& engine);
  const Engine& engine() const;
  ~Linker();
  Linker(const Linker&);
  Linker& operator=(const Linker&);
  Linker(Linker&&) noexcept;
  Linker& operator=(Linker&&) noexcept;

  /// By default a second definition of a name is a Usage error; with shadowing it replaces the first.
  void allow_shadowing(bool allow);
  /// Functions that nobody defined trap when called (naming themselves) instead of failing the link.
  void unknown_imports_trap(bool trap);

  /// `item` is of `store`; of another one: Usage.
  Result<void> define(std::string_view module, std::string_view name, const Extern& item, Store& store);
  /// A memory that belongs to no store: for instances in all of them.
  Result<void> define(std::string_view module, std::string_view name, const SharedMemory& memory);
  /// Makes the shared memories that `module` imports and nobody defined, and defines them. They count against the limit of
  /// `store`, and live as long as somebody uses them. Errors: Limit.
  Result<void> add_shared_memories(Store& store, const Module& module) {
    return add_shared_memories(store, std::span(&module, 1));
  }
  /// The same for the first of several modules that are instantiated one after the other: where a later one imports the
  /// same memory, it is made so that it fits both, if it can. Nothing is made for a module name of `later`, which
  /// somebody is going to define.
  Result<void> add_shared_memories(Store& store, std::span<const Module> modules,
                                   std::span<const std::string_view> later = {});
  /// All exports of `instance` under the module name `name`.
  Result<void> define_instance(std::string_view name, Instance instance, Store& store);
  // Host functions: how they end, and what may throw, is in vmrun/func.h.
  Result<void> func(std::string_view module, std::string_view name, FuncType type, HostCallback callback) {
    return host_func(module, name, HostFunc::dynamic(std::move(type), std::move(callback)));
  }
  template <class F>
  Result<void> func_wrap(std::string_view module, std::string_view name, F&& callable) {
    return host_func(module, name, HostFunc::typed(std::forward<F>(callable)));
  }
  Result<void> func_raw(std::string_view module, std::string_view name, FuncType type, RawHostFn fn,
                        std::shared_ptr<void> env) {
    return host_func(module, name, std::make_shared<HostFunc>(HostFunc{std::move(type), fn, std::move(env)}));
  }
  Result<void> host_func(std::string_view module, std::string_view name, std::shared_ptr<const HostFunc> func);
  /// `as_module.as_name` becomes another name of `module.name`. Usage error when there is no such definition.
  Result<void> alias(std::string_view module, std::string_view name, std::string_view as_module,
                     std::string_view as_name);
  /// Every definition under `module` also under `as_module`.
  Result<void> alias_module(std::string_view module, std::string_view as_module);

  bool has(std::string_view module, std::string_view name) const;
  /// The definition as it is in `store`.
  std::optional<Extern> get(Store& store, std::string_view module, std::string_view name) const;

  /// Finds the imports of `module` and instantiates it. Errors: Link ("unknown import: ...", with all that are missing;
  /// "incompatible import type: ..."), and those of Instance::instantiate.
  Result<Instance> instantiate(Store& store, const Module& module) const;
  /// Finds the imports of `module` once, for many instances (vmrun/prepared.h). All of them are host functions or shared
  /// memories, which belong to no store. Errors: Link (as above; a definition that belongs to a store); Unsupported.
  Result<Prepared> prepare(const Module& module) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vmrun
#pragma GCC visibility pop
