// Lowering: memory.copy, memory.fill and memory.init. Short ranges are copied and filled in place; the rest is the
// runtime's.
//
// In place means: all of a range is loaded before any of it is stored, so ranges may overlap. An instruction that traps
// writes nothing. Where accesses to a memory are checked, both ranges are checked first. Those to a guarded memory fault: a
// range that leaves it does so at its end, so the last bytes are stored first, and a range whose last byte lies in the
// memory lies in it wholly.
#include <algorithm>

#include "jit/opt/limits.h"
#include "jit/opt/lower.h"
#include "jit/pieces.h"
#include "vm/runtime/fault.h"
#include "vm/wasm/fuel.h"

namespace vmrun::jit::opt {

namespace {

/// Bytes of the widest access.
constexpr unsigned kWidest = 32;
/// Bytes of a range whose length is a constant, at most: what half of the vector registers hold.
constexpr uint64_t kMostConstant = Pieces::kMost * kWidest;
// All of such a range lies where guarded memory faults.
static_assert((uint64_t{1} << 32) + std::max<uint64_t>(kMostConstant, kMostByEnds) <= vm::kFaultReservation);

}  // namespace

/// A range that is filled with a byte, or copied from another one.
struct Lowering::Move {
  uint32_t to_memory = 0, from_memory = 0;
  llvm::Value* to_index = nullptr;
  llvm::Value* from_index = nullptr;  // null: filled
  llvm::Value* byte = nullptr;
  llvm::Value *to = nullptr, *from = nullptr;  // pointers, when it is done in place
};

/// So many bytes at a distance from a range's begin.
struct Lowering::Access {
  llvm::Value* at;
  unsigned bytes;
};

void Lowering::move_pieces(const Move& move, llvm::ArrayRef<Access> pieces) {
  auto place = [&](llvm::Value* base, const Access& piece) { return b_.CreateGEP(b_.getInt8Ty(), base, piece.at); };
  llvm::SmallVector<llvm::Value*, 8> values;
  for (const Access& piece : pieces) {
    const bool is_vector = piece.bytes > sizeof(uint64_t);
    llvm::Type* type = is_vector ? llvm::FixedVectorType::get(b_.getInt8Ty(), piece.bytes)
                                 : static_cast<llvm::Type*>(b_.getIntNTy(8 * piece.bytes));
    if (move.from != nullptr) {
      llvm::LoadInst* load = b_.CreateAlignedLoad(type, place(move.from, piece), llvm::Align(1));
      keep_order(move.from_memory, *load);
      values.push_back(load);
    } else if (is_vector) {
      values.push_back(b_.CreateVectorSplat(piece.bytes, move.byte));
    } else {
      const uint64_t ones = UINT64_C(0x0101010101010101) >> (64 - 8 * piece.bytes);
      values.push_back(b_.CreateMul(b_.CreateZExt(move.byte, type), llvm::ConstantInt::get(type, ones)));
    }
  }
  for (size_t i = pieces.size(); i-- != 0;) {
    keep_order(move.to_memory, *b_.CreateAlignedStore(values[i], place(move.to, pieces[i]), llvm::Align(1)));
  }
}

bool Lowering::may_move(unsigned pieces) {
  if (unit_.pieces + pieces > kMaxPieces) return false;
  unit_.pieces += pieces;
  return true;
}

llvm::Value* Lowering::range(uint32_t memory, llvm::Value* index, llvm::Value* size) {
  llvm::Value* at = b_.CreateZExt(index, b_.getInt64Ty());
  if (is_guarded(memory)) save_fuel();  // the access may fault
  if (!is_guarded(memory)) at = zero_if(ends_beyond(memory, at, size), at, vm::TrapCode::MemoryOutOfBounds);
  return b_.CreateGEP(b_.getInt8Ty(), memory_base(memory), at);
}

void Lowering::find_ranges(Move& move, llvm::Value* size) {
  move.to = range(move.to_memory, move.to_index, size);
  if (move.from_index != nullptr) move.from = range(move.from_memory, move.from_index, size);
}

bool Lowering::move_constant(D& d, Move move, uint64_t size) {
  if (size == 0 || size > kMostConstant) return false;  // an empty range has to be checked too
  llvm::SmallVector<Access, Pieces::kMost> pieces;
  for (const Piece& piece : Pieces(static_cast<uint32_t>(size), kWidest))
    pieces.push_back({i64(piece.at), piece.bytes});
  if (!may_move(static_cast<unsigned>(pieces.size()))) return false;
  if (image_.metered) charge(d, static_cast<uint32_t>(vm::fuel_of_bytes(size)));
  find_ranges(move, i64(size));
  move_pieces(move, pieces);
  return true;
}

llvm::BasicBlock* Lowering::move_variable(Move move, llvm::Value* size) {
  constexpr unsigned kPieces = 4 + 2 + 2 + 2 + 2 + 3;
  if (!may_move(kPieces)) return nullptr;
  llvm::BasicBlock* const next = new_block("moved");
  llvm::BasicBlock* const called = new_block("long");
  // Goes on where the length is so many bytes at least; smaller ones go to the block that it returns.
  auto at_least = [&](uint64_t bytes) {
    llvm::BasicBlock* more = new_block("range");
    llvm::BasicBlock* fewer = new_block("range");
    b_.CreateCondBr(b_.CreateICmpUGE(size, i64(bytes)), more, fewer);
    b_.SetInsertPoint(more);
    return fewer;
  };
  auto back = [&](uint64_t bytes) { return b_.CreateSub(size, i64(bytes)); };
  auto move_ends = [&](const Ends& ends, llvm::BasicBlock* otherwise) {
    llvm::SmallVector<Access, 4> pieces;
    for (uint32_t i = 0; i < ends.each; ++i) pieces.push_back({i64(uint64_t{i} * ends.bytes), ends.bytes});
    for (uint32_t i = ends.each; i != 0; --i) pieces.push_back({back(uint64_t{i} * ends.bytes), ends.bytes});
    move_pieces(move, pieces);
    b_.CreateBr(next);
    b_.SetInsertPoint(otherwise);
  };
  llvm::BasicBlock* some = new_block("range");
  b_.CreateCondBr(b_.CreateICmpULT(b_.CreateSub(size, i64(1)), i64(kMostByEnds)), some, called);
  b_.SetInsertPoint(some);
  if (image_.metered) pay(b_.CreateLShr(b_.CreateAdd(size, i64(15)), 4));  // vm::fuel_of_bytes
  find_ranges(move, size);
  const auto& [two, wide, vector, word, half] = kEnds;
  llvm::BasicBlock* const less_than_vector = at_least(vector.least);
  llvm::BasicBlock* const less_than_wide = at_least(wide.least);
  llvm::BasicBlock* const less_than_two = at_least(two.least);
  move_ends(two, less_than_two);
  move_ends(wide, less_than_wide);
  move_ends(vector, less_than_vector);
  llvm::BasicBlock* const less_than_word = at_least(word.least);
  move_ends(word, less_than_word);
  llvm::BasicBlock* const less_than_half = at_least(half.least);
  move_ends(half, less_than_half);
  move_pieces(move, {{i64(0), 1}, {b_.CreateLShr(size, i64(1)), 1}, {back(1), 1}});
  b_.CreateBr(next);
  b_.SetInsertPoint(called);
  return next;
}

void Lowering::move_bytes(D& d, const Move& move, llvm::Value* size, llvm::function_ref<void()> call) {
  if (const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(size)) {
    if (!move_constant(d, move, constant->getZExtValue())) call();
    return;
  }
  llvm::BasicBlock* const next = move_variable(move, size);
  call();
  if (next == nullptr) return;
  b_.CreateBr(next);
  b_.SetInsertPoint(next);
}

bool Lowering::bulk_op(D& d, Op op, const vm::Immediate& imm, const V* args) {
  auto wide = [&](unsigned i) { return b_.CreateZExt(args[i].v, b_.getInt64Ty()); };
  llvm::Type* const none = b_.getVoidTy();
  switch (op) {
    case Op::memory_copy: {
      const uint32_t to = imm.mem.memory, from = imm.index2;
      move_bytes(
          d, {.to_memory = to, .from_memory = from, .to_index = args[0].v, .from_index = args[1].v}, wide(2), [&] {
            helper(Helper::memory_copy, none, {inst_, i64(to | uint64_t{from} << 32), wide(0), wide(1), wide(2)});
          });
      return true;
    }
    case Op::memory_fill: {
      llvm::Value* byte = b_.CreateTrunc(args[1].v, b_.getInt8Ty());
      move_bytes(d, {.to_memory = imm.mem.memory, .to_index = args[0].v, .byte = byte}, wide(2),
                 [&] { helper(Helper::memory_fill, none, {inst_, i32(imm.mem.memory), wide(0), args[1].v, wide(2)}); });
      return true;
    }
    case Op::memory_init:
      helper(Helper::memory_init, none,
             {inst_, i64(imm.mem.memory | uint64_t{imm.index} << 32), wide(0), wide(1), wide(2)});
      return true;
    case Op::data_drop: helper(Helper::data_drop, none, {inst_, i32(imm.index)}); return true;
    default: return false;
  }
}

}  // namespace vmrun::jit::opt
