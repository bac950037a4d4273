// Which native stack a guest may use, and the limits of both stacks as they change hands.
//
// A guest runs on the stack of who calls it: the thread's own, or one that the embedder or the scheduler has named for
// the store (Store::set_native_stack). A call that comes from any other stack is refused, because nobody knows where
// that one ends.
//
// One limit covers a vCPU's VM stack and its native stack: what is left on one is all that is left on the other. So
// each crossing between the kinds of frames works out the limit of the side it enters; the record of the crossing keeps
// both limits as they were.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "vm/runtime/instance.h"
#include "vm/runtime/stop.h"

namespace vmrun::vm {

/// The least native stack on which guests run.
inline constexpr size_t kMinNativeStack = size_t{128} << 10;

/// Bytes at the end of a native stack of `bytes` that guests leave to host functions and the runtime.
constexpr size_t host_reserve(size_t bytes) {
  return bytes >= size_t{192} << 10 ? size_t{128} << 10 : std::min(bytes, size_t{64} << 10);
}

/// The part of a native stack from which guests may be entered, and down to which they may go: [floor, floor + room).
struct NativeStack {
  std::byte* floor = nullptr;  // `reserve` above the stack's end
  size_t room = 0;             // 0: the stack is too small for guests
  size_t reserve = 0;          // what guests leave to others
  /// By its usable bytes.
  static NativeStack of(void* lowest, size_t bytes) {
    const size_t reserve = host_reserve(bytes);
    return {static_cast<std::byte*>(lowest) + reserve, bytes - reserve, reserve};
  }
  bool holds(const void* sp) const { return static_cast<size_t>(static_cast<const std::byte*>(sp) - floor) < room; }
};

/// Makes the calling thread fit to run guests, once per thread: an alternate signal stack (vm/runtime/fault.h), and its stack
/// found out.
void prepare_thread();
[[gnu::tls_model("initial-exec")]] extern constinit thread_local NativeStack thread_stack;  // without room before

/// The end of the VM stack as it is mapped; Vcpu::stack_end may lie below.
inline std::byte* real_stack_end(const Vcpu& cx) { return reinterpret_cast<std::byte*>(cx.area) - kStackRedZone; }

/// Sets both limits, and what guests compare with. A request to poll that came in between is repeated (vm/runtime/stop.h).
inline void set_limits(Vcpu& cx, std::byte* stack_end, std::byte* native_end) {
  cx.stack_end = stack_end;
  cx.native_end = native_end;
  std::atomic_ref<std::byte*> stack(cx.stack_limit), native(cx.native_limit);
  stack.store(stack_end, std::memory_order_relaxed);
  native.store(native_end, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (__builtin_expect(stop_wanted(cx), 0)) make_poll(cx);
}

}  // namespace vmrun::vm
