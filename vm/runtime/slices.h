// Work in proportion to a length that a guest chooses (memory.fill, table.init...): done in slices, with a look between
// them at what is wanted from the guest, so that one instruction keeps nobody waiting.
//
// Serving a request may take long and end on another thread. Meanwhile a shared memory may grow, and others may write to
// it; no memory moves or shrinks, and what the bounds were checked against still holds. A table's elements may move.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "vm/base/trap.h"
#include "vm/runtime/instance.h"
#include "vm/runtime/stop.h"

namespace vmrun::vm {

/// Bytes written between two looks: 0.1 ms, or some 0.3 ms where the pages are touched for the first time.
inline constexpr uint64_t kSliceBytes = uint64_t{1} << 20;

enum class Order : bool { up, down };

/// Has `work(at, count)` do all of [0, size) in pieces of at most `most` (not 0), from the front or from the back. A trap
/// that it returns ends this.
///
/// `cx` is the guest that executes the instruction, whose position is in its activation: Interrupted ends it between two
/// pieces. Null when no guest does.
template <class Work>
TrapCode in_slices(Vcpu* cx, uint64_t size, uint64_t most, Order order, Work work) {
  for (uint64_t done = 0;;) {
    const uint64_t count = std::min(most, size - done);
    if (TrapCode trap = work(order == Order::up ? done : size - done - count, count); trap != TrapCode::None)
      return trap;
    done += count;
    if (done == size) return TrapCode::None;
    if (cx != nullptr && stop_wanted(*cx)) [[unlikely]] {
      if (TrapCode trap = poll_on_return(*cx); trap != TrapCode::None) return trap;
    }
  }
}

/// In which order pieces of `bytes` bytes are to be copied, so that none is overwritten before it has been read.
inline Order copy_order(const void* to, const void* from, uint64_t bytes) {
  return reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(from) < bytes ? Order::down : Order::up;
}

}  // namespace vmrun::vm
