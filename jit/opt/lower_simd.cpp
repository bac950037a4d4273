// Lowering: vectors (WebAssembly 3.0, 4.3.4). A v128 is <16 x i8> between instructions; each views it as its own lanes.
// Here are the table of all vector instructions, what all kinds share, and vectors as a whole: constants, bitwise
// instructions, access to lanes, shuffles.
#include <llvm/IR/IntrinsicsX86.h>

#include "jit/opt/lower.h"
#include "vm/base/assert.h"

namespace vmrun::jit::opt {

namespace Id = llvm::Intrinsic;
using llvm::Instruction;
using llvm::Type;
using llvm::Value;

// ---- the table ------------------------------------------------------------------------------------------------------

struct Lowering::VectorTable {
  const VectorRow* rows[vm::kOpCount] = {};

  VectorTable() {
    for (std::span<const VectorRow> part :
         {whole_rows(), integer_rows(), float_rows(), relaxed_rows(), in_memory_rows()}) {
      for (const VectorRow& row : part) {
        VMRUN_ASSERT(rows[static_cast<size_t>(row.op)] == nullptr, vm::op_info(row.op).mnemonic);
        rows[static_cast<size_t>(row.op)] = &row;
      }
    }
    for (size_t i = 0; i < vm::kOpCount; ++i) {
      VMRUN_ASSERT(vm::is_vector(vm::kOpInfo[i].family) == (rows[i] != nullptr), vm::kOpInfo[i].mnemonic);
    }
  }
};

bool Lowering::vector_op(Op op, const vm::Immediate& imm, const V* args, V* results) {
  static const VectorTable table;
  const VectorRow* const row = table.rows[static_cast<size_t>(op)];
  if (row == nullptr) return false;
  Value* const result = (this->*row->emit)(*row, imm, args);
  if (result != nullptr) results[0].v = result->getType()->isVectorTy() ? bytes(result) : result;
  return true;
}

// ---- what all kinds share -------------------------------------------------------------------------------------------

Type* Lowering::lane_type(Lane lane) {
  switch (lane) {
    case Lane::i8: return b_.getInt8Ty();
    case Lane::i16: return b_.getInt16Ty();
    case Lane::i32: return b_.getInt32Ty();
    case Lane::i64: return b_.getInt64Ty();
    case Lane::f32: return b_.getFloatTy();
    case Lane::f64: return b_.getDoubleTy();
  }
  return nullptr;
}

llvm::FixedVectorType* Lowering::lanes(Type* lane) {
  return llvm::FixedVectorType::get(lane, static_cast<unsigned>(128 / lane->getPrimitiveSizeInBits()));
}
Value* Lowering::bytes(Value* v) { return b_.CreateBitCast(v, v128_); }

Value* Lowering::widened(Value* v, bool is_signed) {
  Type* const wide = lanes(b_.getIntNTy(2 * v->getType()->getScalarSizeInBits()));
  return is_signed ? b_.CreateSExt(v, wide) : b_.CreateZExt(v, wide);
}

Value* Lowering::vec_compare(const VectorRow& row, const vm::Immediate&, const V* args) {
  const auto predicate = static_cast<llvm::CmpInst::Predicate>(row.what);
  Value* truth = b_.CreateCmp(predicate, in_lanes(row, args[0]), in_lanes(row, args[1]));
  return b_.CreateSExt(truth, lanes(b_.getIntNTy(lane_type(row.lane)->getPrimitiveSizeInBits())));
}

Value* Lowering::vec_binary(const VectorRow& row, const vm::Immediate&, const V* args) {
  return b_.CreateBinOp(static_cast<Instruction::BinaryOps>(row.what), in_lanes(row, args[0]), in_lanes(row, args[1]));
}

Value* Lowering::vec_intrinsic1(const VectorRow& row, const vm::Immediate&, const V* args) {
  return b_.CreateUnaryIntrinsic(row.what, in_lanes(row, args[0]));
}

Value* Lowering::vec_intrinsic2(const VectorRow& row, const vm::Immediate&, const V* args) {
  return b_.CreateBinaryIntrinsic(row.what, in_lanes(row, args[0]), in_lanes(row, args[1]));
}

// ---- vectors as a whole ---------------------------------------------------------------------------------------------

std::span<const Lowering::VectorRow> Lowering::whole_rows() {
  using L = Lowering;
  static constexpr VectorRow kRows[] = {
      {Op::v128_const, &L::vec_constant},
      {Op::v128_not, &L::vec_not_},
      {Op::v128_and, &L::vec_binary, Lane::i8, Instruction::And},
      {Op::v128_andnot, &L::vec_andnot},
      {Op::v128_or, &L::vec_binary, Lane::i8, Instruction::Or},
      {Op::v128_xor, &L::vec_binary, Lane::i8, Instruction::Xor},
      {Op::v128_bitselect, &L::vec_bitselect},
      {Op::v128_any_true, &L::vec_any_true},
      {Op::i8x16_shuffle, &L::vec_shuffle},
      {Op::i8x16_swizzle, &L::vec_swizzle},

      {Op::i8x16_splat, &L::vec_splat, Lane::i8},
      {Op::i16x8_splat, &L::vec_splat, Lane::i16},
      {Op::i32x4_splat, &L::vec_splat, Lane::i32},
      {Op::i64x2_splat, &L::vec_splat, Lane::i64},
      {Op::f32x4_splat, &L::vec_splat, Lane::f32},
      {Op::f64x2_splat, &L::vec_splat, Lane::f64},
      {Op::i8x16_extract_lane_s, &L::vec_extract, Lane::i8, 0, kSigned},
      {Op::i8x16_extract_lane_u, &L::vec_extract, Lane::i8, 0, kUnsigned},
      {Op::i16x8_extract_lane_s, &L::vec_extract, Lane::i16, 0, kSigned},
      {Op::i16x8_extract_lane_u, &L::vec_extract, Lane::i16, 0, kUnsigned},
      {Op::i32x4_extract_lane, &L::vec_extract, Lane::i32},
      {Op::i64x2_extract_lane, &L::vec_extract, Lane::i64},
      {Op::f32x4_extract_lane, &L::vec_extract, Lane::f32},
      {Op::f64x2_extract_lane, &L::vec_extract, Lane::f64},
      {Op::i8x16_replace_lane, &L::vec_replace, Lane::i8},
      {Op::i16x8_replace_lane, &L::vec_replace, Lane::i16},
      {Op::i32x4_replace_lane, &L::vec_replace, Lane::i32},
      {Op::i64x2_replace_lane, &L::vec_replace, Lane::i64},
      {Op::f32x4_replace_lane, &L::vec_replace, Lane::f32},
      {Op::f64x2_replace_lane, &L::vec_replace, Lane::f64},
  };
  return kRows;
}

Value* Lowering::vec_constant(const VectorRow&, const vm::Immediate& imm, const V*) {
  uint8_t raw[16];
  memcpy(raw, &imm.v128, sizeof raw);
  return llvm::ConstantDataVector::get(context_, llvm::ArrayRef<uint8_t>(raw, 16));
}

Value* Lowering::vec_not_(const VectorRow&, const vm::Immediate&, const V* args) { return b_.CreateNot(args[0].v); }

Value* Lowering::vec_andnot(const VectorRow&, const vm::Immediate&, const V* args) {
  return b_.CreateAnd(args[0].v, b_.CreateNot(args[1].v));
}

Value* Lowering::vec_bitselect(const VectorRow&, const vm::Immediate&, const V* args) {
  return b_.CreateOr(b_.CreateAnd(args[0].v, args[2].v), b_.CreateAnd(args[1].v, b_.CreateNot(args[2].v)));
}

Value* Lowering::vec_any_true(const VectorRow&, const vm::Immediate&, const V* args) {
  Value* whole = b_.CreateBitCast(args[0].v, b_.getInt128Ty());
  return b_.CreateZExt(b_.CreateIsNotNull(whole), b_.getInt32Ty());
}

Value* Lowering::vec_shuffle(const VectorRow&, const vm::Immediate& imm, const V* args) {
  llvm::SmallVector<int, 16> mask(imm.lanes.begin(), imm.lanes.end());
  return b_.CreateShuffleVector(args[0].v, args[1].v, mask);
}

/// pshufb takes the low four bits of an index, and gives 0 where the top bit is set.
Value* Lowering::vec_swizzle(const VectorRow&, const vm::Immediate&, const V* args) {
  Value* index = b_.CreateBinaryIntrinsic(Id::uadd_sat, args[1].v, llvm::ConstantInt::get(v128_, 0x70));
  return b_.CreateIntrinsic(Id::x86_ssse3_pshuf_b_128, {}, {args[0].v, index});
}

// An i32 stands for lanes of 8 and 16 bits.

Value* Lowering::vec_splat(const VectorRow& row, const vm::Immediate&, const V* args) {
  Type* const lane = lane_type(row.lane);
  Value* v = lane->isIntegerTy() ? b_.CreateTrunc(args[0].v, lane) : args[0].v;
  return b_.CreateVectorSplat(128 / lane->getPrimitiveSizeInBits(), v);
}

Value* Lowering::vec_extract(const VectorRow& row, const vm::Immediate& imm, const V* args) {
  Value* v = b_.CreateExtractElement(in_lanes(row, args[0]), uint64_t{imm.lane});
  if (v->getType()->getPrimitiveSizeInBits() >= 32) return v;
  return row.is_signed ? b_.CreateSExt(v, b_.getInt32Ty()) : b_.CreateZExt(v, b_.getInt32Ty());
}

Value* Lowering::vec_replace(const VectorRow& row, const vm::Immediate& imm, const V* args) {
  Type* const lane = lane_type(row.lane);
  Value* v = lane->isIntegerTy() ? b_.CreateTrunc(args[1].v, lane) : args[1].v;
  return b_.CreateInsertElement(in_lanes(row, args[0]), v, uint64_t{imm.lane});
}

}  // namespace vmrun::jit::opt
