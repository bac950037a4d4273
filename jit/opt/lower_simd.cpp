// Lowering: vectors (WebAssembly 3.0, 4.3.4). A v128 is <16 x i8> between instructions; each views it as its own lanes.
#include <llvm/IR/IntrinsicsX86.h>

#include <numeric>

#include "jit/opt/lower.h"

namespace vmrun::jit::opt {

namespace Id = llvm::Intrinsic;
using llvm::Instruction;
using llvm::Type;
using llvm::Value;

Type* Lowering::lanes(Type* lane) {
  return llvm::FixedVectorType::get(lane, static_cast<unsigned>(128 / lane->getPrimitiveSizeInBits()));
}
Value* Lowering::bytes(Value* v) { return b_.CreateBitCast(v, v128_); }

namespace {

llvm::SmallVector<int, 16> sequence(unsigned first, unsigned count, unsigned step = 1) {
  llvm::SmallVector<int, 16> mask(count);
  for (unsigned i = 0; i < count; ++i) mask[i] = static_cast<int>(first + i * step);
  return mask;
}

}  // namespace

bool Lowering::simd_op(Op op, const vm::Immediate& imm, const V* args, V* results) {
  Type* const i8 = b_.getInt8Ty();
  Type* const i16 = b_.getInt16Ty();
  Type* const i32_type = b_.getInt32Ty();
  Type* const i64_type = b_.getInt64Ty();
  Type* const f32 = b_.getFloatTy();
  Type* const f64 = b_.getDoubleTy();
  // Operand `i` as lanes of type `lane`.
  auto in = [&](unsigned i, Type* lane) { return b_.CreateBitCast(args[i].v, lanes(lane)); };
  auto set = [&](Value* v) {
    results[0].v = bytes(v);
    return true;
  };
  auto scalar = [&](Value* v) {
    results[0].v = v;
    return true;
  };
  auto splat = [&](Type* lane) { return set(b_.CreateVectorSplat(128 / lane->getPrimitiveSizeInBits(), args[0].v)); };
  auto splat_int = [&](Type* lane) {
    return set(b_.CreateVectorSplat(128 / lane->getPrimitiveSizeInBits(), b_.CreateTrunc(args[0].v, lane)));
  };
  auto extract = [&](Type* lane) { return b_.CreateExtractElement(in(0, lane), uint64_t{imm.lane}); };
  auto replace = [&](Type* lane, Value* v) { return set(b_.CreateInsertElement(in(0, lane), v, uint64_t{imm.lane})); };
  auto compare = [&](llvm::CmpInst::Predicate predicate, Type* lane) {
    Value* truth = b_.CreateCmp(predicate, in(0, lane), in(1, lane));
    return set(b_.CreateSExt(truth, lanes(b_.getIntNTy(lane->getPrimitiveSizeInBits()))));
  };
  auto binary = [&](Instruction::BinaryOps opcode, Type* lane) {
    return set(b_.CreateBinOp(opcode, in(0, lane), in(1, lane)));
  };
  auto intrinsic2 = [&](llvm::Intrinsic::ID id, Type* lane) {
    return set(b_.CreateBinaryIntrinsic(id, in(0, lane), in(1, lane)));
  };
  auto intrinsic1 = [&](llvm::Intrinsic::ID id, Type* lane) { return set(b_.CreateUnaryIntrinsic(id, in(0, lane))); };
  auto shift = [&](Instruction::BinaryOps opcode, Type* lane) {
    const unsigned bits = lane->getPrimitiveSizeInBits();
    Value* count = b_.CreateZExtOrTrunc(b_.CreateAnd(args[1].v, i32(bits - 1)), lane);
    return set(b_.CreateBinOp(opcode, in(0, lane), b_.CreateVectorSplat(128 / bits, count)));
  };
  auto integer_abs = [&](Type* lane) { return set(b_.CreateBinaryIntrinsic(Id::abs, in(0, lane), b_.getFalse())); };
  auto negate = [&](Type* lane) { return set(b_.CreateNeg(in(0, lane))); };
  auto all_true = [&](Type* lane) {
    Value* v = in(0, lane);
    Value* zeros = b_.CreateICmpEQ(v, llvm::Constant::getNullValue(v->getType()));
    return scalar(b_.CreateZExt(b_.CreateNot(b_.CreateOrReduce(zeros)), i32_type));
  };
  auto bitmask = [&](Type* lane) {
    Value* v = in(0, lane);
    Value* signs = b_.CreateICmpSLT(v, llvm::Constant::getNullValue(v->getType()));
    const unsigned count = 128 / lane->getPrimitiveSizeInBits();
    return scalar(b_.CreateZExt(b_.CreateBitCast(signs, b_.getIntNTy(count)), i32_type));
  };
  // Half of operand `i`'s lanes, widened.
  auto half = [&](unsigned i, Type* lane, bool high, bool is_signed) {
    const unsigned count = 64 / lane->getPrimitiveSizeInBits();
    Value* part = b_.CreateShuffleVector(in(i, lane), sequence(high ? count : 0, count));
    Type* wide = lanes(b_.getIntNTy(2 * lane->getPrimitiveSizeInBits()));
    return is_signed ? b_.CreateSExt(part, wide) : b_.CreateZExt(part, wide);
  };
  auto extend = [&](Type* lane, bool high, bool is_signed) { return set(half(0, lane, high, is_signed)); };
  auto extmul = [&](Type* lane, bool high, bool is_signed) {
    return set(b_.CreateMul(half(0, lane, high, is_signed), half(1, lane, high, is_signed)));
  };
  auto pairwise = [&](Type* lane, bool is_signed) {
    const unsigned count = 64 / lane->getPrimitiveSizeInBits();
    Type* wide = lanes(b_.getIntNTy(2 * lane->getPrimitiveSizeInBits()));
    auto part = [&](unsigned first) {
      Value* v = b_.CreateShuffleVector(in(0, lane), sequence(first, count, 2));
      return is_signed ? b_.CreateSExt(v, wide) : b_.CreateZExt(v, wide);
    };
    return set(b_.CreateAdd(part(0), part(1)));
  };
  auto narrow = [&](Type* lane, bool is_signed) {  // `lane` is the source's
    const unsigned bits = lane->getPrimitiveSizeInBits();
    Value* both = b_.CreateShuffleVector(in(0, lane), in(1, lane), sequence(0, 2 * (128 / bits)));
    const llvm::APInt low = is_signed ? llvm::APInt::getSignedMinValue(bits / 2).sext(bits) : llvm::APInt(bits, 0);
    const llvm::APInt high =
        is_signed ? llvm::APInt::getSignedMaxValue(bits / 2).sext(bits) : llvm::APInt::getMaxValue(bits / 2).zext(bits);
    Value* clamped = b_.CreateBinaryIntrinsic(Id::smax, both, llvm::ConstantInt::get(both->getType(), low));
    clamped = b_.CreateBinaryIntrinsic(Id::smin, clamped, llvm::ConstantInt::get(both->getType(), high));
    return set(b_.CreateTrunc(clamped, lanes(b_.getIntNTy(bits / 2))));
  };
  auto average = [&](Type* lane) {
    const unsigned bits = lane->getPrimitiveSizeInBits();
    Type* wide = llvm::FixedVectorType::get(b_.getIntNTy(2 * bits), 128 / bits);
    Value* sum = b_.CreateAdd(b_.CreateZExt(in(0, lane), wide), b_.CreateZExt(in(1, lane), wide));
    sum = b_.CreateLShr(b_.CreateAdd(sum, llvm::ConstantInt::get(wide, 1)), llvm::ConstantInt::get(wide, 1));
    return set(b_.CreateTrunc(sum, lanes(lane)));
  };
  auto pseudo = [&](Type* lane, bool max) {  // b < a ? b : a, or a < b ? b : a
    Value* x = in(0, lane);
    Value* y = in(1, lane);
    return set(b_.CreateSelect(max ? b_.CreateFCmpOLT(x, y) : b_.CreateFCmpOLT(y, x), y, x));
  };
  auto saturate = [&](llvm::Intrinsic::ID id, Type* lane) {
    Value* v = in(0, lane);
    auto* type =
        llvm::FixedVectorType::get(i32_type, llvm::cast<llvm::FixedVectorType>(v->getType())->getNumElements());
    return b_.CreateIntrinsic(id, {type, v->getType()}, {v});
  };
  auto zero_extended = [&](Value* half_vector, Type* lane) {  // two lanes and two zeros
    Value* zeros = llvm::Constant::getNullValue(half_vector->getType());
    (void)lane;
    return set(b_.CreateShuffleVector(half_vector, zeros, {0, 1, 2, 3}));
  };
  auto low_pair = [&](Type* lane) { return b_.CreateShuffleVector(in(0, lane), {0, 1}); };

#define VMRUN_ALL_INTS(X) X(i8x16, i8) X(i16x8, i16) X(i32x4, i32_type) X(i64x2, i64_type)
#define VMRUN_SMALL_INTS(X) X(i8x16, i8) X(i16x8, i16) X(i32x4, i32_type)
#define VMRUN_SAT_INTS(X) X(i8x16, i8) X(i16x8, i16)
#define VMRUN_FLOATS(X) X(f32x4, f32) X(f64x2, f64)
  // clang-format off: a row per instruction
  switch (op) {
    case Op::v128_const: {
      uint8_t raw[16];
      memcpy(raw, &imm.v128, sizeof raw);
      results[0].v = llvm::ConstantDataVector::get(context_, llvm::ArrayRef<uint8_t>(raw, 16));
      return true;
    }
    case Op::i8x16_shuffle: {
      llvm::SmallVector<int, 16> mask(imm.lanes.begin(), imm.lanes.end());
      return set(b_.CreateShuffleVector(args[0].v, args[1].v, mask));
    }
    case Op::i8x16_swizzle: {
      // pshufb takes the low four bits of an index, and gives 0 where the top bit is set.
      Value* index = b_.CreateBinaryIntrinsic(Id::uadd_sat, args[1].v, llvm::ConstantInt::get(v128_, 0x70));
      return set(b_.CreateIntrinsic(Id::x86_ssse3_pshuf_b_128, {}, {args[0].v, index}));
    }
    case Op::i8x16_splat: return splat_int(i8);
    case Op::i16x8_splat: return splat_int(i16);
    case Op::i32x4_splat: return splat(i32_type);
    case Op::i64x2_splat: return splat(i64_type);
    case Op::f32x4_splat: return splat(f32);
    case Op::f64x2_splat: return splat(f64);
    case Op::i8x16_extract_lane_s: return scalar(b_.CreateSExt(extract(i8), i32_type));
    case Op::i8x16_extract_lane_u: return scalar(b_.CreateZExt(extract(i8), i32_type));
    case Op::i16x8_extract_lane_s: return scalar(b_.CreateSExt(extract(i16), i32_type));
    case Op::i16x8_extract_lane_u: return scalar(b_.CreateZExt(extract(i16), i32_type));
    case Op::i32x4_extract_lane: return scalar(extract(i32_type));
    case Op::i64x2_extract_lane: return scalar(extract(i64_type));
    case Op::f32x4_extract_lane: return scalar(extract(f32));
    case Op::f64x2_extract_lane: return scalar(extract(f64));
    case Op::i8x16_replace_lane: return replace(i8, b_.CreateTrunc(args[1].v, i8));
    case Op::i16x8_replace_lane: return replace(i16, b_.CreateTrunc(args[1].v, i16));
    case Op::i32x4_replace_lane: return replace(i32_type, args[1].v);
    case Op::i64x2_replace_lane: return replace(i64_type, args[1].v);
    case Op::f32x4_replace_lane: return replace(f32, args[1].v);
    case Op::f64x2_replace_lane: return replace(f64, args[1].v);

#define X(name, lane)                                                                \
  case Op::name##_eq: return compare(llvm::CmpInst::ICMP_EQ, lane);                  \
  case Op::name##_ne: return compare(llvm::CmpInst::ICMP_NE, lane);                  \
  case Op::name##_lt_s: return compare(llvm::CmpInst::ICMP_SLT, lane);               \
  case Op::name##_gt_s: return compare(llvm::CmpInst::ICMP_SGT, lane);               \
  case Op::name##_le_s: return compare(llvm::CmpInst::ICMP_SLE, lane);               \
  case Op::name##_ge_s: return compare(llvm::CmpInst::ICMP_SGE, lane);               \
  case Op::name##_abs: return integer_abs(lane);                                     \
  case Op::name##_neg: return negate(lane);                                          \
  case Op::name##_all_true: return all_true(lane);                                   \
  case Op::name##_bitmask: return bitmask(lane);                                     \
  case Op::name##_shl: return shift(Instruction::Shl, lane);                         \
  case Op::name##_shr_s: return shift(Instruction::AShr, lane);                      \
  case Op::name##_shr_u: return shift(Instruction::LShr, lane);                      \
  case Op::name##_add: return binary(Instruction::Add, lane);                        \
  case Op::name##_sub: return binary(Instruction::Sub, lane);
      VMRUN_ALL_INTS(X)
#undef X
#define X(name, lane)                                                                \
  case Op::name##_lt_u: return compare(llvm::CmpInst::ICMP_ULT, lane);               \
  case Op::name##_gt_u: return compare(llvm::CmpInst::ICMP_UGT, lane);               \
  case Op::name##_le_u: return compare(llvm::CmpInst::ICMP_ULE, lane);               \
  case Op::name##_ge_u: return compare(llvm::CmpInst::ICMP_UGE, lane);               \
  case Op::name##_min_s: return intrinsic2(Id::smin, lane);                          \
  case Op::name##_min_u: return intrinsic2(Id::umin, lane);                          \
  case Op::name##_max_s: return intrinsic2(Id::smax, lane);                          \
  case Op::name##_max_u: return intrinsic2(Id::umax, lane);
      VMRUN_SMALL_INTS(X)
#undef X
#define X(name, lane)                                                                \
  case Op::name##_add_sat_s: return intrinsic2(Id::sadd_sat, lane);                  \
  case Op::name##_add_sat_u: return intrinsic2(Id::uadd_sat, lane);                  \
  case Op::name##_sub_sat_s: return intrinsic2(Id::ssub_sat, lane);                  \
  case Op::name##_sub_sat_u: return intrinsic2(Id::usub_sat, lane);                  \
  case Op::name##_avgr_u: return average(lane);
      VMRUN_SAT_INTS(X)
#undef X
#define X(wide, name, lane)                                                          \
  case Op::wide##_extend_low_##name##_s: return extend(lane, false, true);           \
  case Op::wide##_extend_low_##name##_u: return extend(lane, false, false);          \
  case Op::wide##_extend_high_##name##_s: return extend(lane, true, true);           \
  case Op::wide##_extend_high_##name##_u: return extend(lane, true, false);          \
  case Op::wide##_extmul_low_##name##_s: return extmul(lane, false, true);           \
  case Op::wide##_extmul_low_##name##_u: return extmul(lane, false, false);          \
  case Op::wide##_extmul_high_##name##_s: return extmul(lane, true, true);           \
  case Op::wide##_extmul_high_##name##_u: return extmul(lane, true, false);
      X(i16x8, i8x16, i8) X(i32x4, i16x8, i16) X(i64x2, i32x4, i32_type)
#undef X
#define X(name, lane)                                                                \
  case Op::name##_eq: return compare(llvm::CmpInst::FCMP_OEQ, lane);                 \
  case Op::name##_ne: return compare(llvm::CmpInst::FCMP_UNE, lane);                 \
  case Op::name##_lt: return compare(llvm::CmpInst::FCMP_OLT, lane);                 \
  case Op::name##_gt: return compare(llvm::CmpInst::FCMP_OGT, lane);                 \
  case Op::name##_le: return compare(llvm::CmpInst::FCMP_OLE, lane);                 \
  case Op::name##_ge: return compare(llvm::CmpInst::FCMP_OGE, lane);                 \
  case Op::name##_abs: return intrinsic1(Id::fabs, lane);                            \
  case Op::name##_neg: return set(b_.CreateFNeg(in(0, lane)));                       \
  case Op::name##_sqrt: return intrinsic1(Id::sqrt, lane);                           \
  case Op::name##_ceil: return intrinsic1(Id::ceil, lane);                           \
  case Op::name##_floor: return intrinsic1(Id::floor, lane);                         \
  case Op::name##_trunc: return intrinsic1(Id::trunc, lane);                         \
  case Op::name##_nearest: return intrinsic1(Id::roundeven, lane);                   \
  case Op::name##_add: return binary(Instruction::FAdd, lane);                       \
  case Op::name##_sub: return binary(Instruction::FSub, lane);                       \
  case Op::name##_mul: return binary(Instruction::FMul, lane);                       \
  case Op::name##_div: return binary(Instruction::FDiv, lane);                       \
  case Op::name##_min: return set(float_min(in(0, lane), in(1, lane), false));       \
  case Op::name##_max: return set(float_min(in(0, lane), in(1, lane), true));        \
  case Op::name##_pmin: return pseudo(lane, false);                                  \
  case Op::name##_pmax: return pseudo(lane, true);
      VMRUN_FLOATS(X)
#undef X
    case Op::i16x8_mul: return binary(Instruction::Mul, i16);
    case Op::i32x4_mul: return binary(Instruction::Mul, i32_type);
    case Op::i64x2_mul: return binary(Instruction::Mul, i64_type);
    case Op::i8x16_popcnt: return intrinsic1(Id::ctpop, i8);
    case Op::i8x16_narrow_i16x8_s: return narrow(i16, true);
    case Op::i8x16_narrow_i16x8_u: return narrow(i16, false);
    case Op::i16x8_narrow_i32x4_s: return narrow(i32_type, true);
    case Op::i16x8_narrow_i32x4_u: return narrow(i32_type, false);
    case Op::i16x8_extadd_pairwise_i8x16_s: return pairwise(i8, true);
    case Op::i16x8_extadd_pairwise_i8x16_u: return pairwise(i8, false);
    case Op::i32x4_extadd_pairwise_i16x8_s: return pairwise(i16, true);
    case Op::i32x4_extadd_pairwise_i16x8_u: return pairwise(i16, false);
    case Op::i16x8_q15mulr_sat_s: {
      Type* wide = llvm::FixedVectorType::get(i32_type, 8);
      Value* product = b_.CreateMul(b_.CreateSExt(in(0, i16), wide), b_.CreateSExt(in(1, i16), wide));
      product = b_.CreateAShr(b_.CreateAdd(product, llvm::ConstantInt::get(wide, 0x4000)), llvm::ConstantInt::get(wide, 15));
      product = b_.CreateBinaryIntrinsic(Id::smin, product, llvm::ConstantInt::get(wide, 0x7fff));
      return set(b_.CreateTrunc(product, lanes(i16)));
    }
    case Op::i32x4_dot_i16x8_s: {
      Type* wide = llvm::FixedVectorType::get(i32_type, 8);
      Value* product = b_.CreateMul(b_.CreateSExt(in(0, i16), wide), b_.CreateSExt(in(1, i16), wide));
      return set(b_.CreateAdd(b_.CreateShuffleVector(product, sequence(0, 4, 2)),
                              b_.CreateShuffleVector(product, sequence(1, 4, 2))));
    }

    case Op::v128_not: return set(b_.CreateNot(args[0].v));
    case Op::v128_and: return set(b_.CreateAnd(args[0].v, args[1].v));
    case Op::v128_andnot: return set(b_.CreateAnd(args[0].v, b_.CreateNot(args[1].v)));
    case Op::v128_or: return set(b_.CreateOr(args[0].v, args[1].v));
    case Op::v128_xor: return set(b_.CreateXor(args[0].v, args[1].v));
    case Op::v128_bitselect:
      return set(b_.CreateOr(b_.CreateAnd(args[0].v, args[2].v), b_.CreateAnd(args[1].v, b_.CreateNot(args[2].v))));
    case Op::v128_any_true: {
      Value* whole = b_.CreateBitCast(args[0].v, b_.getInt128Ty());
      return scalar(b_.CreateZExt(b_.CreateIsNotNull(whole), i32_type));
    }

    case Op::f32x4_demote_f64x2_zero:
      return zero_extended(b_.CreateFPTrunc(in(0, f64), llvm::FixedVectorType::get(f32, 2)), f32);
    case Op::f64x2_promote_low_f32x4: return set(b_.CreateFPExt(low_pair(f32), lanes(f64)));
    case Op::i32x4_trunc_sat_f32x4_s: return set(saturate(Id::fptosi_sat, f32));
    case Op::i32x4_trunc_sat_f32x4_u: return set(saturate(Id::fptoui_sat, f32));
    case Op::i32x4_trunc_sat_f64x2_s_zero: return zero_extended(saturate(Id::fptosi_sat, f64), i32_type);
    case Op::i32x4_trunc_sat_f64x2_u_zero: return zero_extended(saturate(Id::fptoui_sat, f64), i32_type);
    case Op::f32x4_convert_i32x4_s: return set(b_.CreateSIToFP(in(0, i32_type), lanes(f32)));
    case Op::f32x4_convert_i32x4_u: return set(b_.CreateUIToFP(in(0, i32_type), lanes(f32)));
    case Op::f64x2_convert_low_i32x4_s: return set(b_.CreateSIToFP(low_pair(i32_type), lanes(f64)));
    case Op::f64x2_convert_low_i32x4_u: return set(b_.CreateUIToFP(low_pair(i32_type), lanes(f64)));
    default: return false;
  }
  // clang-format on
}

bool Lowering::simd_memory_op(Op op, const vm::Immediate& imm, const V* args, V* results) {
  auto splat = [&](unsigned bits) {
    Value* v = load(imm.mem, args[0].v, b_.getIntNTy(bits));
    results[0].v = bytes(b_.CreateVectorSplat(128 / bits, v));
    return true;
  };
  auto zero_extended = [&](unsigned bits) {
    Value* v = load(imm.mem, args[0].v, b_.getIntNTy(bits));
    Type* type = lanes(b_.getIntNTy(bits));
    results[0].v = bytes(b_.CreateInsertElement(llvm::Constant::getNullValue(type), v, uint64_t{0}));
    return true;
  };
  auto widened = [&](unsigned bits, bool is_signed) {  // eight bytes of lanes
    Value* raw = load(imm.mem, args[0].v, b_.getInt64Ty());
    Value* v = b_.CreateBitCast(raw, llvm::FixedVectorType::get(b_.getIntNTy(bits), 64 / bits));
    Type* wide = lanes(b_.getIntNTy(2 * bits));
    results[0].v = bytes(is_signed ? b_.CreateSExt(v, wide) : b_.CreateZExt(v, wide));
    return true;
  };
  auto load_lane = [&](unsigned bits) {
    Value* v = load(imm.mem, args[0].v, b_.getIntNTy(bits));
    Value* vector = b_.CreateBitCast(args[1].v, lanes(b_.getIntNTy(bits)));
    results[0].v = bytes(b_.CreateInsertElement(vector, v, uint64_t{imm.lane}));
    return true;
  };
  auto store_lane = [&](unsigned bits) {
    Value* vector = b_.CreateBitCast(args[1].v, lanes(b_.getIntNTy(bits)));
    store(imm.mem, args[0].v, b_.CreateExtractElement(vector, uint64_t{imm.lane}));
    return true;
  };
  // clang-format off: a row per instruction
  switch (op) {
    case Op::v128_load: results[0].v = load(imm.mem, args[0].v, v128_); return true;
    case Op::v128_store: store(imm.mem, args[0].v, args[1].v); return true;
    case Op::v128_load8x8_s: return widened(8, true);
    case Op::v128_load8x8_u: return widened(8, false);
    case Op::v128_load16x4_s: return widened(16, true);
    case Op::v128_load16x4_u: return widened(16, false);
    case Op::v128_load32x2_s: return widened(32, true);
    case Op::v128_load32x2_u: return widened(32, false);
    case Op::v128_load8_splat: return splat(8);
    case Op::v128_load16_splat: return splat(16);
    case Op::v128_load32_splat: return splat(32);
    case Op::v128_load64_splat: return splat(64);
    case Op::v128_load32_zero: return zero_extended(32);
    case Op::v128_load64_zero: return zero_extended(64);
    case Op::v128_load8_lane: return load_lane(8);
    case Op::v128_load16_lane: return load_lane(16);
    case Op::v128_load32_lane: return load_lane(32);
    case Op::v128_load64_lane: return load_lane(64);
    case Op::v128_store8_lane: return store_lane(8);
    case Op::v128_store16_lane: return store_lane(16);
    case Op::v128_store32_lane: return store_lane(32);
    case Op::v128_store64_lane: return store_lane(64);
    default: return false;
  }
  // clang-format on
}

}  // namespace vmrun::jit::opt
