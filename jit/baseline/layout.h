// Offsets of what baseline code reads and writes, derived from the definitions in vm/.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vm/block.h"
#include "vm/instance.h"

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winvalid-offsetof"

namespace vmrun::jit::baseline::layout {

#define VMRUN_OFFSET(name, type, member) \
  inline constexpr int32_t name = static_cast<int32_t>(offsetof(vm::type, member))
VMRUN_OFFSET(kBudget, Vcpu, budget);
VMRUN_OFFSET(kNativeLimit, Vcpu, native_limit);
VMRUN_OFFSET(kHelpers, Vcpu, helpers);
VMRUN_OFFSET(kArea, Vcpu, area);
VMRUN_OFFSET(kException, Vcpu, exception);
VMRUN_OFFSET(kMemory0Base, Instance, memory0_base);
VMRUN_OFFSET(kMemories, Instance, memories);
VMRUN_OFFSET(kTables, Instance, tables);
VMRUN_OFFSET(kGlobals, Instance, globals);
VMRUN_OFFSET(kOwnGlobals, Instance, own_globals);
VMRUN_OFFSET(kFuncs, Instance, funcs);
VMRUN_OFFSET(kTags, Instance, tags);
VMRUN_OFFSET(kCodes, Instance, codes);
VMRUN_OFFSET(kMachine, FuncCode, machine);
VMRUN_OFFSET(kCounts, FuncCode, counts);
VMRUN_OFFSET(kRecordType, FuncRecord, type);
VMRUN_OFFSET(kRecordInstance, FuncRecord, instance);
VMRUN_OFFSET(kRecordCode, FuncRecord, code);
VMRUN_OFFSET(kRecordIndex, FuncRecord, func_index);
VMRUN_OFFSET(kMemoryBase, MemoryInst, base);
VMRUN_OFFSET(kMemoryBytes, MemoryInst, bytes);
VMRUN_OFFSET(kTableElems, TableInst, elems);
VMRUN_OFFSET(kTableSize, TableInst, size);
VMRUN_OFFSET(kExnTag, ExnCell, tag);
#undef VMRUN_OFFSET
inline constexpr uint32_t kCodeSize = sizeof(vm::FuncCode);
inline constexpr uint32_t kGlobalSize = sizeof(vm::GlobalInst);
inline constexpr int32_t kRunsOfBaseline = static_cast<int32_t>(
    sizeof(vm::TierCounts) * static_cast<size_t>(vm::Tier::baseline) + offsetof(vm::TierCounts, runs));
inline constexpr int32_t kOsrEntriesOfBaseline = static_cast<int32_t>(
    sizeof(vm::TierCounts) * static_cast<size_t>(vm::Tier::baseline) + offsetof(vm::TierCounts, osr_entries));
static_assert(offsetof(vm::GlobalInst, value) == 0);

}  // namespace vmrun::jit::baseline::layout

#pragma clang diagnostic pop
