// Decoding of images: header, sections' framing and order, and what can only be said at the end.
#include "vm/wasm/module_decoder.h"

#include <algorithm>
#include <cstring>

#include "vm/wasm/validated.h"

namespace vmrun::vm {

namespace {

constexpr uint8_t kMagic[4] = {0, 'a', 's', 'm'}, kVersion[4] = {1, 0, 0, 0};

/// The place of a section in the order that the format asks for, by its id; 0 for custom sections.
constexpr uint8_t kOrder[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6};

/// An id or a number, and a number: of a section, a body, a name.
constexpr uint32_t kMaxFraming = 8;

uint32_t to_u32(uint64_t n) { return static_cast<uint32_t>(n); }

}  // namespace

namespace {

Result<std::shared_ptr<Module>> decode(std::shared_ptr<const Image> image, std::shared_ptr<TypeRegistry> registry,
                                       const DecodeOptions& options, std::optional<Features> validated,
                                       std::span<const ByteRange> known_bodies) {
  auto module = std::make_shared<Module>();
  module->name = options.name.empty() ? image->name() : options.name;
  module->image = std::move(image);
  module->registry = std::move(registry);
  ModuleDecoder decoder(*module, options, validated, known_bodies);
  if (!decoder.run()) {
    Error error = decoder.error();
    // Images in an encoding of garbage-collected types from before they were standardised look malformed or invalid.
    if (module->features_used.has(Feature::gc) &&
        (error.kind == ErrorKind::Malformed || error.kind == ErrorKind::Invalid)) {
      error.message += "; the image has garbage-collected types, and garbage-collected objects are not executed yet";
    }
    return error;
  }
  return module;
}

}  // namespace

Result<std::shared_ptr<Module>> decode_module(std::shared_ptr<const Image> image,
                                              std::shared_ptr<TypeRegistry> registry, const DecodeOptions& options) {
  return decode(std::move(image), std::move(registry), options, std::nullopt, {});
}

Result<std::shared_ptr<Module>> decode_validated_module(std::shared_ptr<const Image> image,
                                                        std::shared_ptr<TypeRegistry> registry,
                                                        const DecodeOptions& options, Features used,
                                                        std::span<const ByteRange> bodies) {
  return decode(std::move(image), std::move(registry), options, used, bodies);
}

bool ModuleDecoder::take_error(Reader& r) {
  error_ = Error(r.error.kind, std::move(r.error.message), r.error.offset);
  return false;
}

bool ModuleDecoder::use(Reader& r, Feature feature, uint64_t at) {
  m_.features_used.add(feature);
  if (options_.features.has(feature)) return true;
  return r.fail(ErrorKind::Unsupported, "the image uses " + std::string(feature_name(feature)) + ", which is off", at);
}

bool ModuleDecoder::run() {
  size_t size = r_.remaining();
  const uint8_t* p = r_.p();
  m_.image->need(0, to_u32(std::min<size_t>(size, 8)));
  // A header cut short is "unexpected end" as long as what is there is right.
  if (size > 0 && std::memcmp(p, kMagic, std::min<size_t>(size, 4)) != 0)
    return error_ = Error(ErrorKind::Malformed, "magic header not detected", 0), false;
  if (size > 4 && std::memcmp(p + 4, kVersion, std::min<size_t>(size - 4, 4)) != 0) {
    bool component = size >= 8 && p[6] == 1;
    return error_ = Error(
               ErrorKind::Malformed,
               component ? "unknown binary version: this is a component, not a core module" : "unknown binary version",
               4),
           false;
  }
  if (size < 8) return error_ = Error(ErrorKind::Malformed, "unexpected end", size), false;
  r_.set_p(p + 8);
  return sections() && finish();
}

bool ModuleDecoder::sections() {
  uint8_t last = 0;
  while (!r_.at_end()) {
    Section info{};
    uint32_t size;
    const uint8_t* begin;
    info.header = to_u32(r_.offset());
    m_.image->need(info.header, to_u32(info.header + std::min<size_t>(r_.remaining(), kMaxFraming)));
    if (!r_.u8(info.id)) return take_error(r_);
    if (info.id >= std::size(kOrder)) return r_.malformed("malformed section id", info.header), take_error(r_);
    uint64_t size_at = r_.offset();
    if (!r_.u32(size)) return take_error(r_);
    if (size > r_.remaining())
      return r_.malformed("unexpected end: section length out of bounds", size_at), take_error(r_);
    r_.bytes(size, begin);
    info.bytes = {to_u32(r_.offset_of(begin)), to_u32(r_.offset())};

    need_section(info);
    Reader r(m_.bytes(), begin, begin + size);
    if (info.id == 0) {
      if (!custom(r)) return take_error(r);
    } else {
      if (kOrder[info.id] <= last) {
        return r_.malformed("unexpected content after last section: section '" + std::string(section_name(info.id)) +
                                "' is out of order",
                            info.header),
               take_error(r_);
      }
      last = kOrder[info.id];
      if (!section(info.id, r, info)) return take_error(r);
      if (!r.at_end()) {
        r.malformed("section size mismatch: " + std::to_string(r.remaining()) + " bytes left in section '" +
                        std::string(section_name(info.id)) + "'",
                    r.offset());
        return take_error(r);
      }
    }
    m_.sections.push_back(info);
  }
  if (bodies_ != m_.funcs.size() - m_.imported_funcs) {
    r_.malformed("function and code section have inconsistent lengths", r_.offset());
    return take_error(r_);
  }
  if (data_count_ && *data_count_ != m_.datas.size()) {
    r_.malformed("data count and data section have inconsistent lengths", r_.offset());
    return take_error(r_);
  }
  return true;
}

/// Of bodies and of the contents of custom sections, whoever reads them says so.
void ModuleDecoder::need_section(const Section& section) {
  const ByteRange& bytes = section.bytes;
  const uint32_t framing = std::min(bytes.size(), kMaxFraming);
  if (section.id == 0) {
    m_.image->need(bytes.begin, bytes.begin + framing);
    const uint8_t* p = m_.bytes() + bytes.begin;
    uint32_t name = 0;
    if (read_leb<uint32_t, 32>(p, p + framing, name) != LebStatus::ok) return;
    m_.image->need(bytes.begin, bytes.begin + std::min<uint32_t>(bytes.size(), framing + std::min(name, bytes.size())));
  } else if (section.id == 10 && !known_bodies_.empty()) {
    m_.image->need(bytes.begin, bytes.begin + framing);
  } else if (section.id == 11) {
    // Data is often most of what a start uses, and is copied anyway. Pieces that have something else in them, too, are
    // made own at once, so that nobody writes where somebody may be reading.
    if (bytes.size() != 0) m_.image->need_piece(bytes.begin), m_.image->need_piece(bytes.end - 1);
    m_.image->need_data(bytes);
  } else {
    m_.image->need(bytes);
  }
}

bool ModuleDecoder::section(uint8_t id, Reader& r, Section& info) {
  switch (id) {
    case 1: return type_section(r, info.items);
    case 2: return import_section(r, info.items);
    case 3: return function_section(r, info.items);
    case 4: return table_section(r, info.items);
    case 5: return memory_section(r, info.items);
    case 6: return global_section(r, info.items);
    case 7: return export_section(r, info.items);
    case 8: return start_section(r);
    case 9: return element_section(r, info.items);
    case 10: return code_section(r, info.items);
    case 11: return data_section(r, info.items);
    case 12: return data_count_section(r);
    default: return tag_section(r, info.items);
  }
}

bool ModuleDecoder::custom(Reader& r) {
  if (m_.customs.size() == kMaxCustomSections) {
    return r.fail(ErrorKind::Limit, "more custom sections than the limit of " + std::to_string(kMaxCustomSections),
                  r.offset());
  }
  CustomSection section;
  if (!r.name(section.name)) return false;
  section.bytes = {to_u32(r.offset()), to_u32(r.offset_of(r.end()))};
  m_.customs.push_back(section);
  return true;
}

bool ModuleDecoder::finish() {
  state_.has_data_count = data_count_.has_value();
  state_.declared_funcs.resize(m_.funcs.size());
  if (validated_ && (validated_->bits & ~options_.features.bits) == 0) {
    m_.features_used.bits |= validated_->bits;
    make_codes();
    return true;
  }
  OpsSeen seen;
  if (std::optional<Error> error = validate_bodies(m_, state_, options_.threads, seen)) {
    error_ = std::move(*error);
    return false;
  }

  bool gc_object = false;
  auto note = [&](size_t op) {
    m_.features_used.add(kOpInfo[op].feature);
    gc_object |= kOpInfo[op].is_gc_object();
  };
  for (size_t i = 0; i < std::size(seen.byte); ++i)
    if (seen.byte[i] && kOpByByte[i] != kNoOp) note(kOpByByte[i]);
  for (size_t i = 0; i < kOpCount; ++i)
    if (seen.op[i]) note(i);

  if ((m_.features_used.bits & ~options_.features.bits) != 0) return check_features();
  if (gc_object && !m_.unsupported) {
    find_op(
        m_, [](const OpInfo& info) { return info.is_gc_object(); },
        [&](Op op, uint32_t offset, uint32_t func) { m_.unsupported = UnsupportedOp{op, offset, func}; });
  }

  make_codes();
  return true;
}

void ModuleDecoder::make_codes() {
  size_t own = m_.funcs.size() - m_.imported_funcs;
  m_.codes = std::make_unique<FuncCode[]>(own);
  for (size_t i = 0; i < own; ++i) {
    m_.codes[i].module = &m_;
    m_.codes[i].func_index = to_u32(i) + m_.imported_funcs;
  }
}

/// Some body uses a feature that is off: finds the first instruction that does.
bool ModuleDecoder::check_features() {
  find_op(
      m_, [&](const OpInfo& info) { return !options_.features.has(info.feature); },
      [&](Op op, uint32_t offset, uint32_t func) {
        error_ = Error(ErrorKind::Unsupported,
                       std::string(mnemonic(op)) + " needs " + std::string(feature_name(op_info(op).feature)) +
                           ", which is off, in function " + std::to_string(func),
                       offset);
        error_.func_index = func;
      });
  return false;
}

}  // namespace vmrun::vm
