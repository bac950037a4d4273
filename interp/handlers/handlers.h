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

/// A T in a slot, which was perhaps written as another type.
template <class T>
using InSlot [[gnu::may_alias, gnu::aligned(4)]] = T;

/// The low half of a float register as a float, or all of it.
template <class T>
[[gnu::always_inline]] inline T narrow(double reg) {
  if constexpr (std::is_same_v<T, float>) {
    return low_float(reg);
  } else {
    return reg;
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

// There are thousands of handlers, so what reads and writes operands is what takes few declarations, statements and
// calls of each: that is most of the time of compiling these files.

/// Reads an operand of type T at location L; the cell's `field` is its slot when L is the frame.
#define VMRUN_GET(T, L, field) VMRUN_GET_OF(T, L, *pc, field)
#define VMRUN_GET_OF(T, L, cell, field)                                               \
  ({                                                                                  \
    T get_value;                                                                      \
    if constexpr ((L) == kSlot) {                                                     \
      get_value = *reinterpret_cast<const InSlot<T>*>(fp + size_t{(cell).field} * 8); \
    } else if constexpr (FloatType<T>) {                                              \
      get_value = narrow<T>(VMRUN_OF_FILE(L, f));                                     \
    } else {                                                                          \
      get_value = static_cast<T>(VMRUN_OF_FILE(L, r));                                \
    }                                                                                 \
    get_value;                                                                        \
  })

/// Writes a value of any numeric type, which chooses the register file, to location L.
#define VMRUN_SET(L, field, ...) VMRUN_SET_OF(L, *pc, field, __VA_ARGS__)
#define VMRUN_SET_OF(L, cell, field, ...)                                              \
  do {                                                                                 \
    auto set_value = __VA_ARGS__;                                                      \
    if constexpr (FloatType<decltype(set_value)>) {                                    \
      double set_wide = widen(set_value);                                              \
      if constexpr ((L) == kSlot) {                                                    \
        *reinterpret_cast<InSlot<double>*>(fp + size_t{(cell).field} * 8) = set_wide;  \
      } else {                                                                         \
        VMRUN_OF_FILE(L, f) = set_wide;                                                \
      }                                                                                \
    } else if constexpr ((L) == kSlot) {                                               \
      *reinterpret_cast<InSlot<uint64_t>*>(fp + size_t{(cell).field} * 8) = set_value; \
    } else {                                                                           \
      VMRUN_OF_FILE(L, r) = set_value;                                                 \
    }                                                                                  \
  } while (0)
/// The register of file r or f at location L.
#define VMRUN_OF_FILE(L, file) ((L) == 1 ? file##0 : (L) == 2 ? file##1 : (L) == 3 ? file##2 : file##3)

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

#define VMRUN_ENTRY(handler, there) ".if %c" #there "\n.long %c" #handler " - .\n.else\n.long 0\n.endif\n"

/// Entries `Lo` to `Hi`, several in a statement. Halving keeps the instantiation depth, and the length of symbol names,
/// small.
template <class Maker, int Lo, int Hi>
[[gnu::always_inline]] inline void table_entries() {
  if constexpr (Hi - Lo == 5) {
    constexpr Handler a = Maker::template get<Lo>(), b = Maker::template get<Lo + 1>(),
                      c = Maker::template get<Lo + 2>(), d = Maker::template get<Lo + 3>(),
                      e = Maker::template get<Lo + 4>();
    asm volatile(VMRUN_ENTRY(0, 5) VMRUN_ENTRY(1, 6) VMRUN_ENTRY(2, 7) VMRUN_ENTRY(3, 8) VMRUN_ENTRY(4, 9)
                 :
                 : "i"(a), "i"(b), "i"(c), "i"(d), "i"(e), "i"(a != nullptr), "i"(b != nullptr), "i"(c != nullptr),
                   "i"(d != nullptr), "i"(e != nullptr));
  } else if constexpr (Hi - Lo == 1) {
    constexpr Handler a = Maker::template get<Lo>();
    asm volatile(VMRUN_ENTRY(0, 1) : : "i"(a), "i"(a != nullptr));
  } else if constexpr (Hi > Lo) {
    constexpr int kMiddle = Hi - Lo < 10 ? Lo + 1 : Lo + (Hi - Lo) / 10 * 5;
    table_entries<Maker, Lo, kMiddle>();
    table_entries<Maker, kMiddle, Hi>();
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
