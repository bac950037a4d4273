// Floating-point instructions and conversions. Results of NaNs follow the processor, which propagates the first operand's
// payload: what the specification allows.
#include <bit>

#include "jit/baseline/compiler.h"
#include "vm/wasm/op_relations.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

std::span<const FunctionCompiler::Row> FunctionCompiler::float_rows() {
  using F = FunctionCompiler;
  static constexpr Row kRows[] = {
      {Op::f32_eq, &F::float_equal, Inst::kIdVcmpss, 0, 0},
      {Op::f32_ne, &F::float_equal, Inst::kIdVcmpss, 0, 4},
      {Op::f32_lt, &F::float_order, Inst::kIdVucomiss, 0, kAbove},
      {Op::f32_gt, &F::float_order, Inst::kIdVucomiss, 0, kAbove},
      {Op::f32_le, &F::float_order, Inst::kIdVucomiss, 0, kNotBelow},
      {Op::f32_ge, &F::float_order, Inst::kIdVucomiss, 0, kNotBelow},
      {Op::f64_eq, &F::float_equal, Inst::kIdVcmpsd, 0, 0},
      {Op::f64_ne, &F::float_equal, Inst::kIdVcmpsd, 0, 4},
      {Op::f64_lt, &F::float_order, Inst::kIdVucomisd, 0, kAbove},
      {Op::f64_gt, &F::float_order, Inst::kIdVucomisd, 0, kAbove},
      {Op::f64_le, &F::float_order, Inst::kIdVucomisd, 0, kNotBelow},
      {Op::f64_ge, &F::float_order, Inst::kIdVucomisd, 0, kNotBelow},

      {Op::f32_add, &F::float_binary, Inst::kIdVaddss},
      {Op::f32_sub, &F::float_binary, Inst::kIdVsubss},
      {Op::f32_mul, &F::float_binary, Inst::kIdVmulss},
      {Op::f32_div, &F::float_binary, Inst::kIdVdivss},
      {Op::f32_min, &F::float_min_max, Inst::kIdVminss, Inst::kIdVorps},
      {Op::f32_max, &F::float_min_max, Inst::kIdVmaxss, Inst::kIdVandps},
      {Op::f32_abs, &F::float_sign, Inst::kIdVandps},
      {Op::f32_neg, &F::float_sign, Inst::kIdVxorps},
      {Op::f32_copysign, &F::float_copysign},
      {Op::f32_sqrt, &F::float_unary, Inst::kIdVsqrtss},
      {Op::f32_nearest, &F::float_unary, Inst::kIdVroundss, 0, 8},
      {Op::f32_floor, &F::float_unary, Inst::kIdVroundss, 0, 9},
      {Op::f32_ceil, &F::float_unary, Inst::kIdVroundss, 0, 10},
      {Op::f32_trunc, &F::float_unary, Inst::kIdVroundss, 0, 11},
      {Op::f64_add, &F::float_binary, Inst::kIdVaddsd},
      {Op::f64_sub, &F::float_binary, Inst::kIdVsubsd},
      {Op::f64_mul, &F::float_binary, Inst::kIdVmulsd},
      {Op::f64_div, &F::float_binary, Inst::kIdVdivsd},
      {Op::f64_min, &F::float_min_max, Inst::kIdVminsd, Inst::kIdVorps},
      {Op::f64_max, &F::float_min_max, Inst::kIdVmaxsd, Inst::kIdVandps},
      {Op::f64_abs, &F::float_sign, Inst::kIdVandps},
      {Op::f64_neg, &F::float_sign, Inst::kIdVxorps},
      {Op::f64_copysign, &F::float_copysign},
      {Op::f64_sqrt, &F::float_unary, Inst::kIdVsqrtsd},
      {Op::f64_nearest, &F::float_unary, Inst::kIdVroundsd, 0, 8},
      {Op::f64_floor, &F::float_unary, Inst::kIdVroundsd, 0, 9},
      {Op::f64_ceil, &F::float_unary, Inst::kIdVroundsd, 0, 10},
      {Op::f64_trunc, &F::float_unary, Inst::kIdVroundsd, 0, 11},
      {Op::f32_demote_f64, &F::float_unary, Inst::kIdVcvtsd2ss},
      {Op::f64_promote_f32, &F::float_unary, Inst::kIdVcvtss2sd},

      {Op::i32_trunc_f32_s, &F::truncate, 0, 0, kSigned},
      {Op::i32_trunc_f32_u, &F::truncate, 0, 0, 0},
      {Op::i32_trunc_sat_f32_s, &F::truncate, 0, 0, kSigned | kSaturates},
      {Op::i32_trunc_sat_f32_u, &F::truncate, 0, 0, kSaturates},
      {Op::i32_trunc_f64_s, &F::truncate, 0, 0, kSigned},
      {Op::i32_trunc_f64_u, &F::truncate, 0, 0, 0},
      {Op::i32_trunc_sat_f64_s, &F::truncate, 0, 0, kSigned | kSaturates},
      {Op::i32_trunc_sat_f64_u, &F::truncate, 0, 0, kSaturates},
      {Op::i64_trunc_f32_s, &F::truncate, 0, 0, kSigned},
      {Op::i64_trunc_f32_u, &F::truncate, 0, 0, 0},
      {Op::i64_trunc_sat_f32_s, &F::truncate, 0, 0, kSigned | kSaturates},
      {Op::i64_trunc_sat_f32_u, &F::truncate, 0, 0, kSaturates},
      {Op::i64_trunc_f64_s, &F::truncate, 0, 0, kSigned},
      {Op::i64_trunc_f64_u, &F::truncate, 0, 0, 0},
      {Op::i64_trunc_sat_f64_s, &F::truncate, 0, 0, kSigned | kSaturates},
      {Op::i64_trunc_sat_f64_u, &F::truncate, 0, 0, kSaturates},
      {Op::f32_convert_i32_s, &F::int_to_float, Inst::kIdVcvtsi2ss, 0, kSigned},
      {Op::f32_convert_i32_u, &F::int_to_float, Inst::kIdVcvtsi2ss, Inst::kIdVaddss, 0},
      {Op::f64_convert_i32_s, &F::int_to_float, Inst::kIdVcvtsi2sd, 0, kSigned},
      {Op::f64_convert_i32_u, &F::int_to_float, Inst::kIdVcvtsi2sd, Inst::kIdVaddsd, 0},
      {Op::f32_convert_i64_s, &F::int_to_float, Inst::kIdVcvtsi2ss, 0, kSigned},
      {Op::f32_convert_i64_u, &F::int_to_float, Inst::kIdVcvtsi2ss, Inst::kIdVaddss, 0},
      {Op::f64_convert_i64_s, &F::int_to_float, Inst::kIdVcvtsi2sd, 0, kSigned},
      {Op::f64_convert_i64_u, &F::int_to_float, Inst::kIdVcvtsi2sd, Inst::kIdVaddsd, 0},
      {Op::i32_reinterpret_f32, &F::reinterpret},
      {Op::i64_reinterpret_f64, &F::reinterpret},
      {Op::f32_reinterpret_i32, &F::reinterpret},
      {Op::f64_reinterpret_i64, &F::reinterpret},
  };
  return kRows;
}

void FunctionCompiler::float_binary(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t left = fetch_vec(args[0]);
  asmjit::Operand right = source_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.emit(row.id, x(to), x(left), right);
  result_reg(*result, to);
}

/// The smaller of zeros of different sign is the negative one, the greater the positive one (`id2`); a NaN makes a NaN.
void FunctionCompiler::float_min_max(D&, const Row& row, const Imm&, const V* args, V* result) {
  const bool f64 = args[0].type == vm::kF64;
  uint8_t a = fetch_vec(args[0]), b = fetch_vec(args[1]);
  uint8_t to = take_vec();
  Label done = a_.new_label(), equal = a_.new_label(), nan = a_.new_label();
  a_.emit(f64 ? Inst::kIdVucomisd : Inst::kIdVucomiss, x(a), x(b));
  a_.jp(nan);
  a_.je(equal);
  a_.emit(row.id, x(to), x(a), x(b));
  a_.jmp(done);
  a_.bind(nan);
  a_.emit(f64 ? Inst::kIdVaddsd : Inst::kIdVaddss, x(to), x(a), x(b));
  a_.jmp(done);
  a_.bind(equal);
  a_.emit(row.id2, x(to), x(a), x(b));
  a_.bind(done);
  result_reg(*result, to);
}

/// By the processor's comparison of number `imm` to a mask: unordered would set ZF too.
void FunctionCompiler::float_equal(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t left = fetch_vec(args[0]);
  asmjit::Operand right = source_vec(args[1]);
  a_.emit(row.id, x(kVectorScratch), x(left), right, asmjit::Imm(row.imm));
  a_.vmovd(w(kScratch), x(kVectorScratch));
  a_.test(w(kScratch), w(kScratch));
  set_flags(d, Cond::kNE, 2, result);
}

/// The conditions by which unordered is false are those of greater.
void FunctionCompiler::float_order(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const V *a = &args[0], *b = &args[1];
  if (!vm::is_greater(row.op)) std::swap(a, b);
  uint8_t left = fetch_vec(*a);
  asmjit::Operand right = source_vec(*b);
  a_.emit(row.id, x(left), right);
  set_flags(d, static_cast<Cond>(row.imm), 2, result);
}

/// The sign and all but the sign of a float, in both lanes of a constant.
void FunctionCompiler::sign_masks(bool f64, Mem& sign, Mem& rest) {
  const uint64_t bits = f64 ? uint64_t{1} << 63 : 0x8000000080000000;
  sign = pool({bits, bits}), rest = pool({~bits, ~bits});
}

void FunctionCompiler::float_sign(D& d, const Row& row, const Imm&, const V* args, V* result) {
  Mem sign, rest;
  sign_masks(args[0].type == vm::kF64, sign, rest);
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  a_.emit(row.id, x(to), x(from), row.id == Inst::kIdVandps ? rest : sign);
  result_reg(*result, to);
}

void FunctionCompiler::float_copysign(D& d, const Row&, const Imm&, const V* args, V* result) {
  Mem sign, rest;
  sign_masks(args[0].type == vm::kF64, sign, rest);
  uint8_t from = fetch_vec(args[0]);
  uint8_t sign_from = fetch_vec(args[1]);
  uint8_t to = target(d, true, 2, &args[0], &args[1]);
  a_.vandps(x(kVectorScratch), x(sign_from), sign);
  a_.vandps(x(to), x(from), rest);
  a_.vorps(x(to), x(to), x(kVectorScratch));
  result_reg(*result, to);
}

/// Roots and conversions between floats; roundings by the processor's number of the mode.
void FunctionCompiler::float_unary(D& d, const Row& row, const Imm&, const V* args, V* result) {
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = target(d, true, 1, &args[0], nullptr);
  if (row.imm == kNoImm) {
    a_.emit(row.id, x(to), x(from), x(from));
  } else {
    a_.emit(row.id, x(to), x(from), x(from), asmjit::Imm(row.imm));
  }
  result_reg(*result, to);
}

void FunctionCompiler::reinterpret(D& d, const Row&, const Imm&, const V* args, V* result) {
  const V& a = args[0];
  const bool to_vec = is_vec(result->type);
  const bool wide = result->type == vm::kF64 || result->type == vm::kI64;
  if (a.kind == Kind::constant) {
    set_const(*result, a.bits, result->slot);
    return;
  }
  if (to_vec) {
    uint8_t from = fetch_int(a);
    uint8_t to = target(d, true, 1, nullptr, nullptr);
    if (wide) {
      a_.vmovq(x(to), q(from));
    } else {
      a_.vmovd(x(to), w(from));
    }
    return result_reg(*result, to);
  }
  uint8_t from = fetch_vec(a);
  uint8_t to = target(d, false, 1, nullptr, nullptr);
  if (wide) {
    a_.vmovq(q(to), x(from));
  } else {
    a_.vmovd(w(to), x(from));
  }
  result_reg(*result, to);
}

namespace {

uint64_t float_bits(bool f64, double value) {
  return f64 ? std::bit_cast<uint64_t>(value) : std::bit_cast<uint32_t>(static_cast<float>(value));
}

}  // namespace

void FunctionCompiler::truncate(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const bool from64 = args[0].type == vm::kF64, to64 = result->type == vm::kI64;
  const bool is_signed = (row.imm & kSigned) != 0, saturate = (row.imm & kSaturates) != 0;
  const InstId cvtt = from64 ? Inst::kIdVcvttsd2si : Inst::kIdVcvttss2si;
  const InstId ucomis = from64 ? Inst::kIdVucomisd : Inst::kIdVucomiss;
  const InstId sub = from64 ? Inst::kIdVsubsd : Inst::kIdVsubss;
  constexpr double k2to63 = 9223372036854775808.0;
  uint8_t from = fetch_vec(args[0]);
  uint8_t to = take_int();
  Label done = a_.new_label(), bad = a_.new_label();
  if (!to64) {
    // By way of 64 bits: what does not fit 32 is out of range, and so is the 64-bit form's answer to what it cannot do.
    a_.emit(cvtt, q(to), x(from));
    if (is_signed) {
      a_.movsxd(q(kScratch), w(to));
    } else {
      a_.mov(w(kScratch), w(to));
    }
    a_.cmp(q(kScratch), q(to));
    if (is_signed) a_.mov(w(to), w(to));
    a_.je(done);
  } else if (is_signed) {
    a_.emit(cvtt, q(to), x(from));
    a_.cmp(q(to), 1);
    a_.jno(done);  // anything but the smallest integer
    if (!saturate) {
      a_.emit(ucomis, x(from), pool(float_bits(from64, -k2to63)));
      a_.jp(bad);
      a_.je(done);
    }
  } else {
    Label high = a_.new_label();
    a_.emit(ucomis, x(from), pool(float_bits(from64, k2to63)));
    a_.jp(bad);
    a_.jae(high);
    a_.emit(cvtt, q(to), x(from));
    a_.test(q(to), q(to));
    a_.jns(done);
    a_.jmp(bad);
    a_.bind(high);
    a_.emit(sub, x(kVectorScratch), x(from), pool(float_bits(from64, k2to63)));
    a_.emit(cvtt, q(to), x(kVectorScratch));
    a_.test(q(to), q(to));
    a_.js(bad);
    a_.btc(q(to), 63);
    a_.jmp(done);
  }
  a_.bind(bad);
  if (!saturate) {
    a_.emit(ucomis, x(from), x(from));
    trap_if(d, Cond::kP, TrapCode::InvalidConversionToInteger);
    trap(d, TrapCode::IntegerOverflow);
  } else {
    // NaN: 0; below: the smallest; above: the greatest.
    Label above = a_.new_label();
    a_.xor_(w(to), w(to));
    a_.vxorps(x(kVectorScratch), x(kVectorScratch), x(kVectorScratch));
    a_.emit(ucomis, x(from), x(kVectorScratch));
    a_.jp(done);
    a_.ja(above);
    if (is_signed) load_const(to, to64 ? uint64_t{1} << 63 : 0x80000000u);
    a_.jmp(done);
    a_.bind(above);
    load_const(to, to64 ? (is_signed ? INT64_MAX : UINT64_MAX) : (is_signed ? 0x7fffffffu : 0xffffffffu));
  }
  a_.bind(done);
  result_reg(*result, to);
}

void FunctionCompiler::int_to_float(D& d, const Row& row, const Imm&, const V* args, V* result) {
  const InstId cvt = row.id;
  const bool from64 = is_wide(args[0].type), is_signed = row.imm == kSigned;
  uint8_t from = index_of(args[0]).reg();  // with a clean upper half
  uint8_t to = target(d, true, 1, nullptr, nullptr);
  a_.vxorps(x(to), x(to), x(to));  // the upper part must not wait for what was there
  if (!from64) {
    // Unsigned ones are zero-extended.
    a_.emit(cvt, x(to), x(to), gp(from, !is_signed));
  } else if (is_signed) {
    a_.emit(cvt, x(to), x(to), q(from));
  } else {
    uint8_t half = take_int();  // before the branch: it may spill
    Label high = a_.new_label(), done = a_.new_label();
    a_.test(q(from), q(from));
    a_.js(high);
    a_.emit(cvt, x(to), x(to), q(from));
    a_.jmp(done);
    a_.bind(high);
    // Half of it, the lowest bit kept for rounding, twice.
    a_.mov(q(kScratch), q(from));
    a_.mov(q(half), q(from));
    a_.shr(q(kScratch), 1);
    a_.and_(w(half), 1);
    a_.or_(q(kScratch), q(half));
    a_.emit(cvt, x(to), x(to), q(kScratch));
    a_.emit(row.id2, x(to), x(to), x(to));
    a_.bind(done);
  }
  result_reg(*result, to);
}

}  // namespace vmrun::jit::baseline
