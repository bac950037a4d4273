// What the location-templated handlers are made of: access to operands by location, dispatch, exits that keep handlers
// free of pushes, and the making of the tables that handler_table.h describes.
//
// A handler is a template over a function of vm/numeric/numeric.h (whose C++ parameter types say the register file) and over the
// locations of its operands. Only what these files instantiate exists; the cross product is restricted by what programs
// need, because it is what costs text.
#pragma once

#include <cstring>
#include <type_traits>

#include "interp/handlers/handler.h"
#include "interp/handlers/handler_table.h"
#include "vm/numeric/meaning.h"
#include "vm/wasm/opcode.h"

namespace vmrun::interp {

template <class T>
concept FloatType = std::is_floating_point_v<T>;

/// Reads an operand of type T at location L; `slot` is its index when L is the frame.
template <class T, int L>
[[gnu::always_inline]] inline T get_at(const std::byte* fp, uint16_t slot, uint64_t r0, uint64_t r1, uint64_t r2,
                                       uint64_t r3, double f0, double f1, double f2, double f3) {
  if constexpr (L == kSlot) {
    T value;
    std::memcpy(&value, fp + size_t{slot} * 8, sizeof value);
    return value;
  } else if constexpr (FloatType<T>) {
    double d = L == 1 ? f0 : L == 2 ? f1 : L == 3 ? f2 : f3;
    if constexpr (sizeof(T) == 8) {
      return d;
    } else {
      using Pair = float __attribute__((vector_size(8)));
      return __builtin_bit_cast(Pair, d)[0];
    }
  } else {
    return static_cast<T>(L == 1 ? r0 : L == 2 ? r1 : L == 3 ? r2 : r3);
  }
}

/// A float register that holds `x` in its low half; what the upper half holds does not matter.
template <class T>
[[gnu::always_inline]] inline double widen(T x) {
  if constexpr (std::is_same_v<T, float>) {
    using Pair = float __attribute__((vector_size(8)));
    asm("" : "+x"(x));  // keeps the operation scalar: on whole registers it would run on what the upper half holds
    Pair pair;
    pair[0] = x;
    return __builtin_bit_cast(double, pair);
  } else {
    return static_cast<double>(x);
  }
}

#define VMRUN_GET(T, L, field) get_at<T, L>(fp, pc->field, r0, r1, r2, r3, f0, f1, f2, f3)
#define VMRUN_GET_OF(T, L, cell, field) get_at<T, L>(fp, (cell).field, r0, r1, r2, r3, f0, f1, f2, f3)

/// Writes `value` (of any numeric type, which chooses the register file) to location L.
#define VMRUN_SET(L, field, ...) VMRUN_SET_OF(L, *pc, field, __VA_ARGS__)
#define VMRUN_SET_OF(L, cell, field, ...)                         \
  do {                                                            \
    auto set_value = __VA_ARGS__;                                 \
    if constexpr (FloatType<decltype(set_value)>) {               \
      double set_wide = widen(set_value);                         \
      if constexpr ((L) == kSlot) {                               \
        std::memcpy(fp + size_t{(cell).field} * 8, &set_wide, 8); \
      } else if constexpr ((L) == 1) {                            \
        f0 = set_wide;                                            \
      } else if constexpr ((L) == 2) {                            \
        f1 = set_wide;                                            \
      } else if constexpr ((L) == 3) {                            \
        f2 = set_wide;                                            \
      } else {                                                    \
        f3 = set_wide;                                            \
      }                                                           \
    } else {                                                      \
      uint64_t set_wide = set_value;                              \
      if constexpr ((L) == kSlot) {                               \
        std::memcpy(fp + size_t{(cell).field} * 8, &set_wide, 8); \
      } else if constexpr ((L) == 1) {                            \
        r0 = set_wide;                                            \
      } else if constexpr ((L) == 2) {                            \
        r1 = set_wide;                                            \
      } else if constexpr ((L) == 3) {                            \
        r2 = set_wide;                                            \
      } else {                                                    \
        r3 = set_wide;                                            \
      }                                                           \
    }                                                             \
  } while (0)

/// Keeps `pc` on this cell until `value` has been read from guest memory (the fault handler finds the cell there).
template <class T>
[[gnu::always_inline]] inline void pin_load(const Cell*& pc, T& value) {
  if constexpr (FloatType<T>) {
    asm volatile("" : "+r"(pc), "+x"(value));
  } else {
    asm volatile("" : "+r"(pc), "+r"(value));
  }
}
/// The same after a store.
[[gnu::always_inline]] inline void pin_store(const Cell*& pc) { asm volatile("" : "+r"(pc) : : "memory"); }

// ---- tables ------------------------------------------------------------------------------------------------------------
// Maker is the table that it makes (it derives from it) and gives `template <int I> static constexpr Handler get()`, the
// handler of entry I or null.

template <class Maker, int I>
[[gnu::always_inline]] inline void table_entry() {
  constexpr Handler kHandler = Maker::template get<I>();
  if constexpr (kHandler == nullptr) {
    asm volatile(".long 0");
  } else {
    asm volatile(".long %c0 - ." : : "i"(kHandler));
  }
}
// Halving keeps the instantiation depth, and the length of symbol names, small.
template <class Maker, int Lo, int Hi>
[[gnu::always_inline]] inline void table_entries() {
  if constexpr (Hi - Lo == 1) {
    table_entry<Maker, Lo>();
  } else if constexpr (Hi > Lo) {
    table_entries<Maker, Lo, (Lo + Hi) / 2>();
    table_entries<Maker, (Lo + Hi) / 2, Hi>();
  }
}

/// Makes the table `symbol`.
#define VMRUN_HANDLER_TABLE(symbol, Maker)                                                                             \
  namespace {                                                                                                          \
  [[gnu::used, gnu::noinline]] void emit_##symbol() {                                                                  \
    asm volatile(".pushsection .rodata.vmrun_tables,\"a\",@progbits\n.p2align 2\n.globl " #symbol "\n.hidden " #symbol \
                 "\n" #symbol ":");                                                                                    \
    table_entries<Maker, 0, Maker::kSize>();                                                                           \
    asm volatile(".popsection");                                                                                       \
  }                                                                                                                    \
  }

// The C++ types of a function's parameters.
template <class F>
struct Signature;
template <class R, class A>
struct Signature<R (*)(A)> {
  using Result = R;
  using First = A;
};
template <class R, class A, class B>
struct Signature<R (*)(A, B)> {
  using Result = R;
  using First = A;
  using Second = B;
};
template <class R, class A, class B, class C>
struct Signature<R (*)(A, B, C)> {
  using Result = std::remove_reference_t<C>;
  using First = A;
  using Second = B;
};

}  // namespace vmrun::interp
