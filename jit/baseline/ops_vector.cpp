// SIMD instructions: most are one VEX instruction.
#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

namespace {

struct Simple {
  vm::Op op;
  asmjit::InstId id;
};

/// Two operands and a result, in order.
constexpr Simple kBinary[] = {
    {vm::Op::v128_and, Inst::kIdVandps}, {vm::Op::v128_or, Inst::kIdVorps}, {vm::Op::v128_xor, Inst::kIdVxorps},
    {vm::Op::i8x16_add, Inst::kIdVpaddb}, {vm::Op::i16x8_add, Inst::kIdVpaddw}, {vm::Op::i32x4_add, Inst::kIdVpaddd},
    {vm::Op::i64x2_add, Inst::kIdVpaddq}, {vm::Op::i8x16_sub, Inst::kIdVpsubb}, {vm::Op::i16x8_sub, Inst::kIdVpsubw},
    {vm::Op::i32x4_sub, Inst::kIdVpsubd}, {vm::Op::i64x2_sub, Inst::kIdVpsubq}, {vm::Op::i16x8_mul, Inst::kIdVpmullw},
    {vm::Op::i32x4_mul, Inst::kIdVpmulld},
    {vm::Op::i8x16_add_sat_s, Inst::kIdVpaddsb}, {vm::Op::i8x16_add_sat_u, Inst::kIdVpaddusb},
    {vm::Op::i8x16_sub_sat_s, Inst::kIdVpsubsb}, {vm::Op::i8x16_sub_sat_u, Inst::kIdVpsubusb},
    {vm::Op::i16x8_add_sat_s, Inst::kIdVpaddsw}, {vm::Op::i16x8_add_sat_u, Inst::kIdVpaddusw},
    {vm::Op::i16x8_sub_sat_s, Inst::kIdVpsubsw}, {vm::Op::i16x8_sub_sat_u, Inst::kIdVpsubusw},
    {vm::Op::i8x16_min_s, Inst::kIdVpminsb}, {vm::Op::i8x16_min_u, Inst::kIdVpminub},
    {vm::Op::i8x16_max_s, Inst::kIdVpmaxsb}, {vm::Op::i8x16_max_u, Inst::kIdVpmaxub},
    {vm::Op::i16x8_min_s, Inst::kIdVpminsw}, {vm::Op::i16x8_min_u, Inst::kIdVpminuw},
    {vm::Op::i16x8_max_s, Inst::kIdVpmaxsw}, {vm::Op::i16x8_max_u, Inst::kIdVpmaxuw},
    {vm::Op::i32x4_min_s, Inst::kIdVpminsd}, {vm::Op::i32x4_min_u, Inst::kIdVpminud},
    {vm::Op::i32x4_max_s, Inst::kIdVpmaxsd}, {vm::Op::i32x4_max_u, Inst::kIdVpmaxud},
    {vm::Op::i8x16_avgr_u, Inst::kIdVpavgb}, {vm::Op::i16x8_avgr_u, Inst::kIdVpavgw},
    {vm::Op::i8x16_eq, Inst::kIdVpcmpeqb}, {vm::Op::i16x8_eq, Inst::kIdVpcmpeqw}, {vm::Op::i32x4_eq, Inst::kIdVpcmpeqd},
    {vm::Op::i64x2_eq, Inst::kIdVpcmpeqq}, {vm::Op::i8x16_gt_s, Inst::kIdVpcmpgtb},
    {vm::Op::i16x8_gt_s, Inst::kIdVpcmpgtw}, {vm::Op::i32x4_gt_s, Inst::kIdVpcmpgtd},
    {vm::Op::i64x2_gt_s, Inst::kIdVpcmpgtq},
    {vm::Op::i8x16_narrow_i16x8_s, Inst::kIdVpacksswb}, {vm::Op::i8x16_narrow_i16x8_u, Inst::kIdVpackuswb},
    {vm::Op::i16x8_narrow_i32x4_s, Inst::kIdVpackssdw}, {vm::Op::i16x8_narrow_i32x4_u, Inst::kIdVpackusdw},
    {vm::Op::i32x4_dot_i16x8_s, Inst::kIdVpmaddwd},
    {vm::Op::f32x4_add, Inst::kIdVaddps}, {vm::Op::f32x4_sub, Inst::kIdVsubps}, {vm::Op::f32x4_mul, Inst::kIdVmulps},
    {vm::Op::f32x4_div, Inst::kIdVdivps}, {vm::Op::f64x2_add, Inst::kIdVaddpd}, {vm::Op::f64x2_sub, Inst::kIdVsubpd},
    {vm::Op::f64x2_mul, Inst::kIdVmulpd}, {vm::Op::f64x2_div, Inst::kIdVdivpd},
};

constexpr Simple kUnary[] = {
    {vm::Op::i8x16_abs, Inst::kIdVpabsb}, {vm::Op::i16x8_abs, Inst::kIdVpabsw}, {vm::Op::i32x4_abs, Inst::kIdVpabsd},
    {vm::Op::f32x4_sqrt, Inst::kIdVsqrtps}, {vm::Op::f64x2_sqrt, Inst::kIdVsqrtpd},
    {vm::Op::i16x8_extend_low_i8x16_s, Inst::kIdVpmovsxbw}, {vm::Op::i16x8_extend_low_i8x16_u, Inst::kIdVpmovzxbw},
    {vm::Op::i32x4_extend_low_i16x8_s, Inst::kIdVpmovsxwd}, {vm::Op::i32x4_extend_low_i16x8_u, Inst::kIdVpmovzxwd},
    {vm::Op::i64x2_extend_low_i32x4_s, Inst::kIdVpmovsxdq}, {vm::Op::i64x2_extend_low_i32x4_u, Inst::kIdVpmovzxdq},
    {vm::Op::f32x4_convert_i32x4_s, Inst::kIdVcvtdq2ps}, {vm::Op::f64x2_convert_low_i32x4_s, Inst::kIdVcvtdq2pd},
    {vm::Op::f64x2_promote_low_f32x4, Inst::kIdVcvtps2pd}, {vm::Op::f32x4_demote_f64x2_zero, Inst::kIdVcvtpd2ps},
};

struct Table {
  asmjit::InstId binary[vm::kOpCount] = {};
  asmjit::InstId unary[vm::kOpCount] = {};
};
constexpr Table make_table() {
  Table table;
  for (const Simple& s : kBinary) table.binary[static_cast<size_t>(s.op)] = s.id;
  for (const Simple& s : kUnary) table.unary[static_cast<size_t>(s.op)] = s.id;
  return table;
}
constexpr Table kTable = make_table();

}  // namespace

bool FunctionCompiler::vector_op(D& d, Op op, const Imm& imm, const V* args, V* results) {
  if (InstId id = kTable.binary[static_cast<size_t>(op)]; id != 0) {
    float_binary(d, id, args, results);
    return true;
  }
  if (InstId id = kTable.unary[static_cast<size_t>(op)]; id != 0) {
    uint8_t from = fetch_vec(args[0]);
    uint8_t to = target(d, true, 1, &args[0], nullptr);
    a_.emit(id, x(to), x(from));
    result_reg(*results, to);
    return true;
  }
  switch (op) {
    case Op::v128_const: {
      uint8_t to = target(d, true, 0, nullptr, nullptr);
      if (imm.v128 == vm::V128{}) {
        a_.vxorps(x(to), x(to), x(to));
      } else {
        a_.vmovups(x(to), pool(imm.v128));
      }
      result_reg(*results, to);
      return true;
    }
    case Op::v128_not: {
      uint8_t from = fetch_vec(args[0]);
      uint8_t to = target(d, true, 1, &args[0], nullptr);
      a_.vxorps(x(to), x(from), pool({~uint64_t{0}, ~uint64_t{0}}));
      result_reg(*results, to);
      return true;
    }
    case Op::v128_andnot: {
      uint8_t a = fetch_vec(args[0]), b = fetch_vec(args[1]);
      uint8_t to = target(d, true, 2, &args[0], &args[1]);
      a_.vandnps(x(to), x(b), x(a));
      result_reg(*results, to);
      return true;
    }
    case Op::i8x16_splat: case Op::i16x8_splat: case Op::i32x4_splat: case Op::i64x2_splat: {
      uint8_t from = fetch_int(args[0]);
      uint8_t to = target(d, true, 1, nullptr, nullptr);
      if (op == Op::i64x2_splat) {
        a_.vmovq(x(to), q(from));
        a_.vpunpcklqdq(x(to), x(to), x(to));
      } else {
        a_.vmovd(x(to), w(from));
        InstId id = op == Op::i8x16_splat ? Inst::kIdVpbroadcastb : op == Op::i16x8_splat ? Inst::kIdVpbroadcastw : Inst::kIdVpbroadcastd;
        a_.emit(id, x(to), x(to));
      }
      result_reg(*results, to);
      return true;
    }
    case Op::f32x4_splat: case Op::f64x2_splat: {
      uint8_t from = fetch_vec(args[0]);
      uint8_t to = target(d, true, 1, &args[0], nullptr);
      if (op == Op::f32x4_splat) {
        a_.vshufps(x(to), x(from), x(from), 0);
      } else {
        a_.vunpcklpd(x(to), x(from), x(from));
      }
      result_reg(*results, to);
      return true;
    }
    case Op::i32x4_extract_lane: case Op::i64x2_extract_lane: case Op::i8x16_extract_lane_u:
    case Op::i16x8_extract_lane_u: case Op::i8x16_extract_lane_s: case Op::i16x8_extract_lane_s: {
      uint8_t from = fetch_vec(args[0]);
      uint8_t to = target(d, false, 1, nullptr, nullptr);
      switch (op) {
        case Op::i32x4_extract_lane: a_.vpextrd(w(to), x(from), imm.lane); break;
        case Op::i64x2_extract_lane: a_.vpextrq(q(to), x(from), imm.lane); break;
        case Op::i16x8_extract_lane_u: case Op::i16x8_extract_lane_s: a_.vpextrw(w(to), x(from), imm.lane); break;
        default: a_.vpextrb(w(to), x(from), imm.lane); break;
      }
      if (op == Op::i16x8_extract_lane_s) a_.movsx(w(to), asmjit::x86::gpw(to));
      if (op == Op::i8x16_extract_lane_s) a_.movsx(w(to), asmjit::x86::gpb_lo(to));
      result_reg(*results, to);
      return true;
    }
    case Op::f32x4_extract_lane: case Op::f64x2_extract_lane: {
      uint8_t from = fetch_vec(args[0]);
      uint8_t to = target(d, true, 1, &args[0], nullptr);
      if (op == Op::f32x4_extract_lane) {
        a_.vshufps(x(to), x(from), x(from), imm.lane);
      } else {
        a_.vpermilpd(x(to), x(from), imm.lane);
      }
      result_reg(*results, to);
      return true;
    }
    case Op::v128_any_true: {
      uint8_t from = fetch_vec(args[0]);
      a_.vptest(x(from), x(from));
      set_flags(d, Cond::kNE, 1, results);
      return true;
    }
    default: return false;
  }
}

}  // namespace vmrun::jit::baseline
