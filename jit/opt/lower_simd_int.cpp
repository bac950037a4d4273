// Lowering: vectors of integers.
#include "jit/opt/lower.h"

namespace vmrun::jit::opt {

namespace Id = llvm::Intrinsic;
using llvm::CmpInst;
using llvm::Instruction;
using llvm::Type;
using llvm::Value;

std::span<const Lowering::VectorRow> Lowering::integer_rows() {
  using L = Lowering;
  static constexpr VectorRow kRows[] = {
      {Op::i8x16_eq, &L::vec_compare, Lane::i8, CmpInst::ICMP_EQ},
      {Op::i8x16_ne, &L::vec_compare, Lane::i8, CmpInst::ICMP_NE},
      {Op::i8x16_lt_s, &L::vec_compare, Lane::i8, CmpInst::ICMP_SLT},
      {Op::i8x16_gt_s, &L::vec_compare, Lane::i8, CmpInst::ICMP_SGT},
      {Op::i8x16_le_s, &L::vec_compare, Lane::i8, CmpInst::ICMP_SLE},
      {Op::i8x16_ge_s, &L::vec_compare, Lane::i8, CmpInst::ICMP_SGE},
      {Op::i8x16_lt_u, &L::vec_compare, Lane::i8, CmpInst::ICMP_ULT},
      {Op::i8x16_gt_u, &L::vec_compare, Lane::i8, CmpInst::ICMP_UGT},
      {Op::i8x16_le_u, &L::vec_compare, Lane::i8, CmpInst::ICMP_ULE},
      {Op::i8x16_ge_u, &L::vec_compare, Lane::i8, CmpInst::ICMP_UGE},
      {Op::i16x8_eq, &L::vec_compare, Lane::i16, CmpInst::ICMP_EQ},
      {Op::i16x8_ne, &L::vec_compare, Lane::i16, CmpInst::ICMP_NE},
      {Op::i16x8_lt_s, &L::vec_compare, Lane::i16, CmpInst::ICMP_SLT},
      {Op::i16x8_gt_s, &L::vec_compare, Lane::i16, CmpInst::ICMP_SGT},
      {Op::i16x8_le_s, &L::vec_compare, Lane::i16, CmpInst::ICMP_SLE},
      {Op::i16x8_ge_s, &L::vec_compare, Lane::i16, CmpInst::ICMP_SGE},
      {Op::i16x8_lt_u, &L::vec_compare, Lane::i16, CmpInst::ICMP_ULT},
      {Op::i16x8_gt_u, &L::vec_compare, Lane::i16, CmpInst::ICMP_UGT},
      {Op::i16x8_le_u, &L::vec_compare, Lane::i16, CmpInst::ICMP_ULE},
      {Op::i16x8_ge_u, &L::vec_compare, Lane::i16, CmpInst::ICMP_UGE},
      {Op::i32x4_eq, &L::vec_compare, Lane::i32, CmpInst::ICMP_EQ},
      {Op::i32x4_ne, &L::vec_compare, Lane::i32, CmpInst::ICMP_NE},
      {Op::i32x4_lt_s, &L::vec_compare, Lane::i32, CmpInst::ICMP_SLT},
      {Op::i32x4_gt_s, &L::vec_compare, Lane::i32, CmpInst::ICMP_SGT},
      {Op::i32x4_le_s, &L::vec_compare, Lane::i32, CmpInst::ICMP_SLE},
      {Op::i32x4_ge_s, &L::vec_compare, Lane::i32, CmpInst::ICMP_SGE},
      {Op::i32x4_lt_u, &L::vec_compare, Lane::i32, CmpInst::ICMP_ULT},
      {Op::i32x4_gt_u, &L::vec_compare, Lane::i32, CmpInst::ICMP_UGT},
      {Op::i32x4_le_u, &L::vec_compare, Lane::i32, CmpInst::ICMP_ULE},
      {Op::i32x4_ge_u, &L::vec_compare, Lane::i32, CmpInst::ICMP_UGE},
      {Op::i64x2_eq, &L::vec_compare, Lane::i64, CmpInst::ICMP_EQ},
      {Op::i64x2_ne, &L::vec_compare, Lane::i64, CmpInst::ICMP_NE},
      {Op::i64x2_lt_s, &L::vec_compare, Lane::i64, CmpInst::ICMP_SLT},
      {Op::i64x2_gt_s, &L::vec_compare, Lane::i64, CmpInst::ICMP_SGT},
      {Op::i64x2_le_s, &L::vec_compare, Lane::i64, CmpInst::ICMP_SLE},
      {Op::i64x2_ge_s, &L::vec_compare, Lane::i64, CmpInst::ICMP_SGE},

      {Op::i8x16_add, &L::vec_binary, Lane::i8, Instruction::Add},
      {Op::i8x16_sub, &L::vec_binary, Lane::i8, Instruction::Sub},
      {Op::i8x16_shl, &L::vec_shift, Lane::i8, Instruction::Shl},
      {Op::i8x16_shr_s, &L::vec_shift, Lane::i8, Instruction::AShr},
      {Op::i8x16_shr_u, &L::vec_shift, Lane::i8, Instruction::LShr},
      {Op::i8x16_min_s, &L::vec_intrinsic2, Lane::i8, Id::smin},
      {Op::i8x16_min_u, &L::vec_intrinsic2, Lane::i8, Id::umin},
      {Op::i8x16_max_s, &L::vec_intrinsic2, Lane::i8, Id::smax},
      {Op::i8x16_max_u, &L::vec_intrinsic2, Lane::i8, Id::umax},
      {Op::i8x16_add_sat_s, &L::vec_intrinsic2, Lane::i8, Id::sadd_sat},
      {Op::i8x16_add_sat_u, &L::vec_intrinsic2, Lane::i8, Id::uadd_sat},
      {Op::i8x16_sub_sat_s, &L::vec_intrinsic2, Lane::i8, Id::ssub_sat},
      {Op::i8x16_sub_sat_u, &L::vec_intrinsic2, Lane::i8, Id::usub_sat},
      {Op::i8x16_avgr_u, &L::vec_avgr, Lane::i8},
      {Op::i8x16_abs, &L::vec_abs, Lane::i8},
      {Op::i8x16_neg, &L::vec_neg, Lane::i8},
      {Op::i8x16_all_true, &L::vec_all_true, Lane::i8},
      {Op::i8x16_bitmask, &L::vec_bitmask, Lane::i8},
      {Op::i16x8_add, &L::vec_binary, Lane::i16, Instruction::Add},
      {Op::i16x8_sub, &L::vec_binary, Lane::i16, Instruction::Sub},
      {Op::i16x8_mul, &L::vec_binary, Lane::i16, Instruction::Mul},
      {Op::i16x8_shl, &L::vec_shift, Lane::i16, Instruction::Shl},
      {Op::i16x8_shr_s, &L::vec_shift, Lane::i16, Instruction::AShr},
      {Op::i16x8_shr_u, &L::vec_shift, Lane::i16, Instruction::LShr},
      {Op::i16x8_min_s, &L::vec_intrinsic2, Lane::i16, Id::smin},
      {Op::i16x8_min_u, &L::vec_intrinsic2, Lane::i16, Id::umin},
      {Op::i16x8_max_s, &L::vec_intrinsic2, Lane::i16, Id::smax},
      {Op::i16x8_max_u, &L::vec_intrinsic2, Lane::i16, Id::umax},
      {Op::i16x8_add_sat_s, &L::vec_intrinsic2, Lane::i16, Id::sadd_sat},
      {Op::i16x8_add_sat_u, &L::vec_intrinsic2, Lane::i16, Id::uadd_sat},
      {Op::i16x8_sub_sat_s, &L::vec_intrinsic2, Lane::i16, Id::ssub_sat},
      {Op::i16x8_sub_sat_u, &L::vec_intrinsic2, Lane::i16, Id::usub_sat},
      {Op::i16x8_avgr_u, &L::vec_avgr, Lane::i16},
      {Op::i16x8_abs, &L::vec_abs, Lane::i16},
      {Op::i16x8_neg, &L::vec_neg, Lane::i16},
      {Op::i16x8_all_true, &L::vec_all_true, Lane::i16},
      {Op::i16x8_bitmask, &L::vec_bitmask, Lane::i16},
      {Op::i32x4_add, &L::vec_binary, Lane::i32, Instruction::Add},
      {Op::i32x4_sub, &L::vec_binary, Lane::i32, Instruction::Sub},
      {Op::i32x4_mul, &L::vec_binary, Lane::i32, Instruction::Mul},
      {Op::i32x4_shl, &L::vec_shift, Lane::i32, Instruction::Shl},
      {Op::i32x4_shr_s, &L::vec_shift, Lane::i32, Instruction::AShr},
      {Op::i32x4_shr_u, &L::vec_shift, Lane::i32, Instruction::LShr},
      {Op::i32x4_min_s, &L::vec_intrinsic2, Lane::i32, Id::smin},
      {Op::i32x4_min_u, &L::vec_intrinsic2, Lane::i32, Id::umin},
      {Op::i32x4_max_s, &L::vec_intrinsic2, Lane::i32, Id::smax},
      {Op::i32x4_max_u, &L::vec_intrinsic2, Lane::i32, Id::umax},
      {Op::i32x4_abs, &L::vec_abs, Lane::i32},
      {Op::i32x4_neg, &L::vec_neg, Lane::i32},
      {Op::i32x4_all_true, &L::vec_all_true, Lane::i32},
      {Op::i32x4_bitmask, &L::vec_bitmask, Lane::i32},
      {Op::i64x2_add, &L::vec_binary, Lane::i64, Instruction::Add},
      {Op::i64x2_sub, &L::vec_binary, Lane::i64, Instruction::Sub},
      {Op::i64x2_mul, &L::vec_binary, Lane::i64, Instruction::Mul},
      {Op::i64x2_shl, &L::vec_shift, Lane::i64, Instruction::Shl},
      {Op::i64x2_shr_s, &L::vec_shift, Lane::i64, Instruction::AShr},
      {Op::i64x2_shr_u, &L::vec_shift, Lane::i64, Instruction::LShr},
      {Op::i64x2_abs, &L::vec_abs, Lane::i64},
      {Op::i64x2_neg, &L::vec_neg, Lane::i64},
      {Op::i64x2_all_true, &L::vec_all_true, Lane::i64},
      {Op::i64x2_bitmask, &L::vec_bitmask, Lane::i64},
      {Op::i8x16_popcnt, &L::vec_intrinsic1, Lane::i8, Id::ctpop},
      {Op::i16x8_q15mulr_sat_s, &L::vec_q15mulr, Lane::i16},
      {Op::i32x4_dot_i16x8_s, &L::vec_dot, Lane::i16},

      // Between widths. The lanes are those of the operands.
      {Op::i16x8_extend_low_i8x16_s, &L::vec_extend, Lane::i8, 0, kSigned, kLow},
      {Op::i16x8_extend_low_i8x16_u, &L::vec_extend, Lane::i8, 0, kUnsigned, kLow},
      {Op::i16x8_extend_high_i8x16_s, &L::vec_extend, Lane::i8, 0, kSigned, kHigh},
      {Op::i16x8_extend_high_i8x16_u, &L::vec_extend, Lane::i8, 0, kUnsigned, kHigh},
      {Op::i16x8_extmul_low_i8x16_s, &L::vec_extmul, Lane::i8, 0, kSigned, kLow},
      {Op::i16x8_extmul_low_i8x16_u, &L::vec_extmul, Lane::i8, 0, kUnsigned, kLow},
      {Op::i16x8_extmul_high_i8x16_s, &L::vec_extmul, Lane::i8, 0, kSigned, kHigh},
      {Op::i16x8_extmul_high_i8x16_u, &L::vec_extmul, Lane::i8, 0, kUnsigned, kHigh},
      {Op::i32x4_extend_low_i16x8_s, &L::vec_extend, Lane::i16, 0, kSigned, kLow},
      {Op::i32x4_extend_low_i16x8_u, &L::vec_extend, Lane::i16, 0, kUnsigned, kLow},
      {Op::i32x4_extend_high_i16x8_s, &L::vec_extend, Lane::i16, 0, kSigned, kHigh},
      {Op::i32x4_extend_high_i16x8_u, &L::vec_extend, Lane::i16, 0, kUnsigned, kHigh},
      {Op::i32x4_extmul_low_i16x8_s, &L::vec_extmul, Lane::i16, 0, kSigned, kLow},
      {Op::i32x4_extmul_low_i16x8_u, &L::vec_extmul, Lane::i16, 0, kUnsigned, kLow},
      {Op::i32x4_extmul_high_i16x8_s, &L::vec_extmul, Lane::i16, 0, kSigned, kHigh},
      {Op::i32x4_extmul_high_i16x8_u, &L::vec_extmul, Lane::i16, 0, kUnsigned, kHigh},
      {Op::i64x2_extend_low_i32x4_s, &L::vec_extend, Lane::i32, 0, kSigned, kLow},
      {Op::i64x2_extend_low_i32x4_u, &L::vec_extend, Lane::i32, 0, kUnsigned, kLow},
      {Op::i64x2_extend_high_i32x4_s, &L::vec_extend, Lane::i32, 0, kSigned, kHigh},
      {Op::i64x2_extend_high_i32x4_u, &L::vec_extend, Lane::i32, 0, kUnsigned, kHigh},
      {Op::i64x2_extmul_low_i32x4_s, &L::vec_extmul, Lane::i32, 0, kSigned, kLow},
      {Op::i64x2_extmul_low_i32x4_u, &L::vec_extmul, Lane::i32, 0, kUnsigned, kLow},
      {Op::i64x2_extmul_high_i32x4_s, &L::vec_extmul, Lane::i32, 0, kSigned, kHigh},
      {Op::i64x2_extmul_high_i32x4_u, &L::vec_extmul, Lane::i32, 0, kUnsigned, kHigh},
      {Op::i16x8_extadd_pairwise_i8x16_s, &L::vec_pairwise, Lane::i8, 0, kSigned},
      {Op::i16x8_extadd_pairwise_i8x16_u, &L::vec_pairwise, Lane::i8, 0, kUnsigned},
      {Op::i32x4_extadd_pairwise_i16x8_s, &L::vec_pairwise, Lane::i16, 0, kSigned},
      {Op::i32x4_extadd_pairwise_i16x8_u, &L::vec_pairwise, Lane::i16, 0, kUnsigned},
      {Op::i8x16_narrow_i16x8_s, &L::vec_narrow, Lane::i16, 0, kSigned},
      {Op::i8x16_narrow_i16x8_u, &L::vec_narrow, Lane::i16, 0, kUnsigned},
      {Op::i16x8_narrow_i32x4_s, &L::vec_narrow, Lane::i32, 0, kSigned},
      {Op::i16x8_narrow_i32x4_u, &L::vec_narrow, Lane::i32, 0, kUnsigned},
  };
  return kRows;
}

namespace {

llvm::SmallVector<int, 16> sequence(unsigned first, unsigned count, unsigned step = 1) {
  llvm::SmallVector<int, 16> mask(count);
  for (unsigned i = 0; i < count; ++i) mask[i] = static_cast<int>(first + i * step);
  return mask;
}

Value* zeros_like(Value* v) { return llvm::Constant::getNullValue(v->getType()); }

}  // namespace

Value* Lowering::vec_shift(const VectorRow& row, const vm::Immediate&, const V* args) {
  Type* const lane = lane_type(row.lane);
  const unsigned bits = lane->getPrimitiveSizeInBits();
  Value* count = b_.CreateZExtOrTrunc(b_.CreateAnd(args[1].v, i32(bits - 1)), lane);
  return b_.CreateBinOp(static_cast<Instruction::BinaryOps>(row.what), in_lanes(row, args[0]),
                        b_.CreateVectorSplat(128 / bits, count));
}

Value* Lowering::vec_abs(const VectorRow& row, const vm::Immediate&, const V* args) {
  return b_.CreateBinaryIntrinsic(Id::abs, in_lanes(row, args[0]), b_.getFalse());
}

Value* Lowering::vec_neg(const VectorRow& row, const vm::Immediate&, const V* args) {
  return b_.CreateNeg(in_lanes(row, args[0]));
}

Value* Lowering::vec_all_true(const VectorRow& row, const vm::Immediate&, const V* args) {
  Value* v = in_lanes(row, args[0]);
  Value* zeros = b_.CreateICmpEQ(v, zeros_like(v));
  return b_.CreateZExt(b_.CreateNot(b_.CreateOrReduce(zeros)), b_.getInt32Ty());
}

Value* Lowering::vec_bitmask(const VectorRow& row, const vm::Immediate&, const V* args) {
  Value* v = in_lanes(row, args[0]);
  Value* signs = b_.CreateICmpSLT(v, zeros_like(v));
  const unsigned count = 128 / v->getType()->getScalarSizeInBits();
  return b_.CreateZExt(b_.CreateBitCast(signs, b_.getIntNTy(count)), b_.getInt32Ty());
}

Value* Lowering::half(const VectorRow& row, const V& v) {
  const unsigned count = 64 / lane_type(row.lane)->getPrimitiveSizeInBits();
  Value* part = b_.CreateShuffleVector(in_lanes(row, v), sequence(row.high ? count : 0, count));
  return widened(part, row.is_signed);
}

Value* Lowering::vec_extend(const VectorRow& row, const vm::Immediate&, const V* args) { return half(row, args[0]); }

Value* Lowering::vec_extmul(const VectorRow& row, const vm::Immediate&, const V* args) {
  return b_.CreateMul(half(row, args[0]), half(row, args[1]));
}

Value* Lowering::vec_pairwise(const VectorRow& row, const vm::Immediate&, const V* args) {
  const unsigned count = 64 / lane_type(row.lane)->getPrimitiveSizeInBits();
  auto part = [&](unsigned first) {
    return widened(b_.CreateShuffleVector(in_lanes(row, args[0]), sequence(first, count, 2)), row.is_signed);
  };
  return b_.CreateAdd(part(0), part(1));
}

Value* Lowering::vec_narrow(const VectorRow& row, const vm::Immediate&, const V* args) {
  const unsigned bits = lane_type(row.lane)->getPrimitiveSizeInBits();
  Value* both = b_.CreateShuffleVector(in_lanes(row, args[0]), in_lanes(row, args[1]), sequence(0, 2 * (128 / bits)));
  const llvm::APInt low = row.is_signed ? llvm::APInt::getSignedMinValue(bits / 2).sext(bits) : llvm::APInt(bits, 0);
  const llvm::APInt high = row.is_signed ? llvm::APInt::getSignedMaxValue(bits / 2).sext(bits)
                                         : llvm::APInt::getMaxValue(bits / 2).zext(bits);
  Value* clamped = b_.CreateBinaryIntrinsic(Id::smax, both, llvm::ConstantInt::get(both->getType(), low));
  clamped = b_.CreateBinaryIntrinsic(Id::smin, clamped, llvm::ConstantInt::get(both->getType(), high));
  return b_.CreateTrunc(clamped, lanes(b_.getIntNTy(bits / 2)));
}

Value* Lowering::vec_avgr(const VectorRow& row, const vm::Immediate&, const V* args) {
  Type* const lane = lane_type(row.lane);
  const unsigned bits = lane->getPrimitiveSizeInBits();
  Type* wide = llvm::FixedVectorType::get(b_.getIntNTy(2 * bits), 128 / bits);
  Value* sum = b_.CreateAdd(b_.CreateZExt(in_lanes(row, args[0]), wide), b_.CreateZExt(in_lanes(row, args[1]), wide));
  sum = b_.CreateLShr(b_.CreateAdd(sum, llvm::ConstantInt::get(wide, 1)), llvm::ConstantInt::get(wide, 1));
  return b_.CreateTrunc(sum, lanes(lane));
}

Value* Lowering::vec_q15mulr(const VectorRow& row, const vm::Immediate&, const V* args) {
  Type* wide = llvm::FixedVectorType::get(b_.getInt32Ty(), 8);
  Value* product =
      b_.CreateMul(b_.CreateSExt(in_lanes(row, args[0]), wide), b_.CreateSExt(in_lanes(row, args[1]), wide));
  product =
      b_.CreateAShr(b_.CreateAdd(product, llvm::ConstantInt::get(wide, 0x4000)), llvm::ConstantInt::get(wide, 15));
  product = b_.CreateBinaryIntrinsic(Id::smin, product, llvm::ConstantInt::get(wide, 0x7fff));
  return b_.CreateTrunc(product, lanes(b_.getInt16Ty()));
}

Value* Lowering::vec_dot(const VectorRow& row, const vm::Immediate&, const V* args) {
  Type* wide = llvm::FixedVectorType::get(b_.getInt32Ty(), 8);
  Value* product =
      b_.CreateMul(b_.CreateSExt(in_lanes(row, args[0]), wide), b_.CreateSExt(in_lanes(row, args[1]), wide));
  return b_.CreateAdd(b_.CreateShuffleVector(product, sequence(0, 4, 2)),
                      b_.CreateShuffleVector(product, sequence(1, 4, 2)));
}

}  // namespace vmrun::jit::opt
