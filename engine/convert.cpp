// Conversions between the machine's types and the embedder's.
#include "engine/convert.h"

#include "vm/instance.h"

namespace vmrun::engine {

std::vector<ValType> to_public(const std::vector<vm::ValType>& types) {
  std::vector<ValType> out;
  out.reserve(types.size());
  for (vm::ValType type : types) out.push_back(to_public(type));
  return out;
}

FuncType to_public(const vm::FuncType& type) { return {to_public(type.params), to_public(type.results)}; }

TableType to_public(const vm::TableType& type) {
  return {to_public(type.elem), type.limits.min, type.limits.max, type.limits.is64};
}

MemoryType to_public(const vm::MemoryType& type) {
  return {type.limits.min, type.limits.max, type.limits.is64, type.shared, type.page_log2};
}

GlobalType to_public(const vm::GlobalType& type) { return {to_public(type.type), type.mutable_}; }

vm::TypeId intern(vm::TypeRegistry& registry, const FuncType& type) {
  std::vector<vm::ValType> params, results;
  params.reserve(type.params.size());
  results.reserve(type.results.size());
  for (ValType t : type.params) params.push_back(to_vm(t));
  for (ValType t : type.results) results.push_back(to_vm(t));
  return registry.intern_func(params, results);
}

bool matches(const vm::TypeRegistry& registry, const Val& value, vm::ValType type) {
  if (!value.type().is_ref() || !type.is_ref()) return to_vm(value.type()) == type;
  if (value.is_null()) {
    // A null is of its whole hierarchy, whatever type it came with.
    return type.nullable() && registry.top(to_vm(value.type()).heap()) == registry.top(type.heap());
  }
  // Not null, whatever its static type allows. A function knows its own type.
  if (registry.top(to_vm(value.type()).heap()) == vm::Heap::func) {
    const vm::HeapType own(value.as_ref().as<vm::FuncRecord>()->type);
    return registry.matches(vm::ValType::ref(own, false), type);
  }
  return registry.matches(vm::ValType::ref(to_vm(value.type()).heap(), false), type);
}

ExternType extern_type(const vm::Module& module, vm::ExternKind kind, uint32_t index) {
  switch (kind) {
    case vm::ExternKind::func: return to_public(module.func_type(index));
    case vm::ExternKind::table: return to_public(module.tables[index].type);
    case vm::ExternKind::memory: return to_public(module.memories[index]);
    case vm::ExternKind::global: return to_public(module.globals[index].type);
    case vm::ExternKind::tag: break;
  }
  return TagType{to_public(module.registry->get(module.tags[index].type).func.params)};
}

}  // namespace vmrun::engine
