// Vector instructions on integer lanes, but for shifts.
#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

std::span<const FunctionCompiler::Row> FunctionCompiler::vector_int_rows() {
  using F = FunctionCompiler;
  static constexpr uint8_t kLow = 0, kHigh = 1;
  static constexpr Row kRows[] = {
      {Op::i8x16_add, &F::vec_binary, Inst::kIdVpaddb},
      {Op::i16x8_add, &F::vec_binary, Inst::kIdVpaddw},
      {Op::i32x4_add, &F::vec_binary, Inst::kIdVpaddd},
      {Op::i64x2_add, &F::vec_binary, Inst::kIdVpaddq},
      {Op::i8x16_sub, &F::vec_binary, Inst::kIdVpsubb},
      {Op::i16x8_sub, &F::vec_binary, Inst::kIdVpsubw},
      {Op::i32x4_sub, &F::vec_binary, Inst::kIdVpsubd},
      {Op::i64x2_sub, &F::vec_binary, Inst::kIdVpsubq},
      {Op::i8x16_add_sat_s, &F::vec_binary, Inst::kIdVpaddsb},
      {Op::i8x16_add_sat_u, &F::vec_binary, Inst::kIdVpaddusb},
      {Op::i8x16_sub_sat_s, &F::vec_binary, Inst::kIdVpsubsb},
      {Op::i8x16_sub_sat_u, &F::vec_binary, Inst::kIdVpsubusb},
      {Op::i16x8_add_sat_s, &F::vec_binary, Inst::kIdVpaddsw},
      {Op::i16x8_add_sat_u, &F::vec_binary, Inst::kIdVpaddusw},
      {Op::i16x8_sub_sat_s, &F::vec_binary, Inst::kIdVpsubsw},
      {Op::i16x8_sub_sat_u, &F::vec_binary, Inst::kIdVpsubusw},
      {Op::i16x8_mul, &F::vec_binary, Inst::kIdVpmullw},
      {Op::i32x4_mul, &F::vec_binary, Inst::kIdVpmulld},
      {Op::i64x2_mul, &F::vec_mul_quad},
      {Op::i8x16_min_s, &F::vec_binary, Inst::kIdVpminsb},
      {Op::i8x16_min_u, &F::vec_binary, Inst::kIdVpminub},
      {Op::i8x16_max_s, &F::vec_binary, Inst::kIdVpmaxsb},
      {Op::i8x16_max_u, &F::vec_binary, Inst::kIdVpmaxub},
      {Op::i16x8_min_s, &F::vec_binary, Inst::kIdVpminsw},
      {Op::i16x8_min_u, &F::vec_binary, Inst::kIdVpminuw},
      {Op::i16x8_max_s, &F::vec_binary, Inst::kIdVpmaxsw},
      {Op::i16x8_max_u, &F::vec_binary, Inst::kIdVpmaxuw},
      {Op::i32x4_min_s, &F::vec_binary, Inst::kIdVpminsd},
      {Op::i32x4_min_u, &F::vec_binary, Inst::kIdVpminud},
      {Op::i32x4_max_s, &F::vec_binary, Inst::kIdVpmaxsd},
      {Op::i32x4_max_u, &F::vec_binary, Inst::kIdVpmaxud},
      {Op::i8x16_avgr_u, &F::vec_binary, Inst::kIdVpavgb},
      {Op::i16x8_avgr_u, &F::vec_binary, Inst::kIdVpavgw},
      {Op::i8x16_abs, &F::vec_unary, Inst::kIdVpabsb},
      {Op::i16x8_abs, &F::vec_unary, Inst::kIdVpabsw},
      {Op::i32x4_abs, &F::vec_unary, Inst::kIdVpabsd},
      {Op::i64x2_abs, &F::vec_abs_quad},
      {Op::i8x16_neg, &F::vec_negate, Inst::kIdVpsubb},
      {Op::i16x8_neg, &F::vec_negate, Inst::kIdVpsubw},
      {Op::i32x4_neg, &F::vec_negate, Inst::kIdVpsubd},
      {Op::i64x2_neg, &F::vec_negate, Inst::kIdVpsubq},
      {Op::i8x16_popcnt, &F::vec_popcnt},

      {Op::i8x16_eq, &F::vec_binary, Inst::kIdVpcmpeqb},
      {Op::i16x8_eq, &F::vec_binary, Inst::kIdVpcmpeqw},
      {Op::i32x4_eq, &F::vec_binary, Inst::kIdVpcmpeqd},
      {Op::i64x2_eq, &F::vec_binary, Inst::kIdVpcmpeqq},
      {Op::i8x16_ne, &F::vec_binary_not, Inst::kIdVpcmpeqb},
      {Op::i16x8_ne, &F::vec_binary_not, Inst::kIdVpcmpeqw},
      {Op::i32x4_ne, &F::vec_binary_not, Inst::kIdVpcmpeqd},
      {Op::i64x2_ne, &F::vec_binary_not, Inst::kIdVpcmpeqq},
      {Op::i8x16_gt_s, &F::vec_binary, Inst::kIdVpcmpgtb},
      {Op::i16x8_gt_s, &F::vec_binary, Inst::kIdVpcmpgtw},
      {Op::i32x4_gt_s, &F::vec_binary, Inst::kIdVpcmpgtd},
      {Op::i64x2_gt_s, &F::vec_binary, Inst::kIdVpcmpgtq},
      {Op::i8x16_lt_s, &F::vec_swapped, Inst::kIdVpcmpgtb},
      {Op::i16x8_lt_s, &F::vec_swapped, Inst::kIdVpcmpgtw},
      {Op::i32x4_lt_s, &F::vec_swapped, Inst::kIdVpcmpgtd},
      {Op::i64x2_lt_s, &F::vec_swapped, Inst::kIdVpcmpgtq},
      {Op::i8x16_le_s, &F::vec_order, Inst::kIdVpminsb, Inst::kIdVpcmpeqb},
      {Op::i16x8_le_s, &F::vec_order, Inst::kIdVpminsw, Inst::kIdVpcmpeqw},
      {Op::i32x4_le_s, &F::vec_order, Inst::kIdVpminsd, Inst::kIdVpcmpeqd},
      {Op::i64x2_le_s, &F::vec_binary_not, Inst::kIdVpcmpgtq},
      {Op::i8x16_ge_s, &F::vec_order, Inst::kIdVpmaxsb, Inst::kIdVpcmpeqb},
      {Op::i16x8_ge_s, &F::vec_order, Inst::kIdVpmaxsw, Inst::kIdVpcmpeqw},
      {Op::i32x4_ge_s, &F::vec_order, Inst::kIdVpmaxsd, Inst::kIdVpcmpeqd},
      {Op::i64x2_ge_s, &F::vec_swapped_not, Inst::kIdVpcmpgtq},
      {Op::i8x16_le_u, &F::vec_order, Inst::kIdVpminub, Inst::kIdVpcmpeqb},
      {Op::i16x8_le_u, &F::vec_order, Inst::kIdVpminuw, Inst::kIdVpcmpeqw},
      {Op::i32x4_le_u, &F::vec_order, Inst::kIdVpminud, Inst::kIdVpcmpeqd},
      {Op::i8x16_ge_u, &F::vec_order, Inst::kIdVpmaxub, Inst::kIdVpcmpeqb},
      {Op::i16x8_ge_u, &F::vec_order, Inst::kIdVpmaxuw, Inst::kIdVpcmpeqw},
      {Op::i32x4_ge_u, &F::vec_order, Inst::kIdVpmaxud, Inst::kIdVpcmpeqd},
      {Op::i8x16_lt_u, &F::vec_order_not, Inst::kIdVpmaxub, Inst::kIdVpcmpeqb},
      {Op::i16x8_lt_u, &F::vec_order_not, Inst::kIdVpmaxuw, Inst::kIdVpcmpeqw},
      {Op::i32x4_lt_u, &F::vec_order_not, Inst::kIdVpmaxud, Inst::kIdVpcmpeqd},
      {Op::i8x16_gt_u, &F::vec_order_not, Inst::kIdVpminub, Inst::kIdVpcmpeqb},
      {Op::i16x8_gt_u, &F::vec_order_not, Inst::kIdVpminuw, Inst::kIdVpcmpeqw},
      {Op::i32x4_gt_u, &F::vec_order_not, Inst::kIdVpminud, Inst::kIdVpcmpeqd},

      {Op::i8x16_all_true, &F::vec_all_true, Inst::kIdVpcmpeqb},
      {Op::i16x8_all_true, &F::vec_all_true, Inst::kIdVpcmpeqw},
      {Op::i32x4_all_true, &F::vec_all_true, Inst::kIdVpcmpeqd},
      {Op::i64x2_all_true, &F::vec_all_true, Inst::kIdVpcmpeqq},
      {Op::i8x16_bitmask, &F::vec_mask, Inst::kIdVpmovmskb},
      {Op::i16x8_bitmask, &F::vec_mask_words},
      {Op::i32x4_bitmask, &F::vec_mask, Inst::kIdVmovmskps},
      {Op::i64x2_bitmask, &F::vec_mask, Inst::kIdVmovmskpd},

      {Op::i8x16_narrow_i16x8_s, &F::vec_binary, Inst::kIdVpacksswb},
      {Op::i8x16_narrow_i16x8_u, &F::vec_binary, Inst::kIdVpackuswb},
      {Op::i16x8_narrow_i32x4_s, &F::vec_binary, Inst::kIdVpackssdw},
      {Op::i16x8_narrow_i32x4_u, &F::vec_binary, Inst::kIdVpackusdw},
      {Op::i16x8_extend_low_i8x16_s, &F::vec_unary, Inst::kIdVpmovsxbw},
      {Op::i16x8_extend_low_i8x16_u, &F::vec_unary, Inst::kIdVpmovzxbw},
      {Op::i32x4_extend_low_i16x8_s, &F::vec_unary, Inst::kIdVpmovsxwd},
      {Op::i32x4_extend_low_i16x8_u, &F::vec_unary, Inst::kIdVpmovzxwd},
      {Op::i64x2_extend_low_i32x4_s, &F::vec_unary, Inst::kIdVpmovsxdq},
      {Op::i64x2_extend_low_i32x4_u, &F::vec_unary, Inst::kIdVpmovzxdq},
      {Op::i16x8_extend_high_i8x16_s, &F::vec_extend_high, Inst::kIdVpmovsxbw},
      {Op::i32x4_extend_high_i16x8_s, &F::vec_extend_high, Inst::kIdVpmovsxwd},
      {Op::i64x2_extend_high_i32x4_s, &F::vec_extend_high, Inst::kIdVpmovsxdq},
      {Op::i16x8_extend_high_i8x16_u, &F::vec_extend_high_u, Inst::kIdVpunpckhbw},
      {Op::i32x4_extend_high_i16x8_u, &F::vec_extend_high_u, Inst::kIdVpunpckhwd},
      {Op::i64x2_extend_high_i32x4_u, &F::vec_extend_high_u, Inst::kIdVpunpckhdq},
      {Op::i16x8_extmul_low_i8x16_s, &F::vec_extmul_bytes, Inst::kIdVpmovsxbw, 0, kLow},
      {Op::i16x8_extmul_low_i8x16_u, &F::vec_extmul_bytes, Inst::kIdVpmovzxbw, 0, kLow},
      {Op::i16x8_extmul_high_i8x16_s, &F::vec_extmul_bytes, Inst::kIdVpmovsxbw, 0, kHigh},
      {Op::i16x8_extmul_high_i8x16_u, &F::vec_extmul_bytes, Inst::kIdVpmovzxbw, 0, kHigh},
      {Op::i32x4_extmul_low_i16x8_s, &F::vec_extmul_words, Inst::kIdVpmulhw, Inst::kIdVpunpcklwd},
      {Op::i32x4_extmul_low_i16x8_u, &F::vec_extmul_words, Inst::kIdVpmulhuw, Inst::kIdVpunpcklwd},
      {Op::i32x4_extmul_high_i16x8_s, &F::vec_extmul_words, Inst::kIdVpmulhw, Inst::kIdVpunpckhwd},
      {Op::i32x4_extmul_high_i16x8_u, &F::vec_extmul_words, Inst::kIdVpmulhuw, Inst::kIdVpunpckhwd},
      {Op::i64x2_extmul_low_i32x4_s, &F::vec_extmul_dwords, Inst::kIdVpmuldq, 0, 0x50},
      {Op::i64x2_extmul_low_i32x4_u, &F::vec_extmul_dwords, Inst::kIdVpmuludq, 0, 0x50},
      {Op::i64x2_extmul_high_i32x4_s, &F::vec_extmul_dwords, Inst::kIdVpmuldq, 0, 0xfa},
      {Op::i64x2_extmul_high_i32x4_u, &F::vec_extmul_dwords, Inst::kIdVpmuludq, 0, 0xfa},
      {Op::i16x8_extadd_pairwise_i8x16_s, &F::vec_pairs_bytes_s},
      {Op::i16x8_extadd_pairwise_i8x16_u, &F::vec_times_one, Inst::kIdVpmaddubsw, 0, 8},
      {Op::i32x4_extadd_pairwise_i16x8_s, &F::vec_times_one, Inst::kIdVpmaddwd, 0, 16},
      {Op::i32x4_extadd_pairwise_i16x8_u, &F::vec_pairs_words_u},
      {Op::i32x4_dot_i16x8_s, &F::vec_binary, Inst::kIdVpmaddwd},
      {Op::i16x8_q15mulr_sat_s, &F::vec_q15mulr},
      {Op::i16x8_relaxed_q15mulr_s, &F::vec_q15mulr},
      {Op::i16x8_relaxed_dot_i8x16_i7x16_s, &F::vec_dot_bytes},
      {Op::i32x4_relaxed_dot_i8x16_i7x16_add_s, &F::vec_dot_bytes_add},
  };
  return kRows;
}

void FunctionCompiler::vec_negate(D& d, const Row& row, const Imm&, const V* args, V* result) {
  asmjit::Operand from = source_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vpxor(x(kVectorScratch), x(kVectorScratch), x(kVectorScratch));
  a_.emit(row.id, x(to), x(kVectorScratch), from);
  result_reg(*result, to);
}

void FunctionCompiler::vec_abs_quad(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vpxor(s, s, s);
  a_.vpsubq(s, s, x(from));
  a_.vblendvpd(x(to), x(from), s, x(from));  // the negated one where the sign is set
  result_reg(*result, to);
}

/// By a table of the sixteen half-bytes.
void FunctionCompiler::vec_popcnt(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  Mem mask = pool_lanes(0x0f, 8), counts = pool({0x0302020102010100, 0x0403030203020201});
  uint8_t from = fetch_vec(args[0]);
  const Xmm low = x(take_vec()), table = x(take_vec());
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vpand(low, x(from), mask);
  a_.vpsrlw(s, x(from), 4);
  a_.vpand(s, s, mask);
  a_.vmovaps(table, counts);
  a_.vpshufb(low, table, low);
  a_.vpshufb(s, table, s);
  a_.vpaddb(x(to), low, s);
  result_reg(*result, to);
}

void FunctionCompiler::vec_all_true(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  asmjit::Operand from = source_vec(args[0]);
  a_.vpxor(s, s, s);
  a_.emit(row.id, s, s, from);
  a_.vptest(s, s);
  set_flags(d, Cond::kE, 1, result);
}

void FunctionCompiler::vec_mask(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, false, 1, nullptr, nullptr);
  a_.emit(row.id, w(to), x(from));
  result_reg(*result, to);
}

void FunctionCompiler::vec_mask_words(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, false, 1, nullptr, nullptr);
  a_.vpxor(s, s, s);
  a_.vpacksswb(s, x(from), s);
  a_.vpmovmskb(w(to), s);
  result_reg(*result, to);
}

/// From products of halves; what the high halves make of each other is beyond 64 bits.
void FunctionCompiler::vec_mul_quad(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t a = fetch_vec(args[0]), b = fetch_vec(args[1]);
  const Xmm t = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.vpsrlq(s, x(a), 32);
  a_.vpmuludq(s, s, x(b));
  a_.vpsrlq(t, x(b), 32);
  a_.vpmuludq(t, t, x(a));
  a_.vpaddq(s, s, t);
  a_.vpsllq(s, s, 32);
  a_.vpmuludq(t, x(a), x(b));
  a_.vpaddq(x(to), s, t);
  result_reg(*result, to);
}

void FunctionCompiler::vec_extend_high(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  asmjit::Operand from = source_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.emit(Inst::kIdVpshufd, s, from, asmjit::Imm(0xee));
  a_.emit(row.id, x(to), s);
  result_reg(*result, to);
}

void FunctionCompiler::vec_extend_high_u(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vpxor(s, s, s);
  a_.emit(row.id, x(to), x(from), s);
  result_reg(*result, to);
}

void FunctionCompiler::vec_extmul_bytes(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  const bool high = row.imm != 0;
  asmjit::Operand a = source_vec(args[0]), b = source_vec(args[1]);
  const Xmm t = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  if (high) {
    a_.emit(Inst::kIdVpshufd, s, a, asmjit::Imm(0xee));
    a_.emit(Inst::kIdVpshufd, t, b, asmjit::Imm(0xee));
    a = s, b = t;
  }
  a_.emit(row.id, s, a);
  a_.emit(row.id, t, b);
  a_.vpmullw(x(to), s, t);
  result_reg(*result, to);
}

/// The low and the high halves of the products, interleaved.
void FunctionCompiler::vec_extmul_words(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t a = fetch_vec(args[0]), b = fetch_vec(args[1]);
  const Xmm t = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.vpmullw(s, x(a), x(b));
  a_.emit(row.id, t, x(a), x(b));
  a_.emit(row.id2, x(to), s, t);
  result_reg(*result, to);
}

/// The immediate brings the two lanes in question to even places.
void FunctionCompiler::vec_extmul_dwords(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  asmjit::Operand a = source_vec(args[0]), b = source_vec(args[1]);
  const Xmm t = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(Inst::kIdVpshufd, s, a, asmjit::Imm(row.imm));
  a_.emit(Inst::kIdVpshufd, t, b, asmjit::Imm(row.imm));
  a_.emit(row.id, x(to), s, t);
  result_reg(*result, to);
}

/// Sums of pairs as sums of products with 1, in lanes of `imm` bits.
void FunctionCompiler::vec_times_one(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.emit(row.id, x(to), x(from), pool_lanes(1, row.imm));
  result_reg(*result, to);
}

/// The same for signed bytes, which have to be the second factor.
void FunctionCompiler::vec_pairs_bytes_s(D& d, const Row&, const Imm&, const V* args, V* result) {
  asmjit::Operand from = source_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vmovaps(x(kVectorScratch), pool_lanes(1, 8));
  a_.emit(Inst::kIdVpmaddubsw, x(to), x(kVectorScratch), from);
  result_reg(*result, to);
}

/// The same for unsigned words: lowered by 2^15 to be signed, which the sum of two then makes up for.
void FunctionCompiler::vec_pairs_words_u(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vpxor(s, x(from), pool_lanes(0x8000, 16));
  a_.vpmaddwd(s, s, pool_lanes(1, 16));
  a_.vpaddd(x(to), s, pool_lanes(0x10000, 32));
  result_reg(*result, to);
}

/// The one product that does not fit comes out as the least number, and becomes the greatest.
void FunctionCompiler::vec_q15mulr(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t a = fetch_vec(args[0]);
  asmjit::Operand b = source_vec(args[1]);
  const Xmm t = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(Inst::kIdVpmulhrsw, s, x(a), b);
  a_.vpcmpeqw(t, s, pool_lanes(0x8000, 16));
  a_.vpxor(x(to), s, t);
  result_reg(*result, to);
}

void FunctionCompiler::dot_of_bytes(Xmm to, const V* args) {
  const Xmm s = x(kVectorScratch);
  uint8_t a = fetch_vec(args[0]), b = fetch_vec(args[1]);
  const Xmm t = x(take_vec()), u = x(take_vec());
  a_.vpsllw(s, x(a), 8);
  a_.vpsllw(t, x(b), 8);
  a_.vpsraw(s, s, 8);
  a_.vpsraw(t, t, 8);
  a_.vpmullw(s, s, t);
  a_.vpsraw(t, x(a), 8);
  a_.vpsraw(u, x(b), 8);
  a_.vpmullw(t, t, u);
  a_.vpaddw(to, s, t);
}

void FunctionCompiler::vec_dot_bytes(D&, const Row&, const Imm&, const V* args, V* result) {
  uint8_t to = take_vec();
  dot_of_bytes(x(to), args);
  result_reg(*result, to);
}

void FunctionCompiler::vec_dot_bytes_add(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm t = x(take_vec());
  dot_of_bytes(t, args);
  asmjit::Operand c = source_vec(args[2]);
  uint8_t to = target(d, true, 3, &args[2], nullptr);
  a_.vpmaddwd(t, t, pool_lanes(1, 16));
  a_.emit(Inst::kIdVpaddd, x(to), t, c);
  result_reg(*result, to);
}

}  // namespace vmrun::jit::baseline
