// Growth and the bulk operations of tables.
#include "vm/runtime/table.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "vm/base/assert.h"
#include "vm/runtime/const_expr.h"
#include "vm/runtime/slices.h"
#include "vm/runtime/store.h"

namespace vmrun::vm {

namespace {

/// Elements written between two looks at what is wanted from the guest.
constexpr uint64_t kSliceElements = kSliceBytes / sizeof(Ref);
/// The same where each is worked out.
constexpr uint64_t kSliceExpressions = kSliceElements / 16;

/// Elements that the table has room for.
TrapCode fill(Vcpu* cx, TableInst& table, uint64_t index, Ref value, uint64_t size) {
  return in_slices(cx, size, kSliceElements, Order::up, [&](uint64_t at, uint64_t count) {
    std::fill_n(table.elems + index + at, count, value);
    return TrapCode::None;
  });
}

}  // namespace

TrapCode table_grow(Vcpu* cx, TableInst& table, uint64_t delta, Ref init, uint64_t* previous) {
  const uint64_t old_size = table.size;
  *previous = old_size;
  if (delta == 0) return TrapCode::None;
  *previous = UINT64_MAX;
  if (delta > table.max || old_size > table.max - delta) return TrapCode::None;
  if (!table.store->charge_table(delta)) return TrapCode::None;
  const uint64_t new_size = old_size + delta;
  if (new_size > table.capacity) {
    // Neither can overflow: no table has a maximum above kMostTableElements.
    const uint64_t capacity = std::max(new_size, std::min(table.capacity * 2, table.max));
    Ref* elems = static_cast<Ref*>(std::realloc(table.elems, capacity * sizeof(Ref)));
    if (elems == nullptr) {
      table.store->credit_table(delta);
      return TrapCode::None;
    }
    table.elems = elems;
    table.capacity = capacity;
  }
  if (TrapCode trap = fill(cx, table, old_size, init, delta); trap != TrapCode::None) {
    table.store->credit_table(delta);
    return trap;
  }
  // Machine code knows the size of a table with nowhere to grow (Module::fixed_table_size).
  VMRUN_ASSERT(new_size <= table.type.limits.max.value_or(UINT64_MAX), "a table grows to its maximum at most");
  table.size = new_size;
  *previous = old_size;
  return TrapCode::None;
}

TrapCode table_fill(Vcpu* cx, TableInst& table, uint64_t index, Ref value, uint64_t size) {
  if (index > table.size || size > table.size - index) return TrapCode::TableOutOfBounds;
  return fill(cx, table, index, value, size);
}

TrapCode table_copy(Vcpu* cx, TableInst& to, TableInst& from, uint64_t to_index, uint64_t from_index, uint64_t size) {
  if (to_index > to.size || size > to.size - to_index || from_index > from.size || size > from.size - from_index) {
    return TrapCode::TableOutOfBounds;
  }
  if (size == 0) return TrapCode::None;
  const Order order = copy_order(to.elems + to_index, from.elems + from_index, size * sizeof(Ref));
  return in_slices(cx, size, kSliceElements, order, [&](uint64_t at, uint64_t count) {
    std::memmove(to.elems + to_index + at, from.elems + from_index + at, count * sizeof(Ref));
    return TrapCode::None;
  });
}

TrapCode table_init(Vcpu* cx, Instance& instance, uint32_t segment, TableInst& table, uint64_t to, uint64_t from,
                    uint64_t size) {
  const ElemSegment& elems = instance.module->elems[segment];
  const uint64_t count = instance.dropped_elems[segment] != 0 ? 0 : std::max(elems.funcs.size(), elems.exprs.size());
  if (from > count || size > count - from || to > table.size || size > table.size - to)
    return TrapCode::TableOutOfBounds;
  if (!elems.funcs.empty()) {
    return in_slices(cx, size, kSliceExpressions, Order::up, [&](uint64_t at, uint64_t n) {
      for (uint64_t i = at; i < at + n; ++i) table.elems[to + i] = Ref::of(instance.funcs[elems.funcs[from + i]]);
      return TrapCode::None;
    });
  }
  // Element expressions read immutable globals and name functions only, so evaluating them late gives what
  // instantiation would have given.
  return in_slices(cx, size, kSliceExpressions, Order::up, [&](uint64_t at, uint64_t n) {
    for (uint64_t i = at; i < at + n; ++i) {
      Slot value[2];
      if (TrapCode trap = eval_const(instance, elems.exprs[from + i], value); trap != TrapCode::None) return trap;
      table.elems[to + i] = value[0].as_ref();
    }
    return TrapCode::None;
  });
}

void elem_drop(Instance& instance, uint32_t segment) { instance.dropped_elems[segment] = 1; }

}  // namespace vmrun::vm
