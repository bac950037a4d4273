// Lowering: vectors of floats, and conversions.
#include "jit/opt/lower.h"

namespace vmrun::jit::opt {

namespace Id = llvm::Intrinsic;
using llvm::CmpInst;
using llvm::Instruction;
using llvm::Type;
using llvm::Value;

std::span<const Lowering::VectorRow> Lowering::float_rows() {
  using L = Lowering;
  constexpr auto kDemote = [](L& l, const VectorRow& row, const vm::Immediate&, const V* args) -> Value* {
    Type* const pair = llvm::FixedVectorType::get(l.b_.getFloatTy(), 2);
    return l.with_zeros(l.b_.CreateFPTrunc(l.in_lanes(row, args[0]), pair));
  };
  constexpr auto kPromote = [](L& l, const VectorRow& row, const vm::Immediate&, const V* args) -> Value* {
    return l.b_.CreateFPExt(l.low_pair(row, args[0]), l.lanes(l.b_.getDoubleTy()));
  };
  static constexpr VectorRow kRows[] = {
      {Op::f32x4_eq, &L::vec_compare, Lane::f32, CmpInst::FCMP_OEQ},
      {Op::f32x4_ne, &L::vec_compare, Lane::f32, CmpInst::FCMP_UNE},
      {Op::f32x4_lt, &L::vec_compare, Lane::f32, CmpInst::FCMP_OLT},
      {Op::f32x4_gt, &L::vec_compare, Lane::f32, CmpInst::FCMP_OGT},
      {Op::f32x4_le, &L::vec_compare, Lane::f32, CmpInst::FCMP_OLE},
      {Op::f32x4_ge, &L::vec_compare, Lane::f32, CmpInst::FCMP_OGE},
      {Op::f32x4_abs, &L::vec_intrinsic1, Lane::f32, Id::fabs},
      {Op::f32x4_neg, &L::vec_float_neg, Lane::f32},
      {Op::f32x4_sqrt, &L::vec_intrinsic1, Lane::f32, Id::sqrt},
      {Op::f32x4_ceil, &L::vec_intrinsic1, Lane::f32, Id::ceil},
      {Op::f32x4_floor, &L::vec_intrinsic1, Lane::f32, Id::floor},
      {Op::f32x4_trunc, &L::vec_intrinsic1, Lane::f32, Id::trunc},
      {Op::f32x4_nearest, &L::vec_intrinsic1, Lane::f32, Id::roundeven},
      {Op::f32x4_add, &L::vec_binary, Lane::f32, Instruction::FAdd},
      {Op::f32x4_sub, &L::vec_binary, Lane::f32, Instruction::FSub},
      {Op::f32x4_mul, &L::vec_binary, Lane::f32, Instruction::FMul},
      {Op::f32x4_div, &L::vec_binary, Lane::f32, Instruction::FDiv},
      {Op::f32x4_min, &L::vec_min_max, Lane::f32, kMin},
      {Op::f32x4_max, &L::vec_min_max, Lane::f32, kMax},
      {Op::f32x4_pmin, &L::vec_pseudo, Lane::f32, kMin},
      {Op::f32x4_pmax, &L::vec_pseudo, Lane::f32, kMax},

      {Op::f64x2_eq, &L::vec_compare, Lane::f64, CmpInst::FCMP_OEQ},
      {Op::f64x2_ne, &L::vec_compare, Lane::f64, CmpInst::FCMP_UNE},
      {Op::f64x2_lt, &L::vec_compare, Lane::f64, CmpInst::FCMP_OLT},
      {Op::f64x2_gt, &L::vec_compare, Lane::f64, CmpInst::FCMP_OGT},
      {Op::f64x2_le, &L::vec_compare, Lane::f64, CmpInst::FCMP_OLE},
      {Op::f64x2_ge, &L::vec_compare, Lane::f64, CmpInst::FCMP_OGE},
      {Op::f64x2_abs, &L::vec_intrinsic1, Lane::f64, Id::fabs},
      {Op::f64x2_neg, &L::vec_float_neg, Lane::f64},
      {Op::f64x2_sqrt, &L::vec_intrinsic1, Lane::f64, Id::sqrt},
      {Op::f64x2_ceil, &L::vec_intrinsic1, Lane::f64, Id::ceil},
      {Op::f64x2_floor, &L::vec_intrinsic1, Lane::f64, Id::floor},
      {Op::f64x2_trunc, &L::vec_intrinsic1, Lane::f64, Id::trunc},
      {Op::f64x2_nearest, &L::vec_intrinsic1, Lane::f64, Id::roundeven},
      {Op::f64x2_add, &L::vec_binary, Lane::f64, Instruction::FAdd},
      {Op::f64x2_sub, &L::vec_binary, Lane::f64, Instruction::FSub},
      {Op::f64x2_mul, &L::vec_binary, Lane::f64, Instruction::FMul},
      {Op::f64x2_div, &L::vec_binary, Lane::f64, Instruction::FDiv},
      {Op::f64x2_min, &L::vec_min_max, Lane::f64, kMin},
      {Op::f64x2_max, &L::vec_min_max, Lane::f64, kMax},
      {Op::f64x2_pmin, &L::vec_pseudo, Lane::f64, kMin},
      {Op::f64x2_pmax, &L::vec_pseudo, Lane::f64, kMax},

      // The lanes are those of the operand.
      {Op::f32x4_demote_f64x2_zero, &L::alone<kDemote>, Lane::f64},
      {Op::f64x2_promote_low_f32x4, &L::alone<kPromote>, Lane::f32},
      {Op::i32x4_trunc_sat_f32x4_s, &L::vec_trunc_sat, Lane::f32, Id::fptosi_sat},
      {Op::i32x4_trunc_sat_f32x4_u, &L::vec_trunc_sat, Lane::f32, Id::fptoui_sat},
      {Op::i32x4_trunc_sat_f64x2_s_zero, &L::vec_trunc_sat, Lane::f64, Id::fptosi_sat},
      {Op::i32x4_trunc_sat_f64x2_u_zero, &L::vec_trunc_sat, Lane::f64, Id::fptoui_sat},
      {Op::f32x4_convert_i32x4_s, &L::vec_convert, Lane::i32, 0, kSigned},
      {Op::f32x4_convert_i32x4_u, &L::vec_convert, Lane::i32, 0, kUnsigned},
      {Op::f64x2_convert_low_i32x4_s, &L::vec_convert_low, Lane::i32, 0, kSigned},
      {Op::f64x2_convert_low_i32x4_u, &L::vec_convert_low, Lane::i32, 0, kUnsigned},
  };
  return kRows;
}

Value* Lowering::vec_float_neg(const VectorRow& row, const vm::Immediate&, const V* args) {
  return b_.CreateFNeg(in_lanes(row, args[0]));
}

Value* Lowering::vec_min_max(const VectorRow& row, const vm::Immediate&, const V* args) {
  return float_min(in_lanes(row, args[0]), in_lanes(row, args[1]), row.what == kMax);
}

/// b < a ? b : a, or a < b ? b : a.
Value* Lowering::vec_pseudo(const VectorRow& row, const vm::Immediate&, const V* args) {
  Value* x = in_lanes(row, args[0]);
  Value* y = in_lanes(row, args[1]);
  return b_.CreateSelect(row.what == kMax ? b_.CreateFCmpOLT(x, y) : b_.CreateFCmpOLT(y, x), y, x);
}

Value* Lowering::low_pair(const VectorRow& row, const V& v) { return b_.CreateShuffleVector(in_lanes(row, v), {0, 1}); }

Value* Lowering::with_zeros(Value* pair) {
  return b_.CreateShuffleVector(pair, llvm::Constant::getNullValue(pair->getType()), {0, 1, 2, 3});
}

Value* Lowering::vec_trunc_sat(const VectorRow& row, const vm::Immediate&, const V* args) {
  Value* v = in_lanes(row, args[0]);
  const unsigned count = llvm::cast<llvm::FixedVectorType>(v->getType())->getNumElements();
  Type* const type = llvm::FixedVectorType::get(b_.getInt32Ty(), count);
  Value* integers = b_.CreateIntrinsic(row.what, {type, v->getType()}, {v});
  return count == 2 ? with_zeros(integers) : integers;
}

Value* Lowering::vec_convert(const VectorRow& row, const vm::Immediate&, const V* args) {
  Value* v = in_lanes(row, args[0]);
  Type* const type = lanes(b_.getFloatTy());
  return row.is_signed ? b_.CreateSIToFP(v, type) : b_.CreateUIToFP(v, type);
}

Value* Lowering::vec_convert_low(const VectorRow& row, const vm::Immediate&, const V* args) {
  Value* v = low_pair(row, args[0]);
  Type* const type = lanes(b_.getDoubleTy());
  return row.is_signed ? b_.CreateSIToFP(v, type) : b_.CreateUIToFP(v, type);
}

}  // namespace vmrun::jit::opt
