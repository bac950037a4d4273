// Instances for further threads of a program; see sibling.h.
#include "engine/sibling.h"

#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/instantiate.h"
#include "vmrun/base/text.h"

namespace vmrun::engine {
namespace {

using Envs = std::unordered_map<const void*, std::shared_ptr<void>>;

/// What stands in `to` for an import of `from`; nothing where there can be nothing. `envs`: what the host functions of the
/// other store work on.
void* twin_of_import(vm::Store& to, const vm::Instance& from, const vm::Import& import, const Envs& envs) {
  vm::Store& own = *from.store;
  switch (import.kind) {
    case vm::ExternKind::func: {
      vm::FuncRecord& func = *from.funcs[import.index];
      if (own.shares(func)) return to.share_as(own) ? &func : nullptr;
      if (func.host == nullptr) return nullptr;
      const auto env = envs.find(func.host_env);
      return to.new_host_func(func.type, func.host, env != envs.end() ? env->second : nullptr);
    }
    case vm::ExternKind::memory: {
      const vm::MemoryInst& memory = *from.memories[import.index];
      return memory.type.shared ? to.attach(own.owner_of(memory)) : nullptr;
    }
    case vm::ExternKind::global: {
      const vm::GlobalInst& global = *from.globals[import.index];
      return !global.type.mutable_ && !global.type.type.is_ref() ? to.new_global(global.type, global.value) : nullptr;
    }
    case vm::ExternKind::table:
    case vm::ExternKind::tag: break;
  }
  return nullptr;
}

}  // namespace

Result<vm::Instance*> make_sibling(vm::Store& to, const vm::Instance& from) {
  Unfinished unfinished(to);
  Envs envs;
  for (const std::shared_ptr<void>& env : from.store->host_envs()) envs.emplace(env.get(), env);
  std::vector<ImportItem> items;
  items.reserve(from.module->imports.size());
  for (const vm::Import& import : from.module->imports) {
    void* twin = twin_of_import(to, from, import, envs);
    if (twin == nullptr) {
      return Error(ErrorKind::Link, "a thread cannot have the import " + printable_name(import.module) + "." +
                                        printable_name(import.name) +
                                        ": threads share host functions, shared memories and constants, and nothing "
                                        "that belongs to another instance");
    }
    items.push_back({import.kind, twin});
  }
  return make_instance(to, from.store->module_of(from), items, unfinished);
}

}  // namespace vmrun::engine
