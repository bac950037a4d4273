// Lowering: constants and numeric instructions (WebAssembly 3.0, 4.3). LLVM's floating point allows a signalling NaN to
// pass through an operation that changes no number; WebAssembly wants it quiet, which is quiet_nans.h's business.
#include <cmath>

#include "jit/opt/lower.h"

namespace vmrun::jit::opt {

using llvm::Intrinsic::ID;
namespace Id = llvm::Intrinsic;

llvm::Value* Lowering::divide(llvm::Value* a, llvm::Value* b, bool is_signed, bool remainder) {
  llvm::Type* t = a->getType();
  llvm::Constant* none = llvm::ConstantInt::get(t, 0);
  llvm::Constant* minus_one = llvm::ConstantInt::getAllOnesValue(t);
  trap_if(b_.CreateICmpEQ(b, none), vm::TrapCode::IntegerDivideByZero);
  if (!is_signed) return remainder ? b_.CreateURem(a, b) : b_.CreateUDiv(a, b);
  if (remainder) {
    // The smallest integer by -1 leaves 0, but overflows in the machine; so does any other by 1.
    llvm::Value* divisor = b_.CreateSelect(b_.CreateICmpEQ(b, minus_one), llvm::ConstantInt::get(t, 1), b);
    return b_.CreateSRem(a, divisor);
  }
  llvm::Constant* smallest = llvm::ConstantInt::get(t, llvm::APInt::getSignedMinValue(t->getIntegerBitWidth()));
  trap_if(b_.CreateAnd(b_.CreateICmpEQ(a, smallest), b_.CreateICmpEQ(b, minus_one)), vm::TrapCode::IntegerOverflow);
  return b_.CreateSDiv(a, b);
}

llvm::Value* Lowering::truncate(llvm::Value* a, llvm::Type* to, bool is_signed) {
  llvm::Type* t = a->getType();
  const unsigned bits = to->getIntegerBitWidth();
  trap_if(b_.CreateFCmpUNO(a, a), vm::TrapCode::InvalidConversionToInteger);
  // The first integers outside the range, as floats; where the lower one is none, the smallest inside.
  const double above = std::ldexp(1.0, static_cast<int>(is_signed ? bits - 1 : bits));
  const bool exact_below = !is_signed || (t->isDoubleTy() && bits == 32);
  const double below = !is_signed ? -1.0 : exact_below ? -above - 1.0 : -above;
  llvm::Value* high = b_.CreateFCmpOGE(a, llvm::ConstantFP::get(t, above));
  llvm::Value* low = exact_below ? b_.CreateFCmpOLE(a, llvm::ConstantFP::get(t, below))
                                 : b_.CreateFCmpOLT(a, llvm::ConstantFP::get(t, below));
  trap_if(b_.CreateOr(high, low), vm::TrapCode::IntegerOverflow);
  return is_signed ? b_.CreateFPToSI(a, to) : b_.CreateFPToUI(a, to);
}

llvm::Value* Lowering::float_min(llvm::Value* a, llvm::Value* b, bool max) {
  // NaNs as in vm/: of a number the sum, which a NaN makes a quiet NaN; of lanes the negative canonical one.
  llvm::Value* extreme = b_.CreateBinaryIntrinsic(max ? Id::maximum : Id::minimum, a, b);
  llvm::Value* nan = a->getType()->isVectorTy() ? llvm::ConstantFP::getQNaN(a->getType(), true) : b_.CreateFAdd(a, b);
  return b_.CreateSelect(b_.CreateFCmpUNO(a, b), nan, extreme);
}

bool Lowering::numeric_op(Op op, const vm::Immediate& imm, const V* args, V* results) {
  llvm::Type* const i32_type = b_.getInt32Ty();
  llvm::Type* const i64_type = b_.getInt64Ty();
  llvm::Type* const f32_type = b_.getFloatTy();
  llvm::Type* const f64_type = b_.getDoubleTy();
  llvm::Value* none = nullptr;  // of instructions that are not of this family
  llvm::Value*& r = results != nullptr ? results[0].v : none;
  auto a = [&] { return args[0].v; };
  auto b = [&] { return args[1].v; };
  auto truth = [&](llvm::Value* v) { r = b_.CreateZExt(v, i32_type); };
  auto count = [&] {  // a shift's, which is taken modulo the width
    return b_.CreateAnd(b(), llvm::ConstantInt::get(b()->getType(), b()->getType()->getIntegerBitWidth() - 1));
  };
  auto extend = [&](unsigned bits) { r = b_.CreateSExt(b_.CreateTrunc(a(), b_.getIntNTy(bits)), a()->getType()); };
  auto sat = [&](llvm::Type* to, ID id) { r = b_.CreateIntrinsic(id, {to, a()->getType()}, {a()}); };

// The same instruction of both integer or both float types.
#define VMRUN_INT(name) \
  case Op::i32_##name:  \
  case Op::i64_##name:
#define VMRUN_FLOAT(name) \
  case Op::f32_##name:    \
  case Op::f64_##name:
  // clang-format off: a row per instruction
  switch (op) {
    case Op::nop: return true;
    case Op::i32_const: r = i32(static_cast<uint32_t>(imm.i32)); return true;
    case Op::i64_const: r = i64(static_cast<uint64_t>(imm.i64)); return true;
    case Op::f32_const:
      r = llvm::ConstantFP::get(context_, llvm::APFloat(llvm::APFloat::IEEEsingle(), llvm::APInt(32, imm.f32bits)));
      return true;
    case Op::f64_const:
      r = llvm::ConstantFP::get(context_, llvm::APFloat(llvm::APFloat::IEEEdouble(), llvm::APInt(64, imm.f64bits)));
      return true;
    case Op::select:
    case Op::select_t: r = b_.CreateSelect(condition(args[2]), a(), b()); return true;

    VMRUN_INT(eqz) truth(b_.CreateICmpEQ(a(), llvm::ConstantInt::get(a()->getType(), 0))); return true;
    VMRUN_INT(eq) truth(b_.CreateICmpEQ(a(), b())); return true;
    VMRUN_INT(ne) truth(b_.CreateICmpNE(a(), b())); return true;
    VMRUN_INT(lt_s) truth(b_.CreateICmpSLT(a(), b())); return true;
    VMRUN_INT(lt_u) truth(b_.CreateICmpULT(a(), b())); return true;
    VMRUN_INT(gt_s) truth(b_.CreateICmpSGT(a(), b())); return true;
    VMRUN_INT(gt_u) truth(b_.CreateICmpUGT(a(), b())); return true;
    VMRUN_INT(le_s) truth(b_.CreateICmpSLE(a(), b())); return true;
    VMRUN_INT(le_u) truth(b_.CreateICmpULE(a(), b())); return true;
    VMRUN_INT(ge_s) truth(b_.CreateICmpSGE(a(), b())); return true;
    VMRUN_INT(ge_u) truth(b_.CreateICmpUGE(a(), b())); return true;

    VMRUN_INT(clz) r = b_.CreateBinaryIntrinsic(Id::ctlz, a(), b_.getFalse()); return true;
    VMRUN_INT(ctz) r = b_.CreateBinaryIntrinsic(Id::cttz, a(), b_.getFalse()); return true;
    VMRUN_INT(popcnt) r = b_.CreateUnaryIntrinsic(Id::ctpop, a()); return true;
    VMRUN_INT(add) r = b_.CreateAdd(a(), b()); return true;
    VMRUN_INT(sub) r = b_.CreateSub(a(), b()); return true;
    VMRUN_INT(mul) r = b_.CreateMul(a(), b()); return true;
    VMRUN_INT(div_s) r = divide(a(), b(), true, false); return true;
    VMRUN_INT(div_u) r = divide(a(), b(), false, false); return true;
    VMRUN_INT(rem_s) r = divide(a(), b(), true, true); return true;
    VMRUN_INT(rem_u) r = divide(a(), b(), false, true); return true;
    VMRUN_INT(and) r = b_.CreateAnd(a(), b()); return true;
    VMRUN_INT(or) r = b_.CreateOr(a(), b()); return true;
    VMRUN_INT(xor) r = b_.CreateXor(a(), b()); return true;
    VMRUN_INT(shl) r = b_.CreateShl(a(), count()); return true;
    VMRUN_INT(shr_s) r = b_.CreateAShr(a(), count()); return true;
    VMRUN_INT(shr_u) r = b_.CreateLShr(a(), count()); return true;
    VMRUN_INT(rotl) r = b_.CreateIntrinsic(Id::fshl, {a()->getType()}, {a(), a(), b()}); return true;
    VMRUN_INT(rotr) r = b_.CreateIntrinsic(Id::fshr, {a()->getType()}, {a(), a(), b()}); return true;
    VMRUN_INT(extend8_s) extend(8); return true;
    VMRUN_INT(extend16_s) extend(16); return true;
    case Op::i64_extend32_s: extend(32); return true;

    VMRUN_FLOAT(eq) truth(b_.CreateFCmpOEQ(a(), b())); return true;
    VMRUN_FLOAT(ne) truth(b_.CreateFCmpUNE(a(), b())); return true;
    VMRUN_FLOAT(lt) truth(b_.CreateFCmpOLT(a(), b())); return true;
    VMRUN_FLOAT(gt) truth(b_.CreateFCmpOGT(a(), b())); return true;
    VMRUN_FLOAT(le) truth(b_.CreateFCmpOLE(a(), b())); return true;
    VMRUN_FLOAT(ge) truth(b_.CreateFCmpOGE(a(), b())); return true;
    VMRUN_FLOAT(abs) r = b_.CreateUnaryIntrinsic(Id::fabs, a()); return true;
    VMRUN_FLOAT(neg) r = b_.CreateFNeg(a()); return true;
    VMRUN_FLOAT(ceil) r = b_.CreateUnaryIntrinsic(Id::ceil, a()); return true;
    VMRUN_FLOAT(floor) r = b_.CreateUnaryIntrinsic(Id::floor, a()); return true;
    VMRUN_FLOAT(trunc) r = b_.CreateUnaryIntrinsic(Id::trunc, a()); return true;
    VMRUN_FLOAT(nearest) r = b_.CreateUnaryIntrinsic(Id::roundeven, a()); return true;
    VMRUN_FLOAT(sqrt) r = b_.CreateUnaryIntrinsic(Id::sqrt, a()); return true;
    VMRUN_FLOAT(add) r = b_.CreateFAdd(a(), b()); return true;
    VMRUN_FLOAT(sub) r = b_.CreateFSub(a(), b()); return true;
    VMRUN_FLOAT(mul) r = b_.CreateFMul(a(), b()); return true;
    VMRUN_FLOAT(div) r = b_.CreateFDiv(a(), b()); return true;
    VMRUN_FLOAT(min) r = float_min(a(), b(), false); return true;
    VMRUN_FLOAT(max) r = float_min(a(), b(), true); return true;
    VMRUN_FLOAT(copysign) r = b_.CreateBinaryIntrinsic(Id::copysign, a(), b()); return true;

    case Op::i32_wrap_i64: r = b_.CreateTrunc(a(), i32_type); return true;
    case Op::i64_extend_i32_s: r = b_.CreateSExt(a(), i64_type); return true;
    case Op::i64_extend_i32_u: r = b_.CreateZExt(a(), i64_type); return true;
    case Op::i32_trunc_f32_s:
    case Op::i32_trunc_f64_s: r = truncate(a(), i32_type, true); return true;
    case Op::i32_trunc_f32_u:
    case Op::i32_trunc_f64_u: r = truncate(a(), i32_type, false); return true;
    case Op::i64_trunc_f32_s:
    case Op::i64_trunc_f64_s: r = truncate(a(), i64_type, true); return true;
    case Op::i64_trunc_f32_u:
    case Op::i64_trunc_f64_u: r = truncate(a(), i64_type, false); return true;
    case Op::i32_trunc_sat_f32_s:
    case Op::i32_trunc_sat_f64_s: sat(i32_type, Id::fptosi_sat); return true;
    case Op::i32_trunc_sat_f32_u:
    case Op::i32_trunc_sat_f64_u: sat(i32_type, Id::fptoui_sat); return true;
    case Op::i64_trunc_sat_f32_s:
    case Op::i64_trunc_sat_f64_s: sat(i64_type, Id::fptosi_sat); return true;
    case Op::i64_trunc_sat_f32_u:
    case Op::i64_trunc_sat_f64_u: sat(i64_type, Id::fptoui_sat); return true;
    case Op::f32_convert_i32_s:
    case Op::f32_convert_i64_s: r = b_.CreateSIToFP(a(), f32_type); return true;
    case Op::f32_convert_i32_u:
    case Op::f32_convert_i64_u: r = b_.CreateUIToFP(a(), f32_type); return true;
    case Op::f64_convert_i32_s:
    case Op::f64_convert_i64_s: r = b_.CreateSIToFP(a(), f64_type); return true;
    case Op::f64_convert_i32_u:
    case Op::f64_convert_i64_u: r = b_.CreateUIToFP(a(), f64_type); return true;
    case Op::f32_demote_f64: r = b_.CreateFPTrunc(a(), f32_type); return true;
    case Op::f64_promote_f32: r = b_.CreateFPExt(a(), f64_type); return true;
    case Op::i32_reinterpret_f32: r = b_.CreateBitCast(a(), i32_type); return true;
    case Op::i64_reinterpret_f64: r = b_.CreateBitCast(a(), i64_type); return true;
    case Op::f32_reinterpret_i32: r = b_.CreateBitCast(a(), f32_type); return true;
    case Op::f64_reinterpret_i64: r = b_.CreateBitCast(a(), f64_type); return true;

    case Op::i64_add128:
    case Op::i64_sub128: {
      llvm::Type* wide = b_.getInt128Ty();
      auto pair = [&](const V& low, const V& high) {
        return b_.CreateOr(b_.CreateZExt(low.v, wide), b_.CreateShl(b_.CreateZExt(high.v, wide), 64));
      };
      llvm::Value* x = pair(args[0], args[1]);
      llvm::Value* y = pair(args[2], args[3]);
      llvm::Value* z = op == Op::i64_add128 ? b_.CreateAdd(x, y) : b_.CreateSub(x, y);
      results[0].v = b_.CreateTrunc(z, i64_type);
      results[1].v = b_.CreateTrunc(b_.CreateLShr(z, 64), i64_type);
      return true;
    }
    case Op::i64_mul_wide_s:
    case Op::i64_mul_wide_u: {
      llvm::Type* wide = b_.getInt128Ty();
      auto extended = [&](llvm::Value* v) {
        return op == Op::i64_mul_wide_s ? b_.CreateSExt(v, wide) : b_.CreateZExt(v, wide);
      };
      llvm::Value* z = b_.CreateMul(extended(a()), extended(b()));
      results[0].v = b_.CreateTrunc(z, i64_type);
      results[1].v = b_.CreateTrunc(b_.CreateLShr(z, 64), i64_type);
      return true;
    }
    default: return false;
  }
    // clang-format on
#undef VMRUN_INT
#undef VMRUN_FLOAT
}

}  // namespace vmrun::jit::opt
