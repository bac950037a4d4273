// Operations with a memory operand, operations on memory, and adjustments of a global.
#include "interp/fused.h"
#include "interp/handlers_mem.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {

/// A load and the operation that takes its result; with `reverse` as the left operand.
struct LoadOpName {
  Op load, op;
  bool reverse;
};
constexpr LoadOpName kLoadOps[] = {
    {Op::i32_load, Op::i32_add, false}, {Op::i32_load, Op::i32_sub, false}, {Op::i32_load, Op::i32_sub, true},
    {Op::i32_load, Op::i32_and, false}, {Op::i32_load, Op::i32_or, false},  {Op::i32_load, Op::i32_xor, false},
    {Op::i32_load, Op::i32_mul, false}, {Op::i64_load, Op::i64_add, false}, {Op::i64_load, Op::i64_xor, false},
    {Op::i64_load, Op::i64_mul, false}, {Op::f64_load, Op::f64_add, false}, {Op::f64_load, Op::f64_sub, false},
    {Op::f64_load, Op::f64_sub, true},  {Op::f64_load, Op::f64_mul, false}, {Op::f32_load, Op::f32_add, false},
    {Op::f32_load, Op::f32_sub, false}, {Op::f32_load, Op::f32_sub, true},  {Op::f32_load, Op::f32_mul, false},
};

/// An operation on memory: its operands are what is loaded and stored.
template <Op kOp>
struct OnMemory {
  static constexpr auto function = vm::kMeaning<kOp>;
  using Value = typename Signature<std::remove_const_t<decltype(function)>>::First;
  using Loaded = Load<Value, Value>;
};

template <Op kOp, bool Reverse, Address M, int D, int A, int B, int C>
VMRUN_HANDLER load_op(VMRUN_PARAMS) {
  using P = OnMemory<kOp>;
  using T = typename P::Value;
  uint32_t base = VMRUN_GET(uint32_t, A, b), index = 0;
  if constexpr (M == Address::indexed) index = VMRUN_GET(uint32_t, B, c);
  T value = P::Loaded::read(mem + address<M>(*pc, base, index));
  pin_load(pc, value);
  T x = VMRUN_GET_OF(T, C, pc[1], a);
  if constexpr (Reverse) {
    VMRUN_SET(D, a, P::function(value, x));
  } else {
    VMRUN_SET(D, a, P::function(x, value));
  }
  VMRUN_NEXT2;
}

// Places of an address: base_offset 0-4, wrapped 5-9, indexed 10-34. An indexed one has its result and its other
// operand in registers.
constexpr int kPlaces = 35;
constexpr int place_of(Address mode, int base, int index) {
  return mode == Address::base_offset ? base : mode == Address::wrapped ? 5 + base : 10 + base * 5 + index;
}
struct LoadOpGen {
  static constexpr int kPer = kPlaces * 25;
  static constexpr int kSize = static_cast<int>(std::size(kLoadOps)) * kPer;
  template <int I>
  static constexpr Handler get() {
    constexpr LoadOpName kName = kLoadOps[I / kPer];
    constexpr int place = I / 25 % kPlaces, d = I / 5 % 5, x = I % 5;
    if constexpr (place < 5) {
      return &load_op<kName.op, kName.reverse, Address::base_offset, d, place, 0, x>;
    } else if constexpr (place < 10) {
      return &load_op<kName.op, kName.reverse, Address::wrapped, d, place - 5, 0, x>;
    } else if constexpr (d != kSlot && x != kSlot) {
      return &load_op<kName.op, kName.reverse, Address::indexed, d, (place - 10) / 5, (place - 10) % 5, x>;
    } else {
      return nullptr;
    }
  }
};

// ---- read, modify, write -------------------------------------------------------------------------------------------------

struct ReadModifyName {
  Op store, load, op;
};
constexpr ReadModifyName kReadModify[] = {
    {Op::i32_store, Op::i32_load, Op::i32_add}, {Op::i32_store, Op::i32_load, Op::i32_sub},
    {Op::i32_store, Op::i32_load, Op::i32_and}, {Op::i32_store, Op::i32_load, Op::i32_or},
    {Op::i32_store, Op::i32_load, Op::i32_xor}, {Op::i64_store, Op::i64_load, Op::i64_add},
    {Op::i64_store, Op::i64_load, Op::i64_or},  {Op::i64_store, Op::i64_load, Op::i64_xor},
    {Op::f64_store, Op::f64_load, Op::f64_add}, {Op::f64_store, Op::f64_load, Op::f64_sub},
    {Op::f64_store, Op::f64_load, Op::f64_mul}, {Op::f32_store, Op::f32_load, Op::f32_add},
    {Op::f32_store, Op::f32_load, Op::f32_sub}, {Op::f32_store, Op::f32_load, Op::f32_mul},
};

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
struct ReadModifyGen {
  static constexpr int kPer = 36 * 6;
  static constexpr int kSize = static_cast<int>(std::size(kReadModify)) * kPer;
  template <int I>
  static constexpr Handler get() {
    constexpr Op kOp = kReadModify[I / kPer].op;
    constexpr int place = I / 6 % 36, x = I % 6;
    if constexpr (place < 5) {
      return &read_modify<kOp, Address::base_offset, place, 0, x>;
    } else if constexpr (place < 10) {
      return &read_modify<kOp, Address::wrapped, place - 5, 0, x>;
    } else if constexpr (place == 35) {
      return &read_modify<kOp, Address::absolute, 0, 0, x>;
    } else if constexpr (x == kImm) {
      return nullptr;
    } else {
      return &read_modify<kOp, Address::indexed, (place - 10) / 5, (place - 10) % 5, x>;
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
struct GlobalAdjustGen {
  static constexpr int kSize = 10;
  template <int I>
  static constexpr Handler get() {
    if constexpr (I < 5) {
      return &global_adjust<I>;
    } else {
      return &global_set_add<I - 5>;
    }
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_load_op, LoadOpGen)
VMRUN_HANDLER_TABLE(vmrun_read_modify, ReadModifyGen)
VMRUN_HANDLER_TABLE(vmrun_global_adjust, GlobalAdjustGen)

int fused_load_op(Op load, Op op, bool reverse) {
  for (int i = 0; i < static_cast<int>(std::size(kLoadOps)); i++) {
    if (kLoadOps[i].load != load || kLoadOps[i].op != op) continue;
    // Operations that commute have one entry.
    if (kLoadOps[i].reverse == reverse || vm::commutes(op)) return i;
  }
  return -1;
}
Handler select_load_op(int index, Address mode, int d, int base, int index_loc, int x) {
  if (mode == Address::absolute) return nullptr;
  return lookup_vmrun_load_op(((index * kPlaces + place_of(mode, base, index_loc)) * 5 + d) * 5 + x);
}

int fused_read_modify(Op store, Op load, Op op) {
  for (int i = 0; i < static_cast<int>(std::size(kReadModify)); i++) {
    if (kReadModify[i].store == store && kReadModify[i].load == load && kReadModify[i].op == op) return i;
  }
  return -1;
}
Handler select_read_modify(int index, Address mode, int base, int index_loc, int x) {
  int place = mode == Address::absolute ? 35 : place_of(mode, base, index_loc);
  return lookup_vmrun_read_modify((index * 36 + place) * 6 + x);
}

Handler select_global_adjust(int d) { return lookup_vmrun_global_adjust(d); }
Handler select_global_set_add(int a) { return lookup_vmrun_global_adjust(5 + a); }

}  // namespace vmrun::interp::ir
