// Generic handlers of loads and stores, scalar and vector, in two forms: on guarded memory 0, where what is out of
// bounds faults, and on any memory with an explicit check.
#include "interp/handlers/generic_ops.h"
#include "vm/numeric/simd.h"

namespace vmrun::interp::generic {

namespace {

template <class T>
[[gnu::always_inline]] inline T read(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
template <class T>
[[gnu::always_inline]] inline void write(std::byte* p, T value) {
  std::memcpy(p, &value, sizeof value);
}

/// Address of an access to guarded memory 0 whose address operand is in slot `b`. Only the lower half of the slot counts.
[[gnu::always_inline]] inline std::byte* guarded_address(const Cell* pc, const std::byte* fp, std::byte* mem,
                                                         uint64_t offset) {
  return mem + get<uint32_t>(fp, pc->b) + offset;
}

// What the vector loads make of the bytes they read.
template <class T>
[[gnu::always_inline]] inline Vec load_splat(const std::byte* p) {
  return (Vec)vm::ops::detail::splat(read<T>(p));
}
/// The bytes in the low lane, zeros above.
template <class T>
[[gnu::always_inline]] inline Vec load_zero(const std::byte* p) {
  return (Vec)vm::ops::Lanes<T>{read<T>(p)};
}
template <Vec (*kExtend)(Vec)>
[[gnu::always_inline]] inline Vec load_extend(const std::byte* p) {
  return kExtend(load_zero<uint64_t>(p));
}

}  // namespace

// Both forms of an instruction that reads `size` bytes at p and makes `value` of them.
#define ANY_LOAD(name, size, value)                                                    \
  VMRUN_GENERIC_GUARDED(name) {                                                        \
    const std::byte* p = guarded_address(pc, fp, mem, static_cast<uint32_t>(pc->imm)); \
    auto loaded = value;                                                               \
    VMRUN_FAULT_BARRIER;                                                               \
    put(fp, pc->a, loaded);                                                            \
    VMRUN_NEXT;                                                                        \
  }                                                                                    \
  VMRUN_GENERIC_CHECKED(name) {                                                        \
    const std::byte* p = checked_address(pc, inst, get<uint64_t>(fp, pc->b), size);    \
    if (VMRUN_UNLIKELY(!p)) VMRUN_TRAP(MemoryOutOfBounds);                             \
    put(fp, pc->a, value);                                                             \
    VMRUN_NEXT2;                                                                       \
  }
#define LOAD(name, memory_type, type) ANY_LOAD(name, sizeof(memory_type), static_cast<type>(read<memory_type>(p)))

// Both forms of an instruction that writes the low bytes of its operand.
#define STORE(name, memory_type)                                                             \
  VMRUN_GENERIC_GUARDED(name) {                                                              \
    std::byte* p = guarded_address(pc, fp, mem, static_cast<uint32_t>(pc->imm));             \
    write(p, get<memory_type>(fp, pc->a));                                                   \
    VMRUN_FAULT_BARRIER;                                                                     \
    VMRUN_NEXT;                                                                              \
  }                                                                                          \
  VMRUN_GENERIC_CHECKED(name) {                                                              \
    std::byte* p = checked_address(pc, inst, get<uint64_t>(fp, pc->b), sizeof(memory_type)); \
    if (VMRUN_UNLIKELY(!p)) VMRUN_TRAP(MemoryOutOfBounds);                                   \
    write(p, get<memory_type>(fp, pc->c));                                                   \
    VMRUN_NEXT2;                                                                             \
  }

// Both forms of a load into, and a store of, one lane; their cells are alike.
#define LOAD_LANE(name, type)                                                               \
  VMRUN_GENERIC_GUARDED(name) {                                                             \
    type loaded = read<type>(guarded_address(pc, fp, mem, pc[1].w));                        \
    VMRUN_FAULT_BARRIER;                                                                    \
    put(fp, pc->a, vm::ops::detail::with_lane(get<Vec>(fp, pc->c), loaded, pc->d));         \
    VMRUN_NEXT2;                                                                            \
  }                                                                                         \
  VMRUN_GENERIC_CHECKED(name) {                                                             \
    const std::byte* p = checked_address(pc, inst, get<uint64_t>(fp, pc->b), sizeof(type)); \
    if (VMRUN_UNLIKELY(!p)) VMRUN_TRAP(MemoryOutOfBounds);                                  \
    put(fp, pc->a, vm::ops::detail::with_lane(get<Vec>(fp, pc->c), read<type>(p), pc->d));  \
    VMRUN_NEXT2;                                                                            \
  }
#define STORE_LANE(name, type)                                                        \
  VMRUN_GENERIC_GUARDED(name) {                                                       \
    auto lanes = (vm::ops::Lanes<type>)get<Vec>(fp, pc->c);                           \
    write<type>(guarded_address(pc, fp, mem, pc[1].w), lanes[pc->d]);                 \
    VMRUN_FAULT_BARRIER;                                                              \
    VMRUN_NEXT2;                                                                      \
  }                                                                                   \
  VMRUN_GENERIC_CHECKED(name) {                                                       \
    std::byte* p = checked_address(pc, inst, get<uint64_t>(fp, pc->b), sizeof(type)); \
    if (VMRUN_UNLIKELY(!p)) VMRUN_TRAP(MemoryOutOfBounds);                            \
    auto lanes = (vm::ops::Lanes<type>)get<Vec>(fp, pc->c);                           \
    write<type>(p, lanes[pc->d]);                                                     \
    VMRUN_NEXT2;                                                                      \
  }

// clang-format off
LOAD(i32_load, uint32_t, uint32_t)
LOAD(i64_load, uint64_t, uint64_t)
LOAD(f32_load, uint32_t, uint32_t)
LOAD(f64_load, uint64_t, uint64_t)
LOAD(i32_load8_s, int8_t, uint32_t)
LOAD(i32_load8_u, uint8_t, uint32_t)
LOAD(i32_load16_s, int16_t, uint32_t)
LOAD(i32_load16_u, uint16_t, uint32_t)
LOAD(i64_load8_s, int8_t, uint64_t)
LOAD(i64_load8_u, uint8_t, uint64_t)
LOAD(i64_load16_s, int16_t, uint64_t)
LOAD(i64_load16_u, uint16_t, uint64_t)
LOAD(i64_load32_s, int32_t, uint64_t)
LOAD(i64_load32_u, uint32_t, uint64_t)
STORE(i32_store, uint32_t)
STORE(i64_store, uint64_t)
STORE(f32_store, uint32_t)
STORE(f64_store, uint64_t)
STORE(i32_store8, uint8_t)
STORE(i32_store16, uint16_t)
STORE(i64_store8, uint8_t)
STORE(i64_store16, uint16_t)
STORE(i64_store32, uint32_t)

ANY_LOAD(v128_load, 16, read<Vec>(p))
ANY_LOAD(v128_load8x8_s, 8, load_extend<vm::ops::i16x8_extend_low_i8x16_s>(p))
ANY_LOAD(v128_load8x8_u, 8, load_extend<vm::ops::i16x8_extend_low_i8x16_u>(p))
ANY_LOAD(v128_load16x4_s, 8, load_extend<vm::ops::i32x4_extend_low_i16x8_s>(p))
ANY_LOAD(v128_load16x4_u, 8, load_extend<vm::ops::i32x4_extend_low_i16x8_u>(p))
ANY_LOAD(v128_load32x2_s, 8, load_extend<vm::ops::i64x2_extend_low_i32x4_s>(p))
ANY_LOAD(v128_load32x2_u, 8, load_extend<vm::ops::i64x2_extend_low_i32x4_u>(p))
ANY_LOAD(v128_load8_splat, 1, load_splat<uint8_t>(p))
ANY_LOAD(v128_load16_splat, 2, load_splat<uint16_t>(p))
ANY_LOAD(v128_load32_splat, 4, load_splat<uint32_t>(p))
ANY_LOAD(v128_load64_splat, 8, load_splat<uint64_t>(p))
ANY_LOAD(v128_load32_zero, 4, load_zero<uint32_t>(p))
ANY_LOAD(v128_load64_zero, 8, load_zero<uint64_t>(p))
STORE(v128_store, Vec)
LOAD_LANE(v128_load8_lane, uint8_t)
LOAD_LANE(v128_load16_lane, uint16_t)
LOAD_LANE(v128_load32_lane, uint32_t)
LOAD_LANE(v128_load64_lane, uint64_t)
STORE_LANE(v128_store8_lane, uint8_t)
STORE_LANE(v128_store16_lane, uint16_t)
STORE_LANE(v128_store32_lane, uint32_t)
STORE_LANE(v128_store64_lane, uint64_t)
// clang-format on

}  // namespace vmrun::interp::generic
