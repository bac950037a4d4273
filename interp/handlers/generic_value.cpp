// Generic handlers of constants, selection, globals and references.
#include "interp/handlers/generic_ops.h"
#include "vm/runtime/ref_test.h"
#include "vm/wasm/types.h"

namespace vmrun::interp::generic {

VMRUN_GENERIC(nop) { VMRUN_NEXT; }

VMRUN_GENERIC(constant64) {
  put(fp, pc->a, pc[1].w);
  VMRUN_NEXT2;
}

VMRUN_GENERIC(select) {
  uint64_t yes = get<uint64_t>(fp, pc->b), no = get<uint64_t>(fp, pc->c);
  put(fp, pc->a, get<uint32_t>(fp, pc->d) != 0 ? yes : no);
  VMRUN_NEXT;
}

VMRUN_GENERIC(select_v128) {
  Vec yes = get<Vec>(fp, pc->b), no = get<Vec>(fp, pc->c);
  put(fp, pc->a, get<uint32_t>(fp, pc->d) != 0 ? yes : no);
  VMRUN_NEXT;
}

VMRUN_GENERIC(global_get) {
  put(fp, pc->a, inst->globals[pc->imm]->value[0].bits);
  VMRUN_NEXT;
}

VMRUN_GENERIC(global_set) {
  inst->globals[pc->imm]->value[0].bits = get<uint64_t>(fp, pc->a);
  VMRUN_NEXT;
}

VMRUN_GENERIC(global_get_v128) {
  Vec value;
  std::memcpy(&value, inst->globals[pc->imm]->value, sizeof value);
  put(fp, pc->a, value);
  VMRUN_NEXT;
}

VMRUN_GENERIC(global_set_v128) {
  Vec value = get<Vec>(fp, pc->a);
  std::memcpy(inst->globals[pc->imm]->value, &value, sizeof value);
  VMRUN_NEXT;
}

VMRUN_GENERIC(ref_is_null) {
  put(fp, pc->a, static_cast<uint32_t>(get<uint64_t>(fp, pc->b) == 0));
  VMRUN_NEXT;
}

VMRUN_GENERIC(ref_eq) {
  put(fp, pc->a, static_cast<uint32_t>(get<uint64_t>(fp, pc->b) == get<uint64_t>(fp, pc->c)));
  VMRUN_NEXT;
}

VMRUN_GENERIC(ref_as_non_null) {
  uint64_t ref = get<uint64_t>(fp, pc->b);
  if (VMRUN_UNLIKELY(ref == 0)) VMRUN_TRAP(NullReference);
  put(fp, pc->a, ref);
  VMRUN_NEXT;
}

VMRUN_GENERIC(ref_func) {
  put(fp, pc->a, vm::Ref::of(inst->funcs[pc->imm]).bits);
  VMRUN_NEXT;
}

namespace {
/// Whether `ref` is not null and a reference to what the instruction's second cell names.
[[gnu::noinline]] bool is_a(const vm::Instance* inst, uint64_t ref, const Cell* pc) {
  return vm::ref_is(*inst->module->registry, vm::Ref{ref}, vm::HeapType::from_bits(static_cast<uint32_t>(pc[1].w)));
}
}  // namespace

VMRUN_GENERIC(ref_test) {
  uint64_t ref = get<uint64_t>(fp, pc->b);
  put(fp, pc->a, static_cast<uint32_t>(ref != 0 && is_a(inst, ref, pc)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(ref_test_null) {
  uint64_t ref = get<uint64_t>(fp, pc->b);
  put(fp, pc->a, static_cast<uint32_t>(ref == 0 || is_a(inst, ref, pc)));
  VMRUN_NEXT2;
}

VMRUN_GENERIC(ref_cast) {
  uint64_t ref = get<uint64_t>(fp, pc->b);
  if (VMRUN_UNLIKELY(ref == 0 || !is_a(inst, ref, pc))) VMRUN_TRAP(CastFailure);
  put(fp, pc->a, ref);
  VMRUN_NEXT2;
}

VMRUN_GENERIC(ref_cast_null) {
  uint64_t ref = get<uint64_t>(fp, pc->b);
  if (VMRUN_UNLIKELY(ref != 0 && !is_a(inst, ref, pc))) VMRUN_TRAP(CastFailure);
  put(fp, pc->a, ref);
  VMRUN_NEXT2;
}

// Internalised and externalised references are the same cells: converting there and back gives the same reference.
VMRUN_GENERIC(any_convert_extern) {
  put(fp, pc->a, get<uint64_t>(fp, pc->b));
  VMRUN_NEXT;
}

VMRUN_GENERIC(extern_convert_any) {
  put(fp, pc->a, get<uint64_t>(fp, pc->b));
  VMRUN_NEXT;
}

}  // namespace vmrun::interp::generic
