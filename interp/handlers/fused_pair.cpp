// Neighbours in one: an argument and its call, a load and the table it indexes, an increment or a move and a branch. The cells
// are those of the two instructions, one after the other; each does exactly what it would do alone.
#include "interp/handlers/fused_tables.h"
#include "interp/handlers/mem.h"

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

// ---- a load and a table ------------------------------------------------------------------------------------------------

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
VMRUN_HANDLER_TABLE(vmrun_load_table, LoadTableMaker)
VMRUN_HANDLER_TABLE(vmrun_add_branch, AddBranchMaker)
VMRUN_HANDLER_TABLE(vmrun_move_branch, MoveBranchMaker)
VMRUN_HANDLER_TABLE(vmrun_wide_constant, WideConstantMaker)

}  // namespace vmrun::interp::ir
