// Where the fields of runtime structures lie, in bytes: what generated code, trampolines and assembly read and write.
// Derived from the definitions; no other file works an offset out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vm/blocks/block.h"
#include "vm/blocks/profile.h"
#include "vm/runtime/instance.h"

namespace vmrun::vm::layout {

#define VMRUN_FIELD(type, member) inline constexpr int32_t member = static_cast<int32_t>(offsetof(type, member));

namespace vcpu {
VMRUN_FIELD(Vcpu, budget)
VMRUN_FIELD(Vcpu, stack_limit)
VMRUN_FIELD(Vcpu, native_limit)
VMRUN_FIELD(Vcpu, activation)
VMRUN_FIELD(Vcpu, helpers)
VMRUN_FIELD(Vcpu, area)
VMRUN_FIELD(Vcpu, stack_end)
VMRUN_FIELD(Vcpu, native_end)
VMRUN_FIELD(Vcpu, native_floor)
VMRUN_FIELD(Vcpu, exception)
VMRUN_FIELD(Vcpu, fuel)
VMRUN_FIELD(Vcpu, interrupt)
// interrupt and requests are looked at as one.
static_assert(offsetof(Vcpu, requests) == interrupt + 1);
}  // namespace vcpu

namespace activation {
VMRUN_FIELD(Activation, previous)
VMRUN_FIELD(Activation, kind)
VMRUN_FIELD(Activation, from_host)
VMRUN_FIELD(Activation, exact)
VMRUN_FIELD(Activation, outcome)
VMRUN_FIELD(Activation, pc)
VMRUN_FIELD(Activation, fp)
VMRUN_FIELD(Activation, sp)
VMRUN_FIELD(Activation, instance)
VMRUN_FIELD(Activation, top)
VMRUN_FIELD(Activation, entry_fp)
VMRUN_FIELD(Activation, native_sp)
VMRUN_FIELD(Activation, saved_stack_end)
VMRUN_FIELD(Activation, saved_native_end)
// The bytes from kind to outcome are set as one.
static_assert(from_host == kind + 1 && exact == kind + 2 && outcome == kind + 3);
}  // namespace activation

namespace instance {
VMRUN_FIELD(Instance, memory0_base)
VMRUN_FIELD(Instance, memories)
VMRUN_FIELD(Instance, tables)
VMRUN_FIELD(Instance, globals)
VMRUN_FIELD(Instance, own_globals)
VMRUN_FIELD(Instance, funcs)
VMRUN_FIELD(Instance, tags)
VMRUN_FIELD(Instance, codes)
}  // namespace instance

namespace func_code {
VMRUN_FIELD(FuncCode, entry)
VMRUN_FIELD(FuncCode, machine)
VMRUN_FIELD(FuncCode, host)
VMRUN_FIELD(FuncCode, bridge)
VMRUN_FIELD(FuncCode, counts)
VMRUN_FIELD(FuncCode, loops)
inline constexpr uint32_t bytes = sizeof(FuncCode);
}  // namespace func_code

namespace loop_table {
VMRUN_FIELD(LoopTable, loops)
}  // namespace loop_table

namespace loop_code {
VMRUN_FIELD(LoopCode, unit)
VMRUN_FIELD(LoopCode, polls)
inline constexpr uint32_t bytes = sizeof(LoopCode);
}  // namespace loop_code

namespace func_record {
VMRUN_FIELD(FuncRecord, type)
VMRUN_FIELD(FuncRecord, func_index)
VMRUN_FIELD(FuncRecord, instance)
VMRUN_FIELD(FuncRecord, code)
VMRUN_FIELD(FuncRecord, host)
VMRUN_FIELD(FuncRecord, host_env)
inline constexpr auto memory0_base = host_env;  // of a wasm function
}  // namespace func_record

namespace memory {
VMRUN_FIELD(MemoryInst, base)
VMRUN_FIELD(MemoryInst, bytes)
}  // namespace memory

namespace table {
VMRUN_FIELD(TableInst, elems)
VMRUN_FIELD(TableInst, size)
}  // namespace table

namespace global {
inline constexpr uint32_t bytes = sizeof(GlobalInst);
static_assert(offsetof(GlobalInst, value) == 0);  // a pointer to a global is one to its value
}  // namespace global

namespace exn {
VMRUN_FIELD(ExnCell, tag)
inline constexpr auto payload = static_cast<int32_t>(sizeof(ExnCell));
}  // namespace exn

/// From what FuncCode::counts points to.
namespace counts {
constexpr int32_t of_tier(Tier tier, size_t member) {
  return static_cast<int32_t>(sizeof(TierCounts) * static_cast<size_t>(tier) + member);
}
constexpr int32_t runs(Tier tier) { return of_tier(tier, offsetof(TierCounts, runs)); }
constexpr int32_t osr_entries(Tier tier) { return of_tier(tier, offsetof(TierCounts, osr_entries)); }
constexpr int32_t word(uint32_t index) {
  return static_cast<int32_t>(offsetof(CountsBlock, words) + index * sizeof(uint32_t));
}
}  // namespace counts

#undef VMRUN_FIELD

}  // namespace vmrun::vm::layout
