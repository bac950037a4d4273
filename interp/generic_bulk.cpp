// Generic handlers of the instructions on whole memories, tables and segments. The helpers check bounds before they
// touch anything, so nothing faults inside of them. They look between slices what is wanted from the guest (vm/slices.h),
// and the handlers look behind them: back-edges do so once in thousands of such instructions.
#include "interp/generic_ops.h"
#include "vm/activation.h"
#include "vm/memory.h"
#include "vm/stop.h"
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

/// The newest activation says that the frame stands at `pc` while this lives.
class Standing {
 public:
  [[gnu::always_inline]] Standing(vm::Vcpu* cx, const Cell* pc, std::byte* fp, vm::Instance* inst) : cx_(cx) {
    vm::Activation& running = *cx->activation;
    running.pc = pc;
    running.fp = fp;
    running.instance = inst;
    running.exact = true;
  }
  [[gnu::always_inline]] ~Standing() { cx_->activation->exact = false; }
  Standing(const Standing&) = delete;
  Standing& operator=(const Standing&) = delete;
  /// What the instruction that ended with `code` traps with.
  [[gnu::always_inline]] vm::TrapCode end(vm::TrapCode code) const {
    if (VMRUN_UNLIKELY(vm::stop_wanted(*cx_)) && code == vm::TrapCode::None) return vm::poll(*cx_);
    return code;
  }

 private:
  vm::Vcpu* cx_;
};

/// Carries out an instruction that may take long: `operation` returns a vm::TrapCode.
#define VMRUN_BULK(operation)                    \
  do {                                           \
    vm::TrapCode bulk_code;                      \
    {                                            \
      const Standing standing(cx, pc, fp, inst); \
      bulk_code = standing.end(operation);       \
    }                                            \
    VMRUN_TRAP_IF(bulk_code);                    \
  } while (0)

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
  VMRUN_BULK(vm::memory_copy(cx, *inst->memories[pc[1].w], *inst->memories[pc[1].u], operand(fp, pc->b),
                             operand(fp, pc->c), operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(memory_fill) {
  VMRUN_BULK(
      vm::memory_fill(cx, *inst->memories[pc[1].w], operand(fp, pc->b), get<uint8_t>(fp, pc->c), operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(memory_init) {
  VMRUN_BULK(vm::memory_init(cx, *inst, static_cast<uint32_t>(pc[1].w), *inst->memories[pc[1].u], operand(fp, pc->b),
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
  uint64_t previous = 0;
  VMRUN_BULK(vm::table_grow(cx, table, operand(fp, pc->c), reference(fp, pc->b), &previous));
  VMRUN_TRAP_IF(refusal(cx, previous));
  put(fp, pc->a, sized(previous, table.type.limits.is64));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_fill) {
  VMRUN_BULK(vm::table_fill(cx, *inst->tables[pc[1].w], operand(fp, pc->b), reference(fp, pc->c), operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_copy) {
  VMRUN_BULK(vm::table_copy(cx, *inst->tables[pc[1].w], *inst->tables[pc[1].u], operand(fp, pc->b), operand(fp, pc->c),
                            operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(table_init) {
  VMRUN_BULK(vm::table_init(cx, *inst, static_cast<uint32_t>(pc[1].w), *inst->tables[pc[1].u], operand(fp, pc->b),
                            operand(fp, pc->c), operand(fp, pc->d)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(elem_drop) {
  vm::elem_drop(*inst, static_cast<uint32_t>(pc[1].w));
  VMRUN_NEXT2;
}

}  // namespace vmrun::interp::generic
