// Tables of references and the instructions on them. A table's elements move when it grows, so nobody keeps a pointer
// to them across a growth. Used by the store's thread only.
#pragma once

#include <cstdint>

#include "vm/base/trap.h"
#include "vm/base/value.h"
#include "vm/runtime/instance.h"

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

// The instructions on many elements. All check first and write nothing when they trap (TableOutOfBounds), but for
// Interrupted: long ones look what is wanted from the guest `cx`, whose position is in its activation, as vm/runtime/slices.h
// says. Null: no guest executes them.
/// table.grow: the previous size in `previous`, or UINT64_MAX when the maximum, a limit or the host stands against it.
/// A table has its size until all new elements are there: Interrupted leaves it as it was.
TrapCode table_grow(Vcpu* cx, TableInst& table, uint64_t delta, Ref init, uint64_t* previous);
/// The same by the host.
inline uint64_t table_grow(TableInst& table, uint64_t delta, Ref init) {
  uint64_t previous = UINT64_MAX;
  (void)table_grow(nullptr, table, delta, init, &previous);
  return previous;
}
TrapCode table_fill(Vcpu* cx, TableInst& table, uint64_t index, Ref value, uint64_t size);
TrapCode table_copy(Vcpu* cx, TableInst& to, TableInst& from, uint64_t to_index, uint64_t from_index, uint64_t size);
/// table.init: `size` elements from index `from` of element segment `segment` (empty once dropped). May also report
/// what evaluating the segment's expressions can run into.
TrapCode table_init(Vcpu* cx, Instance& instance, uint32_t segment, TableInst& table, uint64_t to, uint64_t from,
                    uint64_t size);
void elem_drop(Instance& instance, uint32_t segment);

}  // namespace vmrun::vm
