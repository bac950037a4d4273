// Decoding of value and heap types.
#include "vm/wasm/type_reader.h"

namespace vmrun::vm {

std::optional<Heap> abstract_heap(uint8_t code) {
  if (code >= static_cast<uint8_t>(Heap::exn) && code <= static_cast<uint8_t>(Heap::noexn))
    return static_cast<Heap>(code);
  return std::nullopt;
}

bool read_heap_type(Reader& r, const TypeScope& scope, HeapType& out) {
  uint64_t at = r.offset();
  int64_t code;
  if (!r.s33(code)) return false;
  if (code < 0) {
    std::optional<Heap> heap = code >= -64 ? abstract_heap(static_cast<uint8_t>(code & 0x7f)) : std::nullopt;
    if (!heap) return r.malformed("malformed heap type", at);
    out = *heap;
    return true;
  }
  uint64_t index = static_cast<uint64_t>(code);
  if (index < scope.types.size()) {
    out = HeapType(scope.types[index]);
  } else if (index - scope.types.size() < scope.group_size) {
    out = HeapType(static_cast<TypeId>(TypeRegistry::kRecBase + index - scope.types.size()));
  } else {
    return r.invalid("unknown type " + std::to_string(index), at);
  }
  return true;
}

bool read_val_type(Reader& r, const TypeScope& scope, ValType& out) {
  uint64_t at = r.offset();
  uint8_t code;
  if (!r.u8(code)) return false;
  if (code >= 0x7b && code <= 0x7f) {
    out = static_cast<ValType::Kind>(code);
    return true;
  }
  if (code == 0x63 || code == 0x64) {
    HeapType heap;
    if (!read_heap_type(r, scope, heap)) return false;
    out = ValType::ref(heap, code == 0x63);
    return true;
  }
  if (std::optional<Heap> heap = abstract_heap(code)) {
    out = ValType::ref(*heap, true);
    return true;
  }
  return r.malformed("malformed value type", at);
}

bool read_ref_type(Reader& r, const TypeScope& scope, ValType& out) {
  uint64_t at = r.offset();
  if (!read_val_type(r, scope, out)) return false;
  return out.is_ref() || r.malformed("malformed reference type", at);
}

}  // namespace vmrun::vm
