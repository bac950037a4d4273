// Lowering: loads and stores of vectors and of their lanes.
#include "jit/opt/lower.h"

namespace vmrun::jit::opt {

using llvm::Type;
using llvm::Value;

std::span<const Lowering::VectorRow> Lowering::in_memory_rows() {
  using L = Lowering;
  static constexpr VectorRow kRows[] = {
      {Op::v128_load, &L::vec_load},
      {Op::v128_store, &L::vec_store},
      {Op::v128_load8x8_s, &L::vec_load_widened, Lane::i8, 0, kSigned},
      {Op::v128_load8x8_u, &L::vec_load_widened, Lane::i8, 0, kUnsigned},
      {Op::v128_load16x4_s, &L::vec_load_widened, Lane::i16, 0, kSigned},
      {Op::v128_load16x4_u, &L::vec_load_widened, Lane::i16, 0, kUnsigned},
      {Op::v128_load32x2_s, &L::vec_load_widened, Lane::i32, 0, kSigned},
      {Op::v128_load32x2_u, &L::vec_load_widened, Lane::i32, 0, kUnsigned},
      {Op::v128_load8_splat, &L::vec_load_splat, Lane::i8},
      {Op::v128_load16_splat, &L::vec_load_splat, Lane::i16},
      {Op::v128_load32_splat, &L::vec_load_splat, Lane::i32},
      {Op::v128_load64_splat, &L::vec_load_splat, Lane::i64},
      {Op::v128_load32_zero, &L::vec_load_zero, Lane::i32},
      {Op::v128_load64_zero, &L::vec_load_zero, Lane::i64},
      {Op::v128_load8_lane, &L::vec_load_lane, Lane::i8},
      {Op::v128_load16_lane, &L::vec_load_lane, Lane::i16},
      {Op::v128_load32_lane, &L::vec_load_lane, Lane::i32},
      {Op::v128_load64_lane, &L::vec_load_lane, Lane::i64},
      {Op::v128_store8_lane, &L::vec_store_lane, Lane::i8},
      {Op::v128_store16_lane, &L::vec_store_lane, Lane::i16},
      {Op::v128_store32_lane, &L::vec_store_lane, Lane::i32},
      {Op::v128_store64_lane, &L::vec_store_lane, Lane::i64},
  };
  return kRows;
}

Value* Lowering::vec_load(const VectorRow&, const vm::Immediate& imm, const V* args) {
  return load(imm.mem, args[0].v, v128_);
}

Value* Lowering::vec_store(const VectorRow&, const vm::Immediate& imm, const V* args) {
  store(imm.mem, args[0].v, args[1].v);
  return nullptr;
}

/// Eight bytes of lanes.
Value* Lowering::vec_load_widened(const VectorRow& row, const vm::Immediate& imm, const V* args) {
  Value* raw = load(imm.mem, args[0].v, b_.getInt64Ty());
  Type* const lane = lane_type(row.lane);
  const unsigned count = 64 / lane->getPrimitiveSizeInBits();
  return widened(b_.CreateBitCast(raw, llvm::FixedVectorType::get(lane, count)), row.is_signed);
}

Value* Lowering::vec_load_splat(const VectorRow& row, const vm::Immediate& imm, const V* args) {
  Type* const lane = lane_type(row.lane);
  Value* v = load(imm.mem, args[0].v, lane);
  return b_.CreateVectorSplat(128 / lane->getPrimitiveSizeInBits(), v);
}

Value* Lowering::vec_load_zero(const VectorRow& row, const vm::Immediate& imm, const V* args) {
  Type* const lane = lane_type(row.lane);
  Value* v = load(imm.mem, args[0].v, lane);
  return b_.CreateInsertElement(llvm::Constant::getNullValue(lanes(lane)), v, uint64_t{0});
}

Value* Lowering::vec_load_lane(const VectorRow& row, const vm::Immediate& imm, const V* args) {
  Value* v = load(imm.mem, args[0].v, lane_type(row.lane));
  return b_.CreateInsertElement(in_lanes(row, args[1]), v, uint64_t{imm.lane});
}

Value* Lowering::vec_store_lane(const VectorRow& row, const vm::Immediate& imm, const V* args) {
  store(imm.mem, args[0].v, b_.CreateExtractElement(in_lanes(row, args[1]), uint64_t{imm.lane}));
  return nullptr;
}

}  // namespace vmrun::jit::opt
