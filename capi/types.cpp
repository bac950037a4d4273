// Types of wasm.h, and vmrun's of 64 bits.
#include "capi/types.h"

#include <algorithm>

using namespace vmrun;
using namespace vmrun::capi;

namespace {

/// 32 bits of a limit, for those who ask with wasm.h.
wasm_limits_t narrow(uint64_t min, const std::optional<uint64_t>& max) {
  const uint64_t most = wasm_limits_max_default;
  return {static_cast<uint32_t>(std::min(min, most)), static_cast<uint32_t>(std::min(max.value_or(most), most))};
}

std::optional<uint64_t> max_of(const wasm_limits_t& limits) {
  if (limits.max == wasm_limits_max_default) return std::nullopt;
  return limits.max;
}

void fill(vmrun_limits64_t* out, uint64_t min, const std::optional<uint64_t>& max, bool is64) {
  *out = {min, max.value_or(0), max.has_value(), is64, false, 16};
}

std::optional<uint64_t> max_of(const vmrun_limits64_t& limits) {
  if (!limits.has_max) return std::nullopt;
  return limits.max;
}

/// A vector that a function was given: what is in it at the end is released.
template <class Vec, void (*release)(Vec*)>
struct Owned {
  explicit Owned(Vec* v) : vec(v) {}
  ~Owned() { release(vec); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Vec* const vec;
};
/// Whether what a type is to be made of is not there, as after a failure of its own maker.
bool missing(const void* part, const char* what) {
  if (part != nullptr) return false;
  set_last_error(usage("the type of " + std::string(what) + " is NULL"));
  return true;
}

using OwnedTypes = Owned<wasm_valtype_vec_t, wasm_valtype_vec_delete>;
using OwnedName = Owned<wasm_name_t, wasm_byte_vec_delete>;

}  // namespace

wasm_tabletype_t::wasm_tabletype_t(TableType t)
    : wasm_externtype_t(ExternKind::Table), type(t), element{t.element}, limits(narrow(t.min, t.max)) {}
wasm_memorytype_t::wasm_memorytype_t(MemoryType t)
    : wasm_externtype_t(ExternKind::Memory), type(t), limits(narrow(t.min, t.max)) {}

// ---- conversions ----

namespace vmrun::capi {

wasm_valtype_vec_t to_vec(const std::vector<ValType>& types) {
  wasm_valtype_vec_t out;
  wasm_valtype_vec_new_uninitialized(&out, types.size());
  if (out.size != types.size()) throw std::bad_alloc();
  try {
    for (size_t i = 0; i < types.size(); ++i) out.data[i] = new wasm_valtype_t{types[i]};
  } catch (...) {
    wasm_valtype_vec_delete(&out);
    throw;
  }
  return out;
}

std::vector<ValType> from_vec(const wasm_valtype_vec_t& types) {
  std::vector<ValType> out;
  out.reserve(types.size);
  for (size_t i = 0; i < types.size; ++i) out.push_back(types.data[i]->type);
  return out;
}

FuncType from_functype(const wasm_functype_t& type) { return {from_vec(type.params), from_vec(type.results)}; }
GlobalType from_globaltype(const wasm_globaltype_t& type) { return type.type; }
TableType from_tabletype(const wasm_tabletype_t& type) { return type.type; }
MemoryType from_memorytype(const wasm_memorytype_t& type) { return type.type; }
TagType from_tagtype(const wasm_tagtype_t& type) { return {from_vec(type.func->params)}; }

wasm_externtype_t* new_externtype(const ExternType& type) {
  switch (type.kind()) {
    case ExternKind::Func: {
      auto made = std::make_unique<wasm_functype_t>();
      made->params = to_vec(type.func()->params);
      made->results = to_vec(type.func()->results);
      return made.release();
    }
    case ExternKind::Table: return new wasm_tabletype_t(*type.table());
    case ExternKind::Memory: return new wasm_memorytype_t(*type.memory());
    case ExternKind::Global: return new wasm_globaltype_t(*type.global());
    case ExternKind::Tag: break;
  }
  auto func = std::make_unique<wasm_functype_t>();
  func->params = to_vec(type.tag()->params);
  return new wasm_tagtype_t(std::move(func));
}

namespace {

ExternType plain(const wasm_externtype_t& type) {
  switch (type.kind) {
    case ExternKind::Func: return from_functype(static_cast<const wasm_functype_t&>(type));
    case ExternKind::Table: return static_cast<const wasm_tabletype_t&>(type).type;
    case ExternKind::Memory: return static_cast<const wasm_memorytype_t&>(type).type;
    case ExternKind::Global: return static_cast<const wasm_globaltype_t&>(type).type;
    case ExternKind::Tag: break;
  }
  return from_tagtype(static_cast<const wasm_tagtype_t&>(type));
}

}  // namespace
}  // namespace vmrun::capi

// ---- value types ----

wasm_valtype_t* wasm_valtype_new(wasm_valkind_t kind) {
  return guarded([&]() -> wasm_valtype_t* {
    if (const std::optional<ValType> type = type_of(kind)) return new wasm_valtype_t{*type};
    set_last_error(Error(ErrorKind::Usage, "there is no kind of value " + std::to_string(kind)));
    return nullptr;
  });
}
void wasm_valtype_delete(wasm_valtype_t* type) { delete type; }
wasm_valtype_t* wasm_valtype_copy(const wasm_valtype_t* type) {
  return guarded([&] { return new wasm_valtype_t(*type); });
}
wasm_valkind_t wasm_valtype_kind(const wasm_valtype_t* type) { return kind_of(type->type); }

// ---- extern types ----

wasm_functype_t* wasm_functype_new(wasm_valtype_vec_t* params, wasm_valtype_vec_t* results) {
  return guarded([&]() -> wasm_functype_t* {
    const OwnedTypes own_params(params), own_results(results);
    for (const wasm_valtype_vec_t* types : {params, results}) {
      for (size_t i = 0; i < types->size; ++i) {
        if (missing(types->data != nullptr ? types->data[i] : nullptr, "a function's parameter or result"))
          return nullptr;
      }
    }
    auto* made = new wasm_functype_t;
    std::swap(made->params, *params);
    std::swap(made->results, *results);
    return made;
  });
}
const wasm_valtype_vec_t* wasm_functype_params(const wasm_functype_t* type) { return &type->params; }
const wasm_valtype_vec_t* wasm_functype_results(const wasm_functype_t* type) { return &type->results; }

wasm_globaltype_t* wasm_globaltype_new(wasm_valtype_t* content, wasm_mutability_t mutability) {
  const std::unique_ptr<wasm_valtype_t> owned(content);
  return guarded([&]() -> wasm_globaltype_t* {
    if (missing(content, "a global")) return nullptr;
    return new wasm_globaltype_t(GlobalType{content->type, mutability == WASM_VAR});
  });
}
const wasm_valtype_t* wasm_globaltype_content(const wasm_globaltype_t* type) { return &type->content; }
wasm_mutability_t wasm_globaltype_mutability(const wasm_globaltype_t* type) {
  return type->type.is_mutable ? WASM_VAR : WASM_CONST;
}

wasm_tabletype_t* wasm_tabletype_new(wasm_valtype_t* element, const wasm_limits_t* limits) {
  const std::unique_ptr<wasm_valtype_t> owned(element);
  return guarded([&]() -> wasm_tabletype_t* {
    if (missing(element, "a table's elements") || missing(limits, "a table's limits")) return nullptr;
    return new wasm_tabletype_t({element->type, limits->min, max_of(*limits), false});
  });
}
const wasm_valtype_t* wasm_tabletype_element(const wasm_tabletype_t* type) { return &type->element; }
const wasm_limits_t* wasm_tabletype_limits(const wasm_tabletype_t* type) { return &type->limits; }
wasm_tabletype_t* vmrun_tabletype_new(wasm_valtype_t* element, const vmrun_limits64_t* limits) {
  const std::unique_ptr<wasm_valtype_t> owned(element);
  return guarded([&]() -> wasm_tabletype_t* {
    if (missing(element, "a table's elements") || missing(limits, "a table's limits")) return nullptr;
    return new wasm_tabletype_t({element->type, limits->min, max_of(*limits), limits->is64});
  });
}
void vmrun_tabletype_limits(const wasm_tabletype_t* type, vmrun_limits64_t* out) {
  fill(out, type->type.min, type->type.max, type->type.is64);
}

wasm_memorytype_t* wasm_memorytype_new(const wasm_limits_t* limits) {
  return guarded([&] { return new wasm_memorytype_t({limits->min, max_of(*limits)}); });
}
const wasm_limits_t* wasm_memorytype_limits(const wasm_memorytype_t* type) { return &type->limits; }
wasm_memorytype_t* vmrun_memorytype_new(const vmrun_limits64_t* limits) {
  return guarded([&] {
    return new wasm_memorytype_t({limits->min, max_of(*limits), limits->is64, limits->shared, limits->page_log2});
  });
}
void vmrun_memorytype_limits(const wasm_memorytype_t* type, vmrun_limits64_t* out) {
  fill(out, type->type.min, type->type.max, type->type.is64);
  out->shared = type->type.shared;
  out->page_log2 = type->type.page_log2;
}

wasm_tagtype_t* wasm_tagtype_new(wasm_functype_t* func) {
  std::unique_ptr<wasm_functype_t> owned(func);
  return guarded([&]() -> wasm_tagtype_t* {
    if (missing(func, "a tag's values")) return nullptr;
    return new wasm_tagtype_t(std::move(owned));
  });
}
const wasm_functype_t* wasm_tagtype_functype(const wasm_tagtype_t* type) { return type->func.get(); }

wasm_externkind_t wasm_externtype_kind(const wasm_externtype_t* type) {
  switch (type->kind) {
    case ExternKind::Func: return WASM_EXTERN_FUNC;
    case ExternKind::Global: return WASM_EXTERN_GLOBAL;
    case ExternKind::Table: return WASM_EXTERN_TABLE;
    case ExternKind::Memory: return WASM_EXTERN_MEMORY;
    case ExternKind::Tag: break;
  }
  return WASM_EXTERN_TAG;
}
void wasm_externtype_delete(wasm_externtype_t* type) { delete type; }
wasm_externtype_t* wasm_externtype_copy(const wasm_externtype_t* type) {
  return guarded([&] { return new_externtype(plain(*type)); });
}
#define EXTERN_TYPE(name, Kind)                                                                            \
  void wasm_##name##_delete(wasm_##name##_t* type) { delete type; }                                        \
  wasm_##name##_t* wasm_##name##_copy(const wasm_##name##_t* type) {                                       \
    return static_cast<wasm_##name##_t*>(wasm_externtype_copy(type));                                      \
  }                                                                                                        \
  wasm_externtype_t* wasm_##name##_as_externtype(wasm_##name##_t* type) { return type; }                   \
  const wasm_externtype_t* wasm_##name##_as_externtype_const(const wasm_##name##_t* type) { return type; } \
  wasm_##name##_t* wasm_externtype_as_##name(wasm_externtype_t* type) {                                    \
    return type->kind == ExternKind::Kind ? static_cast<wasm_##name##_t*>(type) : nullptr;                 \
  }                                                                                                        \
  const wasm_##name##_t* wasm_externtype_as_##name##_const(const wasm_externtype_t* type) {                \
    return type->kind == ExternKind::Kind ? static_cast<const wasm_##name##_t*>(type) : nullptr;           \
  }
EXTERN_TYPE(functype, Func)
EXTERN_TYPE(globaltype, Global)
EXTERN_TYPE(tabletype, Table)
EXTERN_TYPE(memorytype, Memory)
EXTERN_TYPE(tagtype, Tag)

// ---- imports and exports ----

struct wasm_importtype_t {
  wasm_importtype_t() = default;
  ~wasm_importtype_t() {
    wasm_name_delete(&module);
    wasm_name_delete(&name);
    delete type;
  }
  wasm_importtype_t(const wasm_importtype_t&) = delete;
  wasm_importtype_t& operator=(const wasm_importtype_t&) = delete;
  wasm_name_t module{}, name{};
  wasm_externtype_t* type = nullptr;
};

struct wasm_exporttype_t {
  wasm_exporttype_t() = default;
  ~wasm_exporttype_t() {
    wasm_name_delete(&name);
    delete type;
  }
  wasm_exporttype_t(const wasm_exporttype_t&) = delete;
  wasm_exporttype_t& operator=(const wasm_exporttype_t&) = delete;
  wasm_name_t name{};
  wasm_externtype_t* type = nullptr;
};

wasm_importtype_t* wasm_importtype_new(wasm_name_t* module, wasm_name_t* name, wasm_externtype_t* type) {
  return guarded([&] {
    const OwnedName own_module(module), own_name(name);
    std::unique_ptr<wasm_externtype_t> own_type(type);
    auto* made = new wasm_importtype_t;
    std::swap(made->module, *module);
    std::swap(made->name, *name);
    made->type = own_type.release();
    return made;
  });
}
void wasm_importtype_delete(wasm_importtype_t* type) { delete type; }
wasm_importtype_t* wasm_importtype_copy(const wasm_importtype_t* type) {
  wasm_name_t module, name;
  wasm_name_copy(&module, &type->module);
  wasm_name_copy(&name, &type->name);
  return wasm_importtype_new(&module, &name, wasm_externtype_copy(type->type));
}
const wasm_name_t* wasm_importtype_module(const wasm_importtype_t* type) { return &type->module; }
const wasm_name_t* wasm_importtype_name(const wasm_importtype_t* type) { return &type->name; }
const wasm_externtype_t* wasm_importtype_type(const wasm_importtype_t* type) { return type->type; }

wasm_exporttype_t* wasm_exporttype_new(wasm_name_t* name, wasm_externtype_t* type) {
  return guarded([&] {
    const OwnedName own_name(name);
    std::unique_ptr<wasm_externtype_t> own_type(type);
    auto* made = new wasm_exporttype_t;
    std::swap(made->name, *name);
    made->type = own_type.release();
    return made;
  });
}
void wasm_exporttype_delete(wasm_exporttype_t* type) { delete type; }
wasm_exporttype_t* wasm_exporttype_copy(const wasm_exporttype_t* type) {
  wasm_name_t name;
  wasm_name_copy(&name, &type->name);
  return wasm_exporttype_new(&name, wasm_externtype_copy(type->type));
}
const wasm_name_t* wasm_exporttype_name(const wasm_exporttype_t* type) { return &type->name; }
const wasm_externtype_t* wasm_exporttype_type(const wasm_exporttype_t* type) { return type->type; }
