// Vector instructions: the shapes that need nothing but the right machine instruction.
//
// The processor is known to have AVX2 (interp/host_x86_64.cpp), so everything is a VEX form: three operands, and memory
// operands need no alignment. Results are those of vm/numeric/simd.h bit by bit, but for which NaN an arithmetic instruction
// gives.
//
// Rules for emitters. The result's register may be that of an operand: it is written by the last instruction only, and
// what comes before goes to xmm7 and temporaries. target() comes before anything is in xmm7, for it may move operands
// through there. Operands that are fetched last may stay in memory.
#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

asmjit::x86::Mem FunctionCompiler::pool_lanes(uint64_t value, unsigned lane_bits) {
  uint64_t word = value;
  for (unsigned bits = lane_bits; bits < 64; bits *= 2) word |= word << bits;
  return pool({word, word});
}

void FunctionCompiler::vec_unary(D& d, const Row& row, const Imm&, const V* args, V* result) {
  asmjit::Operand from = source_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  if (row.imm == kNoImm) {
    a_.emit(row.id, x(to), from);
  } else {
    a_.emit(row.id, x(to), from, asmjit::Imm(row.imm));
  }
  result_reg(*result, to);
}

void FunctionCompiler::vec_binary(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t left = fetch_vec(args[0]);
  asmjit::Operand right = source_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  if (row.imm == kNoImm) {
    a_.emit(row.id, x(to), x(left), right);
  } else {
    a_.emit(row.id, x(to), x(left), right, asmjit::Imm(row.imm));
  }
  result_reg(*result, to);
}

/// The second operand first.
void FunctionCompiler::vec_swapped(D& d, const Row& row, const Imm&, const V* args, V* result) {
  asmjit::Operand right = source_vec(args[0]);
  uint8_t left = fetch_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(row.id, x(to), x(left), right);
  result_reg(*result, to);
}

void FunctionCompiler::vec_binary_not(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t left = fetch_vec(args[0]);
  asmjit::Operand right = source_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(row.id, x(kVectorScratch), x(left), right);
  a_.vpxor(x(to), x(kVectorScratch), pool_lanes(~uint64_t{0}, 64));
  result_reg(*result, to);
}

void FunctionCompiler::vec_swapped_not(D& d, const Row& row, const Imm&, const V* args, V* result) {
  asmjit::Operand right = source_vec(args[0]);
  uint8_t left = fetch_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(row.id, x(kVectorScratch), x(left), right);
  a_.vpxor(x(to), x(kVectorScratch), pool_lanes(~uint64_t{0}, 64));
  result_reg(*result, to);
}

/// Compares the first operand with the lesser or greater (`id`) of both: the orders that the processor has no
/// comparison for.
void FunctionCompiler::vec_order(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t left = fetch_vec(args[0]);
  asmjit::Operand right = source_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(row.id, x(kVectorScratch), x(left), right);
  a_.emit(row.id2, x(to), x(kVectorScratch), x(left));
  result_reg(*result, to);
}

void FunctionCompiler::vec_order_not(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t left = fetch_vec(args[0]);
  asmjit::Operand right = source_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(row.id, x(kVectorScratch), x(left), right);
  a_.emit(row.id2, x(kVectorScratch), x(kVectorScratch), x(left));
  a_.vpxor(x(to), x(kVectorScratch), pool_lanes(~uint64_t{0}, 64));
  result_reg(*result, to);
}

/// With a constant: the sign of every lane of `imm` bits or, when `imm` is odd, everything but it.
void FunctionCompiler::vec_with_pool(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const unsigned bits = row.imm & ~1u;
  const uint64_t sign = uint64_t{1} << (bits - 1);
  Mem constant = pool_lanes((row.imm & 1) != 0 ? sign - 1 : sign, bits);
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.emit(row.id, x(to), x(from), constant);
  result_reg(*result, to);
}

}  // namespace vmrun::jit::baseline
