// Lowering: relaxed vector instructions, as vm/simd_relaxed.h decides what the specification leaves open. Most are then
// a strict instruction by another name.
#include "jit/opt/lower.h"

namespace vmrun::jit::opt {

namespace {

vm::Op strict(vm::Op op) {
  using Op = vm::Op;
  // clang-format off: a row per instruction
  switch (op) {
    case Op::i8x16_relaxed_swizzle: return Op::i8x16_swizzle;
    case Op::i32x4_relaxed_trunc_f32x4_s: return Op::i32x4_trunc_sat_f32x4_s;
    case Op::i32x4_relaxed_trunc_f32x4_u: return Op::i32x4_trunc_sat_f32x4_u;
    case Op::i32x4_relaxed_trunc_f64x2_s_zero: return Op::i32x4_trunc_sat_f64x2_s_zero;
    case Op::i32x4_relaxed_trunc_f64x2_u_zero: return Op::i32x4_trunc_sat_f64x2_u_zero;
    case Op::i8x16_relaxed_laneselect:
    case Op::i16x8_relaxed_laneselect:
    case Op::i32x4_relaxed_laneselect:
    case Op::i64x2_relaxed_laneselect: return Op::v128_bitselect;
    case Op::f32x4_relaxed_min: return Op::f32x4_min;
    case Op::f32x4_relaxed_max: return Op::f32x4_max;
    case Op::f64x2_relaxed_min: return Op::f64x2_min;
    case Op::f64x2_relaxed_max: return Op::f64x2_max;
    case Op::i16x8_relaxed_q15mulr_s: return Op::i16x8_q15mulr_sat_s;
    default: return op;
  }
  // clang-format on
}

}  // namespace

bool Lowering::relaxed_op(Op op, const vm::Immediate& imm, const V* args, V* results) {
  if (const Op same = strict(op); same != op) return simd_op(same, imm, args, results);
  auto in = [&](unsigned i, llvm::Type* lane) { return b_.CreateBitCast(args[i].v, lanes(lane)); };
  auto multiply_add = [&](llvm::Type* lane, bool negated) {
    llvm::Value* product = b_.CreateFMul(in(0, lane), in(1, lane));
    if (negated) product = b_.CreateFNeg(product);
    results[0].v = bytes(b_.CreateFAdd(product, in(2, lane)));
    return true;
  };
  auto even_and_odd = [&](llvm::Value* v, unsigned count) {
    llvm::SmallVector<int, 8> even, odd;
    for (unsigned i = 0; i < count; ++i) {
      even.push_back(static_cast<int>(2 * i));
      odd.push_back(static_cast<int>(2 * i + 1));
    }
    return std::pair(b_.CreateShuffleVector(v, even), b_.CreateShuffleVector(v, odd));
  };
  auto dot = [&] {
    auto* wide = llvm::FixedVectorType::get(b_.getInt16Ty(), 16);
    auto [even, odd] = even_and_odd(b_.CreateMul(b_.CreateSExt(args[0].v, wide), b_.CreateSExt(args[1].v, wide)), 8);
    return b_.CreateAdd(even, odd);
  };
  switch (op) {
    case Op::f32x4_relaxed_madd: return multiply_add(b_.getFloatTy(), false);
    case Op::f32x4_relaxed_nmadd: return multiply_add(b_.getFloatTy(), true);
    case Op::f64x2_relaxed_madd: return multiply_add(b_.getDoubleTy(), false);
    case Op::f64x2_relaxed_nmadd: return multiply_add(b_.getDoubleTy(), true);
    case Op::i16x8_relaxed_dot_i8x16_i7x16_s: results[0].v = bytes(dot()); return true;
    case Op::i32x4_relaxed_dot_i8x16_i7x16_add_s: {
      auto [even, odd] = even_and_odd(b_.CreateSExt(dot(), llvm::FixedVectorType::get(b_.getInt32Ty(), 8)), 4);
      results[0].v = bytes(b_.CreateAdd(b_.CreateAdd(even, odd), in(2, b_.getInt32Ty())));
      return true;
    }
    default: return false;
  }
}

}  // namespace vmrun::jit::opt
