// Vector instructions against scalar formulations, lane by lane.
#include "vm/numeric/simd.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "vm/numeric/numeric.h"

using namespace vmrun::vm;
using ops::Vec;

namespace {

template <class T>
constexpr int kLanes = 16 / sizeof(T);
template <class T>
using Array = std::array<T, kLanes<T>>;

template <class T>
Array<T> lanes(Vec v) {
  return std::bit_cast<Array<T>>(v);
}
template <class T>
Vec pack(const Array<T>& a) {
  return std::bit_cast<Vec>(a);
}

/// Vectors of edge lanes of type T, shuffled, and random bits.
template <class T>
std::vector<Vec> samples() {
  std::vector<T> edges;
  if constexpr (std::is_floating_point_v<T>) {
    using L = std::numeric_limits<T>;
    for (T v : {T(0), T(0.5), T(1.5), T(2.5), T(0.49999997), T(1e10), T(2147483647.5), T(2147483648.0), T(4294967295.0),
                T(4294967296.0), L::max(), L::min(), L::denorm_min(), L::infinity(), L::quiet_NaN(), T(3.99)}) {
      edges.push_back(v);
      edges.push_back(-v);
    }
    using Bits = ops::detail::BitsOf<T>;
    edges.push_back(std::bit_cast<T>(static_cast<Bits>(std::bit_cast<Bits>(L::infinity()) + 1)));
  } else {
    using L = std::numeric_limits<T>;
    for (int v : {0, 1, 2, 3, 100, 127, 128, 129}) edges.push_back(static_cast<T>(v));
    for (int v : {0, 1, 2, 127})
      edges.push_back(static_cast<T>(L::max() - v)), edges.push_back(static_cast<T>(L::min() + v));
    for (size_t i = 0, n = edges.size(); i < n; ++i)
      edges.push_back(static_cast<T>(0 - static_cast<uint64_t>(edges[i])));
  }
  std::mt19937_64 random(4);
  std::vector<Vec> result;
  for (int i = 0; i < 24; ++i) {
    Array<T> a;
    for (T& lane : a) lane = edges[random() % edges.size()];
    result.push_back(pack(a));
    result.push_back(std::bit_cast<Vec>(std::array<uint64_t, 2>{random(), random()}));
  }
  return result;
}

/// Same bits, or for floats both NaN with the result arithmetic.
template <class T>
bool same(T got, T want) {
  if constexpr (std::is_floating_point_v<T>) {
    using Bits = ops::detail::BitsOf<T>;
    if (want != want) return got != got && (std::bit_cast<Bits>(got) & ops::detail::kQuietBit<T>) != 0;
    return std::bit_cast<Bits>(got) == std::bit_cast<Bits>(want);
  } else {
    return got == want;
  }
}

/// op(a, b) has in each lane what `scalar` makes of the lanes of a and b.
template <class T, class Op, class Scalar>
void binary(Op op, Scalar scalar) {
  auto all = samples<T>();
  for (Vec va : all) {
    auto a = lanes<T>(va);
    for (Vec vb : all) {
      auto b = lanes<T>(vb);
      auto got = lanes<T>(op(va, vb));
      for (int i = 0; i < kLanes<T>; ++i) {
        CAPTURE(i);
        CAPTURE(+a[i]);
        CAPTURE(+b[i]);
        REQUIRE(same<T>(got[i], static_cast<T>(scalar(a[i], b[i]))));
      }
    }
  }
}
template <class T, class Op, class Scalar>
void unary(Op op, Scalar scalar) {
  for (Vec va : samples<T>()) {
    auto a = lanes<T>(va);
    auto got = lanes<T>(op(va));
    for (int i = 0; i < kLanes<T>; ++i) {
      CAPTURE(+a[i]);
      REQUIRE(same<T>(got[i], static_cast<T>(scalar(a[i]))));
    }
  }
}
/// Comparisons: all bits of a lane where `scalar` holds.
template <class T, class Op, class Scalar>
void compare(Op op, Scalar scalar) {
  auto all = samples<T>();
  for (Vec va : all) {
    auto a = lanes<T>(va);
    for (Vec vb : all) {
      auto b = lanes<T>(vb);
      Vec got = op(va, vb);
      for (int i = 0; i < 16; ++i) {
        size_t lane = static_cast<size_t>(i) / sizeof(T);
        REQUIRE(+got[i] == (scalar(a[lane], b[lane]) ? 0xff : 0));
      }
    }
  }
}

template <class T>
T saturate(int64_t v) {
  return static_cast<T>(std::clamp<int64_t>(v, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

// What every integer shape has.
template <class U, class S>
struct IntOps {
  Vec (*add)(Vec, Vec), (*sub)(Vec, Vec), (*neg)(Vec), (*abs)(Vec);
  Vec (*shl)(Vec, uint32_t), (*shr_u)(Vec, uint32_t), (*shr_s)(Vec, uint32_t);
  Vec (*eq)(Vec, Vec), (*ne)(Vec, Vec), (*lt_s)(Vec, Vec), (*gt_s)(Vec, Vec), (*le_s)(Vec, Vec), (*ge_s)(Vec, Vec);
  uint32_t (*all_true)(Vec), (*bitmask)(Vec);

  void check() const {
    binary<U>(add, [](U a, U b) { return static_cast<U>(a + b); });
    binary<U>(sub, [](U a, U b) { return static_cast<U>(a - b); });
    unary<U>(neg, [](U a) { return static_cast<U>(U{0} - a); });
    unary<U>(abs, [](U a) { return static_cast<S>(a) < 0 ? static_cast<U>(U{0} - a) : a; });
    compare<S>(eq, [](S a, S b) { return a == b; });
    compare<S>(ne, [](S a, S b) { return a != b; });
    compare<S>(lt_s, [](S a, S b) { return a < b; });
    compare<S>(gt_s, [](S a, S b) { return a > b; });
    compare<S>(le_s, [](S a, S b) { return a <= b; });
    compare<S>(ge_s, [](S a, S b) { return a >= b; });
    for (uint32_t count = 0; count < 200; count += 3) {
      uint32_t k = count % (sizeof(U) * 8);
      unary<U>([&](Vec v) { return shl(v, count); }, [&](U a) { return static_cast<U>(a << k); });
      unary<U>([&](Vec v) { return shr_u(v, count); }, [&](U a) { return static_cast<U>(a >> k); });
      unary<U>([&](Vec v) { return shr_s(v, count); }, [&](U a) { return static_cast<U>(static_cast<S>(a) >> k); });
    }
    for (Vec v : samples<U>()) {
      uint32_t all = 1, mask = 0;
      auto a = lanes<S>(v);
      for (int i = 0; i < kLanes<S>; ++i) {
        all &= a[i] != 0;
        mask |= static_cast<uint32_t>(a[i] < 0) << i;
      }
      REQUIRE(all_true(v) == all);
      REQUIRE(bitmask(v) == mask);
    }
  }
};

#define INT_OPS(N, U, S)                                                                                               \
  IntOps<U, S> {                                                                                                       \
    ops::N##_add, ops::N##_sub, ops::N##_neg, ops::N##_abs, ops::N##_shl, ops::N##_shr_u, ops::N##_shr_s, ops::N##_eq, \
        ops::N##_ne, ops::N##_lt_s, ops::N##_gt_s, ops::N##_le_s, ops::N##_ge_s, ops::N##_all_true, ops::N##_bitmask   \
  }

template <class W, class N, class Op>
void check_extend(Op op, bool high) {
  for (Vec v : samples<N>()) {
    auto narrow = lanes<N>(v);
    auto wide = lanes<W>(op(v));
    for (int i = 0; i < kLanes<W>; ++i) REQUIRE(wide[i] == static_cast<W>(narrow[i + (high ? kLanes<W> : 0)]));
  }
}
template <class W, class N, class Op>
void check_extmul(Op op, bool high) {
  for (Vec va : samples<N>()) {
    for (Vec vb : samples<N>()) {
      auto a = lanes<N>(va), b = lanes<N>(vb);
      auto wide = lanes<W>(op(va, vb));
      for (int i = 0; i < kLanes<W>; ++i) {
        int j = i + (high ? kLanes<W> : 0);
        REQUIRE(wide[i] == static_cast<W>(static_cast<__int128>(a[j]) * b[j]));
      }
    }
  }
}
template <class W, class N, class Op>
void check_pairwise(Op op) {
  for (Vec v : samples<N>()) {
    auto a = lanes<N>(v);
    auto wide = lanes<W>(op(v));
    for (int i = 0; i < kLanes<W>; ++i) REQUIRE(wide[i] == static_cast<W>(W{a[2 * i]} + W{a[2 * i + 1]}));
  }
}
template <class N, class W, class Op>
void check_narrow(Op op) {
  for (Vec va : samples<W>()) {
    for (Vec vb : samples<W>()) {
      auto a = lanes<W>(va), b = lanes<W>(vb);
      auto narrow = lanes<N>(op(va, vb));
      for (int i = 0; i < kLanes<W>; ++i) {
        REQUIRE(narrow[i] == saturate<N>(a[i]));
        REQUIRE(narrow[i + kLanes<W>] == saturate<N>(b[i]));
      }
    }
  }
}

}  // namespace

TEST_CASE("integer lanes") {
  INT_OPS(i8x16, uint8_t, int8_t).check();
  INT_OPS(i16x8, uint16_t, int16_t).check();
  INT_OPS(i32x4, uint32_t, int32_t).check();
  INT_OPS(i64x2, uint64_t, int64_t).check();
}

TEST_CASE("unsigned comparison, minimum and maximum") {
  auto check = [](auto zero, auto lt, auto gt, auto le, auto ge, auto min_u, auto max_u, auto min_s, auto max_s) {
    using U = decltype(zero);
    using S = std::make_signed_t<U>;
    compare<U>(lt, [](U a, U b) { return a < b; });
    compare<U>(gt, [](U a, U b) { return a > b; });
    compare<U>(le, [](U a, U b) { return a <= b; });
    compare<U>(ge, [](U a, U b) { return a >= b; });
    binary<U>(min_u, [](U a, U b) { return std::min(a, b); });
    binary<U>(max_u, [](U a, U b) { return std::max(a, b); });
    binary<S>(min_s, [](S a, S b) { return std::min(a, b); });
    binary<S>(max_s, [](S a, S b) { return std::max(a, b); });
  };
#define UNSIGNED_OPS(N)                                                                                       \
  ops::N##_lt_u, ops::N##_gt_u, ops::N##_le_u, ops::N##_ge_u, ops::N##_min_u, ops::N##_max_u, ops::N##_min_s, \
      ops::N##_max_s
  check(uint8_t{}, UNSIGNED_OPS(i8x16));
  check(uint16_t{}, UNSIGNED_OPS(i16x8));
  check(uint32_t{}, UNSIGNED_OPS(i32x4));
}

TEST_CASE("saturating arithmetic and averages") {
  auto check = [](auto zero, auto add_s, auto add_u, auto sub_s, auto sub_u, auto avgr) {
    using U = decltype(zero);
    using S = std::make_signed_t<U>;
    binary<S>(add_s, [](S a, S b) { return saturate<S>(int64_t{a} + b); });
    binary<U>(add_u, [](U a, U b) { return saturate<U>(int64_t{a} + b); });
    binary<S>(sub_s, [](S a, S b) { return saturate<S>(int64_t{a} - b); });
    binary<U>(sub_u, [](U a, U b) { return saturate<U>(int64_t{a} - b); });
    binary<U>(avgr, [](U a, U b) { return (a + b + 1) / 2; });
  };
  check(uint8_t{}, ops::i8x16_add_sat_s, ops::i8x16_add_sat_u, ops::i8x16_sub_sat_s, ops::i8x16_sub_sat_u,
        ops::i8x16_avgr_u);
  check(uint16_t{}, ops::i16x8_add_sat_s, ops::i16x8_add_sat_u, ops::i16x8_sub_sat_s, ops::i16x8_sub_sat_u,
        ops::i16x8_avgr_u);
  binary<int16_t>(ops::i16x8_q15mulr_sat_s,
                  [](int16_t a, int16_t b) { return saturate<int16_t>((int64_t{a} * b + 0x4000) >> 15); });
}

TEST_CASE("products and counts") {
  binary<uint16_t>(ops::i16x8_mul, [](uint16_t a, uint16_t b) { return uint32_t{a} * b; });
  binary<uint32_t>(ops::i32x4_mul, [](uint32_t a, uint32_t b) { return a * b; });
  binary<uint64_t>(ops::i64x2_mul, [](uint64_t a, uint64_t b) { return a * b; });
  unary<uint8_t>(ops::i8x16_popcnt, [](uint8_t a) { return std::popcount(a); });
  for (Vec va : samples<int16_t>()) {
    for (Vec vb : samples<int16_t>()) {
      auto a = lanes<int16_t>(va), b = lanes<int16_t>(vb);
      auto dot = lanes<uint32_t>(ops::i32x4_dot_i16x8_s(va, vb));
      for (int i = 0; i < 4; ++i)
        REQUIRE(dot[i] == static_cast<uint32_t>(int64_t{a[2 * i]} * b[2 * i] + int64_t{a[2 * i + 1]} * b[2 * i + 1]));
    }
  }
}

TEST_CASE("widening and narrowing") {
#define WIDENING(N, M, WU, WS, NU, NS)                      \
  check_extend<WS, NS>(ops::N##_extend_low_##M##_s, false); \
  check_extend<WS, NS>(ops::N##_extend_high_##M##_s, true); \
  check_extend<WU, NU>(ops::N##_extend_low_##M##_u, false); \
  check_extend<WU, NU>(ops::N##_extend_high_##M##_u, true); \
  check_extmul<WS, NS>(ops::N##_extmul_low_##M##_s, false); \
  check_extmul<WS, NS>(ops::N##_extmul_high_##M##_s, true); \
  check_extmul<WU, NU>(ops::N##_extmul_low_##M##_u, false); \
  check_extmul<WU, NU>(ops::N##_extmul_high_##M##_u, true);
  WIDENING(i16x8, i8x16, uint16_t, int16_t, uint8_t, int8_t)
  WIDENING(i32x4, i16x8, uint32_t, int32_t, uint16_t, int16_t)
  WIDENING(i64x2, i32x4, uint64_t, int64_t, uint32_t, int32_t)
  check_pairwise<int16_t, int8_t>(ops::i16x8_extadd_pairwise_i8x16_s);
  check_pairwise<uint16_t, uint8_t>(ops::i16x8_extadd_pairwise_i8x16_u);
  check_pairwise<int32_t, int16_t>(ops::i32x4_extadd_pairwise_i16x8_s);
  check_pairwise<uint32_t, uint16_t>(ops::i32x4_extadd_pairwise_i16x8_u);
  check_narrow<int8_t, int16_t>(ops::i8x16_narrow_i16x8_s);
  check_narrow<uint8_t, int16_t>(ops::i8x16_narrow_i16x8_u);
  check_narrow<int16_t, int32_t>(ops::i16x8_narrow_i32x4_s);
  check_narrow<uint16_t, int32_t>(ops::i16x8_narrow_i32x4_u);
}

TEST_CASE("whole vectors") {
  auto all = samples<uint64_t>();
  for (Vec a : all) {
    REQUIRE(ops::v128(ops::v128_not(ops::v128_not(a))) == ops::v128(a));
    auto parts = lanes<uint64_t>(a);
    REQUIRE(ops::v128_any_true(a) == (parts[0] != 0 || parts[1] != 0));
    for (Vec b : all) {
      for (int i = 0; i < 16; ++i) {
        REQUIRE(+ops::v128_and(a, b)[i] == (a[i] & b[i]));
        REQUIRE(+ops::v128_or(a, b)[i] == (a[i] | b[i]));
        REQUIRE(+ops::v128_xor(a, b)[i] == (a[i] ^ b[i]));
        REQUIRE(+ops::v128_andnot(a, b)[i] == (a[i] & ~b[i]));
      }
      Vec mask = all[7];
      Vec chosen = ops::v128_bitselect(a, b, mask);
      for (int i = 0; i < 16; ++i) REQUIRE(+chosen[i] == ((a[i] & mask[i]) | (b[i] & (0xff ^ mask[i]))));
    }
  }
  REQUIRE(ops::v128_any_true(Vec{}) == 0);
}

TEST_CASE("shuffles and lanes") {
  auto all = samples<uint8_t>();
  for (Vec a : all) {
    for (Vec b : all) {
      Vec swizzled = ops::i8x16_swizzle(a, b);
      for (int i = 0; i < 16; ++i) REQUIRE(+swizzled[i] == (b[i] < 16 ? a[b[i]] : 0));
      Vec numbers = a & 31;
      Vec shuffled = ops::i8x16_shuffle(a, b, numbers);
      for (int i = 0; i < 16; ++i) REQUIRE(+shuffled[i] == (numbers[i] < 16 ? a[numbers[i]] : b[numbers[i] - 16]));
    }
    for (uint32_t i = 0; i < 16; ++i) {
      REQUIRE(ops::i8x16_extract_lane_u(a, i) == lanes<uint8_t>(a)[i]);
      REQUIRE(ops::i8x16_extract_lane_s(a, i) == static_cast<uint32_t>(int32_t{lanes<int8_t>(a)[i]}));
      auto replaced = lanes<uint8_t>(ops::i8x16_replace_lane(a, 0x1fe, i));
      for (uint32_t j = 0; j < 16; ++j) REQUIRE(replaced[j] == (i == j ? 0xfe : lanes<uint8_t>(a)[j]));
    }
    for (uint32_t i = 0; i < 8; ++i) {
      REQUIRE(ops::i16x8_extract_lane_u(a, i) == lanes<uint16_t>(a)[i]);
      REQUIRE(ops::i16x8_extract_lane_s(a, i) == static_cast<uint32_t>(int32_t{lanes<int16_t>(a)[i]}));
      REQUIRE(lanes<uint16_t>(ops::i16x8_replace_lane(a, 0x1fffe, i))[i] == 0xfffe);
    }
    for (uint32_t i = 0; i < 4; ++i) {
      REQUIRE(ops::i32x4_extract_lane(a, i) == lanes<uint32_t>(a)[i]);
      REQUIRE(std::bit_cast<uint32_t>(ops::f32x4_extract_lane(a, i)) == lanes<uint32_t>(a)[i]);
      REQUIRE(lanes<uint32_t>(ops::i32x4_replace_lane(a, 77, i))[i] == 77);
      REQUIRE(lanes<float>(ops::f32x4_replace_lane(a, -0.0f, i))[i] == 0);
    }
    for (uint32_t i = 0; i < 2; ++i) {
      REQUIRE(ops::i64x2_extract_lane(a, i) == lanes<uint64_t>(a)[i]);
      REQUIRE(std::bit_cast<uint64_t>(ops::f64x2_extract_lane(a, i)) == lanes<uint64_t>(a)[i]);
      REQUIRE(lanes<uint64_t>(ops::i64x2_replace_lane(a, 77, i))[i] == 77);
      REQUIRE(lanes<double>(ops::f64x2_replace_lane(a, 1.5, i))[i ^ 1] != 1.5);
    }
  }
  for (uint8_t lane : lanes<uint8_t>(ops::i8x16_splat(0x1ff))) REQUIRE(lane == 0xff);
  for (uint16_t lane : lanes<uint16_t>(ops::i16x8_splat(0x1fffe))) REQUIRE(lane == 0xfffe);
  for (uint32_t lane : lanes<uint32_t>(ops::i32x4_splat(5))) REQUIRE(lane == 5);
  for (uint64_t lane : lanes<uint64_t>(ops::i64x2_splat(5))) REQUIRE(lane == 5);
  for (uint32_t lane : lanes<uint32_t>(ops::f32x4_splat(-0.0f))) REQUIRE(lane == 0x80000000u);
  for (uint64_t lane : lanes<uint64_t>(ops::f64x2_splat(-0.0))) REQUIRE(lane == uint64_t{1} << 63);
}

TEST_CASE("float lanes") {
#define FLOAT_LANES(N, M, F)                                         \
  binary<F>(ops::N##_add, ops::M##_add);                             \
  binary<F>(ops::N##_sub, ops::M##_sub);                             \
  binary<F>(ops::N##_mul, ops::M##_mul);                             \
  binary<F>(ops::N##_div, ops::M##_div);                             \
  binary<F>(ops::N##_min, ops::M##_min);                             \
  binary<F>(ops::N##_max, ops::M##_max);                             \
  unary<F>(ops::N##_sqrt, ops::M##_sqrt);                            \
  unary<F>(ops::N##_ceil, [](F a) { return std::ceil(a); });         \
  unary<F>(ops::N##_floor, [](F a) { return std::floor(a); });       \
  unary<F>(ops::N##_trunc, [](F a) { return std::trunc(a); });       \
  unary<F>(ops::N##_nearest, [](F a) { return std::nearbyint(a); }); \
  compare<F>(ops::N##_eq, [](F a, F b) { return a == b; });          \
  compare<F>(ops::N##_ne, [](F a, F b) { return a != b; });          \
  compare<F>(ops::N##_lt, [](F a, F b) { return a < b; });           \
  compare<F>(ops::N##_gt, [](F a, F b) { return a > b; });           \
  compare<F>(ops::N##_le, [](F a, F b) { return a <= b; });          \
  compare<F>(ops::N##_ge, [](F a, F b) { return a >= b; });
  FLOAT_LANES(f32x4, f32, float)
  FLOAT_LANES(f64x2, f64, double)
}

TEST_CASE("float lanes as bits: signs and the pseudo minimum") {
  auto check = [](auto zero, auto abs, auto neg, auto pmin, auto pmax) {
    using F = decltype(zero);
    using Bits = ops::detail::BitsOf<F>;
    constexpr Bits kSign = Bits{1} << (sizeof(F) * 8 - 1);
    for (Vec va : samples<F>()) {
      for (int i = 0; i < kLanes<F>; ++i) {
        REQUIRE(lanes<Bits>(abs(va))[i] == (lanes<Bits>(va)[i] & ~kSign));
        REQUIRE(lanes<Bits>(neg(va))[i] == (lanes<Bits>(va)[i] ^ kSign));
      }
      for (Vec vb : samples<F>()) {
        auto a = lanes<F>(va), b = lanes<F>(vb);
        for (int i = 0; i < kLanes<F>; ++i) {
          REQUIRE(lanes<Bits>(pmin(va, vb))[i] == lanes<Bits>(b[i] < a[i] ? vb : va)[i]);
          REQUIRE(lanes<Bits>(pmax(va, vb))[i] == lanes<Bits>(a[i] < b[i] ? vb : va)[i]);
        }
      }
    }
  };
  check(float{}, ops::f32x4_abs, ops::f32x4_neg, ops::f32x4_pmin, ops::f32x4_pmax);
  check(double{}, ops::f64x2_abs, ops::f64x2_neg, ops::f64x2_pmin, ops::f64x2_pmax);
}

TEST_CASE("lane conversions") {
  for (Vec v : samples<float>()) {
    auto a = lanes<float>(v);
    for (int i = 0; i < 4; ++i) {
      CAPTURE(a[i]);
      REQUIRE(lanes<uint32_t>(ops::i32x4_trunc_sat_f32x4_s(v))[i] == ops::i32_trunc_sat_f32_s(a[i]));
      REQUIRE(lanes<uint32_t>(ops::i32x4_trunc_sat_f32x4_u(v))[i] == ops::i32_trunc_sat_f32_u(a[i]));
    }
    for (int i = 0; i < 2; ++i)
      REQUIRE(same(lanes<double>(ops::f64x2_promote_low_f32x4(v))[i], static_cast<double>(a[i])));
  }
  for (Vec v : samples<double>()) {
    auto a = lanes<double>(v);
    auto s = lanes<uint32_t>(ops::i32x4_trunc_sat_f64x2_s_zero(v)),
         u = lanes<uint32_t>(ops::i32x4_trunc_sat_f64x2_u_zero(v));
    auto f = lanes<float>(ops::f32x4_demote_f64x2_zero(v));
    for (int i = 0; i < 2; ++i) {
      REQUIRE(s[i] == ops::i32_trunc_sat_f64_s(a[i]));
      REQUIRE(u[i] == ops::i32_trunc_sat_f64_u(a[i]));
      REQUIRE(same(f[i], static_cast<float>(a[i])));
      REQUIRE((s[i + 2] == 0 && u[i + 2] == 0 && f[i + 2] == 0));
    }
  }
  for (Vec v : samples<uint32_t>()) {
    auto a = lanes<uint32_t>(v);
    for (int i = 0; i < 4; ++i) {
      REQUIRE(lanes<float>(ops::f32x4_convert_i32x4_s(v))[i] == static_cast<float>(static_cast<int32_t>(a[i])));
      REQUIRE(lanes<float>(ops::f32x4_convert_i32x4_u(v))[i] == static_cast<float>(a[i]));
    }
    for (int i = 0; i < 2; ++i) {
      REQUIRE(lanes<double>(ops::f64x2_convert_low_i32x4_s(v))[i] == static_cast<double>(static_cast<int32_t>(a[i])));
      REQUIRE(lanes<double>(ops::f64x2_convert_low_i32x4_u(v))[i] == static_cast<double>(a[i]));
    }
  }
}

TEST_CASE("relaxed instructions make the deterministic choices") {
  // Rounded twice: fused, the product's low bits would survive.
  float x = 1.0f + 0x1p-20f;
  Vec a = ops::f32x4_splat(x), minus = ops::f32x4_splat(-(x * x));
  REQUIRE(lanes<float>(ops::f32x4_relaxed_madd(a, a, minus))[0] == 0);
  REQUIRE(lanes<float>(ops::f32x4_relaxed_nmadd(a, a, ops::f32x4_neg(minus)))[0] == 0);
  double y = 1.0 + 0x1p-40;
  Vec b = ops::f64x2_splat(y), minus_b = ops::f64x2_splat(-(y * y));
  REQUIRE(lanes<double>(ops::f64x2_relaxed_madd(b, b, minus_b))[1] == 0);
  REQUIRE(lanes<double>(ops::f64x2_relaxed_nmadd(b, b, ops::f64x2_neg(minus_b)))[1] == 0);
  for (Vec u : samples<int8_t>()) {
    for (Vec v : samples<int8_t>()) {
      auto p = lanes<int8_t>(u), q = lanes<int8_t>(v);
      auto dot = lanes<int16_t>(ops::i16x8_relaxed_dot_i8x16_i7x16_s(u, v));
      auto sum = lanes<uint32_t>(ops::i32x4_relaxed_dot_i8x16_i7x16_add_s(u, v, u));
      for (int i = 0; i < 8; ++i)
        REQUIRE(dot[i] == static_cast<int16_t>(int{p[2 * i]} * q[2 * i] + int{p[2 * i + 1]} * q[2 * i + 1]));
      for (int i = 0; i < 4; ++i)
        REQUIRE(sum[i] == lanes<uint32_t>(u)[i] + static_cast<uint32_t>(int{dot[2 * i]} + int{dot[2 * i + 1]}));
    }
  }
}
