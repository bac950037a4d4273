// Loads and stores on guarded memory 0 and globals, by operand locations. What is out of bounds faults, and the fault
// handler finds the cell in `pc`.
#include "interp/handlers/mem.h"

#include "interp/handlers/tables.h"

namespace vmrun::interp {

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

// In the order of kLoadOps.
using LoadTypes =
    Types<Load<uint32_t, uint32_t>, Load<uint64_t, uint64_t>, Load<float, float>, Load<double, double>,
          Load<int8_t, uint32_t>, Load<uint8_t, uint32_t>, Load<int16_t, uint32_t>, Load<uint16_t, uint32_t>,
          Load<int8_t, uint64_t>, Load<int16_t, uint64_t>, Load<int32_t, uint64_t>>;
static_assert(LoadTypes::kCount == Operation<kLoadOps>::kExtent);

struct LoadMaker : LoadTable {
  template <int I>
  static constexpr Handler get() {
    using L = typename LoadTypes::template at<at<Operation<kLoadOps>>(I)>;
    constexpr auto address = AllAddresses::parts(at<AllAddresses::Place>(I));
    return &load<L, address.mode, at<Dest>(I), address.base, address.index>;
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

// In the order of kStoreOps.
using StoreTypes = Types<uint32_t, uint64_t, float, double, uint8_t, uint16_t>;
static_assert(StoreTypes::kCount == Operation<kStoreOps>::kExtent);

struct StoreMaker : StoreTable {
  template <int I>
  static constexpr Handler get() {
    using T = typename StoreTypes::template at<at<Operation<kStoreOps>>(I)>;
    constexpr auto address = AllAddresses::parts(at<AllAddresses::Place>(I));
    constexpr int v = at<OperandCOrImm>(I);
    if constexpr (v == kImm && AllAddresses::has_index(address.mode)) {
      return nullptr;
    } else {
      return &store<T, address.mode, address.base, address.index, v>;
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
struct GlobalMaker : GlobalTable {
  template <int I>
  static constexpr Handler get() {
    using T = std::conditional_t<at<IsFloat>(I) == 0, uint64_t, double>;
    if constexpr (at<IsSet>(I) == 0) {
      return &global_get<T, at<IsOwn>(I) != 0, at<OperandA>(I)>;
    } else {
      return &global_set<T, at<IsOwn>(I) != 0, at<OperandA>(I)>;
    }
  }
};

}  // namespace

VMRUN_HANDLER_TABLE(vmrun_load, LoadMaker)
VMRUN_HANDLER_TABLE(vmrun_store, StoreMaker)
VMRUN_HANDLER_TABLE(vmrun_global, GlobalMaker)

}  // namespace vmrun::interp
