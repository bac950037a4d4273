// Asking a running guest to stop at its next opportunity: to end (Vcpu::interrupt) or to do something for others first
// (Vcpu::requests).
//
// Who asks sets the flag, then makes all guest code that polls do so (the limits of both stacks), then sends the thread
// a signal, whose handler (jit/stop/preempt.h) stops machine code, which does not poll, and cuts the interpreter's slice
// short. The guest serves requests in poll(), where its position is recorded and its registers are safe. A guest that is
// suspended where it waits gets no signal: an interrupt wakes it (vm/runtime/waker.h).
//
// Threads. Asking: any thread, and signal handlers; the vCPU must live. What a guest's thread does unfenced is ordered
// by membarrier(2) on the asking side, between the flag and the rest: a guest that stores its limits or Vcpu::thread
// and then looks at the flags either sees the flag, or what it stored is seen (and the limits overwritten) by who asks.
#pragma once

#include <atomic>
#include <cstdint>

#include "vm/runtime/activation.h"
#include "vm/runtime/instance.h"

namespace vmrun::vm {

enum class Request : uint8_t {
  yield = 1,   // let others run
  report = 2,  // say which code it stands in
  sample = 8,  // count where it stands, for a profile. Stops nobody: it is served where the guest polls anyway
};

/// A bit of Vcpu::requests beside those: the guest's task is cancelled, so its system calls that wait end
/// (vm/runtime/stoppable.h). Set together with `yield`, whose server says whether the guest is to end. A guest that is
/// entered polls before it calls anything, so a bit that is left from an earlier entry ends no call.
inline constexpr uint8_t kEndCalls = 4;

/// The bits of Vcpu::interrupt.
enum class Interrupt : uint8_t {
  once = 1,  // a trap takes it
  // These stand: every call traps until whoever set it takes it back.
  late = 2,   // a deadline has passed
  ended = 4,  // another thread has ended the guest's program
};

/// Makes the guest trap with TrapCode::Interrupted. One that is suspended is woken.
void ask_interrupt(Vcpu& cx, Interrupt how = Interrupt::once);
/// Takes `how` back. Any thread.
void end_interrupt(Vcpu& cx, Interrupt how);
/// Whether the guest is to end. Takes an interrupt that is for one trap.
bool take_interrupt(Vcpu& cx);
/// Makes the guest serve `request`.
void ask(Vcpu& cx, Request request);

/// Whether poll() has anything to do.
inline bool stop_wanted(const Vcpu& cx) {
  return cx.interrupt.load(std::memory_order_relaxed) != 0 || cx.requests.load(std::memory_order_relaxed) != 0;
}

/// Whether it has anything to do that machine code has to be stopped for.
inline bool stop_urgent(const Vcpu& cx) {
  return cx.interrupt.load(std::memory_order_relaxed) != 0 ||
         (cx.requests.load(std::memory_order_relaxed) & ~static_cast<uint8_t>(Request::sample)) != 0;
}

/// Whether a system call of the guest that waits is to end.
inline bool ends_calls(const Vcpu& cx) {
  return cx.interrupt.load(std::memory_order_relaxed) != 0 ||
         (cx.requests.load(std::memory_order_relaxed) & kEndCalls) != 0;
}

/// Serves what was asked for. The guest's position is in its activation. Returns Interrupted when it has to end, None
/// when it goes on, which it may do on another thread.
TrapCode poll(Vcpu& cx);

/// What poll() does for Request::sample alone, where the guest's frames end without another poll.
void serve_sample(Vcpu& cx);

/// poll() by the runtime on the way back to machine code: also puts back the limits that make_poll took away.
[[gnu::visibility("hidden")]] TrapCode poll_on_return(Vcpu& cx);

/// What serving a request means. Called in poll(). `yield` may suspend and return on another thread; it sets
/// Vcpu::interrupt when the guest is to end instead of going on. Null: nothing is done.
using ServeRequest = void (*)(Vcpu& cx);
void set_request_server(Request request, ServeRequest serve);

/// Makes calls, entries and back-edges of the guest poll. From its own thread, or fenced as described above.
void make_poll(Vcpu& cx);

/// From now on (0: no longer) ask() sends this signal to the guest's thread. The handler is installed before.
void set_stop_signal(int signal);

// ---- whose guest runs where: Vcpu::thread ----
// 0: it has no frames, or has had none since it was last entered. Positive: the thread that runs it. kSuspended: it has
// frames, whose positions are recorded, and goes on later. kHeldStill: the same, and somebody looks at them
// (vm/runtime/vcpus.h).
inline constexpr int32_t kSuspended = -1, kHeldStill = -2;

/// Says that the guest of `cx` (null: none) is what runs on this thread, having been entered from the host or resumed.
/// Whose was running before is suspended; it is returned. By whoever enters a guest, and by a scheduler at each switch.
Vcpu* set_running(Vcpu* cx);
/// Ends an entry: `cx` is left, and `before` goes on, which set_running returned when `cx` was entered.
void end_running(Vcpu* cx, Vcpu* before);

/// set_running, quick for the common entry, which is the first on its thread and of its vCPU. After it, when the limits
/// are set, stop_wanted is looked at and answered by repeat_request.
/// Not to be inlined into a function that runs the guest afterwards, which may come back on another thread.
inline Vcpu* enter_running(Vcpu& cx);
/// Ends such an entry: no vCPU ran on the thread before, and `cx` has no frames.
inline void leave_running(Vcpu& cx);
/// Asks again for what was asked for: the limits were overwritten, or the thread was not known.
void repeat_request(Vcpu& cx);

/// The kernel's number of this thread; 0 where guest_thread_begins (vm/runtime/guest_thread.h) is to be called before its next
/// guest.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local int32_t thread_number;

/// A full barrier on all threads of the process: what each did before is seen by the caller from now on.
void fence_all_threads();

inline Vcpu* enter_running(Vcpu& cx) {
  const int32_t self = thread_number;
  if (running_vcpu != nullptr || self == 0 || cx.thread.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    return set_running(&cx);
  }
  running_vcpu = &cx;
  cx.thread.store(self, std::memory_order_relaxed);
  return nullptr;
}

inline void leave_running(Vcpu& cx) {
  running_vcpu = nullptr;
  cx.thread.store(0, std::memory_order_release);
}

}  // namespace vmrun::vm
