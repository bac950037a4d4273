// Func: calling guests from the host, and making host functions that guests call.
//
// Three ways to make a host function, slowest and most flexible first:
//   dynamic   a FuncType and a callback over spans of Val                       Func::create, Linker::func
//   typed     any callable with plain C++ parameters, its type derived          Func::wrap, Linker::func_wrap
//   raw       a function pointer over Slots, no conversion, no allocation       Linker::func_raw
// and two ways to call: Func::call with Vals, or through a TypedFunc, checked once and then without any conversion.
//
// HOW A HOST FUNCTION ENDS. By returning, also when it fails: a raw one returns what Caller::trap, fail, exit or
// throw_exception gave it; a dynamic or typed one returns an Error, for which its result type is a Result.
// A dynamic or typed one may throw. That ends the guest, as a failure does, and the embedder's call (Func::call,
// TypedFunc::call, an instantiation) throws the same exception; vmrun throws in no other case.
// A raw one must not throw: the process ends by std::terminate.
// None may be left by longjmp, because the guest's frames have to be ended. The next call into the store, or the store's
// destructor, mostly notices that, and aborts with a message. Nor by pthread_exit or the thread's cancellation: the C
// library ends the process then.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/base/slot.h"
#include "vmrun/caller.h"
#include "vmrun/fwd.h"
#include "vmrun/types.h"
#include "vmrun/value.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// A raw host function: reads its parameters' slots from `args` and leaves its results' slots in `results` (which may
/// be the same memory: read all before writing any). Runs on the caller's stack. `caller` is null when the embedder
/// called. Ends with Outcome::Return, or with what a Caller's trap, fail, exit or throw_exception returned; another Outcome
/// that none of these made fails the call (Usage), Exception ends the process with a message. What it
/// leaves in `results` is not checked: references are of the caller's store. Must not throw: declare it noexcept.
using RawHostFn = Outcome (*)(void* env, vm::Vcpu& vcpu, vm::Instance* caller, const Slot* args, Slot* results);

/// A dynamic host function. `results` has one Val of each result's type, to be overwritten with the same type; another
/// type, or a reference of another store, makes the call fail (Usage).
using HostCallback = std::function<Result<void>(Caller& caller, std::span<const Val> args, std::span<Val> results)>;

/// A host function without a store: its type, its code and what it owns. Linkers keep these and make them real in each
/// store.
struct HostFunc {
  FuncType type;
  RawHostFn fn = nullptr;
  std::shared_ptr<void> env;

  static std::shared_ptr<const HostFunc> dynamic(FuncType type, HostCallback callback);
  /// From a callable: parameters int32_t, uint32_t, int64_t, uint64_t, float, double, V128, optionally a leading Caller
  /// or Caller&; result void, one of these types, a std::tuple of them, or a Result of any of these. It is called from
  /// one thread at a time only if the stores that use it are; a callable shared by stores on several threads must be
  /// safe for that.
  template <class F>
  static std::shared_ptr<const HostFunc> typed(F&& callable);
};

template <class Signature>
class TypedFunc;

/// Handle to a function in a store, wasm or host. Valid while the store lives; used by the thread that uses the store.
class Func {
 public:
  // A host function in `store`, which owns it. Errors: Limit (the engine holds too many types, or there is no memory),
  // Usage (the host function has no code).
  static Result<Func> create(Store& store, FuncType type, HostCallback callback);
  template <class F>
  static Result<Func> wrap(Store& store, F&& callable) {
    return from_host(store, HostFunc::typed(std::forward<F>(callable)));
  }
  static Result<Func> from_host(Store& store, std::shared_ptr<const HostFunc> func);

  FuncType type() const;
  uint32_t param_count() const;

  /// Calls the function, on the calling thread and its stack (or Store::set_native_stack's). Errors: Usage (arguments
  /// do not match the type, a reference of another store, a stack that is not known), Trap, Exception, Exit, or what a
  /// host function failed with. Throws what a host function threw.
  Result<std::vector<Val>> call(std::span<const Val> args = {}) const;
  Result<std::vector<Val>> call(std::initializer_list<Val> args) const {
    return call(std::span(args.begin(), args.size()));
  }

  /// The function as a C++ one: typed<int32_t(int32_t, int32_t)>(). Usage error when its type is another.
  template <class Signature>
  Result<TypedFunc<Signature>> typed() const;

  Func(vm::Store* store, vm::FuncRecord* impl) : store_(store), impl_(impl) {}
  vm::FuncRecord* impl() const { return impl_; }
  vm::Store* store() const { return store_; }
  friend bool operator==(Func a, Func b) { return a.impl_ == b.impl_; }

 private:
  vm::Store* store_;
  vm::FuncRecord* impl_;
};

// ---- typed calls, both ways ----

namespace detail {

template <class T>
struct Abi;  // the wasm type of a C++ type, and how it lies in slots
#define VMRUN_ABI(T, Kind, from, to)                                                            \
  template <>                                                                                   \
  struct Abi<T> {                                                                               \
    static constexpr ValKind kind = ValKind::Kind;                                              \
    static constexpr uint32_t slots = 1;                                                        \
    static T load(const Slot* s) { return static_cast<T>(s->from()); }                          \
    static void store(Slot* s, T v) { *s = Slot::to(static_cast<decltype(Slot{}.from())>(v)); } \
  }
VMRUN_ABI(int32_t, I32, as_i32, i32);
VMRUN_ABI(uint32_t, I32, as_i32, i32);
VMRUN_ABI(int64_t, I64, as_i64, i64);
VMRUN_ABI(uint64_t, I64, as_i64, i64);
VMRUN_ABI(float, F32, as_f32, f32);
VMRUN_ABI(double, F64, as_f64, f64);
#undef VMRUN_ABI
template <>
struct Abi<V128> {
  static constexpr ValKind kind = ValKind::V128;
  static constexpr uint32_t slots = 2;
  static V128 load(const Slot* s) { return load_v128(s); }
  static void store(Slot* s, V128 v) { store_v128(s, v); }
};

/// Offsets of the parameters, in slots.
template <class... Ts>
constexpr auto slot_offsets() {
  std::array<uint32_t, sizeof...(Ts) + 1> offsets{};
  uint32_t at = 0, i = 0;
  ((offsets[i++] = at, at += Abi<Ts>::slots), ...);
  offsets[i] = at;
  return offsets;
}

/// A result: void, one value, or a tuple.
template <class R>
struct ResultAbi {
  static constexpr uint32_t slots = Abi<R>::slots;
  static std::vector<ValType> types() { return {Abi<R>::kind}; }
  static void store(Slot* s, const R& v) { Abi<R>::store(s, v); }
  static R load(const Slot* s) { return Abi<R>::load(s); }
};
template <>
struct ResultAbi<void> {
  static constexpr uint32_t slots = 0;
  static std::vector<ValType> types() { return {}; }
};
template <class... Ts>
struct ResultAbi<std::tuple<Ts...>> {
  static constexpr auto offsets = slot_offsets<Ts...>();
  static constexpr uint32_t slots = offsets[sizeof...(Ts)];
  static std::vector<ValType> types() { return {Abi<Ts>::kind...}; }
  static void store(Slot* s, const std::tuple<Ts...>& v) {
    [&]<size_t... I>(std::index_sequence<I...>) {
      (Abi<Ts>::store(s + offsets[I], std::get<I>(v)), ...);
    }(std::index_sequence_for<Ts...>());
  }
  static std::tuple<Ts...> load(const Slot* s) {
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return std::tuple<Ts...>(Abi<Ts>::load(s + offsets[I])...);
    }(std::index_sequence_for<Ts...>());
  }
};

template <class T>
struct is_result : std::false_type {};
template <class T>
struct is_result<Result<T>> : std::true_type {
  using type = T;
};

/// In a handler, between a host function and its guest: keeps what was thrown until take_error.
Outcome host_threw(vm::Vcpu& vcpu) noexcept;

/// The call that makes a typed host function out of `callable`.
template <class F, class R, bool kCaller, class... Args>
struct HostThunk {
  static Outcome call(void* env, vm::Vcpu& vcpu, vm::Instance* instance, const Slot* args, Slot* results) {
#if defined(__cpp_exceptions)
    try {
      return run(*static_cast<F*>(env), vcpu, instance, args, results);
    } catch (...) {
      return host_threw(vcpu);
    }
#else
    return run(*static_cast<F*>(env), vcpu, instance, args, results);
#endif
  }
  static FuncType type() {
    if constexpr (is_result<R>::value) {
      return {{Abi<Args>::kind...}, ResultAbi<typename is_result<R>::type>::types()};
    } else {
      return {{Abi<Args>::kind...}, ResultAbi<R>::types()};
    }
  }

 private:
  static Outcome run(F& f, vm::Vcpu& vcpu, vm::Instance* instance, const Slot* args, Slot* results) {
    Caller caller(vcpu, instance);
    return [&]<size_t... I>(std::index_sequence<I...>) -> Outcome {
      [[maybe_unused]] constexpr auto at = slot_offsets<Args...>();
      auto run = [&]() -> R {
        if constexpr (kCaller) {
          return f(caller, Abi<Args>::load(args + at[I])...);
        } else {
          return f(Abi<Args>::load(args + at[I])...);
        }
      };
      if constexpr (std::is_void_v<R>) {
        run();
      } else if constexpr (is_result<R>::value) {
        R r = run();
        if (!r) return caller.fail(std::move(r).error());
        if constexpr (!std::is_void_v<typename is_result<R>::type>) {
          ResultAbi<typename is_result<R>::type>::store(results, *r);
        }
      } else {
        ResultAbi<R>::store(results, run());
      }
      return Outcome::Return;
    }(std::index_sequence_for<Args...>());
  }
};

template <class F, class Signature>
struct ThunkFor;
template <class F, class R, class... Args>
struct ThunkFor<F, R(Args...)> : HostThunk<F, R, false, std::remove_cvref_t<Args>...> {};
template <class F, class R, class... Args>
struct ThunkFor<F, R(Caller&, Args...)> : HostThunk<F, R, true, std::remove_cvref_t<Args>...> {};
template <class F, class R, class... Args>
struct ThunkFor<F, R(Caller, Args...)> : HostThunk<F, R, true, std::remove_cvref_t<Args>...> {};

template <class T>
struct CallSignature;
template <class C, class R, class... A>
struct CallSignature<R (C::*)(A...) const> {
  using type = R(A...);
};
template <class C, class R, class... A>
struct CallSignature<R (C::*)(A...)> {
  using type = R(A...);
};
template <class C, class R, class... A>
struct CallSignature<R (C::*)(A...) const noexcept> {
  using type = R(A...);
};
template <class C, class R, class... A>
struct CallSignature<R (C::*)(A...) noexcept> {
  using type = R(A...);
};
template <class F>
struct SignatureOf {
  using type = typename CallSignature<decltype(&F::operator())>::type;
};
template <class R, class... A>
struct SignatureOf<R (*)(A...)> {
  using type = R(A...);
};
template <class R, class... A>
struct SignatureOf<R (*)(A...) noexcept> {
  using type = R(A...);
};

/// Calls `func`; on anything but Return, take_error says what happened, or throws what a host function threw.
Outcome invoke(vm::Store& store, vm::FuncRecord& func, const Slot* args, Slot* results);
Error take_error(vm::Store& store, Outcome outcome);

}  // namespace detail

template <class F>
std::shared_ptr<const HostFunc> HostFunc::typed(F&& callable) {
  using Fn = std::decay_t<F>;
  using Thunk = detail::ThunkFor<Fn, typename detail::SignatureOf<Fn>::type>;
  return std::make_shared<HostFunc>(
      HostFunc{Thunk::type(), &Thunk::call, std::make_shared<Fn>(std::forward<F>(callable))});
}

/// A function whose type was checked once. Calling it converts nothing and allocates nothing. Errors and threads as for
/// Func.
template <class R, class... Args>
class TypedFunc<R(Args...)> {
 public:
  Result<R> call(Args... args) const {
    static constexpr auto at = detail::slot_offsets<Args...>();
    Slot slots[std::max<uint32_t>({at[sizeof...(Args)], detail::ResultAbi<R>::slots, 1})];
    [&]<size_t... I>(std::index_sequence<I...>) {
      (detail::Abi<Args>::store(slots + at[I], args), ...);
    }(std::index_sequence_for<Args...>());
    Outcome outcome = detail::invoke(*func_.store(), *func_.impl(), slots, slots);
    if (outcome != Outcome::Return) [[unlikely]]
      return detail::take_error(*func_.store(), outcome);
    if constexpr (std::is_void_v<R>) {
      return {};
    } else {
      return detail::ResultAbi<R>::load(slots);
    }
  }
  Result<R> operator()(Args... args) const { return call(args...); }
  Func func() const { return func_; }

 private:
  friend class Func;
  explicit TypedFunc(Func func) : func_(func) {}
  static FuncType type() { return {{detail::Abi<Args>::kind...}, detail::ResultAbi<R>::types()}; }
  Func func_;
};

template <class Signature>
Result<TypedFunc<Signature>> Func::typed() const {
  FuncType have = type(), want = TypedFunc<Signature>::type();
  if (have != want) {
    return Error(ErrorKind::Usage, "function has type " + have.to_string() + ", not " + want.to_string());
  }
  return TypedFunc<Signature>(*this);
}

}  // namespace vmrun
#pragma GCC visibility pop
