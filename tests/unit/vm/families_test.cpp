// The columns of vm/wasm/opcodes.def that several folders work with: families, what commutes, and vm/wasm/op_relations.h.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "vm/numeric/meaning.h"
#include "vm/wasm/op_relations.h"

namespace vmrun::vm {
namespace {

bool is_int(char letter) { return letter == 'i' || letter == 'l'; }
bool is_float(char letter) { return letter == 'f' || letter == 'd'; }
bool is_scalar(char letter) { return is_int(letter) || is_float(letter); }

/// Whether a signature is one that instructions of the family have.
bool fits(Family family, std::string_view s) {
  auto unary = [&](auto operand) { return s.size() == 3 && s[1] == ':' && operand(s[0]); };
  auto binary = [&](auto operand) { return s.size() == 4 && s[2] == ':' && operand(s[0]) && s[1] == s[0]; };
  auto holds = [&](char letter) { return s.find(letter) != s.npos; };
  switch (family) {
    case Family::control:
    case Family::local:
    case Family::global:
    case Family::table:
    case Family::reference:
    case Family::object: return s == "*";
    case Family::parametric: return s == "*" || s == ":";
    case Family::memory: return s == "*" || holds('p');
    case Family::constant: return s.size() == 2 && s[0] == ':' && is_scalar(s[1]);
    case Family::load: return s.size() == 3 && s.starts_with("p:") && is_scalar(s[2]);
    case Family::store: return s.size() == 3 && s[0] == 'p' && is_scalar(s[1]) && s[2] == ':';
    case Family::int_test: return unary(is_int) && s[2] == 'i';
    case Family::int_unary: return unary(is_int) && s[2] == s[0];
    case Family::int_binary:
    case Family::int_divide: return binary(is_int) && s[3] == s[0];
    case Family::int_compare: return binary(is_int) && s[3] == 'i';
    case Family::int_wide: return s.ends_with(":ll");
    case Family::float_unary: return unary(is_float) && s[2] == s[0];
    case Family::float_binary: return binary(is_float) && s[3] == s[0];
    case Family::float_compare: return binary(is_float) && s[3] == 'i';
    case Family::convert: return unary(is_scalar) && is_scalar(s[2]) && s[2] != s[0];
    case Family::vector: return holds('v') && !holds('p');
    case Family::vector_memory: return holds('v') && s[0] == 'p';
    case Family::atomic: return s == ":" || s[0] == 'p';
  }
  return false;
}

template <class T>
std::vector<T> samples() {
  if constexpr (std::is_floating_point_v<T>) {
    using Limits = std::numeric_limits<T>;
    return {
        T(0), -T(0), T(1), T(-1), T(1.5), Limits::max(), Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()};
  } else {
    return {0,
            1,
            2,
            31,
            64,
            std::numeric_limits<T>::max(),
            std::numeric_limits<T>::max() / 2,
            std::numeric_limits<T>::max() / 2 + 1};
  }
}

template <class T>
bool same(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) && std::isnan(b)) return true;
    return a == b && std::signbit(a) == std::signbit(b);
  } else {
    return a == b;
  }
}

/// Calls `check(f(a, b), a, b)` for samples of the operands of a function.
template <class R, class T, class Check>
void for_samples(R (*f)(T, T), Check check) {
  for (T a : samples<T>()) {
    for (T b : samples<T>()) check(f(a, b), a, b);
  }
}

template <Op op>
void check_columns() {
  if constexpr (is_binary(family(op)) && family(op) != Family::int_divide) {
    CAPTURE(op_info(op).mnemonic);
    for_samples(kMeaning<op>, []([[maybe_unused]] auto result, [[maybe_unused]] auto a, [[maybe_unused]] auto b) {
      if constexpr (commutes(op)) CHECK(same(result, kMeaning<op>(b, a)));
      if constexpr (mirrored(op) != op) CHECK(result == kMeaning<mirrored(op)>(b, a));
      if constexpr (inverted(op) != op) CHECK((result != 0) == (kMeaning<inverted(op)>(a, b) == 0));
    });
  }
}

TEST_CASE("a row's signature is of its family's form") {
  for (const OpInfo& info : kOpInfo) {
    CAPTURE(info.mnemonic);
    CAPTURE(info.signature);
    CHECK(fits(info.family, info.signature));
    CHECK((info.prefix == 0xfd) == is_vector(info.family));
    CHECK((info.feature == Feature::threads) == (info.family == Family::atomic));
    if (info.family == Family::object) CHECK(info.is_gc_object());
    if (info.family == Family::int_divide) CHECK(info.can_trap());
    if (is_binary(info.family) && info.family != Family::int_divide) CHECK_FALSE(info.can_trap());
    if (info.commutes()) CHECK(is_binary(info.family));
  }
}

TEST_CASE("operations commute, mirror and invert as their columns say") {
  [&]<size_t... I>(std::index_sequence<I...>) {
    (check_columns<static_cast<Op>(I)>(), ...);
  }(std::make_index_sequence<kOpCount>{});
}

}  // namespace
}  // namespace vmrun::vm
