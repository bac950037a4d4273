// Values between wasm.h's form and the machine's, and types.
#pragma once

#include <optional>

#include "capi/handles.h"
#include "vm/runtime/store.h"
#include "vm/wasm/types.h"
#include "vmrun/types.h"
#include "vmrun/value.h"

struct wasm_valtype_t {
  vmrun::ValType type;
};

namespace vmrun::capi {

wasm_valkind_t kind_of(ValType type);
/// The type that a kind stands for; nothing for a number that is none.
std::optional<ValType> type_of(wasm_valkind_t kind);

/// `value` as one of type `type` in `state`. Errors: Usage, with `what` ("argument 0") in front.
Result<Val> to_val(StoreState& state, ValType type, const wasm_val_t& value, std::string_view what);
/// The same of a reference, or null.
Result<Val> to_val(StoreState& state, ValType type, const wasm_ref_t* ref, std::string_view what);
/// A number whose kind fits, as its slot: what most values are. False for all else.
inline bool to_slot(ValKind type, const wasm_val_t& value, Slot* slot) {
  switch (type) {
    case ValKind::I32: *slot = Slot::i32(static_cast<uint32_t>(value.of.i32)); return value.kind == WASM_I32;
    case ValKind::I64: *slot = Slot::i64(static_cast<uint64_t>(value.of.i64)); return value.kind == WASM_I64;
    case ValKind::F32: *slot = Slot::f32(value.of.f32); return value.kind == WASM_F32;
    case ValKind::F64: *slot = Slot::f64(value.of.f64); return value.kind == WASM_F64;
    default: return false;
  }
}

/// The value in `slots`, owned by the caller. Throws std::bad_alloc.
wasm_val_t from_slots(const StorePtr& state, ValType type, const Slot* slots);
wasm_val_t from_val(const StorePtr& state, const Val& value);
/// A handle, or null for a null reference. Throws std::bad_alloc.
wasm_ref_t* from_ref(const StorePtr& state, ValType type, Ref ref);

/// Types as vectors, which the caller owns. Throw std::bad_alloc.
wasm_valtype_vec_t to_vec(const std::vector<ValType>& types);
std::vector<ValType> from_vec(const wasm_valtype_vec_t& types);
FuncType from_functype(const wasm_functype_t& type);
wasm_externtype_t* new_externtype(const ExternType& type);
GlobalType from_globaltype(const wasm_globaltype_t& type);
TableType from_tabletype(const wasm_tabletype_t& type);
MemoryType from_memorytype(const wasm_memorytype_t& type);
TagType from_tagtype(const wasm_tagtype_t& type);

}  // namespace vmrun::capi
