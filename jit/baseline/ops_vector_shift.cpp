// Shifts of vector lanes. A count is taken modulo the width of the lanes; it is a constant most of the time.
#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

std::span<const FunctionCompiler::Row> FunctionCompiler::vector_shift_rows() {
  using F = FunctionCompiler;
  static constexpr Row kRows[] = {
      {Op::i8x16_shl, &F::vec_shift_left_bytes},
      {Op::i8x16_shr_s, &F::vec_shift_right_bytes, Inst::kIdVpsraw, Inst::kIdVpacksswb},
      {Op::i8x16_shr_u, &F::vec_shift_right_bytes, Inst::kIdVpsrlw, Inst::kIdVpackuswb},
      {Op::i16x8_shl, &F::vec_shift, Inst::kIdVpsllw, 0, 16},
      {Op::i16x8_shr_s, &F::vec_shift, Inst::kIdVpsraw, 0, 16},
      {Op::i16x8_shr_u, &F::vec_shift, Inst::kIdVpsrlw, 0, 16},
      {Op::i32x4_shl, &F::vec_shift, Inst::kIdVpslld, 0, 32},
      {Op::i32x4_shr_s, &F::vec_shift, Inst::kIdVpsrad, 0, 32},
      {Op::i32x4_shr_u, &F::vec_shift, Inst::kIdVpsrld, 0, 32},
      {Op::i64x2_shl, &F::vec_shift, Inst::kIdVpsllq, 0, 64},
      {Op::i64x2_shr_s, &F::vec_shift_right_quad},
      {Op::i64x2_shr_u, &F::vec_shift, Inst::kIdVpsrlq, 0, 64},
  };
  return kRows;
}

/// The count, not a constant, modulo `bits` in the low half of xmm7.
void FunctionCompiler::shift_count(const V& count, unsigned bits, unsigned more) {
  move_to_int(kScratch, count);
  a_.and_(w(kScratch), bits - 1);
  if (more != 0) a_.add(w(kScratch), more);
  a_.vmovd(x(kVectorScratch), w(kScratch));
}

void FunctionCompiler::vec_shift(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 2, &args[0], nullptr);
  if (args[1].kind == Kind::constant) {
    a_.emit(row.id, x(to), x(from), asmjit::Imm(args[1].bits & (row.imm - 1)));
  } else {
    shift_count(args[1], row.imm, 0);
    a_.emit(row.id, x(to), x(from), x(kVectorScratch));
  }
  result_reg(*result, to);
}

/// As words, without the bits that come from the neighbour.
void FunctionCompiler::vec_shift_left_bytes(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  if (args[1].kind == Kind::constant) {
    const unsigned count = args[1].bits & 7;
    uint8_t to = target(d, true, 2, &args[0], nullptr);
    a_.vpsllw(s, x(from), count);
    a_.vpand(x(to), s, pool_lanes(0xff << count & 0xff, 8));
    return result_reg(*result, to);
  }
  const Xmm t = x(take_vec()), mask = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], nullptr);
  shift_count(args[1], 8, 0);
  a_.vpsllw(t, x(from), s);
  a_.vpcmpeqw(mask, mask, mask);
  a_.vpsllw(mask, mask, s);  // low bytes
  a_.vpbroadcastb(mask, mask);
  a_.vpand(x(to), t, mask);
  result_reg(*result, to);
}

/// In words that hold each byte twice, so that it comes down from the upper half.
void FunctionCompiler::vec_shift_right_bytes(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]);
  if (args[1].kind == Kind::constant) {
    const unsigned count = args[1].bits & 7;
    uint8_t to = target(d, true, 2, &args[0], nullptr);
    if (row.id == Inst::kIdVpsrlw) {
      a_.vpsrlw(s, x(from), count);
      a_.vpand(x(to), s, pool_lanes(0xff >> count, 8));
    } else {
      const uint64_t sign = 0x80 >> count;  // where the sign is now, to be extended
      a_.vpsrlw(s, x(from), count);
      a_.vpand(s, s, pool_lanes(0xff >> count, 8));
      a_.vpxor(s, s, pool_lanes(sign, 8));
      a_.vpsubb(x(to), s, pool_lanes(sign, 8));
    }
    return result_reg(*result, to);
  }
  const Xmm low = x(take_vec()), high = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], nullptr);
  shift_count(args[1], 8, 8);
  a_.vpunpcklbw(low, x(from), x(from));
  a_.vpunpckhbw(high, x(from), x(from));
  a_.emit(row.id, low, low, s);
  a_.emit(row.id, high, high, s);
  a_.emit(row.id2, x(to), low, high);
  result_reg(*result, to);
}

/// As an unsigned shift, with the sign extended from where it is then.
void FunctionCompiler::vec_shift_right_quad(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  const uint64_t sign = uint64_t{1} << 63;
  uint8_t from = fetch_vec(args[0]);
  if (args[1].kind == Kind::constant) {
    const unsigned count = args[1].bits & 63;
    uint8_t to = target(d, true, 2, &args[0], nullptr);
    a_.vpsrlq(s, x(from), count);
    a_.vpxor(s, s, pool_lanes(sign >> count, 64));
    a_.vpsubq(x(to), s, pool_lanes(sign >> count, 64));
    return result_reg(*result, to);
  }
  const Xmm mask = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], nullptr);
  shift_count(args[1], 64, 0);
  a_.vmovaps(mask, pool_lanes(sign, 64));
  a_.vpsrlq(mask, mask, s);
  a_.vpsrlq(s, x(from), s);
  a_.vpxor(s, s, mask);
  a_.vpsubq(x(to), s, mask);
  result_reg(*result, to);
}

}  // namespace vmrun::jit::baseline
