// What fused handlers compute, as functions over the arithmetic: handlers call them with the host's integers, and the
// proofs of the rewriting rules (rules.h) with the solver's.
#pragma once

#include <cstdint>

namespace vmrun::interp {

/// What the host computes with. A register is an I64; what is read of it may be its lower half, an I32.
struct Machine {
  using I32 = uint32_t;
  using I64 = uint64_t;
  using Bool = bool;
  [[gnu::always_inline]] static constexpr I64 zero_extended(I32 a) { return a; }
  [[gnu::always_inline]] static constexpr I32 low(I64 a) { return static_cast<I32>(a); }
  /// The lowest `bits` of `a`, 16, 32 or 64, sign-extended.
  [[gnu::always_inline]] static constexpr I64 sign_extended(I64 a, unsigned bits) {
    return static_cast<I64>(static_cast<int64_t>(a << (64 - bits)) >> (64 - bits));
  }
  [[gnu::always_inline]] static constexpr I32 number(uint32_t a) { return a; }
  [[gnu::always_inline]] static constexpr I64 wide_number(uint64_t a) { return a; }
  [[gnu::always_inline]] static constexpr I32 shifted(I32 a, unsigned by) { return a << by; }
  template <class T>
  [[gnu::always_inline]] static constexpr T chosen(uint32_t condition, T a, T b) {
    return condition != 0 ? a : b;
  }
};

namespace rules {

/// Rule::choose.
template <class M = Machine, class F, class T>
[[gnu::always_inline]] constexpr T choose(F compare, T a, T b) {
  return M::chosen(compare(a, b), a, b);
}

template <class F1, class F2, class T>
[[gnu::always_inline]] constexpr auto imm_then_reg(F1 o1, F2 o2, T a, T k, T c) {
  return o2(o1(a, k), c);
}
template <class F1, class F2, class T>
[[gnu::always_inline]] constexpr auto reg_then_reg(F1 o1, F2 o2, T a, T b, T c) {
  return o2(o1(a, b), c);
}
template <class F1, class F2, class T>
[[gnu::always_inline]] constexpr auto imm_then_imm(F1 o1, F2 o2, T a, T j, T k) {
  return o2(o1(a, j), k);
}
template <class F1, class F2, class T>
[[gnu::always_inline]] constexpr T xor_pair(F1 o1, F2 o2, T a, T j, T k) {
  return static_cast<T>(o1(a, j) ^ o2(a, k));
}
/// The distance of a shift or rotation as xor_pair keeps it.
template <class I64>
constexpr I64 distance(I64 k, I64 width) {
  return k & (width - 1);
}

// ---- addresses -------------------------------------------------------------------------------------------------------
// From the base of a memory, in bytes. Bases and indices are I32: no more of a register is ever read.

template <class M = Machine>
[[gnu::always_inline]] constexpr typename M::I64 base_offset(typename M::I32 base, typename M::I32 offset) {
  return M::zero_extended(base) + M::zero_extended(offset);
}
template <class M = Machine>
[[gnu::always_inline]] constexpr typename M::I64 wrapped(typename M::I32 base, typename M::I32 k) {
  return M::zero_extended(base + k);
}
template <class M = Machine>
[[gnu::always_inline]] constexpr typename M::I64 indexed(typename M::I32 base, typename M::I32 index, unsigned shift,
                                                         typename M::I32 offset) {
  return M::zero_extended(base + M::shifted(index, shift)) + M::zero_extended(offset);
}
template <class M = Machine>
[[gnu::always_inline]] constexpr typename M::I64 indexed_wrapped(typename M::I32 base, typename M::I32 index,
                                                                 unsigned shift, typename M::I32 k) {
  return M::zero_extended(base + M::shifted(index, shift) + k);
}

/// What an indexed address keeps in one field of 16 bits: a shift of 3 bits and an offset of 13, unsigned for `indexed`
/// and signed for `indexed_wrapped`.
inline constexpr uint32_t kShiftLimit = 8, kIndexedOffsetLimit = 8192;
constexpr bool fits_indexed(uint64_t offset) { return offset < kIndexedOffsetLimit; }
constexpr bool fits_indexed_wrapped(uint32_t k) {
  const auto value = static_cast<int32_t>(k);
  return value >= -4096 && value < 4096;
}
constexpr uint16_t pack_index(uint32_t shift, uint32_t offset) { return static_cast<uint16_t>(shift | offset << 3); }
constexpr unsigned index_shift(uint16_t packed) { return packed & 7; }
constexpr uint32_t index_offset(uint16_t packed) { return packed >> 3; }
constexpr uint32_t index_signed_offset(uint16_t packed) {
  return static_cast<uint32_t>(static_cast<int16_t>(packed) >> 3);
}

}  // namespace rules
}  // namespace vmrun::interp
