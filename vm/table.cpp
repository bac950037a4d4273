// Growth and the bulk operations of tables.
#include "vm/table.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "vm/const_expr.h"
#include "vm/store.h"

namespace vmrun::vm {

uint64_t table_grow(TableInst& table, uint64_t delta, Ref init) {
  const uint64_t old_size = table.size;
  if (delta == 0) return old_size;
  if (delta > table.max || old_size > table.max - delta) return UINT64_MAX;
  if (!table.store->charge_table(delta)) return UINT64_MAX;
  const uint64_t new_size = old_size + delta;
  if (new_size > table.capacity) {
    // Neither can overflow: no table has a maximum above kMostTableElements.
    const uint64_t capacity = std::max(new_size, std::min(table.capacity * 2, table.max));
    Ref* elems = static_cast<Ref*>(std::realloc(table.elems, capacity * sizeof(Ref)));
    if (elems == nullptr) {
      table.store->credit_table(delta);
      return UINT64_MAX;
    }
    table.elems = elems;
    table.capacity = capacity;
  }
  std::fill(table.elems + old_size, table.elems + new_size, init);
  table.size = new_size;
  return old_size;
}

TrapCode table_fill(TableInst& table, uint64_t index, Ref value, uint64_t size) {
  if (index > table.size || size > table.size - index) return TrapCode::TableOutOfBounds;
  std::fill_n(table.elems + index, size, value);
  return TrapCode::None;
}

TrapCode table_copy(TableInst& to, TableInst& from, uint64_t to_index, uint64_t from_index, uint64_t size) {
  if (to_index > to.size || size > to.size - to_index || from_index > from.size || size > from.size - from_index) {
    return TrapCode::TableOutOfBounds;
  }
  if (size != 0) std::memmove(to.elems + to_index, from.elems + from_index, size * sizeof(Ref));
  return TrapCode::None;
}

TrapCode table_init(Instance& instance, uint32_t segment, TableInst& table, uint64_t to, uint64_t from, uint64_t size) {
  const ElemSegment& elems = instance.module->elems[segment];
  const uint64_t count = instance.dropped_elems[segment] != 0 ? 0 : std::max(elems.funcs.size(), elems.exprs.size());
  if (from > count || size > count - from || to > table.size || size > table.size - to)
    return TrapCode::TableOutOfBounds;
  if (!elems.funcs.empty()) {
    for (uint64_t i = 0; i < size; ++i) table.elems[to + i] = Ref::of(instance.funcs[elems.funcs[from + i]]);
    return TrapCode::None;
  }
  // Element expressions read immutable globals and name functions only, so evaluating them late gives what
  // instantiation would have given.
  for (uint64_t i = 0; i < size; ++i) {
    Slot value[2];
    if (TrapCode trap = eval_const(instance, elems.exprs[from + i], value); trap != TrapCode::None) return trap;
    table.elems[to + i] = value[0].as_ref();
  }
  return TrapCode::None;
}

void elem_drop(Instance& instance, uint32_t segment) { instance.dropped_elems[segment] = 1; }

}  // namespace vmrun::vm
