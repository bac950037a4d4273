// Instantiation: imports are matched, what the module owns is made, segments are copied, the start function runs.
#include "engine/instantiate.h"

#include <algorithm>

#include "engine/convert.h"
#include "engine/outcome.h"
#include "interp/interp.h"
#include "vm/base/assert.h"
#include "vm/runtime/const_expr.h"
#include "vm/runtime/data_image.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/store_use.h"
#include "vm/runtime/table.h"
#include "vm/wasm/opcode.h"
#include "vmrun/base/text.h"

namespace vmrun::engine {
namespace {

/// Limits matching (3.3.16): `size` is the current one, `have` what the thing was declared with.
bool limits_match(const vm::Limits& have, uint64_t size, const vm::Limits& want) {
  if (have.is64 != want.is64 || size < want.min) return false;
  return !want.max || (have.max && *have.max <= *want.max);
}

bool import_matches(const vm::Module& module, vm::ExternKind kind, uint32_t index, const void* what) {
  const vm::TypeRegistry& registry = *module.registry;
  switch (kind) {
    case vm::ExternKind::func:
      return registry.matches(static_cast<const vm::FuncRecord*>(what)->type, module.funcs[index].type);
    case vm::ExternKind::table: {
      const auto& table = *static_cast<const vm::TableInst*>(what);
      const vm::TableType& want = module.tables[index].type;
      return table.type.elem == want.elem && limits_match(table.type.limits, table.size, want.limits);
    }
    case vm::ExternKind::memory: {
      const auto& memory = *static_cast<const vm::MemoryInst*>(what);
      const vm::MemoryType& want = module.memories[index];
      return memory.type.shared == want.shared && memory.type.page_log2 == want.page_log2 &&
             limits_match(memory.type.limits, vm::memory_pages(memory), want.limits);
    }
    case vm::ExternKind::global: {
      const vm::GlobalType& have = static_cast<const vm::GlobalInst*>(what)->type;
      const vm::GlobalType& want = module.globals[index].type;
      if (have.mutable_ != want.mutable_) return false;
      return want.mutable_ ? have.type == want.type : registry.matches(have.type, want.type);
    }
    case vm::ExternKind::tag: return static_cast<const vm::TagInst*>(what)->type == module.tags[index].type;
  }
  return false;
}

Error incompatible(vm::Store& store, const vm::Module& module, const vm::Import& import, ImportItem item) {
  std::string message =
      "incompatible import type: " + printable_name(import.module) + "." + printable_name(import.name);
  message += " is " + to_extern(store, item).type().to_string();
  message += ", not " + extern_type(module, import.kind, import.index).to_string();
  return Error(ErrorKind::Link, std::move(message));
}

void bind(vm::Instance& instance, const vm::Import& import, void* what) {
  switch (import.kind) {
    case vm::ExternKind::func: instance.funcs[import.index] = static_cast<vm::FuncRecord*>(what); break;
    case vm::ExternKind::table: instance.tables[import.index] = static_cast<vm::TableInst*>(what); break;
    case vm::ExternKind::memory: {
      auto* memory = static_cast<vm::MemoryInst*>(what);
      VMRUN_ASSERT(memory->guarded || !vm::memory_is_guarded(memory->type, !instance.module->guarded_memories),
                   "code that relies on guards has a memory without");
      instance.memories[import.index] = memory;
      break;
    }
    case vm::ExternKind::global: instance.globals[import.index] = static_cast<vm::GlobalInst*>(what); break;
    case vm::ExternKind::tag: instance.tags[import.index] = static_cast<vm::TagInst*>(what); break;
  }
}

Result<void> make_own(vm::Store& store, vm::Instance& instance) {
  const vm::Module& module = *instance.module;
  for (size_t i = module.imported_memories; i < module.memories.size(); ++i) {
    Result<vm::MemoryInst*> memory = store.new_memory(module.memories[i]);
    if (!memory) return std::move(memory).error();
    instance.memories[i] = *memory;
  }
  instance.codes = module.codes.get();
  if (!module.memories.empty()) {
    instance.memory0_base = instance.memories[0]->base;
    for (size_t i = module.imported_funcs; i < module.funcs.size(); ++i) {
      instance.funcs[i]->host_env = instance.memory0_base;
    }
  }

  for (size_t i = module.imported_globals; i < module.globals.size(); ++i) {
    vm::Slot value[2] = {};
    if (TrapCode trap = vm::eval_const(instance, module.globals[i].init, value); trap != TrapCode::None) {
      return trap_error(trap);
    }
    instance.globals[i]->value[0] = value[0];
    instance.globals[i]->value[1] = value[1];
  }
  for (size_t i = module.imported_tables; i < module.tables.size(); ++i) {
    vm::Slot init[2] = {};
    if (module.tables[i].init) {
      if (TrapCode trap = vm::eval_const(instance, *module.tables[i].init, init); trap != TrapCode::None) {
        return trap_error(trap);
      }
    }
    Result<vm::TableInst*> table = store.new_table(module.tables[i].type, init[0].as_ref());
    if (!table) return std::move(table).error();
    instance.tables[i] = *table;
  }
  return {};
}

TrapCode copy_segments(vm::Instance& instance) {
  const vm::Module& module = *instance.module;
  vm::Slot offset[2];
  for (uint32_t i = 0; i < module.elems.size(); ++i) {
    const vm::ElemSegment& segment = module.elems[i];
    if (segment.mode == vm::SegmentMode::passive) continue;
    if (segment.mode == vm::SegmentMode::active) {
      if (TrapCode trap = vm::eval_const(instance, segment.offset, offset); trap != TrapCode::None) return trap;
      const uint64_t count = std::max(segment.funcs.size(), segment.exprs.size());
      TrapCode trap = vm::table_init(nullptr, instance, i, *instance.tables[segment.table], offset[0].bits, 0, count);
      if (trap != TrapCode::None) return trap;
    }
    vm::elem_drop(instance, i);
  }
  return vm::copy_data(instance);
}

/// Whether instantiation writes references to what the module owns where others may find them.
bool fills_imported_table(const vm::Module& module) {
  return std::ranges::any_of(module.elems, [&](const vm::ElemSegment& segment) {
    return segment.mode == vm::SegmentMode::active && segment.table < module.imported_tables;
  });
}

}  // namespace

Result<void> check_supported(const vm::Module& module) {
  if (const char* feature = interp::missing_host_feature()) {
    return Error(ErrorKind::Unsupported, std::string("this build needs a processor with ") + feature);
  }
  if (!module.unsupported) return {};
  const vm::UnsupportedOp& op = *module.unsupported;
  Error error(ErrorKind::Unsupported,
              "garbage-collected objects are not executed yet: the image uses " + std::string(vm::mnemonic(op.op)),
              op.offset);
  error.func_index = op.func_index;
  return error;
}

ImportItem to_item(const Extern& item) {
  switch (item.kind()) {
    case ExternKind::Func: return {vm::ExternKind::func, item.func()->impl()};
    case ExternKind::Table: return {vm::ExternKind::table, item.table()->impl()};
    case ExternKind::Memory: return {vm::ExternKind::memory, item.memory()->impl()};
    case ExternKind::Global: return {vm::ExternKind::global, item.global()->impl()};
    case ExternKind::Tag: break;
  }
  return {vm::ExternKind::tag, item.tag()->impl()};
}

bool belongs_to(const Extern& item, const vm::Store& store) {
  switch (item.kind()) {
    case ExternKind::Func: return item.func()->store() == &store;
    case ExternKind::Table: return item.table()->impl()->store == &store;
    case ExternKind::Memory: {
      const vm::MemoryInst& memory = *item.memory()->impl();
      return memory.type.shared ? store.keeps(memory) : memory.store == &store;
    }
    case ExternKind::Global: return item.global()->store() == &store;
    case ExternKind::Tag: break;
  }
  return item.tag()->store() == &store;
}

Extern to_extern(vm::Store& store, ImportItem item) {
  switch (item.kind) {
    case vm::ExternKind::func: return Func(&store, static_cast<vm::FuncRecord*>(item.what));
    case vm::ExternKind::table: return Table(static_cast<vm::TableInst*>(item.what));
    case vm::ExternKind::memory: return Memory(static_cast<vm::MemoryInst*>(item.what));
    case vm::ExternKind::global: return Global(&store, static_cast<vm::GlobalInst*>(item.what));
    case vm::ExternKind::tag: break;
  }
  return Tag(&store, static_cast<vm::TagInst*>(item.what));
}

ImportItem exported(const vm::Instance& instance, const vm::Export& item) {
  switch (item.kind) {
    case vm::ExternKind::func: return {item.kind, instance.funcs[item.index]};
    case vm::ExternKind::table: return {item.kind, instance.tables[item.index]};
    case vm::ExternKind::memory: return {item.kind, instance.memories[item.index]};
    case vm::ExternKind::global: return {item.kind, instance.globals[item.index]};
    case vm::ExternKind::tag: break;
  }
  return {item.kind, instance.tags[item.index]};
}

Result<vm::Instance*> make_instance(vm::Store& store, std::shared_ptr<const vm::Module> module_ptr,
                                    std::span<const ImportItem> imports, Unfinished& unfinished) {
  const vm::StoreUse use(store);
  if (use.refused()) return *use.refused();
  const vm::Module& module = *module_ptr;
  if (Result<void> supported = check_supported(module); !supported) return std::move(supported).error();
  if (module.registry != store.registry()) {
    return Error(ErrorKind::Usage, "the module and the store belong to different engines");
  }
  if (imports.size() != module.imports.size()) {
    return Error(ErrorKind::Link, "module has " + std::to_string(module.imports.size()) + " imports, not " +
                                      std::to_string(imports.size()));
  }
  for (size_t i = 0; i < imports.size(); ++i) {
    const vm::Import& import = module.imports[i];
    if (imports[i].kind != import.kind || !import_matches(module, import.kind, import.index, imports[i].what)) {
      return incompatible(store, module, import, imports[i]);
    }
  }

  VMRUN_ASSERT(module.guarded_memories == store.pool()->guards(), "code and memories disagree about guards");
  Result<vm::Instance*> made = store.new_instance(std::move(module_ptr));
  if (!made) return made;
  vm::Instance& instance = **made;
  for (size_t i = 0; i < imports.size(); ++i) bind(instance, module.imports[i], imports[i].what);
  if (Result<void> own = make_own(store, instance); !own) return std::move(own).error();
  // From here on the instance's functions may be in tables of others.
  if (fills_imported_table(module)) unfinished.keep();
  if (TrapCode trap = copy_segments(instance); trap != TrapCode::None) return trap_error(trap);
  unfinished.keep();
  return made;
}

Result<void> run_start(vm::Store& store, const vm::Instance& instance) {
  if (!instance.module->start) return {};
  vm::Slot none;
  const Outcome outcome = detail::invoke(store, *instance.funcs[*instance.module->start], &none, &none);
  if (outcome != Outcome::Return) return error_of(store, outcome);
  return {};
}

Result<vm::Instance*> instantiate(vm::Store& store, std::shared_ptr<const vm::Module> module,
                                  std::span<const ImportItem> imports, Unfinished& unfinished) {
  Result<vm::Instance*> made = make_instance(store, std::move(module), imports, unfinished);
  if (!made) return made;
  if (Result<void> started = run_start(store, **made); !started) return std::move(started).error();
  return made;
}

}  // namespace vmrun::engine
