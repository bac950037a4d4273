// Asking a running guest to stop at its next opportunity: to end (Vcpu::interrupt) or to do something for others first
// (Vcpu::requests).
//
// Who asks sets the flag, then makes all guest code that polls do so (the limits of both stacks), then sends the thread
// a signal, whose handler (jit/preempt.h) stops machine code, which does not poll, and cuts the interpreter's slice
// short. The guest serves requests in poll(), where its position is recorded and its registers are safe.
//
// Threads. Asking: any thread, and signal handlers; the vCPU must live. What a guest's thread does unfenced is ordered
// by membarrier(2) on the asking side, between the flag and the rest: a guest that stores its limits or Vcpu::thread
// and then looks at the flags either sees the flag, or what it stored is seen (and the limits overwritten) by who asks.
#pragma once

#include <atomic>
#include <cstdint>

#include "vm/instance.h"

namespace vmrun::vm {

enum class Request : uint8_t {
  yield = 1,   // let others run
  report = 2,  // say which code it stands in
};

/// Makes the guest trap with TrapCode::Interrupted.
void ask_interrupt(Vcpu& cx);
/// Makes the guest serve `request`.
void ask(Vcpu& cx, Request request);

/// Whether poll() has anything to do.
inline bool stop_wanted(const Vcpu& cx) {
  return cx.interrupt.load(std::memory_order_relaxed) || cx.requests.load(std::memory_order_relaxed) != 0;
}

/// Serves what was asked for. The guest's position is in its activation. Returns Interrupted when it has to end, None
/// when it goes on, which it may do on another thread.
TrapCode poll(Vcpu& cx);

/// What serving a request means. Called in poll(). `yield` may suspend and return on another thread; it sets
/// Vcpu::interrupt when the guest is to end instead of going on. Null: nothing is done.
using ServeRequest = void (*)(Vcpu& cx);
void set_request_server(Request request, ServeRequest serve);

/// Makes calls, entries and back-edges of the guest poll. From its own thread, or fenced as described above.
void make_poll(Vcpu& cx);

/// From now on (0: no longer) ask() sends this signal to the guest's thread. The handler is installed before.
void set_stop_signal(int signal);

/// Says that the guest of `cx` (null: none) is what runs on this thread. Returns whose it was before. By whoever enters
/// or leaves a guest, and by a scheduler at each switch.
Vcpu* set_running(Vcpu* cx);

}  // namespace vmrun::vm
