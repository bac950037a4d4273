// Neighbours in one: an argument and its call, a load and what is done with it, increments, moves and branches. The cells
// are those of the two instructions, one after the other; each does exactly what it would do alone.
#include "interp/fused_tables.h"
#include "interp/handlers_mem.h"

namespace vmrun::interp::ir {

namespace {

// ---- an argument and a direct call -------------------------------------------------------------------------------------

template <Argument What, int D, int A>
VMRUN_HANDLER argument_call(VMRUN_PARAMS) {
  if constexpr (What == Argument::add) {
    VMRUN_SET(D, a, VMRUN_GET(uint32_t, A, b) + static_cast<uint32_t>(pc->imm));
  } else if constexpr (What == Argument::move) {
    VMRUN_SET(D, a, VMRUN_GET(uint64_t, A, b));
  } else if constexpr (What == Argument::constant) {
    VMRUN_SET(D, a, static_cast<uint32_t>(pc->imm));
  } else {
    uint32_t value =
        Load<uint32_t, uint32_t>::read(mem + address<Address::base_offset>(*pc, VMRUN_GET(uint32_t, A, b), 0));
    pin_load(pc, value);
    VMRUN_SET(D, a, value);
  }
  VMRUN_CALL(pc + 1, static_cast<vm::FuncCode*>(pc[2].p));
}
struct ArgumentCallMaker : ArgumentCallTable {
  template <int I>
  static constexpr Handler get() {
    return &argument_call<static_cast<Argument>(at<ArgumentPlace>(I)), at<ArgumentDest>(I), at<OperandA>(I)>;
  }
};

// ---- a load and a branch -----------------------------------------------------------------------------------------------

// The loaded value is compared with a constant (field b of the branch) or a location. Forwards only.
template <class L, auto F, int D, int A, int B>
VMRUN_HANDLER load_branch(VMRUN_PARAMS) {
  uint32_t value = L::read(mem + address<Address::base_offset>(*pc, VMRUN_GET(uint32_t, A, b), 0)), y;
  pin_load(pc, value);
  VMRUN_SET(D, a, value);
  if constexpr (B == kImm) {
    y = static_cast<uint32_t>(static_cast<int16_t>(pc[1].b));
  } else {
    y = VMRUN_GET_OF(uint32_t, B, pc[1], b);
  }
  if (F(value, y)) VMRUN_DISPATCH(pc + 1 + pc[1].imm);
  VMRUN_NEXT2;
}
// In the order of kBranchLoads.
using BranchLoads = Types<Load<uint32_t, uint32_t>, Load<uint8_t, uint32_t>>;
static_assert(BranchLoads::kCount == Operation<kBranchLoads>::kExtent);
struct LoadBranchMaker : LoadBranchTable {
  template <int I>
  static constexpr Handler get() {
    using L = BranchLoads::at<at<Operation<kBranchLoads>>(I)>;
    constexpr vm::Op compare = kBranchCompares[at<Operation<kBranchCompares>>(I)];
    return &load_branch<L, vm::kMeaning<compare>, at<DestRegister>(I), at<OperandA>(I), at<OperandBOrImm>(I)>;
  }
};

template <int D, int A, int B, int Copy>
VMRUN_HANDLER load_table(VMRUN_PARAMS) {
  asm volatile("" : : "i"(Copy));
  uint32_t value = Load<uint32_t, uint32_t>::read(
      mem + address<Address::indexed>(*pc, VMRUN_GET(uint32_t, A, b), VMRUN_GET(uint32_t, B, c)));
  pin_load(pc, value);
  VMRUN_SET(D, a, value);
  uint64_t i = value, n = static_cast<uint32_t>(pc[1].imm);
  i = i < n ? i : n;
  VMRUN_DISPATCH(pc + 1 + pc[2 + i].imm);
}
template <int D, int A, int Copy>
VMRUN_HANDLER load8_table(VMRUN_PARAMS) {
  asm volatile("" : : "i"(Copy));
  uint32_t value =
      Load<uint8_t, uint32_t>::read(mem + address<Address::base_offset>(*pc, VMRUN_GET(uint32_t, A, b), 0));
  pin_load(pc, value);
  VMRUN_SET(D, a, value);
  uint64_t i = value, n = static_cast<uint32_t>(pc[1].imm);
  i = i < n ? i : n;
  VMRUN_DISPATCH(pc + 1 + pc[2 + i].imm);
}
struct LoadTableMaker : LoadTableTable {
  template <int I>
  static constexpr Handler get() {
    constexpr auto address = LoadTableAddresses::parts(at<LoadTableAddresses::Place>(I));
    if constexpr (address.mode == Address::base_offset) {
      return &load8_table<at<DestRegister>(I), address.base, at<LoadTableCopy>(I)>;
    } else {
      return &load_table<at<DestRegister>(I), address.base, address.index, at<LoadTableCopy>(I)>;
    }
  }
};

// ---- loads and stores next to each other -------------------------------------------------------------------------------

template <class T>
[[gnu::always_inline]] inline const std::byte* place(const std::byte* mem, uint32_t base, const Cell& cell) {
  return mem + address<Address::base_offset>(cell, base, 0);
}

/// Moves `pc` to the second cell, before what the second instruction does: a fault from now on is that one's.
[[gnu::always_inline]] inline void step(const Cell*& pc) {
  ++pc;
  asm volatile("" : "+r"(pc));
}

template <class T, int D1, int A1, int D2, int A2>
VMRUN_HANDLER load_load(VMRUN_PARAMS) {
  T x = Load<T, T>::read(place<T>(mem, VMRUN_GET(uint32_t, A1, b), *pc));
  pin_load(pc, x);
  VMRUN_SET(D1, a, x);
  step(pc);
  T y = Load<T, T>::read(place<T>(mem, VMRUN_GET(uint32_t, A2, b), *pc));
  pin_load(pc, y);
  VMRUN_SET(D2, a, y);
  VMRUN_NEXT;
}
// In the order of kPairLoads.
using PairLoads = Types<uint32_t, double>;
static_assert(PairLoads::kCount == Operation<kPairLoads>::kExtent);
struct LoadLoadMaker : LoadLoadTable {
  template <int I>
  static constexpr Handler get() {
    using T = PairLoads::at<at<Operation<kPairLoads>>(I)>;
    return &load_load<T, at<DestRegister>(I), at<OperandA>(I), at<SecondDestRegister>(I), at<SecondA>(I)>;
  }
};

template <class T, int D, int A, int B>
VMRUN_HANDLER load_store(VMRUN_PARAMS) {
  T x = Load<T, T>::read(place<T>(mem, VMRUN_GET(uint32_t, A, b), *pc));
  pin_load(pc, x);
  VMRUN_SET(D, a, x);
  step(pc);
  auto* to = const_cast<std::byte*>(place<T>(mem, VMRUN_GET(uint32_t, B, a), *pc));
  std::memcpy(to, &x, sizeof x);
  pin_store(pc);
  VMRUN_NEXT;
}
struct LoadStoreMaker : LoadStoreTable {
  template <int I>
  static constexpr Handler get() {
    using T = std::conditional_t<at<Wide>(I) != 0, uint64_t, uint32_t>;
    return &load_store<T, at<DestRegister>(I), at<OperandA>(I), at<OperandB>(I)>;
  }
};

template <class T, int A, int V, int D>
VMRUN_HANDLER store_increment(VMRUN_PARAMS) {
  T value = VMRUN_GET(T, V, b);
  auto* to = const_cast<std::byte*>(place<T>(mem, VMRUN_GET(uint32_t, A, a), *pc));
  std::memcpy(to, &value, sizeof value);
  pin_store(pc);
  VMRUN_SET_OF(D, pc[1], a, VMRUN_GET_OF(uint32_t, D, pc[1], b) + static_cast<uint32_t>(pc[1].imm));
  VMRUN_NEXT2;
}
// In the order of kIncrementStores.
using IncrementStores = Types<uint32_t, uint64_t, double, float, uint8_t>;
static_assert(IncrementStores::kCount == Operation<kIncrementStores>::kExtent);
struct StoreIncrementMaker : StoreIncrementTable {
  template <int I>
  static constexpr Handler get() {
    using T = IncrementStores::at<at<Operation<kIncrementStores>>(I)>;
    return &store_increment<T, at<OperandA>(I), at<OperandB>(I), at<Dest>(I)>;
  }
};

// ---- increments and moves ----------------------------------------------------------------------------------------------

template <class T, int D, int A>
VMRUN_HANDLER add_branch(VMRUN_PARAMS) {
  VMRUN_SET(D, a, static_cast<T>(VMRUN_GET(T, A, b) + static_cast<T>(static_cast<int64_t>(pc->imm))));
  VMRUN_DISPATCH(pc + 1 + pc[1].imm);
}
template <class T, int D, int A>
VMRUN_HANDLER add_branch_back(VMRUN_PARAMS) {
  VMRUN_SET(D, a, static_cast<T>(VMRUN_GET(T, A, b) + static_cast<T>(static_cast<int64_t>(pc->imm))));
  VMRUN_BACK_EDGE(pc + 1 + pc[1].imm);
}
struct AddBranchMaker : AddBranchTable {
  template <int I>
  static constexpr Handler get() {
    using T = std::conditional_t<at<Wide>(I) != 0, uint64_t, uint32_t>;
    if constexpr (at<Back>(I) != 0) {
      return &add_branch_back<T, at<Dest>(I), at<OperandA>(I)>;
    } else {
      return &add_branch<T, at<Dest>(I), at<OperandA>(I)>;
    }
  }
};

template <int D1, int A1, int D2, int A2>
VMRUN_HANDLER add_add(VMRUN_PARAMS) {
  VMRUN_SET(D1, a, VMRUN_GET(uint32_t, A1, b) + static_cast<uint32_t>(pc->imm));
  VMRUN_SET_OF(D2, pc[1], a, VMRUN_GET_OF(uint32_t, A2, pc[1], b) + static_cast<uint32_t>(pc[1].imm));
  VMRUN_NEXT2;
}
struct AddAddMaker : AddAddTable {
  template <int I>
  static constexpr Handler get() {
    return &add_add<at<Dest>(I), at<OperandA>(I), at<SecondDest>(I), at<SecondA>(I)>;
  }
};

template <bool kBack, int D, int A>
VMRUN_HANDLER move_branch(VMRUN_PARAMS) {
  if constexpr (A == kImm) {
    VMRUN_SET(D, a, static_cast<uint32_t>(pc->imm));
  } else {
    VMRUN_SET(D, a, VMRUN_GET(uint64_t, A, b));
  }
  if constexpr (kBack) {
    VMRUN_BACK_EDGE(pc + 1 + pc[1].imm);
  } else {
    VMRUN_DISPATCH(pc + 1 + pc[1].imm);
  }
}
struct MoveBranchMaker : MoveBranchTable {
  template <int I>
  static constexpr Handler get() {
    return &move_branch<at<Back>(I) != 0, at<Dest>(I), at<OperandAOrImm>(I)>;
  }
};

// ---- 64-bit constants --------------------------------------------------------------------------------------------------

template <auto F, int D, int A>
VMRUN_HANDLER wide_constant(VMRUN_PARAMS) {
  VMRUN_SET(D, a, F(VMRUN_GET(uint64_t, A, b), pc[1].u));
  VMRUN_NEXT2;
}
struct WideConstantMaker : WideConstantTable {
  template <int I>
  static constexpr Handler get() {
    constexpr vm::Op op = kWideOps[at<Operation<kWideOps>>(I)];
    return &wide_constant<vm::kMeaning<op>, at<Dest>(I), at<OperandA>(I)>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_argument_call, ArgumentCallMaker)
VMRUN_HANDLER_TABLE(vmrun_load_branch, LoadBranchMaker)
VMRUN_HANDLER_TABLE(vmrun_load_table, LoadTableMaker)
VMRUN_HANDLER_TABLE(vmrun_load_load, LoadLoadMaker)
VMRUN_HANDLER_TABLE(vmrun_load_store, LoadStoreMaker)
VMRUN_HANDLER_TABLE(vmrun_store_increment, StoreIncrementMaker)
VMRUN_HANDLER_TABLE(vmrun_add_branch, AddBranchMaker)
VMRUN_HANDLER_TABLE(vmrun_add_add, AddAddMaker)
VMRUN_HANDLER_TABLE(vmrun_move_branch, MoveBranchMaker)
VMRUN_HANDLER_TABLE(vmrun_wide_constant, WideConstantMaker)

}  // namespace vmrun::interp::ir
