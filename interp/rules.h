// The rewriting rules of both translators: what they may write instead of what an image says. Each is one line of the
// list, and each has a proof (tests/proofs/interp_rules_test.cpp) that it computes what the instructions say, over all
// values of its operands; a rule without a proof does not link into the tests.
//
// What a rule computes is one of the functions here, or in formulas.h where handlers compute it. The proof calls the same
// functions with the solver's values: M is the arithmetic, Machine here and a symbolic one there. Rules that are tables
// (which operations commute and so on) are in vm/wasm/opcodes.def and vm/wasm/op_relations.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interp/handlers/formulas.h"
#include "vm/wasm/opcode.h"

namespace vmrun::interp {

// clang-format off
#define VMRUN_INTERP_RULES(X)                                                                                          \
  /* Registers */                                                                                                      \
  X(read_low_half, "what reads 32 bits of i32.wrap_i64 x may read x itself")                                           \
  X(extend_is_free, "i64.extend_i32_u of a register whose upper half is zero is that register")                        \
  X(results_are_clean, "an i32 that a handler writes to a register or a slot has an upper half of zeros")              \
  X(fold, "an operation of two constants is a constant")                                                               \
  /* Operations */                                                                                                     \
  X(commute, "a op b is b op a")                                                                                       \
  X(mirror, "a op b is b mirrored(op) a")                                                                              \
  X(invert, "not (a op b) is a inverted(op) b")                                                                        \
  X(negate_constant, "a - k is a + -k")                                                                                \
  X(join_constants, "(a + j) + k is a + (j + k)")                                                                      \
  X(add_zero, "a + 0 is the value a")                                                                                  \
  X(test_zero, "eqz a, and ref.is_null a, is a == 0")                                                                  \
  X(test_comparison, "eqz (a op b) is a inverted(op) b")                                                               \
  X(choose, "a op b ? a : b is one handler that reads as much of a and b as op does")                                  \
  /* Constants in cells */                                                                                             \
  X(constant16, "a constant that fits is kept in 16 bits and sign-extended")                                           \
  X(constant32, "a constant that fits is kept in 32 bits and sign-extended")                                           \
  X(constant_moved, "a constant below 2^32 is kept in 32 bits and zero-extended")                                      \
  X(divide_by_constant, "a division by a constant other than 0 and -1 does not trap")                                  \
  /* Pairs of operations, o1 the inner and o2 the outer one */                                                         \
  X(imm_then_reg, "(a o1 k) o2 c, and c o2 (a o1 k) where o2 commutes")                                                \
  X(reg_then_reg, "(a o1 b) o2 c, and c o2 (a o1 b) where o2 commutes")                                                \
  X(imm_then_imm, "(a o1 j) o2 k, and k o2 (a o1 j) where o2 commutes")                                                \
  X(xor_pair, "(a o1 j) ^ (a o2 k) for shifts and rotations, whose distances are kept modulo the width")               \
  X(operate_on_memory, "c op load, and load op c; memory = memory op c, and memory = c op memory where op commutes")   \
  X(adjust_global, "an i32 global plus a constant")                                                                    \
  X(count, "a += k, then a branch if a op b")                                                                          \
  /* Branches */                                                                                                       \
  X(branch_on_comparison, "a branch on a op b, or on its negation, compares")                                          \
  X(branch_on_value, "a branch on a, or on eqz a, compares a with 0")                                                  \
  X(branch_on_bits, "a branch on a & b, or on (a & b) == 0, tests the bits")                                           \
  /* Addresses in a 32-bit memory: i is an i32, modulo 2^32, and the offset is added after that */                     \
  X(address_base_offset, "i + offset")                                                                                 \
  X(address_wrapped, "i = a + k, no offset")                                                                           \
  X(address_absolute, "i is a constant")                                                                               \
  X(address_indexed, "i = a + b")                                                                                      \
  X(address_shifted, "i = (b << s) + a")                                                                               \
  X(address_sum, "i = (a + k) + c and i = (a + b) + k, no offset")                                                     \
  X(address_shifted_sum, "i = ((b << s) + a) + k, i = (a + k) + (b << s), i = (a + (b << s)) + k, no offset")          \
  /* Memory */                                                                                                         \
  X(store_low_part, "a store of 8, 16 or 32 bits of an i64 is that of an i32")                                         \
  X(load_zero_extended, "a load of 8, 16 or 32 bits that zero-extends to i64 is the one that does so to i32")
// clang-format on

enum class Rule : uint8_t {
#define VMRUN_RULE(name, text) name,
  VMRUN_INTERP_RULES(VMRUN_RULE)
#undef VMRUN_RULE
};
#define VMRUN_RULE(name, text) +1
inline constexpr size_t kRuleCount = 0 VMRUN_INTERP_RULES(VMRUN_RULE);
#undef VMRUN_RULE
struct RuleText {
  const char *name, *text;
};
inline constexpr RuleText kRuleTexts[] = {
#define VMRUN_RULE(name, text) {#name, text},
    VMRUN_INTERP_RULES(VMRUN_RULE)
#undef VMRUN_RULE
};

namespace rules {

// ---- constants -------------------------------------------------------------------------------------------------------

/// Rule::constant16 and constant32: whether the constant `k` of an i64, or of an i32 unless `wide`, is what comes out
/// when its lowest `bits` are sign-extended.
template <class M = Machine>
constexpr typename M::Bool fits(typename M::I64 k, unsigned bits, bool wide) {
  return M::sign_extended(k, wide ? 64 : 32) == M::sign_extended(k, bits);
}
/// Rule::constant_moved.
template <class M = Machine>
constexpr typename M::Bool fits_unsigned(typename M::I64 k) {
  return k == M::zero_extended(M::low(k));
}
/// Rule::negate_constant: the constant to add instead of subtracting `k`. An i32 comes and goes zero-extended.
template <class M = Machine>
constexpr typename M::I64 negated(typename M::I64 k, bool wide) {
  return wide ? M::wide_number(0) - k : M::zero_extended(M::number(0) - M::low(k));
}
/// Rule::join_constants: the constant to add instead of `j` and then `k`.
template <class M = Machine>
constexpr typename M::I64 joined(typename M::I64 j, typename M::I64 k, bool wide) {
  return wide ? j + k : M::zero_extended(M::low(j) + M::low(k));
}

/// The constants that Rule::divide_by_constant leaves alone.
template <class M = Machine>
constexpr typename M::Bool may_trap_as_divisor(typename M::I64 k, bool wide) {
  const typename M::I64 value = M::sign_extended(k, wide ? 64 : 32);
  return value == M::wide_number(0) || value == M::wide_number(UINT64_MAX);
}

// ---- operations ------------------------------------------------------------------------------------------------------

/// Rule::fold: a op b, for the operations that are folded; an i32 comes and goes zero-extended.
bool fold(vm::Op op, uint64_t a, uint64_t b, uint64_t& out);

/// Rule::choose: whether the operands of a select, in registers of which `i32` says whether they have no upper half, are
/// all that the comparison reads.
constexpr bool may_choose(bool wide_comparison, bool i32) { return wide_comparison || i32; }

}  // namespace rules
}  // namespace vmrun::interp
