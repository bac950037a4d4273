// Generic handlers of the instructions on whole memories, tables and segments. The helpers check bounds before they
// touch anything, so nothing faults inside of them.
#include "interp/generic_ops.h"
#include "vm/memory.h"
#include "vm/store.h"
#include "vm/table.h"

namespace vmrun::interp::generic {

namespace {

/// The operand at `slot` of memory.copy and the like: sizes and addresses of 32 bits are zero-extended in their slots.
[[gnu::always_inline]] inline uint64_t operand(const std::byte* fp, unsigned slot) { return get<uint64_t>(fp, slot); }

vm::Ref reference(const std::byte* fp, unsigned slot) { return {get<uint64_t>(fp, slot)}; }

/// A size, or the -1 of a failed growth, in the width of the index type.
uint64_t sized(uint64_t size, bool is64) { return is64 ? size : static_cast<uint32_t>(size); }

/// What growth that returned `previous` traps with, if the store wants failures to trap.
vm::TrapCode refusal(const vm::Vcpu* cx, uint64_t previous) {
  const bool traps = previous == UINT64_MAX && cx->store->limits().trap_on_grow_failure;
  return traps ? vm::TrapCode::OutOfMemory : vm::TrapCode::None;
}

}  // namespace

VMRUN_GENERIC(memory_size) {
  const vm::MemoryInst& memory = *inst->memories[pc[1].w];
  put(fp, pc->a, sized(vm::memory_pages(memory), memory.type.limits.is64));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(memory_grow) {
  vm::MemoryInst& memory = *inst->memories[pc[1].w];
  uint64_t previous = vm::memory_grow(memory, operand(fp, pc->b));
  VMRUN_TRAP_IF(refusal(cx, previous));
  put(fp, pc->a, sized(previous, memory.type.limits.is64));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(memory_copy) {
  VMRUN_TRAP_IF(vm::memory_copy(*inst->memories[pc[1].w], *inst->memories[pc[1].u], operand(fp, pc->b),
                                operand(fp, pc->c), operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(memory_fill) {
  VMRUN_TRAP_IF(
      vm::memory_fill(*inst->memories[pc[1].w], operand(fp, pc->b), get<uint8_t>(fp, pc->c), operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(memory_init) {
  VMRUN_TRAP_IF(vm::memory_init(*inst, static_cast<uint32_t>(pc[1].w), *inst->memories[pc[1].u], operand(fp, pc->b),
                                operand(fp, pc->c), operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(data_drop) {
  vm::data_drop(*inst, static_cast<uint32_t>(pc[1].w));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_get) {
  const vm::TableInst* table = inst->tables[pc[1].w];
  uint64_t index = operand(fp, pc->b);
  bool inside = index < table->size;
  uint64_t mask = speculation_mask(inside);
  if (VMRUN_UNLIKELY(!inside)) VMRUN_TRAP(TableOutOfBounds);
  put(fp, pc->a, table->elems[index & mask].bits);
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_set) {
  vm::TableInst* table = inst->tables[pc[1].w];
  uint64_t index = operand(fp, pc->b);
  bool inside = index < table->size;
  uint64_t mask = speculation_mask(inside);
  if (VMRUN_UNLIKELY(!inside)) VMRUN_TRAP(TableOutOfBounds);
  table->elems[index & mask] = reference(fp, pc->c);
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_size) {
  const vm::TableInst& table = *inst->tables[pc[1].w];
  put(fp, pc->a, sized(table.size, table.type.limits.is64));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_grow) {
  vm::TableInst& table = *inst->tables[pc[1].w];
  uint64_t previous = vm::table_grow(table, operand(fp, pc->c), reference(fp, pc->b));
  VMRUN_TRAP_IF(refusal(cx, previous));
  put(fp, pc->a, sized(previous, table.type.limits.is64));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_fill) {
  VMRUN_TRAP_IF(vm::table_fill(*inst->tables[pc[1].w], operand(fp, pc->b), reference(fp, pc->c), operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_copy) {
  VMRUN_TRAP_IF(vm::table_copy(*inst->tables[pc[1].w], *inst->tables[pc[1].u], operand(fp, pc->b), operand(fp, pc->c),
                               operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_init) {
  VMRUN_TRAP_IF(vm::table_init(*inst, static_cast<uint32_t>(pc[1].w), *inst->tables[pc[1].u], operand(fp, pc->b),
                               operand(fp, pc->c), operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(elem_drop) {
  vm::elem_drop(*inst, static_cast<uint32_t>(pc[1].w));
  VMRUN_NEXT2;
}

}  // namespace vmrun::interp::generic
