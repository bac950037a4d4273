// Vectors of wasm.h.
#include <algorithm>
#include <cstdlib>

#include "capi/handles.h"

namespace {

/// Room for `size` elements, all zero; null for none of them. False: no memory, and an empty vector.
template <class Vec>
bool make_room(Vec* out, size_t size) {
  out->size = 0;
  out->data = nullptr;
  if (size == 0) return true;
  void* const room = std::calloc(size, sizeof *out->data);
  if (room == nullptr) {
    vmrun::capi::set_last_error(vmrun::Error(vmrun::ErrorKind::Limit, "out of memory"));
    return false;
  }
  out->data = static_cast<decltype(out->data)>(room);
  out->size = size;
  return true;
}

}  // namespace

#define VEC_BASE(name, element)                                                                             \
  void wasm_##name##_vec_new_empty(wasm_##name##_vec_t* out) { make_room(out, 0); }                         \
  void wasm_##name##_vec_new_uninitialized(wasm_##name##_vec_t* out, size_t size) { make_room(out, size); } \
  void wasm_##name##_vec_new(wasm_##name##_vec_t* out, size_t size, element const data[]) {                 \
    if (make_room(out, size) && size != 0) std::copy_n(data, size, out->data);                              \
  }

/// Elements that are plain data.
#define VEC_PLAIN(name, element)                                                           \
  VEC_BASE(name, element)                                                                  \
  void wasm_##name##_vec_copy(wasm_##name##_vec_t* out, const wasm_##name##_vec_t* from) { \
    wasm_##name##_vec_new(out, from->size, from->data);                                    \
  }                                                                                        \
  void wasm_##name##_vec_delete(wasm_##name##_vec_t* vec) {                                \
    if (vec == nullptr) return;                                                            \
    std::free(vec->data);                                                                  \
    make_room(vec, 0);                                                                     \
  }

/// Elements that are pointers to what is owned.
#define VEC_OF_POINTERS(name)                                                                          \
  VEC_BASE(name, wasm_##name##_t*)                                                                     \
  void wasm_##name##_vec_copy(wasm_##name##_vec_t* out, const wasm_##name##_vec_t* from) {             \
    if (!make_room(out, from->size)) return;                                                           \
    for (size_t i = 0; i < from->size; ++i) {                                                          \
      if (from->data[i] != nullptr) out->data[i] = wasm_##name##_copy(from->data[i]);                  \
    }                                                                                                  \
  }                                                                                                    \
  void wasm_##name##_vec_delete(wasm_##name##_vec_t* vec) {                                            \
    if (vec == nullptr) return;                                                                        \
    for (size_t i = 0; vec->data != nullptr && i < vec->size; ++i) wasm_##name##_delete(vec->data[i]); \
    std::free(vec->data);                                                                              \
    make_room(vec, 0);                                                                                 \
  }

VEC_PLAIN(byte, wasm_byte_t)
VEC_OF_POINTERS(valtype)
VEC_OF_POINTERS(functype)
VEC_OF_POINTERS(globaltype)
VEC_OF_POINTERS(tabletype)
VEC_OF_POINTERS(memorytype)
VEC_OF_POINTERS(tagtype)
VEC_OF_POINTERS(externtype)
VEC_OF_POINTERS(importtype)
VEC_OF_POINTERS(exporttype)
VEC_OF_POINTERS(frame)
VEC_OF_POINTERS(extern)

VEC_BASE(val, wasm_val_t)
void wasm_val_vec_copy(wasm_val_vec_t* out, const wasm_val_vec_t* from) {
  if (!make_room(out, from->size)) return;
  for (size_t i = 0; i < from->size; ++i) wasm_val_copy(&out->data[i], &from->data[i]);
}
void wasm_val_vec_delete(wasm_val_vec_t* vec) {
  if (vec == nullptr) return;
  for (size_t i = 0; vec->data != nullptr && i < vec->size; ++i) wasm_val_delete(&vec->data[i]);
  std::free(vec->data);
  make_room(vec, 0);
}
