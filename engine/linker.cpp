// Linker: definitions by name, and what a module's imports become in a store.
#include "vmrun/linker.h"

#include <algorithm>
#include <array>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "engine/convert.h"
#include "engine/engine_impl.h"
#include "engine/exceptions.h"
#include "engine/instantiate.h"
#include "vm/base/assert.h"
#include "vm/base/stripe.h"
#include "vm/runtime/store_use.h"
#include "vmrun/base/text.h"

namespace vmrun {
namespace {

/// A host function with its type interned, once for all stores.
struct HostDefinition {
  std::shared_ptr<const HostFunc> func;
  vm::TypeId type;
};
/// Something that lives in a store.
struct StoreDefinition {
  engine::ImportItem item;
  vm::Store* store;
};
/// A memory that any store may use.
struct SharedDefinition {
  SharedMemory memory;
};
using Definition = std::variant<HostDefinition, StoreDefinition, SharedDefinition>;

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};
using Items = std::unordered_map<std::string, Definition, StringHash, std::equal_to<>>;

std::string dotted(std::string_view module, std::string_view name) {
  return printable_name(module) + "." + printable_name(name);
}

/// The error for imports that nobody defined; only the first ones are spelled out.
Error unknown_imports(const vm::Module& module, const std::vector<const vm::Import*>& missing) {
  constexpr size_t kMostNamed = 10;
  std::string message = missing.size() == 1 ? "unknown import: " : "unknown imports: ";
  for (size_t i = 0; i < std::min(missing.size(), kMostNamed); ++i) {
    const vm::Import& import = *missing[i];
    if (i != 0) message += "; ";
    message += dotted(import.module, import.name) + ", a " +
               engine::extern_type(module, import.kind, import.index).to_string();
  }
  if (missing.size() > kMostNamed) message += "; and " + std::to_string(missing.size() - kMostNamed) + " more";
  return Error(ErrorKind::Link, std::move(message));
}

/// What stands for a function that nobody defined.
struct UnknownImport {
  std::string name;
  static Outcome call(void* env, vm::Vcpu& vcpu, vm::Instance* instance, const Slot*, Slot*) {
    Error error(ErrorKind::Trap, "unknown import called: " + static_cast<const UnknownImport*>(env)->name);
    error.trap = TrapCode::Unreachable;
    return Caller(vcpu, instance).fail(std::move(error));
  }
};

/// So many imports need no allocation when a prepared module is instantiated.
constexpr size_t kFewImports = 32;

/// The record of a host definition in a store: made at its first use there.
vm::FuncRecord* materialise(vm::Store& store, const HostDefinition& definition) {
  vm::FuncRecord*& record = store.host_funcs[definition.func.get()];
  if (record == nullptr) {
    // The record keeps the definition alive, and with it the env.
    record = store.new_host_func(definition.type, definition.func->fn,
                                 std::shared_ptr<void>(definition.func, definition.func->env.get()));
  }
  return record;
}

}  // namespace

struct Linker::Impl {
  Engine engine;
  std::unordered_map<std::string, Items, StringHash, std::equal_to<>> modules;
  bool shadowing = false;
  bool unknown_trap = false;

  const Definition* find(std::string_view module, std::string_view name) const {
    const auto items = modules.find(module);
    if (items == modules.end()) return nullptr;
    const auto item = items->second.find(name);
    return item == items->second.end() ? nullptr : &item->second;
  }

  Result<void> add(std::string_view module, std::string_view name, Definition definition) {
    auto items = modules.find(module);
    if (items == modules.end()) items = modules.emplace(module, Items{}).first;
    const auto item = items->second.find(name);
    if (item == items->second.end()) {
      items->second.emplace(name, std::move(definition));
    } else if (shadowing) {
      item->second = std::move(definition);
    } else {
      return Error(ErrorKind::Usage, dotted(module, name) + " is defined twice");
    }
    return {};
  }

  Result<engine::ImportItem> item_in(vm::Store& store, const Definition& definition, std::string_view module,
                                     std::string_view name) const {
    if (const auto* host = std::get_if<HostDefinition>(&definition)) {
      if (store.registry() != engine.impl()->registry) {
        return Error(ErrorKind::Usage, "the linker and the store belong to different engines");
      }
      return engine::ImportItem{vm::ExternKind::func, materialise(store, *host)};
    }
    if (const auto* shared = std::get_if<SharedDefinition>(&definition)) {
      if (store.pool() != shared->memory.impl()->pool) {
        return Error(ErrorKind::Usage, dotted(module, name) + " belongs to another engine than the store");
      }
      return engine::ImportItem{vm::ExternKind::memory, store.attach(shared->memory.impl())};
    }
    const StoreDefinition& held = std::get<StoreDefinition>(definition);
    if (held.store != &store) return Error(ErrorKind::Link, dotted(module, name) + " belongs to another store");
    return held.item;
  }
};

const Engine& Linker::engine() const { return impl_->engine; }
Linker::Linker(const Engine& engine) : impl_(new Impl{engine, {}, false, false}) {}
Linker::~Linker() = default;
Linker::Linker(const Linker& other) : impl_(new Impl(*other.impl_)) {}
Linker& Linker::operator=(const Linker& other) {
  if (this != &other) impl_.reset(new Impl(*other.impl_));
  return *this;
}
Linker::Linker(Linker&&) noexcept = default;
Linker& Linker::operator=(Linker&&) noexcept = default;

void Linker::allow_shadowing(bool allow) { impl_->shadowing = allow; }
void Linker::unknown_imports_trap(bool trap) { impl_->unknown_trap = trap; }

Result<void> Linker::define(std::string_view module, std::string_view name, const Extern& item, Store& store) try {
  if (!engine::belongs_to(item, store.impl())) {
    return Error(ErrorKind::Usage, dotted(module, name) + " belongs to another store than the one it is defined with");
  }
  return impl_->add(module, name, StoreDefinition{engine::to_item(item), &store.impl()});
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<void> Linker::define(std::string_view module, std::string_view name, const SharedMemory& memory) try {
  return impl_->add(module, name, SharedDefinition{memory});
}
VMRUN_CATCH_OUR_EXCEPTIONS

namespace {

/// The type of a memory that is imported as `wanted`, and by the other modules as they say: the smallest that has all pages
/// which they need, and grows no further than each of them allows. Where there is none, `wanted`: linking says why then.
MemoryType fitting(const ImportType& import, const MemoryType& wanted, std::span<const Module> others) {
  MemoryType fits = wanted;
  for (const Module& other : others) {
    for (const ImportType& same : other.imports()) {
      const MemoryType* type = same.type.memory();
      if (type == nullptr || same.module != import.module || same.name != import.name) continue;
      if (!type->shared || type->is64 != fits.is64 || type->page_log2 != fits.page_log2) return wanted;
      fits.min = std::max(fits.min, type->min);
      if (type->max) fits.max = std::min(fits.max.value_or(*type->max), *type->max);
    }
  }
  return fits.max && *fits.max < fits.min ? wanted : fits;
}

}  // namespace

Result<void> Linker::add_shared_memories(Store& store, std::span<const Module> modules,
                                         std::span<const std::string_view> later) try {
  if (modules.empty()) return {};
  for (const ImportType& import : modules.front().imports()) {
    const MemoryType* type = import.type.memory();
    if (type == nullptr || !type->shared || has(import.module, import.name)) continue;
    if (std::ranges::find(later, import.module) != later.end()) continue;
    Result<Memory> memory = Memory::create(store, fitting(import, *type, modules.subspan(1)));
    if (!memory) return std::move(memory).error();
    if (auto done = define(import.module, import.name, *memory->shared(store)); !done) return done;
  }
  return {};
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<void> Linker::define_instance(std::string_view name, Instance instance, Store& store) try {
  for (const auto& [item_name, item] : instance.exports()) {
    if (Result<void> done = define(name, item_name, item, store); !done) return done;
  }
  return {};
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<void> Linker::host_func(std::string_view module, std::string_view name,
                               std::shared_ptr<const HostFunc> func) try {
  if (func->fn == nullptr) return Error(ErrorKind::Usage, dotted(module, name) + " has no code");
  Result<vm::TypeId> type = engine::intern(*impl_->engine.impl()->registry, func->type);
  if (!type) return std::move(type).error();
  return impl_->add(module, name, HostDefinition{std::move(func), *type});
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<void> Linker::alias(std::string_view module, std::string_view name, std::string_view as_module,
                           std::string_view as_name) try {
  const Definition* definition = impl_->find(module, name);
  if (definition == nullptr) return Error(ErrorKind::Usage, dotted(module, name) + " is not defined");
  return impl_->add(as_module, as_name, Definition(*definition));
}
VMRUN_CATCH_OUR_EXCEPTIONS

Result<void> Linker::alias_module(std::string_view module, std::string_view as_module) try {
  const auto items = impl_->modules.find(module);
  if (items == impl_->modules.end()) return Error(ErrorKind::Usage, "nothing is defined in " + printable_name(module));
  const Items copy = items->second;  // adding may move the original
  for (const auto& [name, definition] : copy) {
    if (Result<void> done = impl_->add(as_module, name, definition); !done) return done;
  }
  return {};
}
VMRUN_CATCH_OUR_EXCEPTIONS

bool Linker::has(std::string_view module, std::string_view name) const { return impl_->find(module, name) != nullptr; }

std::optional<Extern> Linker::get(Store& store, std::string_view module, std::string_view name) const {
  const Definition* definition = impl_->find(module, name);
  if (definition == nullptr) return std::nullopt;
  const vm::StoreUse use(store.impl());
  if (use.refused()) vm::misuse("a definition is brought into a store, but " + use.refused()->message);
  Result<engine::ImportItem> item = impl_->item_in(store.impl(), *definition, module, name);
  if (!item) return std::nullopt;
  return engine::to_extern(store.impl(), *item);
}

Result<Instance> Linker::instantiate(Store& store, const Module& module) const try {
  const vm::Module& machine = *module.impl();
  // Before the imports: an image that cannot run needs none.
  if (Result<void> supported = engine::check_supported(machine); !supported) return std::move(supported).error();
  if (auto other = vm::other_user(store.impl())) return *std::move(other);
  std::vector<engine::ImportItem> items(machine.imports.size());
  std::vector<const vm::Import*> missing;
  std::vector<size_t> trapping;  // places in `items`
  for (size_t i = 0; i < items.size(); ++i) {
    const vm::Import& import = machine.imports[i];
    const Definition* definition = impl_->find(import.module, import.name);
    if (definition != nullptr) {
      Result<engine::ImportItem> item = impl_->item_in(store.impl(), *definition, import.module, import.name);
      if (!item) return std::move(item).error();
      items[i] = *item;
    } else if (impl_->unknown_trap && import.kind == vm::ExternKind::func) {
      trapping.push_back(i);
    } else {
      missing.push_back(&import);
    }
  }
  if (!missing.empty()) return unknown_imports(machine, missing);
  // The functions above are the linker's, for later instances too; these are the instance's own.
  engine::Unfinished unfinished(store.impl());
  for (size_t i : trapping) {
    const vm::Import& import = machine.imports[i];
    auto env = std::make_shared<UnknownImport>(UnknownImport{dotted(import.module, import.name)});
    items[i] = {vm::ExternKind::func,
                store.impl().new_host_func(machine.funcs[import.index].type, &UnknownImport::call, std::move(env))};
  }
  Result<vm::Instance*> made = engine::instantiate(store.impl(), module.impl(), items, unfinished);
  if (!made) return std::move(made).error();
  return Instance(*made);
}
VMRUN_CATCH_OUR_EXCEPTIONS

// ---- prepared modules -----------------------------------------------------------------------------------------------

struct Prepared::Impl {
  Impl(const Module& of) : module(of) {}

  Module module;
  std::vector<Definition> imports;  // in the module's order; none belongs to a store

  /// The same with reference counts of a stripe's own: two threads that make instances do not change the same ones.
  struct Part {
    std::once_flag made;
    std::shared_ptr<const vm::Module> module;
    std::vector<Definition> imports;
  };
  mutable std::array<Part, vm::kStripes> parts;

  /// That of the calling thread's stripe, made at its first use. Throws std::bad_alloc.
  const Part& part() const {
    Part& part = parts[vm::stripe()];
    std::call_once(part.made, [&] {
      std::vector<Definition> own = imports;
      for (Definition& definition : own) {
        if (auto* host = std::get_if<HostDefinition>(&definition)) host->func = vm::counted_apart(host->func);
      }
      part.module = vm::counted_apart<const vm::Module>(module.impl());
      part.imports = std::move(own);
    });
    return part;
  }
};

Result<Prepared> Linker::prepare(const Module& module) const try {
  const vm::Module& machine = *module.impl();
  if (Result<void> supported = engine::check_supported(machine); !supported) return std::move(supported).error();
  if (machine.registry != impl_->engine.impl()->registry) {
    return Error(ErrorKind::Usage, "the module and the linker belong to different engines");
  }
  auto made = std::make_shared<Prepared::Impl>(module);
  std::vector<const vm::Import*> missing;
  for (const vm::Import& import : machine.imports) {
    const Definition* definition = impl_->find(import.module, import.name);
    if (definition == nullptr && impl_->unknown_trap && import.kind == vm::ExternKind::func) {
      auto env = std::make_shared<UnknownImport>(UnknownImport{dotted(import.module, import.name)});
      const vm::TypeId type = machine.funcs[import.index].type;
      made->imports.push_back(
          HostDefinition{std::make_shared<HostFunc>(HostFunc{FuncType(), &UnknownImport::call, std::move(env)}), type});
    } else if (definition == nullptr) {
      missing.push_back(&import);
    } else if (std::holds_alternative<StoreDefinition>(*definition)) {
      return Error(ErrorKind::Link, dotted(import.module, import.name) +
                                        " belongs to a store: a prepared module is for any store, and imports host "
                                        "functions and shared memories");
    } else {
      made->imports.push_back(*definition);
    }
  }
  if (!missing.empty()) return unknown_imports(machine, missing);
  return Prepared(std::move(made));
}
VMRUN_CATCH_OUR_EXCEPTIONS

const Module& Prepared::module() const { return impl_->module; }

Result<Instance> Prepared::instantiate(Store& store) const try {
  const vm::Module& machine = *impl_->module.impl();
  vm::Store& own = store.impl();
  if (own.registry() != machine.registry) {
    return Error(ErrorKind::Usage, "the module and the store belong to different engines");
  }
  if (auto other = vm::other_user(own)) return *std::move(other);
  const Impl::Part& part = impl_->part();
  engine::ImportItem few[kFewImports];
  std::vector<engine::ImportItem> many;
  std::span<engine::ImportItem> items(few, std::min(part.imports.size(), kFewImports));
  if (part.imports.size() > kFewImports) {
    many.resize(part.imports.size());
    items = many;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (const auto* host = std::get_if<HostDefinition>(&part.imports[i])) {
      items[i] = {vm::ExternKind::func, materialise(own, *host)};
    } else {
      items[i] = {vm::ExternKind::memory, own.attach(std::get<SharedDefinition>(part.imports[i]).memory.impl())};
    }
  }
  engine::Unfinished unfinished(own);
  Result<vm::Instance*> made = engine::instantiate(own, part.module, items, unfinished);
  if (!made) return std::move(made).error();
  return Instance(*made);
}
VMRUN_CATCH_OUR_EXCEPTIONS

}  // namespace vmrun
