// Decoding of images: types, recursive groups and imports.
#include <algorithm>

#include "vm/wasm/module_decoder.h"

namespace vmrun::vm {

// --- type section ---------------------------------------------------------------------------------------------------

bool ModuleDecoder::type_section(Reader& r, uint32_t& items) {
  if (!r.count(items, kMaxTypes, "types")) return false;
  m_.types.reserve(items);
  m_.type_defs.reserve(items);
  for (uint32_t i = 0; i < items; ++i) {
    uint32_t count = 1;
    if (!r.at_end() && *r.p() == 0x4e) {
      if (!use(r, Feature::gc, r.offset())) return false;
      r.set_p(r.p() + 1);
      if (!r.count(count, kMaxTypes, "types in a group")) return false;
    }
    if (!rec_group(r, count)) return false;
  }
  return true;
}

bool ModuleDecoder::rec_group(Reader& r, uint32_t count) {
  uint64_t at = r.offset();
  size_t first = m_.types.size();
  if (count > kMaxTypes - std::min<size_t>(first, kMaxTypes))
    return r.fail(ErrorKind::Limit, "more types than the limit of " + std::to_string(kMaxTypes), at);
  TypeScope scope{m_.types, count};
  std::vector<TypeDef> group;
  group.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    TypeDef& def = group.emplace_back();
    uint64_t def_at = r.offset();
    if (!sub_type(r, scope, def)) return false;
    // A supertype comes before its subtypes.
    if (def.super != TypeId::none && static_cast<uint32_t>(def.super) >= TypeRegistry::kRecBase + i)
      return r.invalid("unknown type: a supertype must come before its subtypes", def_at);
  }
  std::optional<TypeId> id = m_.registry->intern(std::move(group));
  if (!id) return r.fail(ErrorKind::Limit, "the engine holds too many types", at);
  for (uint32_t i = 0; i < count; ++i) {
    TypeId own = static_cast<TypeId>(static_cast<uint32_t>(*id) + i);
    m_.types.push_back(own);
    m_.type_defs.push_back(&m_.registry->get(own));
  }
  return check_sub_types(r, first, at);
}

bool ModuleDecoder::check_sub_types(Reader& r, size_t first, uint64_t at) {
  for (size_t i = first; i < m_.types.size(); ++i) {
    const TypeDef& def = *m_.type_defs[i];
    if (def.super == TypeId::none) continue;
    const TypeDef& super = m_.registry->get(def.super);
    if (super.final_)
      return r.invalid("sub type " + std::to_string(i) + " does not match super type: that one is final", at);
    if (!m_.registry->matches_structure(def, super))
      return r.invalid("sub type " + std::to_string(i) + " does not match super type", at);
    if (def.depth > kMaxSubtypeDepth)
      return r.fail(ErrorKind::Limit, "subtypes are nested deeper than " + std::to_string(kMaxSubtypeDepth), at);
  }
  return true;
}

bool ModuleDecoder::sub_type(Reader& r, const TypeScope& scope, TypeDef& out) {
  uint64_t at = r.offset();
  uint8_t form;
  if (!r.u8(form)) return false;
  if (form == 0x50 || form == 0x4f) {
    if (!use(r, Feature::gc, at)) return false;
    out.final_ = form == 0x4f;
    uint32_t supers;
    if (!r.u32(supers)) return false;
    if (supers > 1) return r.invalid("sub type: more than one supertype", at);
    if (supers == 1) {
      uint64_t super_at = r.offset();
      uint32_t index;
      if (!r.u32(index)) return false;
      if (index < scope.types.size()) {
        out.super = scope.types[index];
      } else if (index - scope.types.size() < scope.group_size) {
        out.super = static_cast<TypeId>(TypeRegistry::kRecBase + index - scope.types.size());
      } else {
        return r.invalid("unknown type " + std::to_string(index), super_at);
      }
    }
    at = r.offset();
    if (!r.u8(form)) return false;
  }
  switch (form) {
    case 0x60: out.kind = TypeDef::Kind::func; return func_type(r, scope, out.func);
    case 0x5f: {
      out.kind = TypeDef::Kind::struct_;
      uint32_t count;
      if (!use(r, Feature::gc, at) || !r.count(count, kMaxStructFields, "fields") || !type_parts(r, count, at))
        return false;
      out.fields.resize(count);
      return std::ranges::all_of(out.fields, [&](FieldType& f) { return field_type(r, scope, f); });
    }
    case 0x5e:
      out.kind = TypeDef::Kind::array;
      return use(r, Feature::gc, at) && field_type(r, scope, out.fields.emplace_back());
    default: return r.malformed("malformed definition type", at);
  }
}

bool ModuleDecoder::func_type(Reader& r, const TypeScope& scope, FuncType& out) {
  auto types = [&](std::vector<ValType>& list, uint32_t limit, const char* what) {
    uint32_t count;
    uint64_t list_at = r.offset();
    if (!r.count(count, limit, what) || !type_parts(r, count, list_at)) return false;
    list.resize(count);
    for (ValType& t : list) {
      uint64_t at = r.offset();
      if (!read_val_type(r, scope, t) || !note_type(r, t, at)) return false;
    }
    return true;
  };
  if (!types(out.params, kMaxParams, "parameters")) return false;
  uint64_t at = r.offset();
  if (!types(out.results, kMaxResults, "results")) return false;
  return out.results.size() <= 1 || use(r, Feature::multi_value, at);
}

bool ModuleDecoder::field_type(Reader& r, const TypeScope& scope, FieldType& out) {
  uint64_t at = r.offset();
  if (!r.at_end() && (*r.p() == 0x78 || *r.p() == 0x77)) {
    out.packed = *r.p() == 0x78 ? 8 : 16;
    out.type = kI32;
    r.set_p(r.p() + 1);
  } else if (!read_val_type(r, scope, out.type) || !note_type(r, out.type, at)) {
    return false;
  }
  uint8_t mutability;
  at = r.offset();
  if (!r.u8(mutability)) return false;
  if (mutability > 1) return r.malformed("malformed mutability", at);
  out.mutable_ = mutability == 1;
  return true;
}

bool ModuleDecoder::type_parts(Reader& r, size_t count, uint64_t at) {
  if (count > kMaxTypeParts - type_parts_) {
    return r.fail(ErrorKind::Limit,
                  "more parameters, results and fields in all types than the limit of " + std::to_string(kMaxTypeParts),
                  at);
  }
  type_parts_ += static_cast<uint32_t>(count);
  return true;
}

/// Records the proposal that a value type belongs to.
bool ModuleDecoder::note_type(Reader& r, ValType type, uint64_t at) {
  if (type.is_num()) return true;
  if (type == kV128) return use(r, Feature::simd, at);
  if (type == kFuncRef || type == kExternRef) return use(r, Feature::reference_types, at);
  if (type.heap() == HeapType(Heap::exn)) return use(r, Feature::exceptions, at);
  bool plain =
      type.heap().is_concrete() || type.heap() == HeapType(Heap::func) || type.heap() == HeapType(Heap::extern_);
  return use(r, plain ? Feature::function_references : Feature::gc, at);
}

bool ModuleDecoder::val_type(Reader& r, ValType& out) {
  uint64_t at = r.offset();
  return read_val_type(r, {m_.types}, out) && note_type(r, out, at);
}

// --- types of imports and definitions -------------------------------------------------------------------------------

bool ModuleDecoder::func_type_index(Reader& r, FuncDecl& out) {
  uint64_t at = r.offset();
  if (!r.u32(out.type_index)) return false;
  if (out.type_index >= m_.types.size()) return r.invalid("unknown type " + std::to_string(out.type_index), at);
  if (m_.type_defs[out.type_index]->kind != TypeDef::Kind::func)
    return r.invalid("type mismatch: type " + std::to_string(out.type_index) + " is not a function type", at);
  out.type = m_.types[out.type_index];
  return true;
}

bool ModuleDecoder::limits(Reader& r, uint8_t flags, Limits& out) {
  out.is64 = (flags & 4) != 0;
  if (!r.u64(out.min)) return false;
  if (flags & 1) {
    uint64_t max;
    if (!r.u64(max)) return false;
    out.max = max;
  }
  return true;
}

bool ModuleDecoder::table_type(Reader& r, TableType& out) {
  uint64_t at = r.offset();
  uint8_t flags;
  if (!read_ref_type(r, {m_.types}, out.elem)) return false;
  if (out.elem != kFuncRef && !note_type(r, out.elem, at)) return false;  // tables always had functions
  at = r.offset();
  if (!r.u8(flags)) return false;
  if (flags > 7 || (flags & 2)) return r.malformed("malformed limits flags", at);
  if (!limits(r, flags, out.limits) || (out.limits.is64 && !use(r, Feature::memory64, at))) return false;
  const uint64_t most = most_elements(out.limits.is64);
  if (out.limits.min > most || out.limits.max.value_or(0) > most)
    return r.invalid("table size must be at most 2^32 - 1", at);
  if (out.limits.max && *out.limits.max < out.limits.min)
    return r.invalid("size minimum must not be greater than maximum", at);
  return true;
}

bool ModuleDecoder::memory_type(Reader& r, MemoryType& out) {
  uint64_t at = r.offset();
  uint8_t flags;
  if (!r.u8(flags)) return false;
  if (flags > 15) return r.malformed("malformed limits flags", at);
  out.shared = (flags & 2) != 0;
  if (!limits(r, flags, out.limits)) return false;
  if ((out.limits.is64 && !use(r, Feature::memory64, at)) || (out.shared && !use(r, Feature::threads, at)))
    return false;
  if (flags & 8) {
    uint32_t log2;
    uint64_t log2_at = r.offset();
    if (!use(r, Feature::custom_page_sizes, at) || !r.u32(log2)) return false;
    if (log2 >= 64) return r.malformed("invalid custom page size", log2_at);
    if (log2 != 0 && log2 != 16) return r.invalid("invalid custom page size", log2_at);
    out.page_log2 = static_cast<uint8_t>(log2);
  }
  const uint64_t most = most_pages(out.limits.is64, out.page_log2);
  if (out.limits.min > most || out.limits.max.value_or(0) > most) {
    return r.invalid(
        "memory size must be at most " + std::to_string(most) + " pages" + (out.limits.is64 ? "" : " (4GiB)"), at);
  }
  if (out.limits.max && *out.limits.max < out.limits.min)
    return r.invalid("size minimum must not be greater than maximum", at);
  if (out.shared && !out.limits.max) return r.invalid("shared memory must have maximum", at);
  return true;
}

bool ModuleDecoder::global_type(Reader& r, GlobalType& out) {
  uint8_t mutability;
  if (!val_type(r, out.type)) return false;
  uint64_t at = r.offset();
  if (!r.u8(mutability)) return false;
  if (mutability > 1) return r.malformed("malformed mutability", at);
  out.mutable_ = mutability == 1;
  return true;
}

bool ModuleDecoder::tag_type(Reader& r, TagDecl& out) {
  uint64_t at = r.offset();
  uint8_t attribute;
  FuncDecl func;
  if (!r.u8(attribute)) return false;
  if (attribute != 0) return r.malformed("malformed tag attribute", at);
  if (!func_type_index(r, func)) return false;
  if (!m_.type_defs[func.type_index]->func.results.empty()) return r.invalid("non-empty tag result type", at);
  out.type = func.type;
  return true;
}

// --- imports --------------------------------------------------------------------------------------------------------

bool ModuleDecoder::definitions(Reader& r, uint32_t& count, size_t already, uint32_t limit, const char* what) {
  uint64_t at = r.offset();
  if (!r.count(count, limit, what)) return false;
  if (count <= limit - already) return true;
  return r.fail(ErrorKind::Limit,
                std::to_string(count) + " " + what + " beside " + std::to_string(already) +
                    " imported ones: more than the limit of " + std::to_string(limit),
                at);
}

bool ModuleDecoder::one_more(Reader& r, uint32_t& imported, uint32_t limit, const char* what, uint64_t at) {
  if (imported == limit)
    return r.fail(ErrorKind::Limit, std::string("more ") + what + " than the limit of " + std::to_string(limit), at);
  ++imported;
  return true;
}

bool ModuleDecoder::import_section(Reader& r, uint32_t& items) {
  if (!r.count(items, kMaxImports, "imports")) return false;
  m_.imports.reserve(items);
  for (uint32_t i = 0; i < items; ++i) {
    Import import{};
    uint8_t kind;
    if (!r.name(import.module) || !r.name(import.name)) return false;
    uint64_t at = r.offset();
    if (!r.u8(kind)) return false;
    import.kind = static_cast<ExternKind>(kind);
    switch (import.kind) {
      case ExternKind::func:
        import.index = m_.imported_funcs;
        if (!one_more(r, m_.imported_funcs, kMaxFunctions, "functions", at)) return false;
        if (!func_type_index(r, m_.funcs.emplace_back())) return false;
        break;
      case ExternKind::table:
        import.index = m_.imported_tables;
        if (!one_more(r, m_.imported_tables, kMaxTables, "tables", at)) return false;
        if (!table_type(r, m_.tables.emplace_back().type)) return false;
        if (m_.tables.size() == 2 && !use(r, Feature::reference_types, at)) return false;
        break;
      case ExternKind::memory:
        import.index = m_.imported_memories;
        if (!one_more(r, m_.imported_memories, kMaxMemories, "memories", at)) return false;
        if (!memory_type(r, m_.memories.emplace_back())) return false;
        if (m_.memories.size() == 2 && !use(r, Feature::multi_memory, at)) return false;
        break;
      case ExternKind::global: {
        import.index = m_.imported_globals;
        if (!one_more(r, m_.imported_globals, kMaxGlobals, "globals", at)) return false;
        GlobalType& type = m_.globals.emplace_back().type;
        if (!global_type(r, type) || (type.mutable_ && !use(r, Feature::mutable_global, at))) return false;
        break;
      }
      case ExternKind::tag:
        import.index = m_.imported_tags;
        if (!one_more(r, m_.imported_tags, kMaxTags, "tags", at)) return false;
        if (!use(r, Feature::exceptions, at) || !tag_type(r, m_.tags.emplace_back())) return false;
        break;
      default: return r.malformed("malformed import kind", at);
    }
    m_.imports.push_back(import);
  }
  return true;
}

}  // namespace vmrun::vm
