// Operations with a memory operand, operations on memory, and adjustments of a global.
#include "interp/handlers/fused_tables.h"
#include "interp/handlers/mem.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {

/// An operation on memory: its operands are what is loaded and stored.
template <Op kOp>
struct OnMemory {
  static constexpr auto function = vm::kMeaning<kOp>;
  using Value = typename Signature<std::remove_const_t<decltype(function)>>::First;
  using Loaded = Load<Value, Value>;
};

template <Op kOp, bool Reverse, Address M, int D, int A, int C>
VMRUN_HANDLER load_op(VMRUN_PARAMS) {
  using P = OnMemory<kOp>;
  using T = typename P::Value;
  T value = P::Loaded::read(mem + address<M>(*pc, VMRUN_GET(uint32_t, A, b), 0));
  pin_load(pc, value);
  T x = VMRUN_GET_OF(T, C, pc[1], a);
  if constexpr (Reverse) {
    VMRUN_SET(D, a, P::function(value, x));
  } else {
    VMRUN_SET(D, a, P::function(x, value));
  }
  VMRUN_NEXT2;
}

struct LoadOpMaker : LoadOpTable {
  template <int I>
  static constexpr Handler get() {
    constexpr LoadOpName name = kOnLoads[at<Operation<kOnLoads>>(I)];
    constexpr auto address = OnLoadAddresses::parts(at<OnLoadAddresses::Place>(I));
    return &load_op<name.op, name.reverse, address.mode, at<Dest>(I), address.base, at<OperandC>(I)>;
  }
};

// ---- read, modify, write -------------------------------------------------------------------------------------------------

template <Op kOp, Address M, int A, int B, int C>
VMRUN_HANDLER read_modify(VMRUN_PARAMS) {
  using P = OnMemory<kOp>;
  using T = typename P::Value;
  uint32_t base = 0, index = 0;
  if constexpr (M != Address::absolute) base = VMRUN_GET(uint32_t, A, a);
  if constexpr (M == Address::indexed) index = VMRUN_GET(uint32_t, B, c);
  std::byte* p = mem + address<M>(*pc, base, index);
  T value = P::Loaded::read(p), x;
  if constexpr (C == kImm) {
    std::memcpy(&x, &pc[1].u, sizeof x);
  } else {
    x = VMRUN_GET(T, C, b);
  }
  value = P::function(value, x);
  std::memcpy(p, &value, sizeof value);
  pin_store(pc);
  if constexpr (C == kImm) {
    VMRUN_NEXT2;
  } else {
    VMRUN_NEXT;
  }
}
struct ReadModifyMaker : ReadModifyTable {
  template <int I>
  static constexpr Handler get() {
    constexpr Op op = kReadModify[at<Operation<kReadModify>>(I)].op;
    constexpr auto address = ReadModifyAddresses::parts(at<ReadModifyAddresses::Place>(I));
    constexpr int x = at<OperandCOrImm>(I);
    if constexpr (x == kImm && ReadModifyAddresses::has_index(address.mode)) {
      return nullptr;
    } else {
      return &read_modify<op, address.mode, address.base, address.index, x>;
    }
  }
};

// ---- globals -----------------------------------------------------------------------------------------------------------

template <int D>
VMRUN_HANDLER global_adjust(VMRUN_PARAMS) {
  auto* global = reinterpret_cast<vm::GlobalInst*>(reinterpret_cast<std::byte*>(inst->own_globals) + pc[1].u);
  uint32_t value = static_cast<uint32_t>(global->value[0].bits) + static_cast<uint32_t>(pc->imm);
  global->value[0].bits = value;
  VMRUN_SET(D, a, value);
  VMRUN_NEXT2;
}
template <int A>
VMRUN_HANDLER global_set_add(VMRUN_PARAMS) {
  auto* global = reinterpret_cast<vm::GlobalInst*>(reinterpret_cast<std::byte*>(inst->own_globals) + pc[1].u);
  global->value[0].bits = VMRUN_GET(uint32_t, A, a) + static_cast<uint32_t>(pc->imm);
  VMRUN_NEXT2;
}
struct GlobalAdjustMaker : GlobalAdjustTable {
  template <int I>
  static constexpr Handler get() {
    if constexpr (at<SetsGlobal>(I) == 0) {
      return &global_adjust<at<OperandA>(I)>;
    } else {
      return &global_set_add<at<OperandA>(I)>;
    }
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_load_op, LoadOpMaker)
VMRUN_HANDLER_TABLE(vmrun_read_modify, ReadModifyMaker)
VMRUN_HANDLER_TABLE(vmrun_global_adjust, GlobalAdjustMaker)

}  // namespace vmrun::interp::ir
