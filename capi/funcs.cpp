// Functions: calls into guests, and callbacks.
#include "capi/funcs.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "capi/types.h"
#include "engine/convert.h"
#include "engine/exceptions.h"
#include "engine/outcome.h"
#include "vmrun/caller.h"
#include "vmrun/deadline.h"

using namespace vmrun;
using namespace vmrun::capi;

struct vmrun_caller_t {
  const Caller* caller;
  wasm_store_t store;  // without a state, in a thread of the guest: its store has no handles
};

namespace {

/// Room for so many values or slots: in place for most signatures.
template <class T>
class Room {
 public:
  explicit Room(size_t count) : more_(count > kInline ? std::make_unique<T[]>(count) : nullptr) {}
  T* data() { return more_ != nullptr ? more_.get() : inline_; }

 private:
  static constexpr size_t kInline = 16;
  T inline_[kInline];
  const std::unique_ptr<T[]> more_;
};

/// Values that are released at the end.
class Values {
 public:
  explicit Values(size_t count) : room_(count) { vec_ = {0, room_.data()}; }
  ~Values() {
    for (size_t i = 0; i < vec_.size; ++i) wasm_val_delete(&vec_.data[i]);
  }
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;
  void push(wasm_val_t value) { vec_.data[vec_.size++] = value; }
  wasm_val_vec_t* vec() { return &vec_; }

 private:
  Room<wasm_val_t> room_;
  wasm_val_vec_t vec_;
};

void finalize(const Callback* callback) {
  if (callback->finalizer != nullptr) callback->finalizer(callback->env);
}

/// A callback as what a HostFunc owns.
struct Env {
  Env(FuncType t, const Callback& c) : type(std::move(t)), callback(c), refs_(has_refs(type)) {}
  ~Env() { finalize(&callback); }
  Env(const Env&) = delete;
  Env& operator=(const Env&) = delete;

  const FuncType type;
  const Callback callback;

  static Outcome call(void* env, vm::Vcpu& vcpu, vm::Instance* instance, const Slot* args, Slot* results) {
    try {
      const Caller caller(vcpu, instance);
      try {
        return static_cast<const Env*>(env)->run(caller, args, results);
      } catch (const std::bad_alloc&) {
        return caller.fail(Error(ErrorKind::Limit, "out of memory"));
      }
    } catch (...) {
      return detail::host_threw(vcpu);
    }
  }

 private:
  static bool has_refs(const FuncType& type) {
    auto is_ref = [](ValType t) { return t.is_ref(); };
    return std::any_of(type.params.begin(), type.params.end(), is_ref) ||
           std::any_of(type.results.begin(), type.results.end(), is_ref);
  }

  wasm_trap_t* enter(const Caller& caller, const StorePtr& state, const wasm_val_vec_t* args,
                     wasm_val_vec_t* results) const {
    if (callback.with_caller != nullptr) {
      vmrun_caller_t described{&caller, {state}};
      return callback.with_caller(callback.env, &described, args, results);
    }
    if (callback.with_env != nullptr) return callback.with_env(callback.env, args, results);
    return callback.plain(args, results);
  }

  Outcome run(const Caller& caller, const Slot* args, Slot* results) const {
    // Threads of a guest have stores beside the one that the C API knows.
    auto* const known = caller.data<StoreState>();
    const bool own = &known->store == &caller.store();
    if (!own && refs_) {
      return caller.fail(Error(ErrorKind::Usage, "threads of a guest hand no references to callbacks of the C API"));
    }
    // Whoever called the guest keeps the store.
    const StorePtr state = own && (refs_ || callback.with_caller != nullptr) ? known->shared_from_this() : nullptr;

    Values in(type.params.size()), out(type.results.size());
    for (const ValType param : type.params) {
      in.push(from_slots(state, param, args));
      args += param.kind() == ValKind::V128 ? 2 : 1;
    }
    for (const ValType result : type.results) {
      wasm_val_t zero;
      zero.kind = kind_of(result);
      zero.of.i64 = 0;
      out.push(zero);
    }
    if (wasm_trap_t* const trap = enter(caller, state, in.vec(), out.vec()); trap != nullptr) [[unlikely]] {
      const std::unique_ptr<wasm_trap_t, decltype(&wasm_trap_delete)> owned(trap, &wasm_trap_delete);
      std::shared_ptr<TrapObject> object = trap_of(*trap);
      Error error = object->error;
      // An exception is a guest's to catch, and then there is nothing to give back.
      if (own && error.kind != ErrorKind::Exception && !is_spare(trap)) known->pending = std::move(object);
      return caller.fail(std::move(error));
    }
    const wasm_val_t* value = out.vec()->data;
    for (const ValType result : type.results) {
      if (to_slot(result.kind(), *value, results)) {
        ++results;
      } else {
        Result<Val> converted = to_val(*known, result, *value, "a result of a callback");
        if (!converted) return caller.fail(std::move(converted).error());
        results += converted->to_slots(results);
      }
      ++value;
    }
    return Outcome::Return;
  }

  const bool refs_;
};

/// One call more that is in others.
class Deeper {
 public:
  explicit Deeper(StoreState& state) : state_(state) { ++state_.depth; }
  ~Deeper() { --state_.depth; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;
  bool allowed() const { return state_.depth <= state_.store.impl().limits().host_depth; }

 private:
  StoreState& state_;
};

/// Hands `results` over: all of them or, when there is no memory, none.
void give(const StorePtr& state, const vm::FuncType& type, const Slot* from, wasm_val_t* results) {
  size_t given = 0;
  try {
    for (const vm::ValType result : type.results) {
      results[given] = from_slots(state, engine::to_public(result), from);
      from += result.slots();
      ++given;
    }
  } catch (...) {
    while (given > 0) wasm_val_delete(&results[--given]);
    throw;
  }
}

wasm_trap_t* call_in(const StorePtr& state, vm::FuncRecord& record, const wasm_val_vec_t* args,
                     wasm_val_vec_t* results) {
  const vm::FuncType& type = state->store.impl().registry()->get(record.type).func;
  const size_t given = args != nullptr ? args->size : 0, room = results != nullptr ? results->size : 0;
  if (given != type.params.size()) {
    return new_trap(state, usage("function takes " + std::to_string(type.params.size()) + " arguments, not " +
                                 std::to_string(given)));
  }
  if (room < type.results.size()) {
    return new_trap(state, usage("function gives " + std::to_string(type.results.size()) +
                                 " results, and there is room for " + std::to_string(room)));
  }
  Room<Slot> slots(std::max<size_t>(type.param_slots, type.result_slots));
  Slot* at = slots.data();
  for (size_t i = 0; i < given; ++i) {
    if (to_slot(engine::to_public(type.params[i]).kind(), args->data[i], at)) {
      ++at;
      continue;
    }
    Result<Val> value = to_val(*state, engine::to_public(type.params[i]), args->data[i], "an argument");
    if (!value) {
      Error error = std::move(value).error();
      error.message += " (argument " + std::to_string(i) + ")";
      return new_trap(state, std::move(error));
    }
    at += value->to_slots(at);
  }
  const Outcome outcome = detail::invoke(state->store.impl(), record, slots.data(), slots.data());
  if (outcome != Outcome::Return) return trap_for(state, detail::take_error(state->store.impl(), outcome));

  if (!type.results.empty()) give(state, type, slots.data(), results->data);
  return nullptr;
}

wasm_trap_t* call(const wasm_func_t* func, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  const StorePtr state = func->store;  // a callback may delete the handle
  const Deeper deeper(*state);
  if (!deeper.allowed()) return new_trap(state, engine::trap_error(TrapCode::StackOverflow));
  try {
    return call_in(state, *static_cast<vm::FuncRecord*>(func->thing), args, results);
  } catch (const std::bad_alloc&) {  // ours: a callback's is a failure of the guest by now
    return new_trap(state, engine::out_of_memory());
  }
}

wasm_func_t* new_func(wasm_store_t* store, const wasm_functype_t* type, const Callback& callback) {
  return guarded([&] {
    return with(host_func(type, callback), [&](std::shared_ptr<const HostFunc>& made) {
      return with(Func::from_host(store->state->store, std::move(made)),
                  [&](Func& func) { return new wasm_func_t(Kind::Func, store->state, func.impl()); });
    });
  });
}

}  // namespace

namespace vmrun::capi {

Result<std::shared_ptr<const HostFunc>> host_func(const wasm_functype_t* type, const Callback& callback) {
  // Until there is an Env, which does the same.
  std::unique_ptr<const Callback, decltype(&finalize)> owned(&callback, &finalize);
  if (type == nullptr) return usage("the function's type is NULL");
  if (callback.plain == nullptr && callback.with_env == nullptr && callback.with_caller == nullptr) {
    return usage("the callback is NULL");
  }
  auto env = std::make_shared<Env>(from_functype(*type), callback);
  [[maybe_unused]] const Callback* handed_over = owned.release();
  return std::shared_ptr<const HostFunc>(std::make_shared<HostFunc>(HostFunc{env->type, &Env::call, env}));
}

}  // namespace vmrun::capi

wasm_func_t* wasm_func_new(wasm_store_t* store, const wasm_functype_t* type, wasm_func_callback_t callback) {
  return new_func(store, type, {.plain = callback});
}
wasm_func_t* wasm_func_new_with_env(wasm_store_t* store, const wasm_functype_t* type,
                                    wasm_func_callback_with_env_t callback, void* env, void (*finalizer)(void*)) {
  return new_func(store, type, {.with_env = callback, .env = env, .finalizer = finalizer});
}
wasm_func_t* vmrun_func_new(wasm_store_t* store, const wasm_functype_t* type, vmrun_callback_t callback, void* env,
                            void (*finalizer)(void*)) {
  return new_func(store, type, {.with_caller = callback, .env = env, .finalizer = finalizer});
}

wasm_functype_t* wasm_func_type(const wasm_func_t* func) {
  return guarded([&] { return static_cast<wasm_functype_t*>(new_externtype(func_of(*func).type())); });
}
size_t wasm_func_param_arity(const wasm_func_t* func) { return func_of(*func).param_count(); }
size_t wasm_func_result_arity(const wasm_func_t* func) {
  const auto& record = *static_cast<const vm::FuncRecord*>(func->thing);
  return func->store->store.impl().registry()->get(record.type).func.results.size();
}

wasm_trap_t* wasm_func_call(const wasm_func_t* func, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  return call(func, args, results);
}
wasm_trap_t* vmrun_func_call_within(const wasm_func_t* func, uint64_t nanoseconds, const wasm_val_vec_t* args,
                                    wasm_val_vec_t* results) {
  const StorePtr state = func->store;
  const auto most = static_cast<uint64_t>(std::chrono::nanoseconds::max().count());
  std::optional<Deadline> deadline;
  try {
    deadline.emplace(state->store, std::chrono::nanoseconds(std::min(nanoseconds, most)));
  } catch (const std::exception&) {
    return new_trap(state, Error(ErrorKind::Limit, "no memory or no thread for a deadline"));
  }
  return call(func, args, results);
}

// ---- who called ----

wasm_store_t* vmrun_caller_store(vmrun_caller_t* caller) {
  return caller->store.state != nullptr ? &caller->store : nullptr;
}
wasm_instance_t* vmrun_caller_instance(vmrun_caller_t* caller) {
  if (!caller->caller->has_instance() || caller->store.state == nullptr) return nullptr;
  return guarded([&] { return new_instance(caller->store.state, caller->caller->instance()); });
}
byte_t* vmrun_caller_bytes(vmrun_caller_t* caller, uint64_t address, uint64_t size) {
  const std::optional<Memory> memory = caller->caller->memory();
  if (!memory) return nullptr;
  return reinterpret_cast<byte_t*>(memory->range(address, size).data());
}
