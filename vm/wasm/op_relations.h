// How comparisons relate to each other, beside the rows of vm/wasm/opcodes.def.
#pragma once

#include <array>
#include <string_view>

#include "vm/wasm/opcode.h"

namespace vmrun::vm {

namespace detail {

struct OpPair {
  Op a, b;
};

// clang-format off
/// a(x, y) is b(y, x); b is gt or ge.
inline constexpr OpPair kMirrors[] = {
    {Op::i32_lt_s, Op::i32_gt_s}, {Op::i32_lt_u, Op::i32_gt_u}, {Op::i32_le_s, Op::i32_ge_s}, {Op::i32_le_u, Op::i32_ge_u},
    {Op::i64_lt_s, Op::i64_gt_s}, {Op::i64_lt_u, Op::i64_gt_u}, {Op::i64_le_s, Op::i64_ge_s}, {Op::i64_le_u, Op::i64_ge_u},
    {Op::f32_lt, Op::f32_gt},     {Op::f32_le, Op::f32_ge},     {Op::f64_lt, Op::f64_gt},     {Op::f64_le, Op::f64_ge},
};
/// a(x, y) is not b(x, y). Floats have no such pairs: with a NaN all of lt, gt, le and ge are false.
inline constexpr OpPair kInverses[] = {
    {Op::i32_eq, Op::i32_ne},     {Op::i32_lt_s, Op::i32_ge_s}, {Op::i32_lt_u, Op::i32_ge_u},
    {Op::i32_gt_s, Op::i32_le_s}, {Op::i32_gt_u, Op::i32_le_u},
    {Op::i64_eq, Op::i64_ne},     {Op::i64_lt_s, Op::i64_ge_s}, {Op::i64_lt_u, Op::i64_ge_u},
    {Op::i64_gt_s, Op::i64_le_s}, {Op::i64_gt_u, Op::i64_le_u},
};
// clang-format on

/// Each operation's partner, or the operation itself.
template <size_t N>
constexpr std::array<Op, kOpCount> partners(const OpPair (&pairs)[N]) {
  std::array<Op, kOpCount> table{};
  for (size_t i = 0; i < kOpCount; ++i) table[i] = static_cast<Op>(i);
  for (const OpPair& pair : pairs) {
    table[static_cast<size_t>(pair.a)] = pair.b;
    table[static_cast<size_t>(pair.b)] = pair.a;
  }
  return table;
}
inline constexpr auto kMirrored = partners(kMirrors);
inline constexpr auto kInverted = partners(kInverses);
inline constexpr auto kGreater = [] {
  std::array<bool, kOpCount> table{};
  for (const OpPair& pair : kMirrors) table[static_cast<size_t>(pair.b)] = true;
  return table;
}();

}  // namespace detail

/// The comparison that holds for (b, a) when `op` holds for (a, b); `op` itself where that is so, and for all that do not
/// compare.
constexpr Op mirrored(Op op) { return detail::kMirrored[static_cast<size_t>(op)]; }

/// Whether (a, b) may be exchanged, which makes the operation mirrored(op).
constexpr bool exchangeable(Op op) { return commutes(op) || mirrored(op) != op; }

/// Whether `op` is a comparison by gt or ge, which its mirror can do instead.
constexpr bool is_greater(Op op) { return detail::kGreater[static_cast<size_t>(op)]; }

/// The integer comparison that holds when `op` does not; any other operation itself.
constexpr Op inverted(Op op) { return detail::kInverted[static_cast<size_t>(op)]; }

namespace detail {

/// Each comparison either commutes or has a mirror, each integer one has an inverse, and partners work alike.
constexpr bool relations_are_complete() {
  for (size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const OpInfo& info = op_info(op);
    const bool compares = info.family == Family::int_compare || info.family == Family::float_compare;
    if ((mirrored(op) != op) != (compares && !info.commutes())) return false;
    if ((inverted(op) != op) != (info.family == Family::int_compare)) return false;
    for (const Op partner : {mirrored(op), inverted(op)}) {
      if (family(partner) != info.family || std::string_view(op_info(partner).signature) != info.signature)
        return false;
    }
    if (mirrored(mirrored(op)) != op || inverted(inverted(op)) != op) return false;
  }
  return true;
}
static_assert(relations_are_complete());

}  // namespace detail
}  // namespace vmrun::vm
