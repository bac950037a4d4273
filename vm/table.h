// Tables of references and the instructions on them. A table's elements move when it grows, so nobody keeps a pointer
// to them across a growth. Used by the store's thread only.
#pragma once

#include <cstdint>

#include "vm/instance.h"
#include "vm/trap.h"
#include "vm/value.h"

namespace vmrun::vm {

/// Elements that a table can have at all, whatever its type and its store's limit say: what one allocation may measure.
inline constexpr uint64_t kMostTableElements = PTRDIFF_MAX / sizeof(Ref);

/// table.get, table.set. TableOutOfBounds beyond the size.
inline TrapCode table_get(const TableInst& table, uint64_t index, Ref* out) {
  if (index >= table.size) return TrapCode::TableOutOfBounds;
  *out = table.elems[index];
  return TrapCode::None;
}
inline TrapCode table_set(TableInst& table, uint64_t index, Ref value) {
  if (index >= table.size) return TrapCode::TableOutOfBounds;
  table.elems[index] = value;
  return TrapCode::None;
}

/// table.grow: returns the previous size, or UINT64_MAX when the maximum, a limit or the host stands against it.
uint64_t table_grow(TableInst& table, uint64_t delta, Ref init);
TrapCode table_fill(TableInst& table, uint64_t index, Ref value, uint64_t size);
TrapCode table_copy(TableInst& to, TableInst& from, uint64_t to_index, uint64_t from_index, uint64_t size);
/// table.init: `size` elements from index `from` of element segment `segment` (empty once dropped). May also report
/// what evaluating the segment's expressions can run into.
TrapCode table_init(Instance& instance, uint32_t segment, TableInst& table, uint64_t to, uint64_t from, uint64_t size);
void elem_drop(Instance& instance, uint32_t segment);

}  // namespace vmrun::vm
