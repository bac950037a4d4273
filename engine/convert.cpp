// Conversions between the machine's types and the embedder's.
#include "engine/convert.h"

#include "vm/runtime/instance.h"

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

Result<vm::TypeId> intern(vm::TypeRegistry& registry, const FuncType& type) {
  std::vector<vm::ValType> params, results;
  params.reserve(type.params.size());
  results.reserve(type.results.size());
  for (ValType t : type.params) params.push_back(to_vm(t));
  for (ValType t : type.results) results.push_back(to_vm(t));
  if (const std::optional<vm::TypeId> id = registry.intern_func(params, results)) return *id;
  return Error(ErrorKind::Limit, "too many types in this engine");
}

bool is_of(vm::Store& store, Ref ref, vm::HeapType top) {
  if (ref.is_null() || ref.is_i31()) return true;
  if (top == vm::Heap::func) return store.owns(ref.as<vm::FuncRecord>());
  if (top == vm::Heap::exn) return store.owns(ref.as<vm::ExnCell>());
  return store.owns(ref.as<vm::ExternCell>());  // converted or not: any other object is not made yet
}

Fit fits(vm::Store& store, const Val& value, vm::ValType type) {
  const vm::TypeRegistry& registry = *store.registry();
  auto fit_if = [](bool same) { return same ? Fit::yes : Fit::wrong_type; };
  if (!value.type().is_ref() || !type.is_ref()) return fit_if(to_vm(value.type()) == type);
  const vm::HeapType heap = to_vm(value.type()).heap();
  const vm::HeapType top = registry.top(heap);
  // A null is of its whole hierarchy, whatever type it came with.
  if (value.is_null()) return fit_if(type.nullable() && top == registry.top(type.heap()));
  if (!is_of(store, value.as_ref(), top)) return Fit::foreign;
  // Not null, whatever its static type allows. A function knows its own type.
  const vm::HeapType own = top == vm::Heap::func ? vm::HeapType(value.as_ref().as<vm::FuncRecord>()->type) : heap;
  return fit_if(registry.matches(vm::ValType::ref(own, false), type));
}

Error unfit(Fit fit, std::string_view what, const Val& value, vm::ValType type) {
  std::string message(what);
  if (fit == Fit::foreign) {
    message += " is a reference that does not belong to this store";
  } else {
    message += " has type " + value.type().to_string() + ", not " + vm::to_string(type);
  }
  return Error(ErrorKind::Usage, std::move(message));
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
