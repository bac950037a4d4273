// Loads and stores on guarded memory 0 and globals, by operand locations. What is out of bounds faults, and the fault
// handler finds the cell in `pc`.
#include "interp/handlers_mem.h"

#include "interp/select.h"

namespace vmrun::interp {

using vm::Op;

namespace {

template <class L, Address M, int D, int A, int B>
VMRUN_HANDLER load(VMRUN_PARAMS) {
  uint32_t base = 0, index = 0;
  if constexpr (M != Address::absolute) base = VMRUN_GET(uint32_t, A, b);
  if constexpr (M == Address::indexed || M == Address::indexed_wrapped) index = VMRUN_GET(uint32_t, B, c);
  auto value = L::read(mem + address<M>(*pc, base, index));
  pin_load(pc, value);
  VMRUN_SET(D, a, value);
  VMRUN_NEXT;
}

using LoadTypes =
    Types<Load<uint32_t, uint32_t>, Load<uint64_t, uint64_t>, Load<float, float>, Load<double, double>,
          Load<int8_t, uint32_t>, Load<uint8_t, uint32_t>, Load<int16_t, uint32_t>, Load<uint16_t, uint32_t>,
          Load<int8_t, uint64_t>, Load<int16_t, uint64_t>, Load<int32_t, uint64_t>>;

// Loads that zero-extend to 64 bits are those of 32 bits: registers keep i32 values zero-extended.
constexpr int load_index(Op op) {
  switch (op) {
    case Op::i32_load:
    case Op::i64_load32_u: return 0;
    case Op::i64_load: return 1;
    case Op::f32_load: return 2;
    case Op::f64_load: return 3;
    case Op::i32_load8_s: return 4;
    case Op::i32_load8_u:
    case Op::i64_load8_u: return 5;
    case Op::i32_load16_s: return 6;
    case Op::i32_load16_u:
    case Op::i64_load16_u: return 7;
    case Op::i64_load8_s: return 8;
    case Op::i64_load16_s: return 9;
    case Op::i64_load32_s: return 10;
    default: return -1;
  }
}

// Places of an address: base_offset 0-4, wrapped 5-9, indexed 10-34, absolute 35, indexed_wrapped 36-60.
constexpr int kPlaces = 61;
constexpr int place_of(Address mode, int base, int index) {
  switch (mode) {
    case Address::base_offset: return base;
    case Address::wrapped: return 5 + base;
    case Address::indexed: return 10 + base * 5 + index;
    case Address::absolute: return 35;
    case Address::indexed_wrapped: return 36 + base * 5 + index;
  }
  return -1;
}

struct LoadGen {
  static constexpr int kSize = LoadTypes::kCount * kLocs * kPlaces;
  template <int I>
  static constexpr Handler get() {
    using L = typename LoadTypes::template at<I / (kLocs * kPlaces)>;
    constexpr int d = I / kPlaces % kLocs, place = I % kPlaces;
    if constexpr (place < 5) {
      return &load<L, Address::base_offset, d, place, 0>;
    } else if constexpr (place < 10) {
      return &load<L, Address::wrapped, d, place - 5, 0>;
    } else if constexpr (place < 35) {
      return &load<L, Address::indexed, d, (place - 10) / 5, (place - 10) % 5>;
    } else if constexpr (place == 35) {
      return &load<L, Address::absolute, d, 0, 0>;
    } else {
      return &load<L, Address::indexed_wrapped, d, (place - 36) / 5, (place - 36) % 5>;
    }
  }
};

// T: what is stored; V: where the value is, kImm for the next cell.
template <class T, Address M, int A, int B, int V>
VMRUN_HANDLER store(VMRUN_PARAMS) {
  uint32_t base = 0, index = 0;
  if constexpr (M != Address::absolute) base = VMRUN_GET(uint32_t, A, a);
  if constexpr (M == Address::indexed || M == Address::indexed_wrapped) index = VMRUN_GET(uint32_t, B, c);
  std::byte* p = mem + address<M>(*pc, base, index);
  T value;
  if constexpr (V == kImm) {
    std::memcpy(&value, &pc[1].u, sizeof value);
  } else {
    value = VMRUN_GET(T, V, b);
  }
  std::memcpy(p, &value, sizeof value);
  pin_store(pc);
  if constexpr (V == kImm) {
    VMRUN_NEXT2;
  } else {
    VMRUN_NEXT;
  }
}

using StoreTypes = Types<uint32_t, uint64_t, float, double, uint8_t, uint16_t>;
constexpr int store_index(Op op) {
  switch (op) {
    case Op::i32_store:
    case Op::i64_store32: return 0;
    case Op::i64_store: return 1;
    case Op::f32_store: return 2;
    case Op::f64_store: return 3;
    case Op::i32_store8:
    case Op::i64_store8: return 4;
    case Op::i32_store16:
    case Op::i64_store16: return 5;
    default: return -1;
  }
}

struct StoreGen {
  static constexpr int kSize = StoreTypes::kCount * 6 * kPlaces;
  template <int I>
  static constexpr Handler get() {
    using T = typename StoreTypes::template at<I / (6 * kPlaces)>;
    constexpr int v = I / kPlaces % 6, place = I % kPlaces;
    if constexpr (place < 5) {
      return &store<T, Address::base_offset, place, 0, v>;
    } else if constexpr (place < 10) {
      return &store<T, Address::wrapped, place - 5, 0, v>;
    } else if constexpr (place == 35) {
      return &store<T, Address::absolute, 0, 0, v>;
    } else if constexpr (v == kImm) {
      return nullptr;
    } else if constexpr (place < 35) {
      return &store<T, Address::indexed, (place - 10) / 5, (place - 10) % 5, v>;
    } else {
      return &store<T, Address::indexed_wrapped, (place - 36) / 5, (place - 36) % 5, v>;
    }
  }
};

template <bool Own>
[[gnu::always_inline]] inline vm::GlobalInst* global_of(const Cell& cell, vm::Instance* inst) {
  if constexpr (Own) {
    return reinterpret_cast<vm::GlobalInst*>(reinterpret_cast<std::byte*>(inst->own_globals) + cell.imm);
  } else {
    return inst->globals[cell.imm];
  }
}

template <class T, bool Own, int D>
VMRUN_HANDLER global_get(VMRUN_PARAMS) {
  T value;
  std::memcpy(&value, &global_of<Own>(*pc, inst)->value[0], sizeof value);
  VMRUN_SET(D, a, value);
  VMRUN_NEXT;
}
template <class T, bool Own, int A>
VMRUN_HANDLER global_set(VMRUN_PARAMS) {
  T value = VMRUN_GET(T, A, a);
  std::memcpy(&global_of<Own>(*pc, inst)->value[0], &value, sizeof value);
  VMRUN_NEXT;
}
// Index: set * 20 + float * 10 + own * 5 + location.
struct GlobalGen {
  static constexpr int kSize = 40;
  template <int I>
  static constexpr Handler get() {
    using T = std::conditional_t<I / 10 % 2 == 0, uint64_t, double>;
    if constexpr (I < 20) {
      return &global_get<T, I / 5 % 2 != 0, I % 5>;
    } else {
      return &global_set<T, I / 5 % 2 != 0, I % 5>;
    }
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_load, LoadGen)
VMRUN_HANDLER_TABLE(vmrun_store, StoreGen)
VMRUN_HANDLER_TABLE(vmrun_global, GlobalGen)

Handler select_load(Op op, Address mode, int d, int base, int index) {
  int i = load_index(op);
  return i < 0 ? nullptr : lookup_vmrun_load((i * kLocs + d) * kPlaces + place_of(mode, base, index));
}

Handler select_store(Op op, Address mode, int base, int index, int value) {
  int i = store_index(op);
  return i < 0 ? nullptr : lookup_vmrun_store((i * 6 + value) * kPlaces + place_of(mode, base, index));
}

Handler select_global_get(bool is_float, bool own, int d) { return lookup_vmrun_global(is_float * 10 + own * 5 + d); }
Handler select_global_set(bool is_float, bool own, int a) {
  return lookup_vmrun_global(20 + is_float * 10 + own * 5 + a);
}

}  // namespace vmrun::interp
