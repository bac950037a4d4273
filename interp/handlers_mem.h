// Addresses and typed accesses of guarded memory 0, shared by the plain and the fused memory handlers.
#pragma once

#include "interp/handlers.h"
#include "interp/select.h"

namespace vmrun::interp {

/// The offset from `mem` that an addressing mode yields; see select.h for where the cell keeps its parts.
template <Address M>
[[gnu::always_inline]] inline uint64_t address(const Cell& cell, uint64_t base, uint64_t index) {
  if constexpr (M == Address::base_offset) {
    return base + static_cast<uint32_t>(cell.imm);
  } else if constexpr (M == Address::wrapped) {
    return static_cast<uint32_t>(base + static_cast<uint32_t>(cell.imm));
  } else if constexpr (M == Address::indexed) {
    uint32_t scaled = static_cast<uint32_t>(index) << (cell.d & 7);
    return uint64_t{static_cast<uint32_t>(base) + scaled} + (cell.d >> 3);
  } else if constexpr (M == Address::indexed_wrapped) {
    uint32_t scaled = static_cast<uint32_t>(index) << (cell.d & 7);
    return static_cast<uint32_t>(base) + scaled + static_cast<uint32_t>(static_cast<int16_t>(cell.d) >> 3);
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
