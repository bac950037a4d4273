// From a scalar instruction to the function of vm/numeric/numeric.h that computes it: an Op alone names its meaning.
#pragma once

#include "vm/numeric/numeric.h"
#include "vm/wasm/opcode.h"

namespace vmrun::vm {

/// The function of a numeric instruction (families int_* to convert); null for all others.
template <Op op>
inline constexpr auto kMeaning = nullptr;

#define VMRUN_MEANING(name) \
  template <>               \
  inline constexpr auto kMeaning<Op::name> = &ops::name;
#define VMRUN_MEANING_int_test VMRUN_MEANING
#define VMRUN_MEANING_int_unary VMRUN_MEANING
#define VMRUN_MEANING_int_binary VMRUN_MEANING
#define VMRUN_MEANING_int_divide VMRUN_MEANING
#define VMRUN_MEANING_int_compare VMRUN_MEANING
#define VMRUN_MEANING_int_wide VMRUN_MEANING
#define VMRUN_MEANING_float_unary VMRUN_MEANING
#define VMRUN_MEANING_float_binary VMRUN_MEANING
#define VMRUN_MEANING_float_compare VMRUN_MEANING
#define VMRUN_MEANING_convert VMRUN_MEANING
#define VMRUN_MEANING_control(name)
#define VMRUN_MEANING_parametric(name)
#define VMRUN_MEANING_local(name)
#define VMRUN_MEANING_global(name)
#define VMRUN_MEANING_table(name)
#define VMRUN_MEANING_load(name)
#define VMRUN_MEANING_store(name)
#define VMRUN_MEANING_memory(name)
#define VMRUN_MEANING_constant(name)
#define VMRUN_MEANING_reference(name)
#define VMRUN_MEANING_object(name)
#define VMRUN_MEANING_vector(name)
#define VMRUN_MEANING_vector_memory(name)
#define VMRUN_MEANING_atomic(name)
#define VMRUN_OP(prefix, code, name, mnemonic, family, ...) VMRUN_MEANING_##family(name)
#include "vm/wasm/opcodes.def"
#undef VMRUN_OP
#undef VMRUN_MEANING
#undef VMRUN_MEANING_int_test
#undef VMRUN_MEANING_int_unary
#undef VMRUN_MEANING_int_binary
#undef VMRUN_MEANING_int_divide
#undef VMRUN_MEANING_int_compare
#undef VMRUN_MEANING_int_wide
#undef VMRUN_MEANING_float_unary
#undef VMRUN_MEANING_float_binary
#undef VMRUN_MEANING_float_compare
#undef VMRUN_MEANING_convert
#undef VMRUN_MEANING_control
#undef VMRUN_MEANING_parametric
#undef VMRUN_MEANING_local
#undef VMRUN_MEANING_global
#undef VMRUN_MEANING_table
#undef VMRUN_MEANING_load
#undef VMRUN_MEANING_store
#undef VMRUN_MEANING_memory
#undef VMRUN_MEANING_constant
#undef VMRUN_MEANING_reference
#undef VMRUN_MEANING_object
#undef VMRUN_MEANING_vector
#undef VMRUN_MEANING_vector_memory
#undef VMRUN_MEANING_atomic

}  // namespace vmrun::vm
