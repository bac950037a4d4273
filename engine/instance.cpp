// Instance and Extern: the embedder's handles.
#include "vmrun/instance.h"

#include "engine/exceptions.h"
#include "engine/instantiate.h"
#include "vm/runtime/store_use.h"
#include "vmrun/base/text.h"
#include "vmrun/store.h"

namespace vmrun {
namespace {

const vm::Export* find_export(const vm::Instance& instance, std::string_view name) {
  for (const vm::Export& item : instance.module->exports) {
    if (item.name == name) return &item;
  }
  return nullptr;
}

/// The export of that name and kind, or why not.
Result<void*> get_kind(const vm::Instance& instance, std::string_view name, vm::ExternKind kind) {
  const vm::Export* item = find_export(instance, name);
  if (item == nullptr) return Error(ErrorKind::Usage, "no export named '" + printable_name(name) + "'");
  if (item->kind != kind) {
    return Error(ErrorKind::Usage, "export '" + printable_name(name) + "' is a " +
                                       std::string(to_string(static_cast<ExternKind>(item->kind))) + ", not a " +
                                       std::string(to_string(static_cast<ExternKind>(kind))));
  }
  return engine::exported(instance, *item).what;
}

static_assert(static_cast<int>(ExternKind::Tag) == static_cast<int>(vm::ExternKind::tag));
static_assert(static_cast<int>(ExternKind::Memory) == static_cast<int>(vm::ExternKind::memory));

}  // namespace

ExternType Extern::type() const {
  return std::visit([](const auto& item) -> ExternType { return item.type(); }, v_);
}

Result<Instance> Instance::instantiate(Store& store, const Module& module, std::span<const Extern> imports) try {
  if (auto other = vm::other_user(store.impl())) return *std::move(other);
  std::vector<engine::ImportItem> items;
  items.reserve(imports.size());
  for (const Extern& item : imports) {
    if (!engine::belongs_to(item, store.impl())) {
      return Error(ErrorKind::Link, "import " + std::to_string(items.size()) + " belongs to another store");
    }
    items.push_back(engine::to_item(item));
  }
  engine::Unfinished unfinished(store.impl());
  Result<vm::Instance*> made = engine::instantiate(store.impl(), module.impl(), items, unfinished);
  if (!made) return std::move(made).error();
  return Instance(*made);
}
VMRUN_CATCH_OUR_EXCEPTIONS

Module Instance::module() const {
  const Store& store = *static_cast<const Store*>(impl_->store->owner);
  // Modules are immutable but for block records; a store holds them const, handles do not.
  return Module(store.engine(), std::const_pointer_cast<vm::Module>(impl_->store->module_of(*impl_)));
}

std::vector<std::pair<std::string_view, Extern>> Instance::exports() const {
  std::vector<std::pair<std::string_view, Extern>> out;
  out.reserve(impl_->module->exports.size());
  for (const vm::Export& item : impl_->module->exports) {
    out.emplace_back(item.name, engine::to_extern(*impl_->store, engine::exported(*impl_, item)));
  }
  return out;
}

std::optional<Extern> Instance::get(std::string_view name) const {
  const vm::Export* item = find_export(*impl_, name);
  if (item == nullptr) return std::nullopt;
  return engine::to_extern(*impl_->store, engine::exported(*impl_, *item));
}

Result<Func> Instance::func(std::string_view name) const {
  Result<void*> found = get_kind(*impl_, name, vm::ExternKind::func);
  if (!found) return std::move(found).error();
  return Func(impl_->store, static_cast<vm::FuncRecord*>(*found));
}

Result<Memory> Instance::memory(std::string_view name) const {
  Result<void*> found = get_kind(*impl_, name, vm::ExternKind::memory);
  if (!found) return std::move(found).error();
  return Memory(static_cast<vm::MemoryInst*>(*found));
}

Result<Table> Instance::table(std::string_view name) const {
  Result<void*> found = get_kind(*impl_, name, vm::ExternKind::table);
  if (!found) return std::move(found).error();
  return Table(static_cast<vm::TableInst*>(*found));
}

Result<Global> Instance::global(std::string_view name) const {
  Result<void*> found = get_kind(*impl_, name, vm::ExternKind::global);
  if (!found) return std::move(found).error();
  return Global(impl_->store, static_cast<vm::GlobalInst*>(*found));
}

Result<Tag> Instance::tag(std::string_view name) const {
  Result<void*> found = get_kind(*impl_, name, vm::ExternKind::tag);
  if (!found) return std::move(found).error();
  return Tag(impl_->store, static_cast<vm::TagInst*>(*found));
}

}  // namespace vmrun
