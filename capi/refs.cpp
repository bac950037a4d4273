// References: handles, their identity, the host's information on what they name.
#include "capi/values.h"

using namespace vmrun;
using namespace vmrun::capi;

namespace vmrun::capi {

TrapObject::TrapObject(const StorePtr& state, Error e) : Object(Kind::Trap), error(std::move(e)), store_(state) {
  if (error.kind == ErrorKind::Exception) state->store.pin(Ref{error.exception});
}
TrapObject::~TrapObject() {
  if (error.kind != ErrorKind::Exception) return;
  if (const StorePtr state = store_.lock()) state->store.unpin(Ref{error.exception});
}

ObjectPtr StoreState::object_of(Kind kind, void* thing) {
  ObjectPtr& object = things[thing];
  if (object == nullptr) object = std::make_shared<Object>(kind, thing);
  return object;
}

Extern extern_of(const wasm_ref_t& ref) {
  switch (ref.kind) {
    case Kind::Global: return global_of(ref);
    case Kind::Table: return table_of(ref);
    case Kind::Memory: return memory_of(ref);
    case Kind::Tag: return tag_of(ref);
    default: return func_of(ref);
  }
}

wasm_extern_t* new_extern(const StorePtr& state, const Extern& item) {
  switch (item.kind()) {
    case ExternKind::Func: return new wasm_func_t(Kind::Func, state, item.func()->impl());
    case ExternKind::Table: return new wasm_table_t(Kind::Table, state, item.table()->impl());
    case ExternKind::Memory: return new wasm_memory_t(Kind::Memory, state, item.memory()->impl());
    case ExternKind::Global: return new wasm_global_t(Kind::Global, state, item.global()->impl());
    case ExternKind::Tag: break;
  }
  return new wasm_extern_t(Kind::Tag, state, item.tag()->impl());
}

wasm_instance_t* new_instance(const StorePtr& state, Instance instance) {
  return new wasm_instance_t(Kind::Instance, state, instance.impl());
}

}  // namespace vmrun::capi

wasm_ref_t::wasm_ref_t(StorePtr s, ValType t, Ref ref) : kind(Kind::Opaque), store(std::move(s)), type(t), opaque(ref) {
  if (t.heap() == HeapKind::Exn) store->store.pin(ref);
}
wasm_ref_t::wasm_ref_t(const wasm_ref_t& other)
    : kind(other.kind),
      store(other.store),
      thing(other.thing),
      object(other.object),
      type(other.type),
      opaque(other.opaque) {
  if (!opaque.is_null() && type.heap() == HeapKind::Exn) store->store.pin(opaque);
}
wasm_ref_t::~wasm_ref_t() {
  if (!opaque.is_null() && type.heap() == HeapKind::Exn) store->store.unpin(opaque);
}

#define REF_BASE(name)                                                                                              \
  void wasm_##name##_delete(wasm_##name##_t* ref) { delete_ref(ref); }                                              \
  wasm_##name##_t* wasm_##name##_copy(const wasm_##name##_t* ref) {                                                 \
    if (ref == nullptr || is_spare(ref)) return const_cast<wasm_##name##_t*>(ref);                                  \
    return guarded([&] { return new wasm_##name##_t(*ref); });                                                      \
  }                                                                                                                 \
  bool wasm_##name##_same(const wasm_##name##_t* a, const wasm_##name##_t* b) {                                     \
    if (a == nullptr || b == nullptr) return a == b;                                                                \
    return a->kind == b->kind && a->identity() == b->identity();                                                    \
  }                                                                                                                 \
  void* wasm_##name##_get_host_info(const wasm_##name##_t* ref) {                                                   \
    return guarded([&]() -> void* { return ref->kind == Kind::Opaque ? nullptr : ref->the_object()->info.get(); }); \
  }                                                                                                                 \
  void wasm_##name##_set_host_info(wasm_##name##_t* ref, void* info) {                                              \
    wasm_##name##_set_host_info_with_finalizer(ref, info, nullptr);                                                 \
  }                                                                                                                 \
  void wasm_##name##_set_host_info_with_finalizer(wasm_##name##_t* ref, void* info, void (*finalizer)(void*)) {     \
    set_info(*ref, info, finalizer);                                                                                \
  }
#define REF(name, Kind_)                                                                   \
  REF_BASE(name)                                                                           \
  wasm_ref_t* wasm_##name##_as_ref(wasm_##name##_t* ref) { return ref; }                   \
  const wasm_ref_t* wasm_##name##_as_ref_const(const wasm_##name##_t* ref) { return ref; } \
  wasm_##name##_t* wasm_ref_as_##name(wasm_ref_t* ref) {                                   \
    return ref != nullptr && (Kind_) ? static_cast<wasm_##name##_t*>(ref) : nullptr;       \
  }                                                                                        \
  const wasm_##name##_t* wasm_ref_as_##name##_const(const wasm_ref_t* ref) {               \
    return ref != nullptr && (Kind_) ? static_cast<const wasm_##name##_t*>(ref) : nullptr; \
  }
#define EXTERN(name, Kind_)                                                                      \
  REF(name, ref->kind == Kind::Kind_)                                                            \
  wasm_extern_t* wasm_##name##_as_extern(wasm_##name##_t* ref) { return ref; }                   \
  const wasm_extern_t* wasm_##name##_as_extern_const(const wasm_##name##_t* ref) { return ref; } \
  wasm_##name##_t* wasm_extern_as_##name(wasm_extern_t* ref) { return wasm_ref_as_##name(ref); } \
  const wasm_##name##_t* wasm_extern_as_##name##_const(const wasm_extern_t* ref) {               \
    return wasm_ref_as_##name##_const(ref);                                                      \
  }

namespace {

template <class T>
void delete_ref(T* ref) {
  if (ref != nullptr && !is_spare(ref)) delete ref;
}

void set_info(wasm_ref_t& ref, void* info, void (*finalizer)(void*)) {
  guarded([&] {
    if (is_spare(&ref)) return set_last_error(usage("the trap for exhausted memory keeps no information of the host"));
    if (ref.kind != Kind::Opaque) return ref.the_object()->info.set(info, finalizer);
    set_last_error(Error(ErrorKind::Usage, "a reference to a guest's own value keeps no information of the host"));
  });
}

}  // namespace

REF_BASE(ref)
REF(extern, is_extern(ref->kind))
EXTERN(func, Func)
EXTERN(global, Global)
EXTERN(table, Table)
EXTERN(memory, Memory)
REF(instance, ref->kind == Kind::Instance)
REF(module, ref->kind == Kind::Module)
REF(trap, ref->kind == Kind::Trap)
REF(foreign, ref->kind == Kind::Foreign)

wasm_foreign_t* wasm_foreign_new(wasm_store_t* store) {
  return guarded([&] { return new wasm_foreign_t(store->state, std::make_shared<Object>(Kind::Foreign)); });
}
