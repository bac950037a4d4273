// Instance: a module brought to life in a store, and what it exports.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/func.h"
#include "vmrun/fwd.h"
#include "vmrun/memory.h"
#include "vmrun/module.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// Anything that can be imported or exported. The order is ExternKind's.
class Extern {
 public:
  Extern(Func v) : v_(v) {}
  Extern(Table v) : v_(v) {}
  Extern(Memory v) : v_(v) {}
  Extern(Global v) : v_(v) {}
  Extern(Tag v) : v_(v) {}

  ExternKind kind() const { return static_cast<ExternKind>(v_.index()); }
  const Func* func() const { return std::get_if<Func>(&v_); }
  const Table* table() const { return std::get_if<Table>(&v_); }
  const Memory* memory() const { return std::get_if<Memory>(&v_); }
  const Global* global() const { return std::get_if<Global>(&v_); }
  const Tag* tag() const { return std::get_if<Tag>(&v_); }
  ExternType type() const;

 private:
  std::variant<Func, Table, Memory, Global, Tag> v_;
};

/// Handle to an instance. Valid while the store lives; used by the thread that uses the store.
class Instance {
 public:
  /// Instantiates `module` with `imports` in the order of Module::imports(), and runs its start function. A trap during
  /// initialisation or in the start function is an Error of kind Trap; what was written by then stays written
  /// (spec 4.5.4). Errors: Link (also an import of another store), Limit, Trap, Exception, Exit, Usage (the module
  /// belongs to another engine). Throws what a host function threw.
  static Result<Instance> instantiate(Store& store, const Module& module, std::span<const Extern> imports);

  Module module() const;
  /// In the order of Module::exports().
  std::vector<std::pair<std::string_view, Extern>> exports() const;
  std::optional<Extern> get(std::string_view name) const;
  /// The export of that name and kind. Usage error when there is none, or it is of another kind.
  Result<Func> func(std::string_view name) const;
  Result<Memory> memory(std::string_view name) const;
  Result<Table> table(std::string_view name) const;
  Result<Global> global(std::string_view name) const;
  Result<Tag> tag(std::string_view name) const;

  explicit Instance(vm::Instance* impl) : impl_(impl) {}
  vm::Instance* impl() const { return impl_; }
  friend bool operator==(Instance, Instance) = default;

 private:
  vm::Instance* impl_;
};

}  // namespace vmrun
#pragma GCC visibility pop
