// What a reference refers to.
#pragma once

#include "vm/runtime/instance.h"
#include "vm/wasm/types.h"

namespace vmrun::vm {

/// Whether `ref`, which is not null and in the hierarchy of `heap`, is a `heap`. As long as there are no objects, a
/// reference is a function, an exception or the host's; the last may stand in the hierarchy of `any` too, where it is
/// nothing more special than that.
inline bool ref_is(const TypeRegistry& registry, Ref ref, HeapType heap) {
  const Heap top = registry.top(heap);
  if (!heap.is_concrete()) return heap.abstract() == top;
  return top == Heap::func && registry.matches(ref.as<FuncRecord>()->type, heap.concrete());
}

}  // namespace vmrun::vm
