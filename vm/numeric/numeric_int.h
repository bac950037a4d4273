// Integer instructions (WebAssembly 3.0, 4.3.2) and the wide-arithmetic proposal. See vm/numeric/numeric.h for the conventions.
#pragma once

#include <bit>
#include <cstdint>

#include "vm/base/trap.h"

namespace vmrun::vm::ops {

// One set of definitions per width: N is the mnemonic prefix, U and S the unsigned and signed C++ types. Signed
// arithmetic is done on unsigned values, whose overflow wraps.
#define VMRUN_INT_OPS(N, U, S)                                                                               \
  constexpr U N##_add(U a, U b) { return a + b; }                                                            \
  constexpr U N##_sub(U a, U b) { return a - b; }                                                            \
  constexpr U N##_mul(U a, U b) { return a * b; }                                                            \
  constexpr U N##_and(U a, U b) { return a & b; }                                                            \
  constexpr U N##_or(U a, U b) { return a | b; }                                                             \
  constexpr U N##_xor(U a, U b) { return a ^ b; }                                                            \
  constexpr U N##_shl(U a, U b) { return a << (b & (sizeof(U) * 8 - 1)); }                                   \
  constexpr U N##_shr_u(U a, U b) { return a >> (b & (sizeof(U) * 8 - 1)); }                                 \
  constexpr U N##_shr_s(U a, U b) { return static_cast<U>(static_cast<S>(a) >> (b & (sizeof(U) * 8 - 1))); } \
  constexpr U N##_rotl(U a, U b) { return std::rotl(a, static_cast<int>(b & (sizeof(U) * 8 - 1))); }         \
  constexpr U N##_rotr(U a, U b) { return std::rotr(a, static_cast<int>(b & (sizeof(U) * 8 - 1))); }         \
  constexpr U N##_clz(U a) { return static_cast<U>(std::countl_zero(a)); }                                   \
  constexpr U N##_ctz(U a) { return static_cast<U>(std::countr_zero(a)); }                                   \
  constexpr U N##_popcnt(U a) { return static_cast<U>(std::popcount(a)); }                                   \
  constexpr U N##_extend8_s(U a) { return static_cast<U>(static_cast<S>(static_cast<int8_t>(a))); }          \
  constexpr U N##_extend16_s(U a) { return static_cast<U>(static_cast<S>(static_cast<int16_t>(a))); }        \
  constexpr uint32_t N##_eqz(U a) { return a == 0; }                                                         \
  constexpr uint32_t N##_eq(U a, U b) { return a == b; }                                                     \
  constexpr uint32_t N##_ne(U a, U b) { return a != b; }                                                     \
  constexpr uint32_t N##_lt_u(U a, U b) { return a < b; }                                                    \
  constexpr uint32_t N##_gt_u(U a, U b) { return a > b; }                                                    \
  constexpr uint32_t N##_le_u(U a, U b) { return a <= b; }                                                   \
  constexpr uint32_t N##_ge_u(U a, U b) { return a >= b; }                                                   \
  constexpr uint32_t N##_lt_s(U a, U b) { return static_cast<S>(a) < static_cast<S>(b); }                    \
  constexpr uint32_t N##_gt_s(U a, U b) { return static_cast<S>(a) > static_cast<S>(b); }                    \
  constexpr uint32_t N##_le_s(U a, U b) { return static_cast<S>(a) <= static_cast<S>(b); }                   \
  constexpr uint32_t N##_ge_s(U a, U b) { return static_cast<S>(a) >= static_cast<S>(b); }                   \
  constexpr TrapCode N##_div_u(U a, U b, U& result) {                                                        \
    if (b == 0) [[unlikely]]                                                                                 \
      return TrapCode::IntegerDivideByZero;                                                                  \
    result = a / b;                                                                                          \
    return TrapCode::None;                                                                                   \
  }                                                                                                          \
  constexpr TrapCode N##_rem_u(U a, U b, U& result) {                                                        \
    if (b == 0) [[unlikely]]                                                                                 \
      return TrapCode::IntegerDivideByZero;                                                                  \
    result = a % b;                                                                                          \
    return TrapCode::None;                                                                                   \
  }                                                                                                          \
  constexpr TrapCode N##_div_s(U a, U b, U& result) {                                                        \
    if (b == 0) [[unlikely]]                                                                                 \
      return TrapCode::IntegerDivideByZero;                                                                  \
    if (b == static_cast<U>(-1)) [[unlikely]] {                                                              \
      if (a == U{1} << (sizeof(U) * 8 - 1)) return TrapCode::IntegerOverflow;                                \
      result = U{0} - a;                                                                                     \
      return TrapCode::None;                                                                                 \
    }                                                                                                        \
    result = static_cast<U>(static_cast<S>(a) / static_cast<S>(b));                                          \
    return TrapCode::None;                                                                                   \
  }                                                                                                          \
  constexpr TrapCode N##_rem_s(U a, U b, U& result) {                                                        \
    if (b == 0) [[unlikely]]                                                                                 \
      return TrapCode::IntegerDivideByZero;                                                                  \
    /* The smallest value by -1 overflows the host's division; the remainder by -1 is always 0. */           \
    result = b == static_cast<U>(-1) ? 0 : static_cast<U>(static_cast<S>(a) % static_cast<S>(b));            \
    return TrapCode::None;                                                                                   \
  }

VMRUN_INT_OPS(i32, uint32_t, int32_t)
VMRUN_INT_OPS(i64, uint64_t, int64_t)
#undef VMRUN_INT_OPS

constexpr uint64_t i64_extend32_s(uint64_t a) {
  return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(a)));
}
constexpr uint32_t i32_wrap_i64(uint64_t a) { return static_cast<uint32_t>(a); }
constexpr uint64_t i64_extend_i32_s(uint32_t a) {
  return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(a)));
}
constexpr uint64_t i64_extend_i32_u(uint32_t a) { return a; }

/// The two results of a wide-arithmetic instruction, in result order.
struct Wide {
  uint64_t lo, hi;
  friend bool operator==(const Wide&, const Wide&) = default;
};

constexpr Wide i64_add128(uint64_t a_lo, uint64_t a_hi, uint64_t b_lo, uint64_t b_hi) {
  uint64_t lo = a_lo + b_lo;
  return {lo, a_hi + b_hi + (lo < a_lo)};
}
constexpr Wide i64_sub128(uint64_t a_lo, uint64_t a_hi, uint64_t b_lo, uint64_t b_hi) {
  return {a_lo - b_lo, a_hi - b_hi - (a_lo < b_lo)};
}
constexpr Wide i64_mul_wide_u(uint64_t a, uint64_t b) {
  auto product = static_cast<unsigned __int128>(a) * b;
  return {static_cast<uint64_t>(product), static_cast<uint64_t>(product >> 64)};
}
constexpr Wide i64_mul_wide_s(uint64_t a, uint64_t b) {
  auto product = static_cast<__int128>(static_cast<int64_t>(a)) * static_cast<int64_t>(b);
  return {static_cast<uint64_t>(product), static_cast<uint64_t>(static_cast<unsigned __int128>(product) >> 64)};
}

}  // namespace vmrun::vm::ops
