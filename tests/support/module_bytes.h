// Small modules as bytes, for tests of the decoder.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "vm/wasm/image.h"
#include "vm/wasm/module.h"

namespace vmrun::test {

using Bytes = std::vector<uint8_t>;

inline const Bytes kHeader = {0, 'a', 's', 'm', 1, 0, 0, 0};

inline void append_u32(Bytes& out, uint32_t n) {
  for (; n >= 0x80; n >>= 7) out.push_back(static_cast<uint8_t>(n | 0x80));
  out.push_back(static_cast<uint8_t>(n));
}

inline void append(Bytes& out, const Bytes& bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

inline void append_section(Bytes& out, uint8_t id, const Bytes& contents) {
  out.push_back(id);
  append_u32(out, static_cast<uint32_t>(contents.size()));
  append(out, contents);
}

/// A module of functions that all have the type with these bytes; a body is its locals and code.
inline Bytes module_of(const Bytes& type, const std::vector<Bytes>& bodies) {
  Bytes out = kHeader, types = {1}, funcs, code;
  append(types, type);
  append_section(out, 1, types);
  append_u32(funcs, static_cast<uint32_t>(bodies.size()));
  funcs.resize(funcs.size() + bodies.size(), 0);
  append_section(out, 3, funcs);
  append_u32(code, static_cast<uint32_t>(bodies.size()));
  for (const Bytes& body : bodies) {
    append_u32(code, static_cast<uint32_t>(body.size()));
    append(code, body);
  }
  append_section(out, 10, code);
  return out;
}

inline Bytes func_module(const Bytes& type, const Bytes& body) { return module_of(type, {body}); }

inline vmrun::Result<std::shared_ptr<vmrun::vm::Module>> decode(const Bytes& bytes,
                                                                const vmrun::vm::DecodeOptions& options = {}) {
  auto image = vmrun::vm::Image::copy(bytes);
  if (!image) return image.error();
  return vmrun::vm::decode_module(*image, std::make_shared<vmrun::vm::TypeRegistry>(), options);
}

}  // namespace vmrun::test
