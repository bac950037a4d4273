// Scalar instructions against independent formulations: wide arithmetic, bit loops and the C library.
#include "vm/numeric/numeric.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

using namespace vmrun::vm;

namespace {

template <class T>
std::vector<T> edge_integers() {
  using S = std::make_signed_t<T>;
  std::vector<T> values;
  for (int bit = 0; bit < static_cast<int>(sizeof(T) * 8); ++bit) {
    T power = T{1} << bit;
    for (T v : {power, T(power - 1), T(power + 1), T(~power), T(0 - power)}) values.push_back(v);
  }
  values.push_back(static_cast<T>(std::numeric_limits<S>::min()));
  std::mt19937_64 random(1);
  for (int i = 0; i < 60; ++i) values.push_back(static_cast<T>(random()));
  return values;
}

template <class F>
std::vector<F> edge_floats() {
  using L = std::numeric_limits<F>;
  std::vector<F> values = {F(0),
                           F(0.25),
                           F(0.5),
                           F(0.75),
                           F(1),
                           F(1.5),
                           F(2.5),
                           F(3.5),
                           F(1e10),
                           F(123.4567),
                           L::min(),
                           L::max(),
                           L::denorm_min(),
                           L::infinity(),
                           L::quiet_NaN(),
                           L::epsilon(),
                           F(0.49999997f),
                           F(8388607.5),
                           F(4503599627370495.5)};
  for (int exponent : {7, 8, 15, 16, 23, 24, 31, 32, 52, 53, 63, 64}) {
    F power = std::ldexp(F(1), exponent);
    for (F v : {power, std::nextafter(power, F(0)), std::nextafter(power, L::infinity()), power - F(1), power + F(1),
                power - F(0.5), power + F(0.5)})
      values.push_back(v);
  }
  // NaNs with a payload, quiet and signalling.
  using Bits = ops::detail::BitsOf<F>;
  Bits inf = std::bit_cast<Bits>(L::infinity());
  values.push_back(std::bit_cast<F>(Bits(inf | 1)));
  values.push_back(std::bit_cast<F>(Bits(inf | ops::detail::kQuietBit<F> | 5)));
  std::mt19937_64 random(2);
  for (int i = 0; i < 200; ++i) values.push_back(std::bit_cast<F>(static_cast<Bits>(random())));
  for (int i = 0; i < 200; ++i) values.push_back(static_cast<F>((static_cast<double>(random() % 200000) - 1e5) / 8));
  for (size_t i = 0, n = values.size(); i < n; ++i) values.push_back(-values[i]);
  return values;
}

template <class F>
auto bits(F value) {
  return std::bit_cast<ops::detail::BitsOf<F>>(value);
}

/// Equal bits, or both NaN with the result arithmetic (its quiet bit set).
template <class F>
bool same(F got, F want) {
  if (want != want) return got != got && (bits(got) & ops::detail::kQuietBit<F>) != 0;
  return bits(got) == bits(want);
}

template <class U, class S>
void check_division(TrapCode (*div_s)(U, U, U&), TrapCode (*div_u)(U, U, U&), TrapCode (*rem_s)(U, U, U&),
                    TrapCode (*rem_u)(U, U, U&)) {
  using Wide = __int128;
  auto values = edge_integers<U>();
  values.push_back(0);
  for (U a : values) {
    for (U b : values) {
      U q = 7, r = 7, uq = 7, ur = 7;
      TrapCode dq = div_s(a, b, q), dr = rem_s(a, b, r), duq = div_u(a, b, uq), dur = rem_u(a, b, ur);
      if (b == 0) {
        for (TrapCode code : {dq, dr, duq, dur}) REQUIRE(code == TrapCode::IntegerDivideByZero);
        REQUIRE((q == 7 && r == 7 && uq == 7 && ur == 7));
        continue;
      }
      Wide sa = static_cast<S>(a), sb = static_cast<S>(b);
      if (sa / sb > std::numeric_limits<S>::max()) {
        REQUIRE(dq == TrapCode::IntegerOverflow);
      } else {
        REQUIRE(dq == TrapCode::None);
        REQUIRE(q == static_cast<U>(sa / sb));
      }
      REQUIRE(dr == TrapCode::None);
      REQUIRE(r == static_cast<U>(sa % sb));
      REQUIRE((duq == TrapCode::None && dur == TrapCode::None));
      REQUIRE(uq * b + ur == a);
      REQUIRE(ur < b);
    }
  }
}

/// Truncation of every edge value into I by way of long double, which holds all integers and floats here exactly.
template <class I, class F, class U>
void check_truncation(TrapCode (*trunc)(F, U&), U (*trunc_sat)(F)) {
  for (F a : edge_floats<F>()) {
    CAPTURE(a);
    U result = 9;
    TrapCode code = trunc(a, result);
    if (std::isnan(a)) {
      REQUIRE(code == TrapCode::InvalidConversionToInteger);
      REQUIRE(trunc_sat(a) == 0);
      continue;
    }
    long double whole = std::trunc(static_cast<long double>(a));
    bool low = whole < static_cast<long double>(std::numeric_limits<I>::min());
    bool high = whole > static_cast<long double>(std::numeric_limits<I>::max());
    if (low || high) {
      REQUIRE(code == TrapCode::IntegerOverflow);
      REQUIRE(result == 9);
      REQUIRE(trunc_sat(a) == static_cast<U>(low ? std::numeric_limits<I>::min() : std::numeric_limits<I>::max()));
    } else {
      REQUIRE(code == TrapCode::None);
      REQUIRE(result == static_cast<U>(static_cast<I>(whole)));
      REQUIRE(trunc_sat(a) == result);
    }
  }
}

template <class F>
void check_rounding(F (*floor)(F), F (*ceil)(F), F (*trunc)(F), F (*nearest)(F), F (*sqrt)(F)) {
  for (F a : edge_floats<F>()) {
    CAPTURE(a);
    REQUIRE(same(floor(a), std::floor(a)));
    REQUIRE(same(ceil(a), std::ceil(a)));
    REQUIRE(same(trunc(a), std::trunc(a)));
    REQUIRE(same(nearest(a), std::nearbyint(a)));
    REQUIRE(same(sqrt(a), std::sqrt(a)));
  }
}

template <class F>
void check_min_max(F (*min)(F, F), F (*max)(F, F)) {
  auto values = edge_floats<F>();
  for (F a : values) {
    for (F b : values) {
      F lo = min(a, b), hi = max(a, b);
      if (a != a || b != b) {
        REQUIRE(same(lo, std::numeric_limits<F>::quiet_NaN()));
        REQUIRE(same(hi, std::numeric_limits<F>::quiet_NaN()));
      } else if (a == b) {
        REQUIRE(std::signbit(lo) == (std::signbit(a) || std::signbit(b)));
        REQUIRE(std::signbit(hi) == (std::signbit(a) && std::signbit(b)));
        REQUIRE((lo == a && hi == a));
      } else {
        REQUIRE(bits(lo) == bits(a < b ? a : b));
        REQUIRE(bits(hi) == bits(a < b ? b : a));
      }
    }
  }
}

}  // namespace

TEST_CASE("division traps and rounds toward zero") {
  check_division<uint32_t, int32_t>(ops::i32_div_s, ops::i32_div_u, ops::i32_rem_s, ops::i32_rem_u);
  check_division<uint64_t, int64_t>(ops::i64_div_s, ops::i64_div_u, ops::i64_rem_s, ops::i64_rem_u);
}

TEST_CASE("shifts and rotations take their count modulo the width") {
  for (uint32_t a : edge_integers<uint32_t>()) {
    for (uint32_t n : {0u, 1u, 7u, 31u, 32u, 33u, 63u, 0xffffffffu}) {
      uint32_t k = n % 32;
      uint64_t twice = (uint64_t{a} << 32) | a;
      REQUIRE(ops::i32_shl(a, n) == static_cast<uint32_t>(uint64_t{a} << k));
      REQUIRE(ops::i32_shr_u(a, n) == static_cast<uint32_t>(uint64_t{a} >> k));
      REQUIRE(ops::i32_shr_s(a, n) == static_cast<uint32_t>(static_cast<int64_t>(static_cast<int32_t>(a)) >> k));
      REQUIRE(ops::i32_rotr(a, n) == static_cast<uint32_t>(twice >> k));
      REQUIRE(ops::i32_rotl(a, n) == static_cast<uint32_t>((twice << k) >> 32));
    }
  }
  for (uint64_t a : edge_integers<uint64_t>()) {
    for (uint64_t n : {0u, 1u, 31u, 32u, 63u, 64u, 65u, 0xffffffffu}) {
      auto k = static_cast<int>(n % 64);
      auto twice = static_cast<unsigned __int128>(a) << 64 | a;
      REQUIRE(ops::i64_shl(a, n) == static_cast<uint64_t>(static_cast<unsigned __int128>(a) << k));
      REQUIRE(ops::i64_shr_s(a, n) == static_cast<uint64_t>(static_cast<__int128>(static_cast<int64_t>(a)) >> k));
      REQUIRE(ops::i64_rotr(a, n) == static_cast<uint64_t>(twice >> k));
      REQUIRE(ops::i64_rotl(a, n) == static_cast<uint64_t>((twice << k) >> 64));
    }
  }
}

TEST_CASE("bits are counted") {
  auto check = [](auto a, auto clz, auto ctz, auto popcnt) {
    using T = decltype(a);
    T leading = 0, trailing = 0, ones = 0;
    constexpr int kBits = sizeof(T) * 8;
    while (leading < kBits && !(a >> (kBits - 1 - leading) & 1)) ++leading;
    while (trailing < kBits && !(a >> trailing & 1)) ++trailing;
    for (int i = 0; i < kBits; ++i) ones += a >> i & 1;
    REQUIRE(clz(a) == leading);
    REQUIRE(ctz(a) == trailing);
    REQUIRE(popcnt(a) == ones);
  };
  for (uint32_t a : edge_integers<uint32_t>()) check(a, ops::i32_clz, ops::i32_ctz, ops::i32_popcnt);
  for (uint64_t a : edge_integers<uint64_t>()) check(a, ops::i64_clz, ops::i64_ctz, ops::i64_popcnt);
  check(uint32_t{0}, ops::i32_clz, ops::i32_ctz, ops::i32_popcnt);
  check(uint64_t{0}, ops::i64_clz, ops::i64_ctz, ops::i64_popcnt);
}

TEST_CASE("signs are extended") {
  for (uint64_t a : edge_integers<uint64_t>()) {
    auto extended = [&](int width) {
      return static_cast<uint64_t>(static_cast<int64_t>(a << (64 - width)) >> (64 - width));
    };
    REQUIRE(ops::i64_extend8_s(a) == extended(8));
    REQUIRE(ops::i64_extend16_s(a) == extended(16));
    REQUIRE(ops::i64_extend32_s(a) == extended(32));
    auto narrow = static_cast<uint32_t>(a);
    REQUIRE(ops::i32_wrap_i64(a) == narrow);
    REQUIRE(ops::i32_extend8_s(narrow) == static_cast<uint32_t>(extended(8)));
    REQUIRE(ops::i32_extend16_s(narrow) == static_cast<uint32_t>(extended(16)));
    REQUIRE(ops::i64_extend_i32_s(narrow) == extended(32));
    REQUIRE(ops::i64_extend_i32_u(narrow) == (a & 0xffffffff));
  }
}

TEST_CASE("integers compare by their signs or without") {
  for (uint32_t a : edge_integers<uint32_t>()) {
    for (uint32_t b : edge_integers<uint32_t>()) {
      auto sa = static_cast<int64_t>(static_cast<int32_t>(a)), sb = static_cast<int64_t>(static_cast<int32_t>(b));
      REQUIRE(ops::i32_lt_s(a, b) == (sa - sb < 0));
      REQUIRE(ops::i32_ge_s(a, b) == 1 - ops::i32_lt_s(a, b));
      REQUIRE(ops::i32_gt_s(a, b) == ops::i32_lt_s(b, a));
      REQUIRE(ops::i32_le_s(a, b) == 1 - ops::i32_gt_s(a, b));
      REQUIRE(ops::i32_lt_u(a, b) == (int64_t{a} - int64_t{b} < 0));
      REQUIRE(ops::i32_ge_u(a, b) == 1 - ops::i32_lt_u(a, b));
      REQUIRE(ops::i32_gt_u(a, b) == ops::i32_lt_u(b, a));
      REQUIRE(ops::i32_le_u(a, b) == 1 - ops::i32_gt_u(a, b));
      REQUIRE(ops::i32_eq(a, b) == ops::i32_eqz(a ^ b));
      REQUIRE(ops::i32_ne(a, b) == 1 - ops::i32_eq(a, b));
    }
  }
}

TEST_CASE("wide arithmetic carries") {
  using U = unsigned __int128;
  auto join = [](uint64_t lo, uint64_t hi) { return static_cast<U>(hi) << 64 | lo; };
  auto values = edge_integers<uint64_t>();
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    auto pick = [&] { return values[random() % values.size()]; };
    uint64_t a = pick(), b = pick(), c = pick(), d = pick();
    auto sum = ops::i64_add128(a, b, c, d), difference = ops::i64_sub128(a, b, c, d);
    REQUIRE(join(sum.lo, sum.hi) == join(a, b) + join(c, d));
    REQUIRE(join(difference.lo, difference.hi) == join(a, b) - join(c, d));
    // Schoolbook multiplication by 32-bit halves.
    uint64_t a0 = a & 0xffffffff, a1 = a >> 32, c0 = c & 0xffffffff, c1 = c >> 32;
    U product = static_cast<U>(a0 * c0) + (static_cast<U>(a0 * c1) << 32) + (static_cast<U>(a1 * c0) << 32) +
                (static_cast<U>(a1 * c1) << 64);
    auto u = ops::i64_mul_wide_u(a, c), s = ops::i64_mul_wide_s(a, c);
    REQUIRE(join(u.lo, u.hi) == product);
    if (static_cast<int64_t>(a) < 0) product -= static_cast<U>(c) << 64;
    if (static_cast<int64_t>(c) < 0) product -= static_cast<U>(a) << 64;
    REQUIRE(join(s.lo, s.hi) == product);
  }
}

TEST_CASE("floats round as the C library does, and quiet NaNs") {
  check_rounding<float>(ops::f32_floor, ops::f32_ceil, ops::f32_trunc, ops::f32_nearest, ops::f32_sqrt);
  check_rounding<double>(ops::f64_floor, ops::f64_ceil, ops::f64_trunc, ops::f64_nearest, ops::f64_sqrt);
}

TEST_CASE("minimum and maximum order zeros and propagate NaNs") {
  check_min_max<float>(ops::f32_min, ops::f32_max);
  check_min_max<double>(ops::f64_min, ops::f64_max);
}

TEST_CASE("sign operations touch nothing but the sign") {
  for (double a : edge_floats<double>()) {
    constexpr uint64_t kSign = uint64_t{1} << 63;
    REQUIRE(bits(ops::f64_abs(a)) == (bits(a) & ~kSign));
    REQUIRE(bits(ops::f64_neg(a)) == (bits(a) ^ kSign));
    REQUIRE(bits(ops::f64_copysign(a, -1.0)) == (bits(a) | kSign));
  }
  for (float a : edge_floats<float>()) {
    constexpr uint32_t kSign = uint32_t{1} << 31;
    REQUIRE(bits(ops::f32_abs(a)) == (bits(a) & ~kSign));
    REQUIRE(bits(ops::f32_neg(a)) == (bits(a) ^ kSign));
    REQUIRE(bits(ops::f32_copysign(a, 1.0f)) == (bits(a) & ~kSign));
  }
}

TEST_CASE("truncation traps or saturates outside its range") {
  check_truncation<int32_t>(ops::i32_trunc_f32_s, ops::i32_trunc_sat_f32_s);
  check_truncation<uint32_t>(ops::i32_trunc_f32_u, ops::i32_trunc_sat_f32_u);
  check_truncation<int32_t>(ops::i32_trunc_f64_s, ops::i32_trunc_sat_f64_s);
  check_truncation<uint32_t>(ops::i32_trunc_f64_u, ops::i32_trunc_sat_f64_u);
  check_truncation<int64_t>(ops::i64_trunc_f32_s, ops::i64_trunc_sat_f32_s);
  check_truncation<uint64_t>(ops::i64_trunc_f32_u, ops::i64_trunc_sat_f32_u);
  check_truncation<int64_t>(ops::i64_trunc_f64_s, ops::i64_trunc_sat_f64_s);
  check_truncation<uint64_t>(ops::i64_trunc_f64_u, ops::i64_trunc_sat_f64_u);
}

TEST_CASE("integers convert to the nearest float") {
  for (uint64_t a : edge_integers<uint64_t>()) {
    // The neighbours of a correctly rounded result are no nearer.
    auto nearest = [](auto got, long double exact) {
      using F = decltype(got);
      long double error = std::fabs(static_cast<long double>(got) - exact);
      for (F other : {std::nextafter(got, F(-INFINITY)), std::nextafter(got, F(INFINITY))})
        if (std::fabs(static_cast<long double>(other) - exact) < error) return false;
      return true;
    };
    auto s = static_cast<int64_t>(a);
    REQUIRE(nearest(ops::f32_convert_i64_u(a), static_cast<long double>(a)));
    REQUIRE(nearest(ops::f32_convert_i64_s(a), static_cast<long double>(s)));
    REQUIRE(nearest(ops::f64_convert_i64_u(a), static_cast<long double>(a)));
    REQUIRE(nearest(ops::f64_convert_i64_s(a), static_cast<long double>(s)));
    auto narrow = static_cast<uint32_t>(a);
    REQUIRE(nearest(ops::f32_convert_i32_u(narrow), static_cast<long double>(narrow)));
    REQUIRE(ops::f64_convert_i32_u(narrow) == static_cast<double>(narrow));
    REQUIRE(ops::f64_convert_i32_s(narrow) == static_cast<double>(static_cast<int32_t>(narrow)));
  }
}

TEST_CASE("promotion and demotion quiet NaNs and keep canonical ones canonical") {
  float canonical = std::numeric_limits<float>::quiet_NaN();
  REQUIRE(bits(ops::f64_promote_f32(canonical)) == 0x7ff8000000000000u);
  REQUIRE(bits(ops::f32_demote_f64(ops::f64_promote_f32(canonical))) == 0x7fc00000u);
  volatile float signalling = std::bit_cast<float>(0x7f800001u);
  REQUIRE((bits(ops::f64_promote_f32(signalling)) & ops::detail::kQuietBit<double>) != 0);
  REQUIRE(ops::f32_demote_f64(1e300) == std::numeric_limits<float>::infinity());
}
