// Where the native stack ends, and the limits of both stacks as they change hands.
//
// One limit covers a vCPU's VM stack and its native stack: what is left on one is all that is left on the other. So
// each crossing between the kinds of frames works out the limit of the side it enters; the record of the crossing keeps
// both limits as they were.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "vm/instance.h"
#include "vm/stop.h"

namespace vmrun::vm {

/// Bytes at the end of a native stack that guests leave to host functions and the runtime.
inline constexpr size_t kHostReserve = size_t{128} << 10;

/// Makes the calling thread fit to run guests, once per thread: an alternate signal stack (vm/fault.h), and the end of
/// its stack, plus kHostReserve, found out.
void prepare_thread();
[[gnu::tls_model("initial-exec")]] extern constinit thread_local std::byte* thread_floor;  // null before

/// The end of the calling thread's stack plus kHostReserve; the thread is fit to run guests afterwards.
inline std::byte* thread_native_floor() {
  if (__builtin_expect(thread_floor == nullptr, 0)) prepare_thread();
  return thread_floor;
}

/// How far guests may use the native stack in use.
inline std::byte* native_floor(const Vcpu& cx) {
  std::byte* thread = thread_native_floor();
  return cx.fiber_floor != nullptr ? cx.fiber_floor : thread;
}

/// The end of the VM stack as it is mapped; Vcpu::stack_end may lie below.
inline std::byte* real_stack_end(const Vcpu& cx) { return reinterpret_cast<std::byte*>(cx.area) - kStackRedZone; }

/// Sets both limits, and what guests compare with. A request to poll that came in between is repeated (vm/stop.h).
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
