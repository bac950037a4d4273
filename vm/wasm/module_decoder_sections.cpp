// Decoding of images: the sections behind the imports.
#include <algorithm>
#include <numeric>

#include "vm/wasm/module_decoder.h"

namespace vmrun::vm {

bool ModuleDecoder::function_section(Reader& r, uint32_t& items) {
  if (!definitions(r, items, m_.imported_funcs, kMaxFunctions, "functions")) return false;
  m_.funcs.reserve(m_.funcs.size() + items);
  for (uint32_t i = 0; i < items; ++i)
    if (!func_type_index(r, m_.funcs.emplace_back())) return false;
  return true;
}

bool ModuleDecoder::table_section(Reader& r, uint32_t& items) {
  if (!definitions(r, items, m_.imported_tables, kMaxTables, "tables")) return false;
  for (uint32_t i = 0; i < items; ++i) {
    TableDecl& table = m_.tables.emplace_back();
    uint64_t at = r.offset();
    if (m_.tables.size() == 2 && !use(r, Feature::reference_types, at)) return false;
    bool has_init = r.remaining() >= 2 && r.p()[0] == 0x40 && r.p()[1] == 0;
    if (has_init) {
      if (!use(r, Feature::function_references, at)) return false;
      r.set_p(r.p() + 2);
    }
    TableType type;
    if (!table_type(r, type)) return false;
    table.type = type;
    if (has_init) {
      ConstExpr init;
      if (!const_expr(r, type.elem, init)) return false;
      m_.tables.back().init = init;
    } else if (!type.elem.is_defaultable()) {
      return r.invalid("type mismatch: a table of non-nullable references needs an initial value", at);
    }
  }
  return true;
}

bool ModuleDecoder::memory_section(Reader& r, uint32_t& items) {
  if (!definitions(r, items, m_.imported_memories, kMaxMemories, "memories")) return false;
  for (uint32_t i = 0; i < items; ++i) {
    uint64_t at = r.offset();
    if (!memory_type(r, m_.memories.emplace_back())) return false;
    if (m_.memories.size() == 2 && !use(r, Feature::multi_memory, at)) return false;
  }
  return true;
}

bool ModuleDecoder::tag_section(Reader& r, uint32_t& items) {
  if (!definitions(r, items, m_.imported_tags, kMaxTags, "tags")) return false;
  for (uint32_t i = 0; i < items; ++i)
    if (!use(r, Feature::exceptions, r.offset()) || !tag_type(r, m_.tags.emplace_back())) return false;
  return true;
}

bool ModuleDecoder::global_section(Reader& r, uint32_t& items) {
  if (!definitions(r, items, m_.imported_globals, kMaxGlobals, "globals")) return false;
  m_.globals.reserve(m_.globals.size() + items);
  for (uint32_t i = 0; i < items; ++i) {
    GlobalDecl global;
    if (!global_type(r, global.type) || !const_expr(r, global.type.type, global.init)) return false;
    m_.globals.push_back(global);  // now, because its own initial value must not see it
  }
  return true;
}

bool ModuleDecoder::export_section(Reader& r, uint32_t& items) {
  if (!r.count(items, kMaxExports, "exports")) return false;
  m_.exports.reserve(items);
  std::vector<uint32_t> offsets;
  offsets.reserve(items);
  for (uint32_t i = 0; i < items; ++i) {
    Export out{};
    uint8_t kind;
    uint64_t at = r.offset();
    if (!r.name(out.name)) return false;
    uint64_t kind_at = r.offset();
    if (!r.u8(kind)) return false;
    if (kind > 4) return r.malformed("malformed export kind", kind_at);
    uint64_t index_at = r.offset();
    if (!r.u32(out.index)) return false;
    out.kind = static_cast<ExternKind>(kind);
    auto known = [&](size_t count, const char* what) {
      return out.index < count || r.invalid(std::string("unknown ") + what + " " + std::to_string(out.index), index_at);
    };
    switch (out.kind) {
      case ExternKind::func:
        if (!known(m_.funcs.size(), "function")) return false;
        state_.declared_funcs.resize(m_.funcs.size());
        state_.declared_funcs[out.index] = true;
        break;
      case ExternKind::table:
        if (!known(m_.tables.size(), "table")) return false;
        break;
      case ExternKind::memory:
        if (!known(m_.memories.size(), "memory")) return false;
        break;
      case ExternKind::global:
        if (!known(m_.globals.size(), "global")) return false;
        if (m_.globals[out.index].type.mutable_ && !use(r, Feature::mutable_global, at)) return false;
        break;
      case ExternKind::tag:
        if (!known(m_.tags.size(), "tag")) return false;
        break;
    }
    offsets.push_back(static_cast<uint32_t>(at));
    m_.exports.push_back(out);
  }
  return check_export_names(r, offsets);
}

/// No two exports have one name. Sorted rather than hashed, since an image can choose names that collide.
bool ModuleDecoder::check_export_names(Reader& r, const std::vector<uint32_t>& offsets) {
  std::vector<uint32_t> order(m_.exports.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](uint32_t i) { return std::pair(m_.exports[i].name, i); });
  uint32_t first = ~0u;  // the first export whose name stands before
  for (size_t i = 1; i < order.size(); ++i)
    if (m_.exports[order[i]].name == m_.exports[order[i - 1]].name) first = std::min(first, order[i]);
  if (first == ~0u) return true;
  return r.invalid("duplicate export name \"" + std::string(m_.exports[first].name) + '"', offsets[first]);
}

bool ModuleDecoder::start_section(Reader& r) {
  uint32_t index;
  uint64_t at = r.offset();
  if (!r.u32(index)) return false;
  if (index >= m_.funcs.size()) return r.invalid("unknown function " + std::to_string(index), at);
  const FuncType& type = m_.func_type(index);
  if (!type.params.empty() || !type.results.empty())
    return r.invalid("start function must have no parameters and no results", at);
  m_.start = index;
  return true;
}

bool ModuleDecoder::data_count_section(Reader& r) {
  uint32_t count;
  uint64_t at = r.offset();
  if (!r.u32(count)) return false;
  if (count > kMaxDataSegments)
    return r.fail(ErrorKind::Limit, "more data segments than the limit of " + std::to_string(kMaxDataSegments), at);
  data_count_ = count;
  return use(r, Feature::bulk_memory, at);
}

namespace {

/// How many locals a body declares, as far as that can be told: validation says what is wrong with others.
uint64_t declared_locals(const uint8_t* p, const uint8_t* end) {
  uint32_t groups, count;
  uint64_t total = 0;
  if (read_leb<uint32_t, 32>(p, end, groups) != LebStatus::ok) return 0;
  for (; groups != 0 && read_leb<uint32_t, 32>(p, end, count) == LebStatus::ok && p < end; --groups) {
    total += count;
    // A type of several bytes is a prefix and a number.
    constexpr uint8_t kRefNull = 0x63, kRef = 0x64;
    if (const uint8_t type = *p++; type == kRefNull || type == kRef) {
      if (uint32_t heap; read_leb<uint32_t, 32>(p, end, heap) != LebStatus::ok) break;
    }
  }
  return total;
}

}  // namespace

bool ModuleDecoder::code_section(Reader& r, uint32_t& items) {
  uint64_t at = r.offset();
  if (!r.count(items, kMaxFunctions, "function bodies")) return false;
  if (items != m_.funcs.size() - m_.imported_funcs)
    return r.malformed("function and code section have inconsistent lengths", at);
  if (!known_bodies_.empty()) return take_known_bodies(r, items);
  for (bodies_ = 0; bodies_ < items; ++bodies_) {
    uint32_t size;
    const uint8_t* begin;
    at = r.offset();
    if (!r.u32(size)) return false;
    if (size > r.remaining()) return r.malformed("unexpected end: function body length out of bounds", at);
    if (size > kMaxBodyBytes) {
      return r.fail(ErrorKind::Limit, "a function body is larger than " + std::to_string(kMaxBodyBytes) + " bytes", at);
    }
    r.bytes(size, begin);
    uint32_t offset = static_cast<uint32_t>(r.offset_of(begin));
    m_.funcs[m_.imported_funcs + bodies_].body = {offset, offset + size};
    // What is too much for one function is validation's to say.
    locals_ += std::min<uint64_t>(declared_locals(begin, begin + size), kMaxLocals);
    if (locals_ > kMaxAllLocals) {
      return r.fail(ErrorKind::Limit, "more locals in all functions than the limit of " + std::to_string(kMaxAllLocals),
                    at);
    }
  }
  return true;
}

bool ModuleDecoder::take_known_bodies(Reader& r, uint32_t items) {
  uint64_t at = r.offset();
  const uint64_t end = r.offset_of(r.end());
  if (items != known_bodies_.size()) return r.malformed("what is known of the function bodies is of another image", at);
  for (bodies_ = 0; bodies_ < items; ++bodies_) {
    const ByteRange& body = known_bodies_[bodies_];
    if (body.begin < at || body.end < body.begin || body.end > end || body.size() > kMaxBodyBytes) {
      return r.malformed("what is known of the function bodies is of another image", at);
    }
    m_.funcs[m_.imported_funcs + bodies_].body = body;
    at = body.end;
  }
  r.set_p(r.end());
  return true;
}

bool ModuleDecoder::data_section(Reader& r, uint32_t& items) {
  if (!r.count(items, kMaxDataSegments, "data segments")) return false;
  m_.datas.reserve(items);
  for (uint32_t i = 0; i < items; ++i) {
    DataSegment segment{};
    uint32_t flags, size;
    const uint8_t* begin;
    uint64_t at = r.offset();
    if (!r.u32(flags)) return false;
    if (flags > 2) return r.malformed("malformed data segment kind", at);
    if (flags != 0 && !use(r, Feature::bulk_memory, at)) return false;
    segment.mode = flags == 1 ? SegmentMode::passive : SegmentMode::active;
    if (flags == 2 && !r.u32(segment.memory)) return false;
    if (segment.mode == SegmentMode::active) {
      if (segment.memory >= m_.memories.size())
        return r.invalid("unknown memory " + std::to_string(segment.memory), at);
      ValType address = m_.memories[segment.memory].limits.is64 ? kI64 : kI32;
      std::optional<uint64_t> constant;
      if (!const_expr(r, address, segment.offset, &constant)) return false;
      segment.is_constant = constant.has_value();
      segment.constant = constant.value_or(0);
    }
    at = r.offset();
    if (!r.u32(size)) return false;
    if (size > r.remaining()) return r.malformed("unexpected end: data segment length out of bounds", at);
    r.bytes(size, begin);
    uint32_t offset = static_cast<uint32_t>(r.offset_of(begin));
    segment.bytes = {offset, offset + size};
    m_.datas.push_back(segment);
  }
  return true;
}

}  // namespace vmrun::vm
