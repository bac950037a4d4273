// Generic handlers of the atomic instructions, on guarded memory 0 and on any memory with an explicit check. All are
// sequentially consistent; an address that is not naturally aligned traps before the access is tried.
#include "interp/handlers/generic_ops.h"
#include "vm/runtime/wait.h"

namespace vmrun::interp::generic {

// Both forms of an access: `access` uses T* p and reads operands from slots c and d.
#define ANY_ATOMIC(name, memory_type, access)                                              \
  VMRUN_GENERIC_GUARDED(name) {                                                            \
    using T = memory_type;                                                                 \
    uint64_t address = get<uint32_t>(fp, pc->b) + pc[1].w;                                 \
    if (VMRUN_UNLIKELY(address % sizeof(T) != 0)) VMRUN_TRAP(UnalignedAtomic);             \
    T* p = reinterpret_cast<T*>(mem + address);                                            \
    access;                                                                                \
    VMRUN_NEXT2;                                                                           \
  }                                                                                        \
  VMRUN_GENERIC_CHECKED(name) {                                                            \
    using T = memory_type;                                                                 \
    uint64_t address = get<uint64_t>(fp, pc->b);                                           \
    if (VMRUN_UNLIKELY((address + pc[1].w) % sizeof(T) != 0)) VMRUN_TRAP(UnalignedAtomic); \
    T* p = reinterpret_cast<T*>(checked_address(pc, inst, address, sizeof(T)));            \
    if (VMRUN_UNLIKELY(!p)) VMRUN_TRAP(MemoryOutOfBounds);                                 \
    access;                                                                                \
    VMRUN_NEXT2;                                                                           \
  }

// The barrier keeps `pc` on the cell until the access is done, and so the result's slot as it was if it faults.
#define ATOMIC_LOAD(name, memory_type, type)            \
  ANY_ATOMIC(name, memory_type, {                       \
    type result = __atomic_load_n(p, __ATOMIC_SEQ_CST); \
    VMRUN_FAULT_BARRIER;                                \
    put(fp, pc->a, result);                             \
  })
#define ATOMIC_STORE(name, memory_type)                                 \
  ANY_ATOMIC(name, memory_type, {                                       \
    __atomic_store_n(p, get<memory_type>(fp, pc->c), __ATOMIC_SEQ_CST); \
    VMRUN_FAULT_BARRIER;                                                \
  })
#define ATOMIC_RMW(name, memory_type, type, operation)                         \
  ANY_ATOMIC(name, memory_type, {                                              \
    type result = operation(p, get<memory_type>(fp, pc->c), __ATOMIC_SEQ_CST); \
    VMRUN_FAULT_BARRIER;                                                       \
    put(fp, pc->a, result);                                                    \
  })
// The narrow forms wrap the expected operand too.
#define ATOMIC_CMPXCHG(name, memory_type, type)                                                                        \
  ANY_ATOMIC(name, memory_type, {                                                                                      \
    memory_type expected = get<memory_type>(fp, pc->c);                                                                \
    __atomic_compare_exchange_n(p, &expected, get<memory_type>(fp, pc->d), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
    VMRUN_FAULT_BARRIER;                                                                                               \
    put<type>(fp, pc->a, expected);                                                                                    \
  })

// clang-format off
ATOMIC_LOAD(i32_atomic_load, uint32_t, uint32_t)
ATOMIC_LOAD(i64_atomic_load, uint64_t, uint64_t)
ATOMIC_LOAD(i32_atomic_load8_u, uint8_t, uint32_t)
ATOMIC_LOAD(i32_atomic_load16_u, uint16_t, uint32_t)
ATOMIC_LOAD(i64_atomic_load8_u, uint8_t, uint64_t)
ATOMIC_LOAD(i64_atomic_load16_u, uint16_t, uint64_t)
ATOMIC_LOAD(i64_atomic_load32_u, uint32_t, uint64_t)
ATOMIC_STORE(i32_atomic_store, uint32_t)
ATOMIC_STORE(i64_atomic_store, uint64_t)
ATOMIC_STORE(i32_atomic_store8, uint8_t)
ATOMIC_STORE(i32_atomic_store16, uint16_t)
ATOMIC_STORE(i64_atomic_store8, uint8_t)
ATOMIC_STORE(i64_atomic_store16, uint16_t)
ATOMIC_STORE(i64_atomic_store32, uint32_t)
ATOMIC_RMW(i32_atomic_rmw_add, uint32_t, uint32_t, __atomic_fetch_add)
ATOMIC_RMW(i64_atomic_rmw_add, uint64_t, uint64_t, __atomic_fetch_add)
ATOMIC_RMW(i32_atomic_rmw8_add_u, uint8_t, uint32_t, __atomic_fetch_add)
ATOMIC_RMW(i32_atomic_rmw16_add_u, uint16_t, uint32_t, __atomic_fetch_add)
ATOMIC_RMW(i64_atomic_rmw8_add_u, uint8_t, uint64_t, __atomic_fetch_add)
ATOMIC_RMW(i64_atomic_rmw16_add_u, uint16_t, uint64_t, __atomic_fetch_add)
ATOMIC_RMW(i64_atomic_rmw32_add_u, uint32_t, uint64_t, __atomic_fetch_add)
ATOMIC_RMW(i32_atomic_rmw_sub, uint32_t, uint32_t, __atomic_fetch_sub)
ATOMIC_RMW(i64_atomic_rmw_sub, uint64_t, uint64_t, __atomic_fetch_sub)
ATOMIC_RMW(i32_atomic_rmw8_sub_u, uint8_t, uint32_t, __atomic_fetch_sub)
ATOMIC_RMW(i32_atomic_rmw16_sub_u, uint16_t, uint32_t, __atomic_fetch_sub)
ATOMIC_RMW(i64_atomic_rmw8_sub_u, uint8_t, uint64_t, __atomic_fetch_sub)
ATOMIC_RMW(i64_atomic_rmw16_sub_u, uint16_t, uint64_t, __atomic_fetch_sub)
ATOMIC_RMW(i64_atomic_rmw32_sub_u, uint32_t, uint64_t, __atomic_fetch_sub)
ATOMIC_RMW(i32_atomic_rmw_and, uint32_t, uint32_t, __atomic_fetch_and)
ATOMIC_RMW(i64_atomic_rmw_and, uint64_t, uint64_t, __atomic_fetch_and)
ATOMIC_RMW(i32_atomic_rmw8_and_u, uint8_t, uint32_t, __atomic_fetch_and)
ATOMIC_RMW(i32_atomic_rmw16_and_u, uint16_t, uint32_t, __atomic_fetch_and)
ATOMIC_RMW(i64_atomic_rmw8_and_u, uint8_t, uint64_t, __atomic_fetch_and)
ATOMIC_RMW(i64_atomic_rmw16_and_u, uint16_t, uint64_t, __atomic_fetch_and)
ATOMIC_RMW(i64_atomic_rmw32_and_u, uint32_t, uint64_t, __atomic_fetch_and)
ATOMIC_RMW(i32_atomic_rmw_or, uint32_t, uint32_t, __atomic_fetch_or)
ATOMIC_RMW(i64_atomic_rmw_or, uint64_t, uint64_t, __atomic_fetch_or)
ATOMIC_RMW(i32_atomic_rmw8_or_u, uint8_t, uint32_t, __atomic_fetch_or)
ATOMIC_RMW(i32_atomic_rmw16_or_u, uint16_t, uint32_t, __atomic_fetch_or)
ATOMIC_RMW(i64_atomic_rmw8_or_u, uint8_t, uint64_t, __atomic_fetch_or)
ATOMIC_RMW(i64_atomic_rmw16_or_u, uint16_t, uint64_t, __atomic_fetch_or)
ATOMIC_RMW(i64_atomic_rmw32_or_u, uint32_t, uint64_t, __atomic_fetch_or)
ATOMIC_RMW(i32_atomic_rmw_xor, uint32_t, uint32_t, __atomic_fetch_xor)
ATOMIC_RMW(i64_atomic_rmw_xor, uint64_t, uint64_t, __atomic_fetch_xor)
ATOMIC_RMW(i32_atomic_rmw8_xor_u, uint8_t, uint32_t, __atomic_fetch_xor)
ATOMIC_RMW(i32_atomic_rmw16_xor_u, uint16_t, uint32_t, __atomic_fetch_xor)
ATOMIC_RMW(i64_atomic_rmw8_xor_u, uint8_t, uint64_t, __atomic_fetch_xor)
ATOMIC_RMW(i64_atomic_rmw16_xor_u, uint16_t, uint64_t, __atomic_fetch_xor)
ATOMIC_RMW(i64_atomic_rmw32_xor_u, uint32_t, uint64_t, __atomic_fetch_xor)
ATOMIC_RMW(i32_atomic_rmw_xchg, uint32_t, uint32_t, __atomic_exchange_n)
ATOMIC_RMW(i64_atomic_rmw_xchg, uint64_t, uint64_t, __atomic_exchange_n)
ATOMIC_RMW(i32_atomic_rmw8_xchg_u, uint8_t, uint32_t, __atomic_exchange_n)
ATOMIC_RMW(i32_atomic_rmw16_xchg_u, uint16_t, uint32_t, __atomic_exchange_n)
ATOMIC_RMW(i64_atomic_rmw8_xchg_u, uint8_t, uint64_t, __atomic_exchange_n)
ATOMIC_RMW(i64_atomic_rmw16_xchg_u, uint16_t, uint64_t, __atomic_exchange_n)
ATOMIC_RMW(i64_atomic_rmw32_xchg_u, uint32_t, uint64_t, __atomic_exchange_n)
ATOMIC_CMPXCHG(i32_atomic_rmw_cmpxchg, uint32_t, uint32_t)
ATOMIC_CMPXCHG(i64_atomic_rmw_cmpxchg, uint64_t, uint64_t)
ATOMIC_CMPXCHG(i32_atomic_rmw8_cmpxchg_u, uint8_t, uint32_t)
ATOMIC_CMPXCHG(i32_atomic_rmw16_cmpxchg_u, uint16_t, uint32_t)
ATOMIC_CMPXCHG(i64_atomic_rmw8_cmpxchg_u, uint8_t, uint64_t)
ATOMIC_CMPXCHG(i64_atomic_rmw16_cmpxchg_u, uint16_t, uint64_t)
ATOMIC_CMPXCHG(i64_atomic_rmw32_cmpxchg_u, uint32_t, uint64_t)
// clang-format on

VMRUN_GENERIC(atomic_fence) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  VMRUN_NEXT;
}

// Waiting and waking go through helpers that check alignment and bounds: both forms are the same.
#define WAIT(form, name, type, helper)                                                                           \
  form(name) {                                                                                                   \
    uint64_t address;                                                                                            \
    if (VMRUN_UNLIKELY(__builtin_add_overflow(get<uint64_t>(fp, pc->b), pc[1].w, &address)))                     \
      VMRUN_TRAP(MemoryOutOfBounds);                                                                             \
    vm::WaitResult result = vm::WaitResult::Woken;                                                               \
    VMRUN_TRAP_IF(                                                                                               \
        helper(*cx, *inst->memories[pc[1].u], address, get<type>(fp, pc->c), get<int64_t>(fp, pc->d), &result)); \
    put(fp, pc->a, static_cast<uint32_t>(result));                                                               \
    VMRUN_NEXT2;                                                                                                 \
  }
#define NOTIFY(form)                                                                                       \
  form(memory_atomic_notify) {                                                                             \
    uint64_t address;                                                                                      \
    if (VMRUN_UNLIKELY(__builtin_add_overflow(get<uint64_t>(fp, pc->b), pc[1].w, &address)))               \
      VMRUN_TRAP(MemoryOutOfBounds);                                                                       \
    uint32_t woken = 0;                                                                                    \
    VMRUN_TRAP_IF(vm::memory_notify(*inst->memories[pc[1].u], address, get<uint32_t>(fp, pc->c), &woken)); \
    put(fp, pc->a, woken);                                                                                 \
    VMRUN_NEXT2;                                                                                           \
  }
// clang-format off
WAIT(VMRUN_GENERIC_GUARDED, memory_atomic_wait32, uint32_t, vm::memory_wait32)
WAIT(VMRUN_GENERIC_CHECKED, memory_atomic_wait32, uint32_t, vm::memory_wait32)
WAIT(VMRUN_GENERIC_GUARDED, memory_atomic_wait64, uint64_t, vm::memory_wait64)
WAIT(VMRUN_GENERIC_CHECKED, memory_atomic_wait64, uint64_t, vm::memory_wait64)
NOTIFY(VMRUN_GENERIC_GUARDED)
NOTIFY(VMRUN_GENERIC_CHECKED)
// clang-format on

}  // namespace vmrun::interp::generic
