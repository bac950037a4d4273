// The embedder's handles to memories, tables, globals and tags.
#include "vmrun/memory.h"

#include "engine/convert.h"
#include "engine/engine_impl.h"
#include "engine/exceptions.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/memory_owner.h"
#include "vm/runtime/store.h"
#include "vm/runtime/store_use.h"
#include "vm/runtime/table.h"
#include "vmrun/store.h"

namespace vmrun {
namespace {

Error usage(std::string message) { return Error(ErrorKind::Usage, std::move(message)); }

/// What is wrong with `value` where `store` wants `type`; nothing if it fits.
std::optional<Error> misfit(vm::Store& store, std::string_view what, const Val& value, vm::ValType type) {
  const engine::Fit fit = engine::fits(store, value, type);
  if (fit == engine::Fit::yes) return std::nullopt;
  return engine::unfit(fit, what, value, type);
}

/// Errors: Usage.
Result<vm::MemoryType> to_machine(const MemoryType& type) {
  if (type.page_log2 != 16 && type.page_log2 != 0) return usage("a page has 1 or 65536 bytes");
  if (type.max && *type.max < type.min) return usage("the maximum is less than the minimum");
  if (type.shared && !type.max) return usage("a shared memory needs a maximum");
  const uint64_t most = vm::most_pages(type.is64, type.page_log2);
  if (type.min > most || (type.max && *type.max > most)) return usage("more pages than addresses");
  return vm::MemoryType{{type.min, type.max, type.is64}, type.shared, type.page_log2};
}

}  // namespace

// ---- memories ----

Result<Memory> Memory::create(Store& store, const MemoryType& type) try {
  Result<vm::MemoryType> machine = to_machine(type);
  if (!machine) return std::move(machine).error();
  const vm::StoreUse use(store.impl());
  if (use.refused()) return *use.refused();
  Result<vm::MemoryInst*> made = store.impl().new_memory(*machine);
  if (!made) return std::move(made).error();
  return Memory(*made);
}
VMRUN_CATCH_OUR_EXCEPTIONS

std::span<std::byte> Memory::data() const { return {impl_->base, size_bytes()}; }
uint64_t Memory::size_bytes() const { return impl_->bytes.load(std::memory_order_acquire); }
uint64_t Memory::size_pages() const { return vm::memory_pages(*impl_); }
uint64_t Memory::page_size() const { return uint64_t{1} << impl_->type.page_log2; }

Result<uint64_t> Memory::grow(uint64_t delta) {
  std::optional<vm::StoreUse> use;  // a shared one is no store's
  if (impl_->store != nullptr && use.emplace(*impl_->store).refused()) return *use->refused();
  const uint64_t old = vm::memory_grow(*impl_, delta);
  if (old == vm::kGrowFailed) {
    return Error(ErrorKind::Limit,
                 "memory of " + std::to_string(size_pages()) + " pages cannot grow by " + std::to_string(delta));
  }
  return old;
}

MemoryType Memory::type() const {
  MemoryType type = engine::to_public(impl_->type);
  type.min = size_pages();
  return type;
}

std::span<std::byte> Memory::range(uint64_t address, uint64_t size) const {
  if (!vm::memory_holds(*impl_, address, size)) return {};
  return {impl_->base + address, size};
}

std::optional<SharedMemory> Memory::shared(Store& store) const {
  if (!impl_->type.shared) return std::nullopt;
  std::shared_ptr<vm::MemoryOwner> owner = store.impl().owner_of(*impl_);
  if (owner == nullptr) return std::nullopt;
  return SharedMemory(std::move(owner));
}

// ---- shared memories ----

Result<SharedMemory> SharedMemory::create(const Engine& engine, const MemoryType& type, uint64_t most_bytes) try {
  if (!type.shared) return usage("the type is not that of a shared memory");
  Result<vm::MemoryType> machine = to_machine(type);
  if (!machine) return std::move(machine).error();
  auto made = vm::make_memory(engine.impl()->pool, std::make_shared<vm::Budget>(most_bytes, 0, 0), *machine, nullptr);
  if (!made) return std::move(made).error();
  return SharedMemory(*std::move(made));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<Memory> SharedMemory::in(Store& store) const try {
  if (store.impl().pool() != impl_->pool) return usage("the memory and the store belong to different engines");
  const vm::StoreUse use(store.impl());
  if (use.refused()) return *use.refused();
  return Memory(store.impl().attach(impl_));
}
VMRUN_CATCH_OUR_EXCEPTIONS

std::span<std::byte> SharedMemory::data() const { return Memory(&impl_->inst).data(); }
uint64_t SharedMemory::size_pages() const { return vm::memory_pages(impl_->inst); }
Result<uint64_t> SharedMemory::grow(uint64_t delta) { return Memory(&impl_->inst).grow(delta); }
MemoryType SharedMemory::type() const { return Memory(&impl_->inst).type(); }

// ---- tables ----

Result<Table> Table::create(Store& store, const TableType& type, const Val& init) try {
  const vm::TableType machine{engine::to_vm(type.element), {type.min, type.max, type.is64}};
  if (!machine.elem.is_ref()) return usage("a table holds references");
  const uint64_t most = vm::most_elements(type.is64);
  if (type.min > most || (type.max && *type.max > most)) return usage("more elements than indices");
  if (type.max && *type.max < type.min) return usage("the maximum is less than the minimum");
  if (auto error = misfit(store.impl(), "the first element", init, machine.elem)) return *error;
  const vm::StoreUse use(store.impl());
  if (use.refused()) return *use.refused();
  Result<vm::TableInst*> made = store.impl().new_table(machine, init.as_ref());
  if (!made) return std::move(made).error();
  return Table(*made);
}
VMRUN_CATCH_OUR_EXCEPTIONS

uint64_t Table::size() const { return impl_->size; }

Result<Val> Table::get(uint64_t index) const {
  Ref ref;
  if (vm::table_get(*impl_, index, &ref) != TrapCode::None) {
    return usage("index " + std::to_string(index) + " in a table of " + std::to_string(impl_->size));
  }
  return Val::ref(engine::to_public(impl_->type.elem), ref);
}

Result<void> Table::set(uint64_t index, const Val& value) {
  const vm::StoreUse use(*impl_->store);
  if (use.refused()) return *use.refused();
  if (auto error = misfit(*impl_->store, "the element", value, impl_->type.elem)) return *error;
  if (vm::table_set(*impl_, index, value.as_ref()) != TrapCode::None) {
    return usage("index " + std::to_string(index) + " in a table of " + std::to_string(impl_->size));
  }
  return {};
}

Result<uint64_t> Table::grow(uint64_t delta, const Val& init) {
  const vm::StoreUse use(*impl_->store);
  if (use.refused()) return *use.refused();
  if (auto error = misfit(*impl_->store, "the new element", init, impl_->type.elem)) return *error;
  const uint64_t old = vm::table_grow(*impl_, delta, init.as_ref());
  if (old == UINT64_MAX) {
    return Error(ErrorKind::Limit,
                 "table of " + std::to_string(impl_->size) + " elements cannot grow by " + std::to_string(delta));
  }
  return old;
}

TableType Table::type() const {
  TableType type = engine::to_public(impl_->type);
  type.min = impl_->size;
  return type;
}

// ---- globals ----

Result<Global> Global::create(Store& store, const GlobalType& type, const Val& value) try {
  const vm::GlobalType machine{engine::to_vm(type.type), type.is_mutable};
  if (auto error = misfit(store.impl(), "the value", value, machine.type)) return *error;
  const vm::StoreUse use(store.impl());
  if (use.refused()) return *use.refused();
  Slot slots[2];
  value.to_slots(slots);
  return Global(&store.impl(), store.impl().new_global(machine, slots));
}
VMRUN_CATCH_OUR_EXCEPTIONS

GlobalType Global::type() const { return engine::to_public(impl_->type); }
Val Global::get() const { return Val::from_slots(engine::to_public(impl_->type.type), impl_->value); }

Result<void> Global::set(const Val& value) {
  const vm::StoreUse use(*store_);
  if (use.refused()) return *use.refused();
  if (!impl_->type.mutable_) return usage("the global is immutable");
  if (auto error = misfit(*store_, "the value", value, impl_->type.type)) return *error;
  value.to_slots(impl_->value);
  return {};
}

// ---- tags ----

Result<Tag> Tag::create(Store& store, const TagType& type) try {
  Result<vm::TypeId> id = engine::intern(*store.impl().registry(), FuncType{type.params, {}});
  if (!id) return std::move(id).error();
  const vm::StoreUse use(store.impl());
  if (use.refused()) return *use.refused();
  return Tag(&store.impl(), store.impl().new_tag(*id));
}
VMRUN_CATCH_OUR_EXCEPTIONS

TagType Tag::type() const { return {engine::to_public(store_->registry()->get(impl_->type).func.params)}; }

Result<Val> Tag::exception(std::span<const Val> values) const try {
  const vm::StoreUse use(*store_);
  if (use.refused()) return *use.refused();
  const vm::FuncType& type = store_->registry()->get(impl_->type).func;
  if (values.size() != type.params.size()) {
    return usage("exception takes " + std::to_string(type.params.size()) + " values, not " +
                 std::to_string(values.size()));
  }
  std::vector<Slot> slots(type.param_slots);
  Slot* at = slots.data();
  for (size_t i = 0; i < values.size(); ++i) {
    if (const engine::Fit fit = engine::fits(*store_, values[i], type.params[i]); fit != engine::Fit::yes) {
      return engine::unfit(fit, "value " + std::to_string(i), values[i], type.params[i]);
    }
    at += values[i].to_slots(at);
  }
  const vm::Vcpu& vcpu = store_->vcpu();
  const std::byte* top = vcpu.activation != nullptr ? vcpu.activation->top : vcpu.stack_base;
  vm::ExnCell* cell = store_->exns().make(impl_, slots.data(), type.param_slots, top);
  if (cell == nullptr) return Error(ErrorKind::Limit, "the store's limit on exceptions leaves no room for another");
  cell->escaped = true;
  return Val::ref(ValType::exnref(), Ref::of(cell));
}
VMRUN_CATCH_OUR_EXCEPTIONS

bool Tag::names(Ref exnref) const {
  const auto* cell = exnref.as<vm::ExnCell>();
  return !exnref.is_null() && store_->owns(cell) && cell->tag == impl_;
}

std::vector<Val> Tag::values(Ref exnref) const {
  if (!names(exnref)) return {};
  const vm::FuncType& type = store_->registry()->get(impl_->type).func;
  std::vector<Val> out;
  if (!names(exnref)) return out;
  out.reserve(type.params.size());
  const Slot* from = exnref.as<vm::ExnCell>()->payload();
  for (vm::ValType param : type.params) {
    out.push_back(Val::from_slots(engine::to_public(param), from));
    from += param.slots();
  }
  return out;
}

}  // namespace vmrun
