// Proofs by an SMT solver (z3) over the full width of integers: a claim holds when the solver finds nothing that breaks
// it. docs/proofs.md says what is proven and how a rule gets its proof.
#pragma once

#include <doctest/doctest.h>
#include <z3++.h>

#include <cstdint>
#include <string>

#include "vm/wasm/opcode.h"

namespace vmrun::proofs {

/// A vector of bits: a wasm integer, a register, an address.
using Bits = z3::expr;
/// A truth value.
using Claim = z3::expr;

/// One solver session. Not thread-safe: one per test case.
class Prover {
 public:
  /// A vector of `width` bits that may have any value. Two with one name are the same.
  Bits any(const std::string& name, unsigned width) { return context_.bv_const(name.c_str(), width); }
  Bits any32(const std::string& name) { return any(name, 32); }
  Bits any64(const std::string& name) { return any(name, 64); }
  Bits value(uint64_t bits, unsigned width) { return context_.bv_val(bits, width); }
  Claim truth(bool value) { return context_.bool_val(value); }
  /// What later claims may rely on.
  void assume(const Claim& claim) { assumed_.push_back(claim); }
  /// Fails the test, and prints values that break it, unless `claim` holds for all values that fulfil the assumptions.
  void holds(const std::string& what, const Claim& claim);
  /// Fails the test unless some values fulfil the assumptions: a proof from a contradiction proves nothing.
  void assumptions_can_hold(const std::string& what);
  z3::context& context() { return context_; }

 private:
  z3::context context_;
  z3::expr_vector assumed_{context_};
};

/// The result of a wasm integer instruction, as the specification says it; comparisons give an i32. Division by zero is
/// the caller's to exclude. Fails the test for an instruction that it does not know.
/// semantics_test.cpp compares these with vm/numeric/numeric.h.
Bits compute(vm::Op op, const Bits& a, const Bits& b);
Bits compute(vm::Op op, const Bits& a);

/// An i32 in a 64-bit register whose upper half is zero.
inline Bits clean(const Bits& i32) { return z3::zext(i32, 32); }
/// What a 32-bit use reads of a 64-bit register.
inline Bits low(const Bits& reg) { return reg.extract(31, 0); }
inline Claim upper_half_is_zero(const Bits& reg) { return reg.extract(63, 32) == reg.ctx().bv_val(0, 32); }

}  // namespace vmrun::proofs
