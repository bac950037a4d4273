// Lowering: atomic accesses, waiting and waking (WebAssembly threads). All are sequentially consistent; an address that
// is not naturally aligned traps before the access is tried.
#include "jit/opt/lower.h"
#include "jit/opt/places.h"

namespace vmrun::jit::opt {

using llvm::AtomicRMWInst;

namespace {
constexpr llvm::AtomicOrdering kOrder = llvm::AtomicOrdering::SequentiallyConsistent;
}

llvm::Value* Lowering::atomic_address(const vm::MemArg& arg, llvm::Value* index, unsigned bytes) {
  if (bytes > 1) {
    llvm::Value* sum = b_.CreateAdd(b_.CreateZExt(index, b_.getInt64Ty()), i64(arg.offset));
    trap_if(b_.CreateICmpNE(b_.CreateAnd(sum, i64(bytes - 1)), i64(0)), vm::TrapCode::UnalignedAtomic);
  }
  return address(arg, index, bytes);
}

bool Lowering::atomic_op(Op op, const vm::Immediate& imm, const V* args, V* results) {
  llvm::Type* const i32_type = b_.getInt32Ty();
  llvm::Type* const i64_type = b_.getInt64Ty();
  auto at = [&](unsigned bits) { return atomic_address(imm.mem, args[0].v, bits / 8); };
  auto narrow = [&](unsigned i, unsigned bits) { return b_.CreateTrunc(args[i].v, b_.getIntNTy(bits)); };
  auto load = [&](unsigned bits, llvm::Type* to) {
    llvm::LoadInst* v = b_.CreateAlignedLoad(b_.getIntNTy(bits), at(bits), llvm::Align(bits / 8), true);
    v->setAtomic(kOrder);
    mark_faulting(*v, place_);
    results[0].v = b_.CreateZExt(v, to);
    return true;
  };
  auto store = [&](unsigned bits) {
    llvm::Value* to = at(bits);
    llvm::StoreInst* v = b_.CreateAlignedStore(narrow(1, bits), to, llvm::Align(bits / 8), true);
    v->setAtomic(kOrder);
    mark_faulting(*v, place_);
    return true;
  };
  auto change = [&](AtomicRMWInst::BinOp operation, unsigned bits, llvm::Type* to) {
    llvm::Value* where = at(bits);
    AtomicRMWInst* old = b_.CreateAtomicRMW(operation, where, narrow(1, bits), llvm::Align(bits / 8), kOrder);
    old->setVolatile(true);
    mark_faulting(*old, place_);
    results[0].v = b_.CreateZExt(old, to);
    return true;
  };
  auto exchange = [&](unsigned bits, llvm::Type* to) {  // the narrow forms wrap the expected operand too
    llvm::Value* where = at(bits);
    llvm::AtomicCmpXchgInst* pair =
        b_.CreateAtomicCmpXchg(where, narrow(1, bits), narrow(2, bits), llvm::Align(bits / 8), kOrder, kOrder);
    pair->setVolatile(true);
    mark_faulting(*pair, place_);
    results[0].v = b_.CreateZExt(b_.CreateExtractValue(pair, 0), to);
    return true;
  };
  // The address that helpers take, offset included.
  auto whole = [&] {
    llvm::Value* wide = b_.CreateZExt(args[0].v, i64_type);
    if (!image_.memories[imm.mem.memory].limits.is64) return b_.CreateAdd(wide, i64(imm.mem.offset));
    llvm::Value* sum = b_.CreateBinaryIntrinsic(llvm::Intrinsic::uadd_with_overflow, wide, i64(imm.mem.offset));
    trap_if(b_.CreateExtractValue(sum, 1), vm::TrapCode::MemoryOutOfBounds);
    return b_.CreateExtractValue(sum, 0);
  };
  auto ask = [&](Helper which, unsigned operands) {
    llvm::SmallVector<llvm::Value*, 5> all{inst_, i32(imm.mem.memory), whole()};
    for (unsigned i = 1; i <= operands; ++i) all.push_back(args[i].v);
    results[0].v = b_.CreateTrunc(helper(which, i64_type, all), i32_type);
    return true;
  };

#define VMRUN_CHANGES(X) X(add, Add) X(sub, Sub) X(and, And) X(or, Or) X(xor, Xor) X(xchg, Xchg)
  // clang-format off: a row per instruction
  switch (op) {
    case Op::memory_atomic_notify: return ask(Helper::atomic_notify, 1);
    case Op::memory_atomic_wait32: return ask(Helper::atomic_wait32, 2);
    case Op::memory_atomic_wait64: return ask(Helper::atomic_wait64, 2);
    case Op::atomic_fence: b_.CreateFence(kOrder); return true;
    case Op::i32_atomic_load: return load(32, i32_type);
    case Op::i32_atomic_load8_u: return load(8, i32_type);
    case Op::i32_atomic_load16_u: return load(16, i32_type);
    case Op::i64_atomic_load: return load(64, i64_type);
    case Op::i64_atomic_load8_u: return load(8, i64_type);
    case Op::i64_atomic_load16_u: return load(16, i64_type);
    case Op::i64_atomic_load32_u: return load(32, i64_type);
    case Op::i64_atomic_store: return store(64);
    case Op::i32_atomic_store:
    case Op::i64_atomic_store32: return store(32);
    case Op::i32_atomic_store16:
    case Op::i64_atomic_store16: return store(16);
    case Op::i32_atomic_store8:
    case Op::i64_atomic_store8: return store(8);
#define X(name, operation)                                                                          \
    case Op::i32_atomic_rmw_##name: return change(AtomicRMWInst::operation, 32, i32_type);          \
    case Op::i32_atomic_rmw8_##name##_u: return change(AtomicRMWInst::operation, 8, i32_type);      \
    case Op::i32_atomic_rmw16_##name##_u: return change(AtomicRMWInst::operation, 16, i32_type);    \
    case Op::i64_atomic_rmw_##name: return change(AtomicRMWInst::operation, 64, i64_type);          \
    case Op::i64_atomic_rmw8_##name##_u: return change(AtomicRMWInst::operation, 8, i64_type);      \
    case Op::i64_atomic_rmw16_##name##_u: return change(AtomicRMWInst::operation, 16, i64_type);    \
    case Op::i64_atomic_rmw32_##name##_u: return change(AtomicRMWInst::operation, 32, i64_type);
    VMRUN_CHANGES(X)
#undef X
    case Op::i32_atomic_rmw_cmpxchg: return exchange(32, i32_type);
    case Op::i32_atomic_rmw8_cmpxchg_u: return exchange(8, i32_type);
    case Op::i32_atomic_rmw16_cmpxchg_u: return exchange(16, i32_type);
    case Op::i64_atomic_rmw_cmpxchg: return exchange(64, i64_type);
    case Op::i64_atomic_rmw8_cmpxchg_u: return exchange(8, i64_type);
    case Op::i64_atomic_rmw16_cmpxchg_u: return exchange(16, i64_type);
    case Op::i64_atomic_rmw32_cmpxchg_u: return exchange(32, i64_type);
    default: return false;
  }
    // clang-format on
#undef VMRUN_CHANGES
}

}  // namespace vmrun::jit::opt
