// Reads value and heap types (5.3.1 to 5.3.5): in the type section, where a recursive group may name its own members,
// and in bodies.
#pragma once

#include <span>

#include "vm/wasm/features.h"
#include "vm/wasm/reader.h"
#include "vm/wasm/types.h"

namespace vmrun::vm {

/// What type indices mean where a type is read: the module's types so far, then the members of the group being read.
struct TypeScope {
  std::span<const TypeId> types;
  uint32_t group_size = 0;
};

/// Reads a heap type: a code or a type index, which becomes the canonical id (or kRecBase + i inside a group).
bool read_heap_type(Reader& r, const TypeScope& scope, HeapType& out);

/// Reads a value type.
bool read_val_type(Reader& r, const TypeScope& scope, ValType& out);

/// Reads a reference type: what tables and element segments hold.
bool read_ref_type(Reader& r, const TypeScope& scope, ValType& out);

/// The abstract heap type with this code in the binary, if there is one.
std::optional<Heap> abstract_heap(uint8_t code);

}  // namespace vmrun::vm
