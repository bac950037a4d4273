// The structures behind the names of wasm.h.
//
// Rules. A handle of a store's thing keeps the store (StorePtr), and the store never keeps a handle: so everything lives
// until the last handle is gone, and nothing keeps itself alive. A function that calls guests holds a StorePtr of its own,
// because a callback may delete every handle meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "capi/object.h"
#include "vmrun/c.h"
#include "vmrun/engine.h"
#include "vmrun/instance.h"
#include "vmrun/store.h"

namespace vmrun::capi {

/// A store with what the C API knows of it. One thread at a time uses it.
struct StoreState : std::enable_shared_from_this<StoreState> {
  StoreState(const Engine& engine, const StoreLimits& limits) : store(engine, limits) { store.set_data(this); }

  /// The object that stands for one of the store's things, made when there is something to remember of it.
  ObjectPtr object_of(Kind kind, void* thing);
  /// Keeps `object` for as long as the store lives, because a guest gets its address.
  void hold(const ObjectPtr& object) { held.emplace(object.get(), object); }

  std::unordered_map<const void*, ObjectPtr> things;
  std::unordered_map<const void*, ObjectPtr> held;
  std::vector<vm::Instance*> instances;
  /// The trap that a callback returned, until the host's call gives it back.
  std::shared_ptr<TrapObject> pending;
  void* data = nullptr;
  /// Calls that are in each other. The engine bounds those of guests; callbacks may call each other without one between.
  uint32_t depth = 0;
  /// Goes first: finalizers of its host functions are called while all else is there.
  Store store;
};
using StorePtr = std::shared_ptr<StoreState>;

}  // namespace vmrun::capi

struct wasm_config_t {
  vmrun::Config config;
};
struct wasm_engine_t {
  vmrun::Engine engine;
};
struct wasm_store_t {
  vmrun::capi::StorePtr state;
};

/// Any reference. `thing` is a store's own thing (FuncRecord, GlobalInst, ..., Instance) or null; `object` is what else
/// there is. Of kind Opaque: an exnref, pinned, or a reference that only guests understand.
struct wasm_ref_t {
  wasm_ref_t(vmrun::capi::Kind k, vmrun::capi::StorePtr s, void* t) : kind(k), store(std::move(s)), thing(t) {}
  wasm_ref_t(vmrun::capi::StorePtr s, vmrun::capi::ObjectPtr o)
      : kind(o->kind), store(std::move(s)), thing(o->thing), object(std::move(o)) {}
  wasm_ref_t(vmrun::capi::StorePtr s, vmrun::ValType type, vmrun::Ref ref);
  wasm_ref_t(const wasm_ref_t& other);
  wasm_ref_t& operator=(const wasm_ref_t&) = delete;
  ~wasm_ref_t();

  /// What two handles of one thing have in common.
  const void* identity() const {
    return thing != nullptr ? thing : object != nullptr ? object.get() : opaque.as<const void>();
  }
  vmrun::capi::ObjectPtr the_object() const { return object != nullptr ? object : store->object_of(kind, thing); }

  const vmrun::capi::Kind kind;
  const vmrun::capi::StorePtr store;
  void* const thing = nullptr;
  const vmrun::capi::ObjectPtr object;
  const vmrun::ValType type = vmrun::ValType::externref();
  const vmrun::Ref opaque;
};

// One structure with many names: a cast between them changes nothing but the name.
struct wasm_extern_t : wasm_ref_t {
  using wasm_ref_t::wasm_ref_t;
};
struct wasm_func_t : wasm_extern_t {
  using wasm_extern_t::wasm_extern_t;
};
struct wasm_global_t : wasm_extern_t {
  using wasm_extern_t::wasm_extern_t;
};
struct wasm_table_t : wasm_extern_t {
  using wasm_extern_t::wasm_extern_t;
};
struct wasm_memory_t : wasm_extern_t {
  using wasm_extern_t::wasm_extern_t;
};
struct wasm_instance_t : wasm_ref_t {
  using wasm_ref_t::wasm_ref_t;
};
struct wasm_module_t : wasm_ref_t {
  using wasm_ref_t::wasm_ref_t;
};
struct wasm_trap_t : wasm_ref_t {
  using wasm_ref_t::wasm_ref_t;
};
struct wasm_foreign_t : wasm_ref_t {
  using wasm_ref_t::wasm_ref_t;
};

struct wasm_shared_module_t {
  vmrun::Module module;
};

struct vmrun_error_t {
  vmrun::Error error;
};

namespace vmrun::capi {

// The C++ handles in the C ones.
inline Func func_of(const wasm_ref_t& ref) {
  return Func(&ref.store->store.impl(), static_cast<vm::FuncRecord*>(ref.thing));
}
inline Global global_of(const wasm_ref_t& ref) {
  return Global(&ref.store->store.impl(), static_cast<vm::GlobalInst*>(ref.thing));
}
inline Table table_of(const wasm_ref_t& ref) { return Table(static_cast<vm::TableInst*>(ref.thing)); }
inline Memory memory_of(const wasm_ref_t& ref) { return Memory(static_cast<vm::MemoryInst*>(ref.thing)); }
inline Tag tag_of(const wasm_ref_t& ref) { return Tag(&ref.store->store.impl(), static_cast<vm::TagInst*>(ref.thing)); }
inline Instance instance_of(const wasm_ref_t& ref) { return Instance(static_cast<vm::Instance*>(ref.thing)); }
inline const Module& module_of(const wasm_ref_t& ref) {
  return static_cast<const ModuleObject*>(ref.object.get())->module;
}
inline const std::shared_ptr<TrapObject> trap_of(const wasm_ref_t& ref) {
  return std::static_pointer_cast<TrapObject>(ref.object);
}
Extern extern_of(const wasm_ref_t& ref);
/// A new handle. Throws std::bad_alloc.
wasm_extern_t* new_extern(const StorePtr& state, const Extern& item);
wasm_instance_t* new_instance(const StorePtr& state, Instance instance);

// ---- failures ----

/// Remembers why a function of this thread failed.
void set_last_error(Error error) noexcept;

/// The exception that is being handled, as an Error: exhausted memory, or a size beyond all there is.
Error caught() noexcept;
/// A failure for an argument that the caller got wrong.
inline Error usage(std::string message) { return Error(ErrorKind::Usage, std::move(message)); }

/// Calls `f`, and makes whatever it throws a failure of it: nothing is thrown into C. Not around what calls guests, whose
/// callbacks may throw if they are in C++ (vmrun/func.h).
template <class F>
auto guarded(F&& f) -> decltype(f()) {
  using R = decltype(f());
  try {
    return f();
  } catch (...) {
    set_last_error(caught());
    if constexpr (!std::is_void_v<R>) return R{};
  }
}
/// The value of `result`, or a failure.
template <class T, class F>
auto with(Result<T> result, F&& f) -> decltype(f(*result)) {
  if (result) return f(*result);
  set_last_error(std::move(result).error());
  return {};
}

// A failure is never NULL, which would be success: where there is no memory for one, it is the one of this process that says
// so, which was made with the first engine and is never deleted.
/// `error` for the caller to own.
vmrun_error_t* new_error(Error error) noexcept;
wasm_trap_t* new_trap(const StorePtr& state, Error error);
/// The trap for what a call ended with: the one that a callback returned, if it was that.
wasm_trap_t* trap_for(const StorePtr& state, Error error);
/// Makes that error and that trap. Throws std::bad_alloc.
void make_spare_failures();
/// Whether `ref` is that trap, which has no store.
bool is_spare(const wasm_ref_t* ref) noexcept;

/// The failure of what `f` does, which returns a Result<void>; exhausted memory too.
template <class F>
vmrun_error_t* failure_of(F&& f) {
  try {
    Result<void> done = f();
    return done ? nullptr : new_error(std::move(done).error());
  } catch (...) {
    return new_error(caught());
  }
}

}  // namespace vmrun::capi
