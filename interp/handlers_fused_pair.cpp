// Neighbours in one: an argument and its call, a load and what is done with it, increments, moves and branches. The cells
// are those of the two instructions, one after the other; each does exactly what it would do alone.
#include "interp/fused.h"
#include "interp/handlers_mem.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {

// ---- an argument and a direct call -------------------------------------------------------------------------------------

// What: 0 an addition of a constant, 1 a move, 2 a constant, 3 a load.
template <int What, int D, int A>
VMRUN_HANDLER argument_call(VMRUN_PARAMS) {
  if constexpr (What == 0) {
    VMRUN_SET(D, a, VMRUN_GET(uint32_t, A, b) + static_cast<uint32_t>(pc->imm));
  } else if constexpr (What == 1) {
    VMRUN_SET(D, a, VMRUN_GET(uint64_t, A, b));
  } else if constexpr (What == 2) {
    VMRUN_SET(D, a, static_cast<uint32_t>(pc->imm));
  } else {
    uint32_t value =
        Load<uint32_t, uint32_t>::read(mem + address<Address::base_offset>(*pc, VMRUN_GET(uint32_t, A, b), 0));
    pin_load(pc, value);
    VMRUN_SET(D, a, value);
  }
  VMRUN_CALL(pc + 1, static_cast<vm::FuncCode*>(pc[2].p));
}
// Index: (what * 3 + d) * 5 + a; the destination is a slot, r0 or r1.
struct ArgumentCallGen {
  static constexpr int kSize = 4 * 15;
  template <int I>
  static constexpr Handler get() {
    return &argument_call<I / 15, I / 5 % 3, I % 5>;
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
using BranchLoads = Types<Load<uint32_t, uint32_t>, Load<uint8_t, uint32_t>>;
constexpr Op kBranchCompares[] = {Op::i32_eq,   Op::i32_ne,   Op::i32_lt_s, Op::i32_lt_u, Op::i32_le_s,
                                  Op::i32_le_u, Op::i32_gt_s, Op::i32_gt_u, Op::i32_ge_s, Op::i32_ge_u};
using BranchCompares = FunctionsOf<kBranchCompares>;
constexpr auto kBranchCompareIndex = make_op_index(kBranchCompares);
// Index: (((load * 10 + compare) * 4 + d - 1) * 5 + a) * 6 + b; d is a register.
struct LoadBranchGen {
  static constexpr int kSize = 2 * 10 * 4 * 30;
  template <int I>
  static constexpr Handler get() {
    return &load_branch<BranchLoads::at<I / 1200>, BranchCompares::at<I / 120 % 10>, I / 30 % 4 + 1, I / 6 % 5, I % 6>;
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
constexpr int kTableCopies = 4;
// Index: copy * 120 + (d - 1) * 30 + (byte load: a, else 5 + a * 5 + b); d is a register.
struct LoadTableGen {
  static constexpr int kSize = kTableCopies * 120;
  template <int I>
  static constexpr Handler get() {
    constexpr int place = I % 30;
    if constexpr (place < 5) {
      return &load8_table<I / 30 % 4 + 1, place, I / 120>;
    } else {
      return &load_table<I / 30 % 4 + 1, (place - 5) / 5, (place - 5) % 5, I / 120>;
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
// Index: ((type * 4 + d1 - 1) * 5 + a1) * 20 + (d2 - 1) * 5 + a2; destinations are registers.
using PairLoads = Types<uint32_t, double>;
struct LoadLoadGen {
  static constexpr int kSize = PairLoads::kCount * 400;
  template <int I>
  static constexpr Handler get() {
    return &load_load<PairLoads::at<I / 400>, I / 100 % 4 + 1, I / 20 % 5, I / 5 % 4 + 1, I % 5>;
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
// Index: ((type * 4 + d - 1) * 5 + a) * 5 + b
using CopyTypes = Types<uint32_t, uint64_t>;
struct LoadStoreGen {
  static constexpr int kSize = CopyTypes::kCount * 100;
  template <int I>
  static constexpr Handler get() {
    return &load_store<CopyTypes::at<I / 100>, I / 25 % 4 + 1, I / 5 % 5, I % 5>;
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
using IncrementStores = Types<uint32_t, uint64_t, double, float, uint8_t>;
struct StoreIncrementGen {
  static constexpr int kSize = IncrementStores::kCount * 125;
  template <int I>
  static constexpr Handler get() {
    return &store_increment<IncrementStores::at<I / 125>, I / 25 % 5, I / 5 % 5, I % 5>;
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
// Index: ((wide * 2 + back) * 5 + d) * 5 + a
struct AddBranchGen {
  static constexpr int kSize = 100;
  template <int I>
  static constexpr Handler get() {
    using T = std::conditional_t<I / 50 != 0, uint64_t, uint32_t>;
    if constexpr (I / 25 % 2 != 0) {
      return &add_branch_back<T, I / 5 % 5, I % 5>;
    } else {
      return &add_branch<T, I / 5 % 5, I % 5>;
    }
  }
};

template <int D1, int A1, int D2, int A2>
VMRUN_HANDLER add_add(VMRUN_PARAMS) {
  VMRUN_SET(D1, a, VMRUN_GET(uint32_t, A1, b) + static_cast<uint32_t>(pc->imm));
  VMRUN_SET_OF(D2, pc[1], a, VMRUN_GET_OF(uint32_t, A2, pc[1], b) + static_cast<uint32_t>(pc[1].imm));
  VMRUN_NEXT2;
}
struct AddAddGen {
  static constexpr int kSize = 625;
  template <int I>
  static constexpr Handler get() {
    return &add_add<I / 125, I / 25 % 5, I / 5 % 5, I % 5>;
  }
};

template <bool Back, int D, int A>
VMRUN_HANDLER move_branch(VMRUN_PARAMS) {
  if constexpr (A == kImm) {
    VMRUN_SET(D, a, static_cast<uint32_t>(pc->imm));
  } else {
    VMRUN_SET(D, a, VMRUN_GET(uint64_t, A, b));
  }
  if constexpr (Back) {
    VMRUN_BACK_EDGE(pc + 1 + pc[1].imm);
  } else {
    VMRUN_DISPATCH(pc + 1 + pc[1].imm);
  }
}
struct MoveBranchGen {
  static constexpr int kSize = 60;
  template <int I>
  static constexpr Handler get() {
    return &move_branch<(I / 30 != 0), I / 6 % 5, I % 6>;
  }
};

// ---- 64-bit constants --------------------------------------------------------------------------------------------------

template <auto F, int D, int A>
VMRUN_HANDLER wide_constant(VMRUN_PARAMS) {
  VMRUN_SET(D, a, F(VMRUN_GET(uint64_t, A, b), pc[1].u));
  VMRUN_NEXT2;
}
constexpr Op kWideOps[] = {Op::i64_add, Op::i64_mul, Op::i64_and, Op::i64_or, Op::i64_xor};
using WideFunctions = FunctionsOf<kWideOps>;
struct WideConstantGen {
  static constexpr int kSize = WideFunctions::kCount * 25;
  template <int I>
  static constexpr Handler get() {
    return &wide_constant<WideFunctions::at<I / 25>, I / 5 % 5, I % 5>;
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_argument_call, ArgumentCallGen)
VMRUN_HANDLER_TABLE(vmrun_load_branch, LoadBranchGen)
VMRUN_HANDLER_TABLE(vmrun_load_table, LoadTableGen)
VMRUN_HANDLER_TABLE(vmrun_load_load, LoadLoadGen)
VMRUN_HANDLER_TABLE(vmrun_load_store, LoadStoreGen)
VMRUN_HANDLER_TABLE(vmrun_store_increment, StoreIncrementGen)
VMRUN_HANDLER_TABLE(vmrun_add_branch, AddBranchGen)
VMRUN_HANDLER_TABLE(vmrun_add_add, AddAddGen)
VMRUN_HANDLER_TABLE(vmrun_move_branch, MoveBranchGen)
VMRUN_HANDLER_TABLE(vmrun_wide_constant, WideConstantGen)

Handler select_argument_call(Argument what, int d, int a) {
  if (d > 2) return nullptr;
  return lookup_vmrun_argument_call((static_cast<int>(what) * 3 + d) * 5 + a);
}

Handler select_load_branch(Op load, Op compare, int d, int a, int b) {
  int i = kBranchCompareIndex[static_cast<size_t>(compare)];
  if (i < 0 || d == kSlot || (load != Op::i32_load && load != Op::i32_load8_u)) return nullptr;
  return lookup_vmrun_load_branch(((((load == Op::i32_load8_u) * 10 + i) * 4 + d - 1) * 5 + a) * 6 + b);
}

Handler select_load_table(Op load, Address mode, int d, int base, int index) {
  static std::atomic<unsigned> next{0};
  if (d == kSlot) return nullptr;
  int place = -1;
  if (load == Op::i32_load8_u && mode == Address::base_offset) place = base;
  if (load == Op::i32_load && mode == Address::indexed) place = 5 + base * 5 + index;
  if (place < 0) return nullptr;
  int copy = static_cast<int>(next.fetch_add(1, std::memory_order_relaxed) % kTableCopies);
  return lookup_vmrun_load_table(copy * 120 + (d - 1) * 30 + place);
}

Handler select_load_load(Op load, int d1, int a1, int d2, int a2) {
  if (d1 == kSlot || d2 == kSlot || (load != Op::i32_load && load != Op::f64_load)) return nullptr;
  return lookup_vmrun_load_load((((load == Op::f64_load) * 4 + d1 - 1) * 5 + a1) * 20 + (d2 - 1) * 5 + a2);
}

Handler select_load_store(bool wide, int d, int a, int b) {
  return d == kSlot ? nullptr : lookup_vmrun_load_store(((wide * 4 + d - 1) * 5 + a) * 5 + b);
}

Handler select_store_increment(Op store, int a, int value, int d) {
  int type;
  switch (store) {
    case Op::i32_store:
    case Op::i64_store32: type = 0; break;
    case Op::i64_store: type = 1; break;
    case Op::f64_store: type = 2; break;
    case Op::f32_store: type = 3; break;
    case Op::i32_store8:
    case Op::i64_store8: type = 4; break;
    default: return nullptr;
  }
  return lookup_vmrun_store_increment(((type * 5 + a) * 5 + value) * 5 + d);
}

Handler select_add_branch(bool wide, bool back, int d, int a) {
  return lookup_vmrun_add_branch(((wide * 2 + back) * 5 + d) * 5 + a);
}
Handler select_add_add(int d1, int a1, int d2, int a2) {
  return lookup_vmrun_add_add(((d1 * 5 + a1) * 5 + d2) * 5 + a2);
}
Handler select_move_branch(bool back, int d, int a) { return lookup_vmrun_move_branch((back * 5 + d) * 6 + a); }

Handler select_wide_constant(Op op, int d, int a) {
  for (int i = 0; i < WideFunctions::kCount; i++) {
    if (kWideOps[i] == op) return lookup_vmrun_wide_constant((i * 5 + d) * 5 + a);
  }
  return nullptr;
}

}  // namespace vmrun::interp::ir
