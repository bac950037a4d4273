// Values: see values.h.
#include "capi/values.h"

#include <cstring>

#include "engine/convert.h"

using namespace vmrun;
using namespace vmrun::capi;

namespace {

/// What a value of the kind VMRUN_V128 points to. It only looks like a reference.
struct Vector {
  V128 value;
};
Vector* vector_of(const wasm_val_t& value) { return reinterpret_cast<Vector*>(value.of.ref); }

Error wrong(std::string_view what, std::string_view is) { return usage(std::string(what) + std::string(is)); }

std::string kind_name(wasm_valkind_t kind) {
  const std::optional<ValType> type = type_of(kind);
  return type ? type->to_string() : "unknown";
}

}  // namespace

namespace vmrun::capi {

wasm_valkind_t kind_of(ValType type) {
  switch (type.kind()) {
    case ValKind::I32: return WASM_I32;
    case ValKind::I64: return WASM_I64;
    case ValKind::F32: return WASM_F32;
    case ValKind::F64: return WASM_F64;
    case ValKind::V128: return VMRUN_V128;
    case ValKind::Ref: break;
  }
  switch (type.heap()) {
    case HeapKind::Extern:
    case HeapKind::NoExtern: return WASM_EXTERNREF;
    case HeapKind::Func:
    case HeapKind::NoFunc:
    case HeapKind::Concrete: return WASM_FUNCREF;  // all that execute are functions
    case HeapKind::Exn:
    case HeapKind::NoExn: return VMRUN_EXNREF;
    default: return VMRUN_ANYREF;
  }
}

std::optional<ValType> type_of(wasm_valkind_t kind) {
  switch (kind) {
    case WASM_I32: return ValKind::I32;
    case WASM_I64: return ValKind::I64;
    case WASM_F32: return ValKind::F32;
    case WASM_F64: return ValKind::F64;
    case VMRUN_V128: return ValKind::V128;
    case WASM_EXTERNREF: return ValType::externref();
    case WASM_FUNCREF: return ValType::funcref();
    case VMRUN_EXNREF: return ValType::exnref();
    case VMRUN_ANYREF: return ValType::ref(HeapKind::Any);
    default: return std::nullopt;
  }
}

Result<Val> to_val(StoreState& state, ValType type, const wasm_ref_t* ref, std::string_view what) {
  if (ref == nullptr) {
    if (type.nullable()) return Val::zero(type);
    return wrong(what, " is null, and its type has no null");
  }
  if (ref->store.get() != &state && !(ref->kind == Kind::Module)) {
    return wrong(what, " is a reference that does not belong to this store");
  }
  Val value;
  if (kind_of(type) == WASM_EXTERNREF && ref->kind != Kind::Opaque) {
    const ObjectPtr object = ref->the_object();
    state.hold(object);
    value = Val::externref(state.store, object.get());
  } else if (ref->kind == Kind::Func) {
    value = Val::func(func_of(*ref));
  } else if (ref->kind == Kind::Opaque) {
    value = Val::ref(ref->type, ref->opaque);
  } else {
    return wrong(what, " is a reference of another kind than " + type.to_string());
  }
  const vm::ValType wanted = engine::to_vm(type);
  if (const engine::Fit fit = engine::fits(state.store.impl(), value, wanted); fit != engine::Fit::yes) {
    return engine::unfit(fit, what, value, wanted);
  }
  return value;
}

Result<Val> to_val(StoreState& state, ValType type, const wasm_val_t& value, std::string_view what) {
  const bool fits = type.is_ref() ? wasm_valkind_is_ref(value.kind) : value.kind == kind_of(type);
  if (!fits) return wrong(what, " has type " + kind_name(value.kind) + ", not " + type.to_string());
  switch (type.kind()) {
    case ValKind::I32: return Val::i32(value.of.i32);
    case ValKind::I64: return Val::i64(value.of.i64);
    case ValKind::F32: return Val::f32_bits(std::bit_cast<uint32_t>(value.of.f32));
    case ValKind::F64: return Val::f64_bits(std::bit_cast<uint64_t>(value.of.f64));
    case ValKind::V128: return Val::v128(value.of.ref != nullptr ? vector_of(value)->value : V128{});
    case ValKind::Ref: break;
  }
  return to_val(state, type, value.of.ref, what);
}

wasm_ref_t* from_ref(const StorePtr& state, ValType type, Ref ref) {
  if (ref.is_null()) return nullptr;
  switch (kind_of(type)) {
    case WASM_FUNCREF: return new wasm_func_t(Kind::Func, state, ref.as<vm::FuncRecord>());
    case WASM_EXTERNREF:
      if (!ref.is_i31()) {
        const void* const address = ref.as<vm::ExternCell>()->value;
        if (const auto it = state->held.find(address); it != state->held.end())
          return new wasm_ref_t(state, it->second);
      }
      break;
    default: break;
  }
  return new wasm_ref_t(state, type, ref);
}

wasm_val_t from_val(const StorePtr& state, const Val& value) {
  Slot slots[2];
  value.to_slots(slots);
  return from_slots(state, value.type(), slots);
}

wasm_val_t from_slots(const StorePtr& state, ValType type, const Slot* slots) {
  wasm_val_t out;
  out.kind = kind_of(type);
  out.of.i64 = 0;
  switch (type.kind()) {
    case ValKind::I32: out.of.i32 = static_cast<int32_t>(slots->as_i32()); break;
    case ValKind::I64: out.of.i64 = static_cast<int64_t>(slots->as_i64()); break;
    case ValKind::F32: out.of.f32 = slots->as_f32(); break;
    case ValKind::F64: out.of.f64 = slots->as_f64(); break;
    case ValKind::V128: out.of.ref = reinterpret_cast<wasm_ref_t*>(new Vector{load_v128(slots)}); break;
    case ValKind::Ref: out.of.ref = from_ref(state, type, slots->as_ref()); break;
  }
  return out;
}

}  // namespace vmrun::capi

void wasm_val_delete(wasm_val_t* value) {
  if (value == nullptr) return;
  if (value->kind == VMRUN_V128) {
    delete vector_of(*value);
  } else if (wasm_valkind_is_ref(value->kind)) {
    wasm_ref_delete(value->of.ref);
  } else {
    return;
  }
  value->of.ref = nullptr;
}

void wasm_val_copy(wasm_val_t* out, const wasm_val_t* value) {
  *out = *value;
  if (value->of.ref == nullptr) return;
  if (value->kind == VMRUN_V128) {
    out->of.ref = guarded([&] { return reinterpret_cast<wasm_ref_t*>(new Vector(*vector_of(*value))); });
  } else if (wasm_valkind_is_ref(value->kind)) {
    out->of.ref = wasm_ref_copy(value->of.ref);
  }
}

bool vmrun_val_new_v128(wasm_val_t* out, const uint8_t bytes[16]) {
  return guarded([&] {
    auto* made = new Vector;
    std::memcpy(&made->value, bytes, sizeof made->value);
    out->kind = VMRUN_V128;
    out->of.ref = reinterpret_cast<wasm_ref_t*>(made);
    return true;
  });
}

bool vmrun_val_v128(const wasm_val_t* value, uint8_t bytes[16]) {
  if (value->kind != VMRUN_V128) return false;
  const V128 vector = value->of.ref != nullptr ? vector_of(*value)->value : V128{};
  std::memcpy(bytes, &vector, sizeof vector);
  return true;
}
