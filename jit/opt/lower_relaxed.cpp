// Lowering: relaxed vector instructions, as vm/numeric/simd_relaxed.h decides what the specification leaves open. Most are then
// a strict instruction by another name.
#include "jit/opt/lower.h"

namespace vmrun::jit::opt {

namespace Id = llvm::Intrinsic;
using llvm::Value;

std::span<const Lowering::VectorRow> Lowering::relaxed_rows() {
  using L = Lowering;
  static constexpr VectorRow kRows[] = {
      {Op::i8x16_relaxed_swizzle, &L::vec_swizzle},
      {Op::i32x4_relaxed_trunc_f32x4_s, &L::vec_trunc_sat, Lane::f32, Id::fptosi_sat},
      {Op::i32x4_relaxed_trunc_f32x4_u, &L::vec_trunc_sat, Lane::f32, Id::fptoui_sat},
      {Op::i32x4_relaxed_trunc_f64x2_s_zero, &L::vec_trunc_sat, Lane::f64, Id::fptosi_sat},
      {Op::i32x4_relaxed_trunc_f64x2_u_zero, &L::vec_trunc_sat, Lane::f64, Id::fptoui_sat},
      {Op::i8x16_relaxed_laneselect, &L::vec_bitselect},
      {Op::i16x8_relaxed_laneselect, &L::vec_bitselect},
      {Op::i32x4_relaxed_laneselect, &L::vec_bitselect},
      {Op::i64x2_relaxed_laneselect, &L::vec_bitselect},
      {Op::f32x4_relaxed_min, &L::vec_min_max, Lane::f32, kMin},
      {Op::f32x4_relaxed_max, &L::vec_min_max, Lane::f32, kMax},
      {Op::f64x2_relaxed_min, &L::vec_min_max, Lane::f64, kMin},
      {Op::f64x2_relaxed_max, &L::vec_min_max, Lane::f64, kMax},
      {Op::i16x8_relaxed_q15mulr_s, &L::vec_q15mulr, Lane::i16},

      {Op::f32x4_relaxed_madd, &L::vec_madd, Lane::f32},
      {Op::f32x4_relaxed_nmadd, &L::vec_nmadd, Lane::f32},
      {Op::f64x2_relaxed_madd, &L::vec_madd, Lane::f64},
      {Op::f64x2_relaxed_nmadd, &L::vec_nmadd, Lane::f64},
      {Op::i16x8_relaxed_dot_i8x16_i7x16_s, &L::vec_dot_bytes},
      {Op::i32x4_relaxed_dot_i8x16_i7x16_add_s, &L::vec_dot_bytes_add},
  };
  return kRows;
}

Value* Lowering::vec_madd(const VectorRow& row, const vm::Immediate&, const V* args) {
  Value* product = b_.CreateFMul(in_lanes(row, args[0]), in_lanes(row, args[1]));
  return b_.CreateFAdd(product, in_lanes(row, args[2]));
}

Value* Lowering::vec_nmadd(const VectorRow& row, const vm::Immediate&, const V* args) {
  Value* product = b_.CreateFNeg(b_.CreateFMul(in_lanes(row, args[0]), in_lanes(row, args[1])));
  return b_.CreateFAdd(product, in_lanes(row, args[2]));
}

std::pair<Value*, Value*> Lowering::even_and_odd(Value* v, unsigned count) {
  llvm::SmallVector<int, 8> even, odd;
  for (unsigned i = 0; i < count; ++i) {
    even.push_back(static_cast<int>(2 * i));
    odd.push_back(static_cast<int>(2 * i + 1));
  }
  Value* const first = b_.CreateShuffleVector(v, even);
  return {first, b_.CreateShuffleVector(v, odd)};
}

Value* Lowering::vec_dot_bytes(const VectorRow&, const vm::Immediate&, const V* args) {
  auto* wide = llvm::FixedVectorType::get(b_.getInt16Ty(), 16);
  auto [even, odd] = even_and_odd(b_.CreateMul(b_.CreateSExt(args[0].v, wide), b_.CreateSExt(args[1].v, wide)), 8);
  return b_.CreateAdd(even, odd);
}

Value* Lowering::vec_dot_bytes_add(const VectorRow& row, const vm::Immediate& imm, const V* args) {
  Value* products = vec_dot_bytes(row, imm, args);
  auto [even, odd] = even_and_odd(b_.CreateSExt(products, llvm::FixedVectorType::get(b_.getInt32Ty(), 8)), 4);
  return b_.CreateAdd(b_.CreateAdd(even, odd), b_.CreateBitCast(args[2].v, lanes(b_.getInt32Ty())));
}

}  // namespace vmrun::jit::opt
