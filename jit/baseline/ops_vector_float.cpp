// Vector instructions on floating-point lanes and conversions. Where vm/numeric/simd.h makes a NaN itself (min and max), it is
// the same NaN here; arithmetic gives the processor's, the quieted first or second operand or the default.
#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

std::span<const FunctionCompiler::Row> FunctionCompiler::vector_float_rows() {
  using F = FunctionCompiler;
  // Predicates of vcmpps that say no, or for `ne` yes, to NaNs; rounding modes that leave the precision exception
  // alone.
  static constexpr uint8_t kEq = 0x00, kNe = 0x04, kLt = 0x11, kLe = 0x12, kGe = 0x1d, kGt = 0x1e;
  static constexpr uint8_t kNearest = 8, kFloor = 9, kCeil = 10, kTrunc = 11;
  static constexpr uint8_t kSign32 = 32, kRest32 = 33, kSign64 = 64, kRest64 = 65;
  static constexpr uint8_t kMin = 0, kMax = 1;
  static constexpr Row kRows[] = {
      {Op::f32x4_add, &F::vec_binary, Inst::kIdVaddps},
      {Op::f64x2_add, &F::vec_binary, Inst::kIdVaddpd},
      {Op::f32x4_sub, &F::vec_binary, Inst::kIdVsubps},
      {Op::f64x2_sub, &F::vec_binary, Inst::kIdVsubpd},
      {Op::f32x4_mul, &F::vec_binary, Inst::kIdVmulps},
      {Op::f64x2_mul, &F::vec_binary, Inst::kIdVmulpd},
      {Op::f32x4_div, &F::vec_binary, Inst::kIdVdivps},
      {Op::f64x2_div, &F::vec_binary, Inst::kIdVdivpd},
      {Op::f32x4_sqrt, &F::vec_unary, Inst::kIdVsqrtps},
      {Op::f64x2_sqrt, &F::vec_unary, Inst::kIdVsqrtpd},
      {Op::f32x4_nearest, &F::vec_unary, Inst::kIdVroundps, 0, kNearest},
      {Op::f64x2_nearest, &F::vec_unary, Inst::kIdVroundpd, 0, kNearest},
      {Op::f32x4_floor, &F::vec_unary, Inst::kIdVroundps, 0, kFloor},
      {Op::f64x2_floor, &F::vec_unary, Inst::kIdVroundpd, 0, kFloor},
      {Op::f32x4_ceil, &F::vec_unary, Inst::kIdVroundps, 0, kCeil},
      {Op::f64x2_ceil, &F::vec_unary, Inst::kIdVroundpd, 0, kCeil},
      {Op::f32x4_trunc, &F::vec_unary, Inst::kIdVroundps, 0, kTrunc},
      {Op::f64x2_trunc, &F::vec_unary, Inst::kIdVroundpd, 0, kTrunc},
      {Op::f32x4_abs, &F::vec_with_pool, Inst::kIdVandps, 0, kRest32},
      {Op::f64x2_abs, &F::vec_with_pool, Inst::kIdVandps, 0, kRest64},
      {Op::f32x4_neg, &F::vec_with_pool, Inst::kIdVxorps, 0, kSign32},
      {Op::f64x2_neg, &F::vec_with_pool, Inst::kIdVxorps, 0, kSign64},
      {Op::f32x4_eq, &F::vec_binary, Inst::kIdVcmpps, 0, kEq},
      {Op::f64x2_eq, &F::vec_binary, Inst::kIdVcmppd, 0, kEq},
      {Op::f32x4_ne, &F::vec_binary, Inst::kIdVcmpps, 0, kNe},
      {Op::f64x2_ne, &F::vec_binary, Inst::kIdVcmppd, 0, kNe},
      {Op::f32x4_lt, &F::vec_binary, Inst::kIdVcmpps, 0, kLt},
      {Op::f64x2_lt, &F::vec_binary, Inst::kIdVcmppd, 0, kLt},
      {Op::f32x4_le, &F::vec_binary, Inst::kIdVcmpps, 0, kLe},
      {Op::f64x2_le, &F::vec_binary, Inst::kIdVcmppd, 0, kLe},
      {Op::f32x4_gt, &F::vec_binary, Inst::kIdVcmpps, 0, kGt},
      {Op::f64x2_gt, &F::vec_binary, Inst::kIdVcmppd, 0, kGt},
      {Op::f32x4_ge, &F::vec_binary, Inst::kIdVcmpps, 0, kGe},
      {Op::f64x2_ge, &F::vec_binary, Inst::kIdVcmppd, 0, kGe},
      // The processor's min and max give the second operand when neither is the lesser or greater.
      {Op::f32x4_pmin, &F::vec_swapped, Inst::kIdVminps},
      {Op::f64x2_pmin, &F::vec_swapped, Inst::kIdVminpd},
      {Op::f32x4_pmax, &F::vec_swapped, Inst::kIdVmaxps},
      {Op::f64x2_pmax, &F::vec_swapped, Inst::kIdVmaxpd},
      {Op::f32x4_min, &F::vec_min_max, Inst::kIdVminps, Inst::kIdVcmpps, kMin},
      {Op::f64x2_min, &F::vec_min_max, Inst::kIdVminpd, Inst::kIdVcmppd, kMin},
      {Op::f32x4_max, &F::vec_min_max, Inst::kIdVmaxps, Inst::kIdVcmpps, kMax},
      {Op::f64x2_max, &F::vec_min_max, Inst::kIdVmaxpd, Inst::kIdVcmppd, kMax},
      {Op::f32x4_relaxed_min, &F::vec_min_max, Inst::kIdVminps, Inst::kIdVcmpps, kMin},
      {Op::f64x2_relaxed_min, &F::vec_min_max, Inst::kIdVminpd, Inst::kIdVcmppd, kMin},
      {Op::f32x4_relaxed_max, &F::vec_min_max, Inst::kIdVmaxps, Inst::kIdVcmpps, kMax},
      {Op::f64x2_relaxed_max, &F::vec_min_max, Inst::kIdVmaxpd, Inst::kIdVcmppd, kMax},
      {Op::f32x4_relaxed_madd, &F::vec_madd, Inst::kIdVmulps, Inst::kIdVaddps},
      {Op::f64x2_relaxed_madd, &F::vec_madd, Inst::kIdVmulpd, Inst::kIdVaddpd},
      {Op::f32x4_relaxed_nmadd, &F::vec_nmadd, Inst::kIdVmulps, Inst::kIdVsubps},
      {Op::f64x2_relaxed_nmadd, &F::vec_nmadd, Inst::kIdVmulpd, Inst::kIdVsubpd},
      {Op::f32x4_convert_i32x4_s, &F::vec_unary, Inst::kIdVcvtdq2ps},
      {Op::f32x4_convert_i32x4_u, &F::vec_convert_u},
      {Op::f64x2_convert_low_i32x4_s, &F::vec_unary, Inst::kIdVcvtdq2pd},
      {Op::f64x2_convert_low_i32x4_u, &F::vec_convert_f64_u},
      {Op::f64x2_promote_low_f32x4, &F::vec_unary, Inst::kIdVcvtps2pd},
      {Op::f32x4_demote_f64x2_zero, &F::vec_unary, Inst::kIdVcvtpd2ps},
      {Op::i32x4_trunc_sat_f32x4_s, &F::vec_trunc_s},
      {Op::i32x4_trunc_sat_f32x4_u, &F::vec_trunc_u},
      {Op::i32x4_trunc_sat_f64x2_s_zero, &F::vec_trunc_f64_s},
      {Op::i32x4_trunc_sat_f64x2_u_zero, &F::vec_trunc_f64_u},
      {Op::i32x4_relaxed_trunc_f32x4_s, &F::vec_trunc_s},
      {Op::i32x4_relaxed_trunc_f32x4_u, &F::vec_trunc_u},
      {Op::i32x4_relaxed_trunc_f64x2_s_zero, &F::vec_trunc_f64_s},
      {Op::i32x4_relaxed_trunc_f64x2_u_zero, &F::vec_trunc_f64_u},
  };
  return kRows;
}

/// Both orders of the operands are tried, for they differ in zeros: `or` of these is the lesser, `and` the greater.
/// Where an operand is NaN, all bits are set and then those of the payload cleared.
void FunctionCompiler::vec_min_max(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  const bool max = row.imm != 0;
  const bool f64 = row.id2 == Inst::kIdVcmppd;
  uint8_t a = fetch_vec(args[0]), b = fetch_vec(args[1]);
  const Xmm t = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(row.id, s, x(a), x(b));
  a_.emit(row.id, t, x(b), x(a));
  a_.emit(max ? Inst::kIdVandps : Inst::kIdVorps, s, s, t);
  a_.emit(row.id2, t, x(a), x(b), asmjit::Imm(3));  // unordered
  a_.vorps(s, s, t);
  if (f64) {
    a_.vpsrlq(t, t, 13);
  } else {
    a_.vpsrld(t, t, 10);
  }
  a_.vandnps(x(to), t, s);
  result_reg(*result, to);
}

/// Rounded twice: the choice that is the same on every processor.
void FunctionCompiler::vec_madd(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t a = fetch_vec(args[0]);
  asmjit::Operand b = source_vec(args[1]), c = source_vec(args[2]);
  uint8_t to = target(d, true, 3, &args[0], &args[2]);
  a_.emit(row.id, s, x(a), b);
  a_.emit(row.id2, x(to), s, c);
  result_reg(*result, to);
}

void FunctionCompiler::vec_nmadd(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t a = fetch_vec(args[0]);
  asmjit::Operand b = source_vec(args[1]);
  uint8_t c = fetch_vec(args[2]);
  uint8_t to = target(d, true, 3, &args[0], &args[2]);
  a_.emit(row.id, s, x(a), b);
  a_.emit(row.id2, x(to), x(c), s);
  result_reg(*result, to);
}

/// NaNs become 0 first; what is too great comes out as the least integer, all whose bits are then inverted.
void FunctionCompiler::vec_trunc_s(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  const Xmm t = x(take_vec());
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vcmpps(s, x(from), x(from), 0);
  a_.vandps(s, s, x(from));
  a_.vcmpps(t, s, pool_lanes(0x4f000000, 32), 0x1d);  // 2^31 or more
  a_.vcvttps2dq(s, s);
  a_.vpxor(x(to), s, t);
  result_reg(*result, to);
}

/// The part below 2^31, or 2^31, and the rest: each is converted as signed.
void FunctionCompiler::vec_trunc_u(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  Mem half = pool_lanes(0x4f000000, 32);  // 2^31
  uint8_t from = fetch_vec(args[0]);
  const Xmm rest = x(take_vec()), zero = x(take_vec()), above = x(take_vec());
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vxorps(zero, zero, zero);
  a_.vmaxps(s, x(from), zero);  // NaNs: 0
  a_.vsubps(rest, s, half);
  a_.vcmpps(above, rest, half, 0x1d);
  a_.vcvttps2dq(rest, rest);
  a_.vpxor(rest, rest, above);
  a_.vpmaxsd(rest, rest, zero);
  a_.vcvttps2dq(s, s);
  a_.vpaddd(x(to), s, rest);
  result_reg(*result, to);
}

/// The least integer is what the processor gives for anything too small.
void FunctionCompiler::vec_trunc_f64_s(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vcmppd(s, x(from), x(from), 0);
  a_.vandpd(s, s, pool_lanes(0x41dfffffffc00000, 64));  // 2^31 - 1, or 0 for NaNs
  a_.vminpd(s, x(from), s);
  a_.vcvttpd2dq(x(to), s);
  result_reg(*result, to);
}

/// As the low bits of the significand of 2^52 and more.
void FunctionCompiler::vec_trunc_f64_u(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  const Xmm zero = x(take_vec());
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vxorpd(zero, zero, zero);
  a_.vmaxpd(s, x(from), zero);
  a_.vminpd(s, s, pool_lanes(0x41efffffffe00000, 64));  // 2^32 - 1
  a_.vroundpd(s, s, 11);
  a_.vaddpd(s, s, pool_lanes(0x4330000000000000, 64));
  a_.vshufps(x(to), s, zero, 0x88);
  result_reg(*result, to);
}

/// The halves of each lane as significands of 2^23 and of 2^39, whose sum, less these, is rounded once.
void FunctionCompiler::vec_convert_u(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  const Xmm high = x(take_vec());
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vpsrld(high, x(from), 16);
  a_.vpblendw(s, x(from), pool_lanes(0x4b000000, 32), 0xaa);
  a_.vpblendw(high, high, pool_lanes(0x53000000, 32), 0xaa);
  a_.vsubps(high, high, pool_lanes(0x53000080, 32));  // 2^39 + 2^23
  a_.vaddps(x(to), s, high);
  result_reg(*result, to);
}

/// As the low half of 2^52 and more.
void FunctionCompiler::vec_convert_f64_u(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vunpcklps(s, x(from), pool_lanes(0x43300000, 32));
  a_.vsubpd(x(to), s, pool_lanes(0x4330000000000000, 64));
  result_reg(*result, to);
}

}  // namespace vmrun::jit::baseline
