// From a call's C++ signature to what a linker needs: its wasm signature, a raw host function that decodes arguments,
// and a trace of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "vm/runtime/instance.h"
#include "vm/wasm/fuel.h"
#include "vmrun/base/slot.h"
#include "vmrun/caller.h"
#include "vmrun/types.h"
#include "wasi/args.h"
#include "wasi/calls.h"
#include "wasi/context.h"

namespace vmrun::wasi {

/// How an argument is shown in a trace.
enum class Show : uint8_t {
  Decimal,
  SignedDecimal,
  Hex,
  FdFlags,
  OFlags,
  LookupFlags,
  FstFlags,
  Pointer,
  Buffer,
  Path,
  Iovecs,
  Out16,
  Out32,
  Out64,
  OutStruct,
};
/// An argument for a trace: one or two parameters.
struct Shown {
  Show how;
  uint64_t a;
  uint32_t b;
};

/// A parameter kind of args.h: its wasm types, how it is decoded from slots, how it is shown.
template <class T>
struct Param;

template <class Tag, class Int>
struct Param<Number<Tag, Int>> {
  using T = Number<Tag, Int>;
  static constexpr size_t slots = 1;
  static constexpr ValKind kind = sizeof(Int) == 8 ? ValKind::I64 : ValKind::I32;
  static T load(const Slot* s) { return {static_cast<Int>(s->bits)}; }
  static constexpr Show how() {
    if constexpr (std::is_same_v<T, FdFlags>) return Show::FdFlags;
    if constexpr (std::is_same_v<T, OFlags>) return Show::OFlags;
    if constexpr (std::is_same_v<T, LookupFlags>) return Show::LookupFlags;
    if constexpr (std::is_same_v<T, FstFlags>) return Show::FstFlags;
    if constexpr (std::is_same_v<T, RightsArg>) return Show::Hex;
    return std::is_signed_v<Int> ? Show::SignedDecimal : Show::Decimal;
  }
  static Shown show(T v) { return {how(), static_cast<uint64_t>(v.value), 0}; }
};

/// An address alone.
template <class T, Show kHow>
struct AddressParam {
  static constexpr size_t slots = 1;
  static constexpr ValKind kind = ValKind::I32;
  static T load(const Slot* s) { return {s->as_i32()}; }
  static Shown show(T v) { return {kHow, v.address, 0}; }
};
template <>
struct Param<Ptr> : AddressParam<Ptr, Show::Pointer> {};
template <class V>
struct Param<Out<V>> : AddressParam<Out<V>, std::is_same_v<V, uint16_t>   ? Show::Out16
                                            : std::is_same_v<V, uint32_t> ? Show::Out32
                                            : std::is_same_v<V, uint64_t> ? Show::Out64
                                                                          : Show::OutStruct> {};

/// An address with a length or count behind it.
template <class T, Show kHow>
struct PairParam {
  static constexpr size_t slots = 2;
  static constexpr ValKind kind = ValKind::I32;
  static T load(const Slot* s) { return {s[0].as_i32(), s[1].as_i32()}; }
  static Shown show(T v) {
    auto [address, n] = v;
    return {kHow, address, n};
  }
};
template <>
struct Param<Buffer> : PairParam<Buffer, Show::Buffer> {};
template <>
struct Param<PathArg> : PairParam<PathArg, Show::Path> {};
template <>
struct Param<Iovecs> : PairParam<Iovecs, Show::Iovecs> {};

/// Whether a result's place is in memory; other parameters have none.
template <class T>
bool has_place(Mem, const T&) {
  return true;
}
template <class V>
bool has_place(Mem memory, const Out<V>& out) {
  return memory.contains(out.address, sizeof(V));
}

/// Writes a line of the log: `name`, the arguments under `names` (separated by spaces), the result, what was stored.
void trace(const Context& cx, Mem memory, const char* name, std::string_view names, const Shown* args, size_t count,
           Errno result);

/// The parts of a call. A Row is a struct with `name`, `params` (the parameters' names, separated by spaces) and the
/// function `call`.
template <class Row, class F = decltype(Row::call)>
struct Binding;

template <class Row, class... Args>
struct Binding<Row, Errno (*const)(Context&, Mem, Args...)> {
  static constexpr auto offsets = [] {
    std::array<size_t, sizeof...(Args) + 1> at{};
    size_t i = 0, slot = 0;
    ((at[i++] = slot, slot += Param<Args>::slots), ...);
    return at;
  }();

  static FuncType type() {
    FuncType t;
    (
        [&] {
          for (size_t i = 0; i < Param<Args>::slots; ++i) t.params.push_back(Param<Args>::kind);
        }(),
        ...);
    t.results.push_back(ValKind::I32);
    return t;
  }

  static Errno invoke(Context& cx, Mem memory, const Slot* args) {
    return [&]<size_t... I>(std::index_sequence<I...>) {
      std::tuple<Args...> values{Param<Args>::load(args + offsets[I])...};
      Errno e = Errno::fault;
      try {
        if ((has_place(memory, std::get<I>(values)) && ...)) e = Row::call(cx, memory, std::get<I>(values)...);
      } catch (const std::bad_alloc&) {
        e = Errno::nomem;
      }
      if (cx.log.on(vm::LogLevel::trace)) [[unlikely]] {
        const Shown shown[] = {Param<Args>::show(std::get<I>(values))..., Shown{}};
        trace(cx, memory, Row::name, Row::params, shown, sizeof...(Args), e);
      }
      return e;
    }(std::index_sequence_for<Args...>());
  }

  /// How many bytes a call has moved that succeeded: what it says in its 32-bit result, or else all of its buffer.
  static uint64_t moved(Mem memory, const Slot* args) {
    constexpr bool kMoves = ((std::is_same_v<Args, Iovecs> || std::is_same_v<Args, Buffer>) || ...);
    if constexpr (!kMoves) return 0;
    uint64_t bytes = 0;
    [&]<size_t... I>(std::index_sequence<I...>) {
      (
          [&] {
            [[maybe_unused]] const auto value = Param<Args>::load(args + offsets[I]);
            if constexpr (std::is_same_v<Args, Buffer>) bytes = value.length;
            if constexpr (std::is_same_v<Args, Out<uint32_t>>) {
              uint32_t told = 0;
              if (memory.read(value.address, told)) bytes = told;
            }
          }(),
          ...);
    }(std::index_sequence_for<Args...>());
    return bytes;
  }

  static Outcome raw_call(void* env, vm::Vcpu& vcpu, vm::Instance* instance, const Slot* args, Slot* results) {
    GuestMemory memory(Caller(vcpu, instance).memory_data());
    const Errno e = invoke(*static_cast<Context*>(env), memory, args);
    if (vcpu.metered && e == Errno::success) [[unlikely]] {
      // Afterwards, because how much it is nobody knows before. A guest that has less goes on to its next charge.
      vcpu.fuel -= std::min(vcpu.fuel, vm::fuel_of_bytes(moved(memory, args)));
    }
    results[0] = Slot::i32(static_cast<uint32_t>(e));
    return Outcome::Return;
  }
};

}  // namespace vmrun::wasi
