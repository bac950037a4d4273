// Generic handlers of the instructions on whole memories, tables and segments. The helpers check bounds before they
// touch anything, so nothing faults inside of them. Long ones look between slices what is wanted from the guest
// (vm/runtime/slices.h), and their handlers look behind them: back-edges do so once in thousands of such instructions.
#include "interp/handlers/generic_ops.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/metering.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/runtime/table.h"

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

/// What an instruction may write or fill without a look at what is wanted from the guest: bytes, or elements.
constexpr uint64_t kShort = uint64_t{32} << 10;

/// The newest activation says that the frame stands at `pc` while this lives.
class Standing {
 public:
  Standing(vm::Vcpu* cx, const Cell* pc, std::byte* fp, vm::Instance* inst) : cx_(cx) {
    vm::Activation& running = *cx->activation;
    running.pc = pc;
    running.fp = fp;
    running.instance = inst;
    running.exact = true;
  }
  ~Standing() { cx_->activation->exact = false; }
  Standing(const Standing&) = delete;
  Standing& operator=(const Standing&) = delete;
  /// What the instruction that ended with `code` traps with.
  vm::TrapCode end(vm::TrapCode code) const {
    return code == vm::TrapCode::None && vm::stop_wanted(*cx_) ? vm::poll(*cx_) : code;
  }

 private:
  vm::Vcpu* cx_;
};

/// Defines the handler of an instruction whose operand `length` (a field of its cell) says how much it has to do.
/// `operation` does it for the vCPU `guest`, which is null when it is short, and returns a vm::TrapCode. Metered code pays for
/// it by `payment` first, a vm::TrapCode too.
#define VMRUN_GENERIC_BULK(name, length, payment, operation)                       \
  static VMRUN_COLD_HANDLER long_##name(VMRUN_PARAMS) {                            \
    vm::TrapCode code;                                                             \
    {                                                                              \
      const Standing standing(cx, pc, fp, inst);                                   \
      vm::Vcpu* const guest = cx;                                                  \
      code = payment;                                                              \
      if (code == vm::TrapCode::None) code = standing.end(operation);              \
    }                                                                              \
    VMRUN_TRAP_IF(code);                                                           \
    VMRUN_NEXT2;                                                                   \
  }                                                                                \
  VMRUN_GENERIC(name) {                                                            \
    if (VMRUN_UNLIKELY(operand(fp, pc->length) > kShort)) VMRUN_TAIL(long_##name); \
    if (VMRUN_UNLIKELY(cx->metered)) VMRUN_TAIL(long_##name);                      \
    constexpr vm::Vcpu* guest = nullptr;                                           \
    VMRUN_TRAP_IF(operation);                                                      \
    VMRUN_NEXT2;                                                                   \
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

VMRUN_GENERIC_BULK(memory_copy, d, vm::pay_for_bytes(*cx, operand(fp, pc->d)),
                   vm::memory_copy(guest, *inst->memories[pc[1].w], *inst->memories[pc[1].u], operand(fp, pc->b),
                                   operand(fp, pc->c), operand(fp, pc->d)))

VMRUN_GENERIC_BULK(memory_fill, d, vm::pay_for_bytes(*cx, operand(fp, pc->d)),
                   vm::memory_fill(guest, *inst->memories[pc[1].w], operand(fp, pc->b), get<uint8_t>(fp, pc->c),
                                   operand(fp, pc->d)))

VMRUN_GENERIC_BULK(memory_init, d, vm::pay_for_bytes(*cx, operand(fp, pc->d)),
                   vm::memory_init(guest, *inst, static_cast<uint32_t>(pc[1].w), *inst->memories[pc[1].u],
                                   operand(fp, pc->b), operand(fp, pc->c), operand(fp, pc->d)))

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

namespace {

/// table.grow; its result is in place unless it traps.
vm::TrapCode grow_table(vm::Vcpu* guest, const vm::Vcpu* cx, const vm::Instance* inst, const Cell* pc, std::byte* fp) {
  vm::TableInst& table = *inst->tables[pc[1].w];
  uint64_t previous = 0;
  vm::TrapCode code = vm::table_grow(guest, table, operand(fp, pc->c), reference(fp, pc->b), &previous);
  if (code == vm::TrapCode::None) code = refusal(cx, previous);
  if (code == vm::TrapCode::None) put(fp, pc->a, sized(previous, table.type.limits.is64));
  return code;
}

}  // namespace

VMRUN_GENERIC_BULK(table_grow, c, vm::pay_for_growth(*cx, *inst->tables[pc[1].w], operand(fp, pc->c)),
                   grow_table(guest, cx, inst, pc, fp))

VMRUN_GENERIC_BULK(table_fill, d, vm::pay_for_elements(*cx, operand(fp, pc->d)),
                   vm::table_fill(guest, *inst->tables[pc[1].w], operand(fp, pc->b), reference(fp, pc->c),
                                  operand(fp, pc->d)))

VMRUN_GENERIC_BULK(table_copy, d, vm::pay_for_elements(*cx, operand(fp, pc->d)),
                   vm::table_copy(guest, *inst->tables[pc[1].w], *inst->tables[pc[1].u], operand(fp, pc->b),
                                  operand(fp, pc->c), operand(fp, pc->d)))

VMRUN_GENERIC_BULK(table_init, d, vm::pay_for_elements(*cx, operand(fp, pc->d)),
                   vm::table_init(guest, *inst, static_cast<uint32_t>(pc[1].w), *inst->tables[pc[1].u],
                                  operand(fp, pc->b), operand(fp, pc->c), operand(fp, pc->d)))

VMRUN_GENERIC(elem_drop) {
  vm::elem_drop(*inst, static_cast<uint32_t>(pc[1].w));
  VMRUN_NEXT2;
}

}  // namespace vmrun::interp::generic
