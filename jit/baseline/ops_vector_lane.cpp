// Vectors as a whole: constants, bitwise instructions, splats, access to lanes, shuffles.
#include <array>

#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

std::span<const FunctionCompiler::Row> FunctionCompiler::vector_lane_rows() {
  using F = FunctionCompiler;
  static constexpr Row kRows[] = {
      {Op::v128_const, &F::vec_constant},
      {Op::v128_and, &F::vec_binary, Inst::kIdVandps},
      {Op::v128_or, &F::vec_binary, Inst::kIdVorps},
      {Op::v128_xor, &F::vec_binary, Inst::kIdVxorps},
      {Op::v128_andnot, &F::vec_swapped, Inst::kIdVandnps},
      {Op::v128_not, &F::vec_not_},
      {Op::v128_bitselect, &F::vec_bitselect},
      {Op::i8x16_relaxed_laneselect, &F::vec_bitselect},
      {Op::i16x8_relaxed_laneselect, &F::vec_bitselect},
      {Op::i32x4_relaxed_laneselect, &F::vec_bitselect},
      {Op::i64x2_relaxed_laneselect, &F::vec_bitselect},
      {Op::v128_any_true, &F::vec_any_true},

      {Op::i8x16_splat, &F::vec_splat, Inst::kIdVpbroadcastb, 0, 8},
      {Op::i16x8_splat, &F::vec_splat, Inst::kIdVpbroadcastw, 0, 16},
      {Op::i32x4_splat, &F::vec_splat, Inst::kIdVpbroadcastd, 0, 32},
      {Op::i64x2_splat, &F::vec_splat, Inst::kIdVpbroadcastq, 0, 64},
      {Op::f32x4_splat, &F::vec_splat_float, Inst::kIdVbroadcastss, 0, 32},
      {Op::f64x2_splat, &F::vec_splat_float, Inst::kIdVmovddup, 0, 64},
      {Op::i8x16_extract_lane_s, &F::vec_extract, Inst::kIdVpextrb, Inst::kIdMovsx, 8},
      {Op::i8x16_extract_lane_u, &F::vec_extract, Inst::kIdVpextrb, 0, 8},
      {Op::i16x8_extract_lane_s, &F::vec_extract, Inst::kIdVpextrw, Inst::kIdMovsx, 16},
      {Op::i16x8_extract_lane_u, &F::vec_extract, Inst::kIdVpextrw, 0, 16},
      {Op::i32x4_extract_lane, &F::vec_extract, Inst::kIdVpextrd, 0, 32},
      {Op::i64x2_extract_lane, &F::vec_extract, Inst::kIdVpextrq, 0, 64},
      {Op::f32x4_extract_lane, &F::vec_extract_float, Inst::kIdVshufps},
      {Op::f64x2_extract_lane, &F::vec_extract_float, Inst::kIdVshufpd},
      {Op::i8x16_replace_lane, &F::vec_replace, Inst::kIdVpinsrb},
      {Op::i16x8_replace_lane, &F::vec_replace, Inst::kIdVpinsrw},
      {Op::i32x4_replace_lane, &F::vec_replace, Inst::kIdVpinsrd},
      {Op::i64x2_replace_lane, &F::vec_replace, Inst::kIdVpinsrq},
      {Op::f32x4_replace_lane, &F::vec_replace_f32},
      {Op::f64x2_replace_lane, &F::vec_replace_f64},
      {Op::i8x16_swizzle, &F::vec_swizzle},
      {Op::i8x16_relaxed_swizzle, &F::vec_swizzle},
      {Op::i8x16_shuffle, &F::vec_shuffle},
  };
  return kRows;
}

void FunctionCompiler::load_vector(uint8_t to, const vm::V128& value) {
  if (value.lo == 0 && value.hi == 0) {
    a_.vxorps(x(to), x(to), x(to));
  } else if (value.lo == ~uint64_t{0} && value.hi == ~uint64_t{0}) {
    a_.vpcmpeqd(x(to), x(to), x(to));
  } else {
    a_.vmovaps(x(to), pool(value));
  }
}

void FunctionCompiler::vec_constant(D&, const Row&, const Imm& imm, const V*, V* result) {
  set_vector(*result, imm.v128);
}

void FunctionCompiler::vec_not_(D& d, const Row&, const Imm&, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.vxorps(x(to), x(from), pool_lanes(~uint64_t{0}, 64));
  result_reg(*result, to);
}

void FunctionCompiler::vec_bitselect(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  asmjit::Operand a = source_vec(args[0]), b = source_vec(args[1]);
  uint8_t mask = fetch_vec(args[2]);
  const Xmm t = x(take_vec());
  uint8_t to = target(d, true, 3, &args[0], &args[1]);
  a_.emit(Inst::kIdVandps, s, x(mask), a);
  a_.emit(Inst::kIdVandnps, t, x(mask), b);
  a_.vorps(x(to), s, t);
  result_reg(*result, to);
}

void FunctionCompiler::vec_any_true(D& d, const Row&, const Imm&, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  a_.vptest(x(from), x(from));
  set_flags(d, Cond::kNE, 1, result);
}

// ---- lanes ----------------------------------------------------------------------------------------------------------

void FunctionCompiler::vec_splat(D& d, const Row& row, const Imm&, const V* args, V* result) {
  if (args[0].kind == Kind::constant) {
    const unsigned bits = row.imm;
    uint64_t word = bits == 64 ? args[0].bits : args[0].bits & ((uint64_t{1} << bits) - 1);
    for (unsigned filled = bits; filled < 64; filled *= 2) word |= word << filled;
    return set_vector(*result, {word, word});
  }
  uint8_t from = fetch_int(args[0]);
  uint8_t to = target(d, true, 1, nullptr, nullptr);
  if (row.imm == 64) {
    a_.vmovq(x(to), q(from));
  } else {
    a_.vmovd(x(to), w(from));
  }
  a_.emit(row.id, x(to), x(to));
  result_reg(*result, to);
}

void FunctionCompiler::vec_splat_float(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.emit(row.id, x(to), x(from));
  result_reg(*result, to);
}

void FunctionCompiler::vec_extract(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, false, 1, nullptr, nullptr);
  if (imm.lane == 0 && row.imm == 64) {
    a_.vmovq(q(to), x(from));
  } else if (imm.lane == 0 && row.imm == 32) {
    a_.vmovd(w(to), x(from));
  } else {
    a_.emit(row.id, gp(to, row.imm == 64), x(from), asmjit::Imm(imm.lane));
  }
  if (row.id2 != 0 && row.imm == 8) a_.movsx(w(to), asmjit::x86::gpb_lo(to));
  if (row.id2 != 0 && row.imm == 16) a_.movsx(w(to), asmjit::x86::gpw(to));
  result_reg(*result, to);
}

/// The lowest lane stays where it is: what lies above a float does not matter.
void FunctionCompiler::vec_extract_float(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  if (imm.lane == 0) {
    move_vec(to, from);
  } else {
    a_.emit(row.id, x(to), x(from), x(from), asmjit::Imm(imm.lane));
  }
  result_reg(*result, to);
}

void FunctionCompiler::vec_replace(D& d, const Row& row, const Imm& imm, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t value = fetch_int(args[1]);
  uint8_t to = target(d, true, 2, &args[0], nullptr);
  a_.emit(row.id, x(to), x(from), gp(value, row.id == Inst::kIdVpinsrq), asmjit::Imm(imm.lane));
  result_reg(*result, to);
}

void FunctionCompiler::vec_replace_f32(D& d, const Row&, const Imm& imm, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]), value = fetch_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.vinsertps(x(to), x(from), x(value), imm.lane << 4);
  result_reg(*result, to);
}

void FunctionCompiler::vec_replace_f64(D& d, const Row&, const Imm& imm, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]), value = fetch_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  if (imm.lane == 0) {
    a_.vmovsd(x(to), x(from), x(value));
  } else {
    a_.vunpcklpd(x(to), x(from), x(value));
  }
  result_reg(*result, to);
}

// ---- shuffles -------------------------------------------------------------------------------------------------------

/// Saturation gives the top bit, for which the processor's shuffle makes 0, to all lane numbers above 15.
void FunctionCompiler::vec_swizzle(D& d, const Row&, const Imm&, const V* args, V* result) {
  const Xmm s = x(kVectorScratch);
  uint8_t from = fetch_vec(args[0]), lanes = fetch_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.vpaddusb(s, x(lanes), pool_lanes(0x70, 8));
  a_.vpshufb(x(to), x(from), s);
  result_reg(*result, to);
}

namespace {

using Lanes = std::array<uint8_t, 16>;

/// The numbers of lanes of `bytes` bytes, or false when the shuffle tears some apart.
template <size_t kCount>
bool as_wide(const Lanes& lanes, std::array<uint8_t, kCount>& wide) {
  constexpr size_t kBytes = 16 / kCount;
  for (size_t i = 0; i < kCount; ++i) {
    const uint8_t first = lanes[i * kBytes];
    if (first % kBytes != 0) return false;
    for (size_t k = 1; k < kBytes; ++k) {
      if (lanes[i * kBytes + k] != first + k) return false;
    }
    wide[i] = static_cast<uint8_t>(first / kBytes);
  }
  return true;
}

vm::V128 bytes_of(const Lanes& lanes) { return std::bit_cast<vm::V128>(lanes); }

Lanes swapped(Lanes lanes) {
  for (uint8_t& lane : lanes) lane ^= 16;
  return lanes;
}

/// The interleaving of halves that this is, or 0. Operands in order.
asmjit::InstId unpacking(const Lanes& lanes) {
  static constexpr asmjit::InstId kIds[4][2] = {{Inst::kIdVpunpcklbw, Inst::kIdVpunpckhbw},
                                                {Inst::kIdVpunpcklwd, Inst::kIdVpunpckhwd},
                                                {Inst::kIdVpunpckldq, Inst::kIdVpunpckhdq},
                                                {Inst::kIdVpunpcklqdq, Inst::kIdVpunpckhqdq}};
  for (unsigned log2 = 0; log2 < 4; ++log2) {
    for (unsigned high = 0; high < 2; ++high) {
      bool same = true;
      for (unsigned i = 0; i < 16; ++i) {
        const unsigned group = i >> log2, within = i & ((1u << log2) - 1);
        same &= lanes[i] == (high != 0 ? 8 : 0) + (group / 2 << log2) + within + (group % 2 != 0 ? 16 : 0);
      }
      if (same) return kIds[log2][high];
    }
  }
  return 0;
}

}  // namespace

/// Lanes of one vector, numbered below 16.
void FunctionCompiler::shuffle_one(Xmm to, Xmm from, const Lanes& lanes) {
  std::array<uint8_t, 4> wide;
  if (as_wide(lanes, wide)) {
    const auto imm = static_cast<unsigned>(wide[0] | wide[1] << 2 | wide[2] << 4 | wide[3] << 6);
    if (imm != 0xe4) {
      a_.vpshufd(to, from, imm);
    } else if (to.id() != from.id()) {
      a_.vmovaps(to, from);
    }
    return;
  }
  a_.vpshufb(to, from, pool(bytes_of(lanes)));
}

/// The shuffle of two vectors as one instruction, where there is one.
bool FunctionCompiler::shuffle_two(Xmm to, Xmm a, Xmm b, const Lanes& lanes) {
  bool run = true, blend = true;
  for (unsigned i = 0; i < 16; ++i) {
    run &= lanes[i] == lanes[0] + i;
    blend &= lanes[i] % 16 == i;
  }
  if (run) {
    a_.vpalignr(to, b, a, lanes[0]);
    return true;
  }
  std::array<uint8_t, 8> words;
  if (blend && as_wide(lanes, words)) {
    unsigned imm = 0;
    for (unsigned i = 0; i < 8; ++i) imm |= (words[i] >= 8 ? 1u : 0u) << i;
    a_.vpblendw(to, a, b, imm);
    return true;
  }
  if (InstId id = unpacking(lanes); id != 0) {
    a_.emit(id, to, a, b);
    return true;
  }
  std::array<uint8_t, 4> wide;
  if (as_wide(lanes, wide) && wide[0] < 4 && wide[1] < 4 && wide[2] >= 4 && wide[3] >= 4) {
    a_.vshufps(to, a, b, static_cast<unsigned>(wide[0] | wide[1] << 2 | (wide[2] - 4) << 4 | (wide[3] - 4) << 6));
    return true;
  }
  return false;
}

void FunctionCompiler::vec_shuffle(D& d, const Row&, const Imm& imm, const V* args, V* result) {
  Lanes lanes = imm.lanes;
  bool first = false, second = false;
  for (uint8_t lane : lanes) (lane < 16 ? first : second) = true;
  if (!first) lanes = swapped(lanes);
  if (!first || !second) {
    const V& source = args[first ? 0 : 1];
    uint8_t from = fetch_vec(source);
    uint8_t to = target(d, true, 2, &source, nullptr);
    shuffle_one(x(to), x(from), lanes);
    return result_reg(*result, to);
  }
  uint8_t a = fetch_vec(args[0]), b = fetch_vec(args[1]);
  if (a == b) {
    for (uint8_t& lane : lanes) lane &= 15;
    uint8_t to = target(d, true, 2, &args[0], nullptr);
    shuffle_one(x(to), x(a), lanes);
    return result_reg(*result, to);
  }
  const Xmm s = x(kVectorScratch), t = x(take_vec());
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  if (!shuffle_two(x(to), x(a), x(b), lanes) && !shuffle_two(x(to), x(b), x(a), swapped(lanes))) {
    // Lane numbers with the top bit set make 0.
    Lanes from_a, from_b;
    for (unsigned i = 0; i < 16; ++i) {
      from_a[i] = lanes[i] < 16 ? lanes[i] : 0x80;
      from_b[i] = lanes[i] >= 16 ? lanes[i] - 16 : 0x80;
    }
    a_.vpshufb(s, x(a), pool(bytes_of(from_a)));
    a_.vpshufb(t, x(b), pool(bytes_of(from_b)));
    a_.vpor(x(to), s, t);
  }
  result_reg(*result, to);
}

}  // namespace vmrun::jit::baseline
