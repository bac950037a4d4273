// Addresses and typed accesses of guarded memory 0, shared by the plain and the fused memory handlers.
#pragma once

#include "interp/handlers/formulas.h"
#include "interp/handlers/handlers.h"
#include "interp/select.h"

namespace vmrun::interp {

/// The offset from `mem` that an addressing mode yields; see select.h for where the cell keeps its parts. Less than 2^33
/// whatever the registers hold: of them only the lower halves get here.
template <Address M>
[[gnu::always_inline]] inline uint64_t address(const Cell& cell, uint32_t base, uint32_t index) {
  if constexpr (M == Address::base_offset) {
    return rules::base_offset(base, static_cast<uint32_t>(cell.imm));
  } else if constexpr (M == Address::wrapped) {
    return rules::wrapped(base, static_cast<uint32_t>(cell.imm));
  } else if constexpr (M == Address::indexed) {
    return rules::indexed(base, index, rules::index_shift(cell.d), rules::index_offset(cell.d));
  } else if constexpr (M == Address::indexed_wrapped) {
    return rules::indexed_wrapped(base, index, rules::index_shift(cell.d), rules::index_signed_offset(cell.d));
  } else {
    return static_cast<uint32_t>(cell.imm);
  }
}

/// Reads a value of type M from memory, extended to R the way M's signedness says.
template <class M, class R>
struct Load {
  using Result = R;
  [[gnu::always_inline]] static R read(const std::byte* p) {
    M value;
    std::memcpy(&value, p, sizeof value);
    if constexpr (FloatType<M>) {
      return value;
    } else {
      using SignedR = std::conditional_t<sizeof(R) == 8, int64_t, int32_t>;
      if constexpr (std::is_signed_v<M>) {
        return static_cast<R>(static_cast<SignedR>(value));
      } else {
        return value;
      }
    }
  }
};

template <class... T>
struct Types {
  static constexpr int kCount = sizeof...(T);
  template <int I>
  using at = __type_pack_element<I, T...>;
};

}  // namespace vmrun::interp
