// Operations with a memory operand, operations on memory, and adjustments of a global.
#include "interp/fused.h"
#include "interp/handlers_mem.h"

namespace vmrun::interp::ir {

using vm::Op;
namespace ops = vm::ops;

namespace {

// The combinations of load and operation: what is loaded, the function, and whether memory is the left operand.
template <class L, auto F, bool Reverse>
struct LoadOp {
  using Loaded = L;
  static constexpr auto function = F;
  static constexpr bool reverse = Reverse;
};

// clang-format off
#define VMRUN_LOAD_OPS(X)                                                                                     \
  X(i32_load, uint32_t, i32_add, false) X(i32_load, uint32_t, i32_sub, false) X(i32_load, uint32_t, i32_sub, true) \
  X(i32_load, uint32_t, i32_and, false) X(i32_load, uint32_t, i32_or, false) X(i32_load, uint32_t, i32_xor, false) \
  X(i32_load, uint32_t, i32_mul, false)                                                                       \
  X(i64_load, uint64_t, i64_add, false) X(i64_load, uint64_t, i64_xor, false) X(i64_load, uint64_t, i64_mul, false) \
  X(f64_load, double, f64_add, false) X(f64_load, double, f64_sub, false) X(f64_load, double, f64_sub, true)  \
  X(f64_load, double, f64_mul, false)                                                                         \
  X(f32_load, float, f32_add, false) X(f32_load, float, f32_sub, false) X(f32_load, float, f32_sub, true)     \
  X(f32_load, float, f32_mul, false)
// clang-format on

struct LoadOpName {
  Op load, op;
  bool reverse;
};
#define X(load, type, op, reverse) {Op::load, Op::op, reverse},
constexpr LoadOpName kLoadOps[] = {VMRUN_LOAD_OPS(X)};
#undef X
template <class First, class... Rest>
using SkipFirst = Types<Rest...>;
#define X(load, type, op, reverse) , LoadOp<Load<type, type>, &ops::op, reverse>
using LoadOpTypes = SkipFirst<void VMRUN_LOAD_OPS(X)>;
#undef X

template <class P, Address M, int D, int A, int B, int C>
VMRUN_HANDLER load_op(VMRUN_PARAMS) {
  using T = typename P::Loaded::Result;
  uint32_t base = VMRUN_GET(uint32_t, A, b), index = 0;
  if constexpr (M == Address::indexed) index = VMRUN_GET(uint32_t, B, c);
  T value = P::Loaded::read(mem + address<M>(*pc, base, index));
  pin_load(pc, value);
  T x = VMRUN_GET_OF(T, C, pc[1], a);
  if constexpr (P::reverse) {
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
  static constexpr int kSize = LoadOpTypes::kCount * kPer;
  template <int I>
  static constexpr Handler get() {
    using P = typename LoadOpTypes::template at<I / kPer>;
    constexpr int place = I / 25 % kPlaces, d = I / 5 % 5, x = I % 5;
    if constexpr (place < 5) {
      return &load_op<P, Address::base_offset, d, place, 0, x>;
    } else if constexpr (place < 10) {
      return &load_op<P, Address::wrapped, d, place - 5, 0, x>;
    } else if constexpr (d != kSlot && x != kSlot) {
      return &load_op<P, Address::indexed, d, (place - 10) / 5, (place - 10) % 5, x>;
    } else {
      return nullptr;
    }
  }
};

// ---- read, modify, write -------------------------------------------------------------------------------------------------

// clang-format off
#define VMRUN_READ_MODIFY(X)                                                                              \
  X(i32_store, i32_load, uint32_t, i32_add) X(i32_store, i32_load, uint32_t, i32_sub)                     \
  X(i32_store, i32_load, uint32_t, i32_and) X(i32_store, i32_load, uint32_t, i32_or)                      \
  X(i32_store, i32_load, uint32_t, i32_xor) X(i64_store, i64_load, uint64_t, i64_add)                     \
  X(i64_store, i64_load, uint64_t, i64_or) X(i64_store, i64_load, uint64_t, i64_xor)                      \
  X(f64_store, f64_load, double, f64_add) X(f64_store, f64_load, double, f64_sub)                         \
  X(f64_store, f64_load, double, f64_mul) X(f32_store, f32_load, float, f32_add)                          \
  X(f32_store, f32_load, float, f32_sub) X(f32_store, f32_load, float, f32_mul)
// clang-format on
struct ReadModifyName {
  Op store, load, op;
};
#define X(store, load, type, op) {Op::store, Op::load, Op::op},
constexpr ReadModifyName kReadModify[] = {VMRUN_READ_MODIFY(X)};
#undef X
#define X(store, load, type, op) , LoadOp<Load<type, type>, &ops::op, true>
using ReadModifyTypes = SkipFirst<void VMRUN_READ_MODIFY(X)>;
#undef X

template <class P, Address M, int A, int B, int C>
VMRUN_HANDLER read_modify(VMRUN_PARAMS) {
  using T = typename P::Loaded::Result;
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
  static constexpr int kSize = ReadModifyTypes::kCount * kPer;
  template <int I>
  static constexpr Handler get() {
    using P = typename ReadModifyTypes::template at<I / kPer>;
    constexpr int place = I / 6 % 36, x = I % 6;
    if constexpr (place < 5) {
      return &read_modify<P, Address::base_offset, place, 0, x>;
    } else if constexpr (place < 10) {
      return &read_modify<P, Address::wrapped, place - 5, 0, x>;
    } else if constexpr (place == 35) {
      return &read_modify<P, Address::absolute, 0, 0, x>;
    } else if constexpr (x == kImm) {
      return nullptr;
    } else {
      return &read_modify<P, Address::indexed, (place - 10) / 5, (place - 10) % 5, x>;
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
  for (int i = 0; i < LoadOpTypes::kCount; i++) {
    if (kLoadOps[i].load != load || kLoadOps[i].op != op) continue;
    // Operations that commute have one entry.
    if (kLoadOps[i].reverse == reverse || (op != Op::i32_sub && op != Op::f64_sub && op != Op::f32_sub)) return i;
  }
  return -1;
}
Handler select_load_op(int index, Address mode, int d, int base, int index_loc, int x) {
  if (mode == Address::absolute) return nullptr;
  return lookup_vmrun_load_op(((index * kPlaces + place_of(mode, base, index_loc)) * 5 + d) * 5 + x);
}

int fused_read_modify(Op store, Op load, Op op) {
  for (int i = 0; i < ReadModifyTypes::kCount; i++) {
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
