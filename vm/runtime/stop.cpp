// Requests to a running guest: see stop.h.
#include "vm/runtime/stop.h"

#include <linux/membarrier.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "vm/runtime/activation.h"
#include "vm/runtime/guest_thread.h"
#include "vm/runtime/store.h"

namespace vmrun::vm {
namespace {

constexpr unsigned kRequests = 3;
std::atomic<ServeRequest> servers[kRequests];
std::atomic<int> stop_signal{0};

unsigned index_of(Request request) { return request == Request::yield ? 0 : request == Request::report ? 1 : 2; }

/// Unblocks what guests cannot do without: the signals of their faults, and the one that stops them. A fault whose
/// signal is blocked ends the process.
void unblock_signals() {
  sigset_t needed;
  sigemptyset(&needed);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaddset(&needed, signal);
  if (const int stop = stop_signal.load(std::memory_order_relaxed); stop != 0) sigaddset(&needed, stop);
  pthread_sigmask(SIG_UNBLOCK, &needed, nullptr);
}

/// This thread's number: asked for once, because that is a system call. What else a thread needs once comes with it.
[[gnu::noinline, gnu::cold]] int32_t ask_number() {
  unblock_signals();
  if (auto* begins = guest_thread_begins.load(std::memory_order_acquire)) begins();
  return thread_number = static_cast<int32_t>(syscall(SYS_gettid));
}
int32_t own_number() { return __builtin_expect(thread_number != 0, 1) ? thread_number : ask_number(); }

[[gnu::noinline, gnu::cold]] void send_signal(const Vcpu& cx) {
  const int signal = stop_signal.load(std::memory_order_relaxed);
  const int32_t thread = cx.thread.load(std::memory_order_relaxed);
  if (signal != 0 && thread > 0) syscall(SYS_tgkill, getpid(), thread, signal);
}

void after_flag(Vcpu& cx) {
  fence_all_threads();
  make_poll(cx);
  send_signal(cx);
}

/// Takes a vCPU that is about to run over for this thread.
void take_over(Vcpu& cx) {
  const int32_t self = own_number();
  int32_t thread = cx.thread.load(std::memory_order_relaxed);
  if (thread == 0) {
    cx.thread.store(self, std::memory_order_relaxed);
  } else if (thread != self) {
    do {
      thread = kSuspended;
    } while (!cx.thread.compare_exchange_weak(thread, self, std::memory_order_acquire));
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (__builtin_expect(stop_wanted(cx), 0)) repeat_request(cx);
}

}  // namespace

constinit thread_local int32_t thread_number = 0;
constinit std::atomic<void (*)()> guest_thread_begins{nullptr};

void guest_thread_paused() { thread_number = 0; }

void repeat_request(Vcpu& cx) {
  make_poll(cx);
  send_signal(cx);
}

void fence_all_threads() {
  // Registration is quick while the process has one thread, and does no harm when repeated.
  static constinit std::atomic<bool> registered{false};
  if (!registered.load(std::memory_order_relaxed)) {
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    registered.store(true, std::memory_order_relaxed);
  }
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0) {
    // Slow (milliseconds), but there since Linux 4.3. Where even that is forbidden, repeated signals have to do.
    syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void make_poll(Vcpu& cx) {
  std::atomic_ref<std::byte*>(cx.stack_limit).store(nullptr, std::memory_order_release);
  std::atomic_ref<std::byte*>(cx.native_limit)
      .store(reinterpret_cast<std::byte*>(UINTPTR_MAX), std::memory_order_release);
}

void ask_interrupt(Vcpu& cx, Interrupt how) {
  cx.interrupt.fetch_or(static_cast<uint8_t>(how), std::memory_order_seq_cst);
  after_flag(cx);
  // A guest that is entered later sees the flag before it waits.
  if (cx.store != nullptr && cx.thread.load(std::memory_order_relaxed) != 0) cx.store->waker().wake();
}

void end_interrupt(Vcpu& cx, Interrupt how) {
  cx.interrupt.fetch_and(static_cast<uint8_t>(~static_cast<uint8_t>(how)), std::memory_order_acq_rel);
}

bool take_interrupt(Vcpu& cx) {
  constexpr auto kStays = static_cast<uint8_t>(~static_cast<uint8_t>(Interrupt::once));
  return cx.interrupt.load(std::memory_order_relaxed) != 0 &&
         cx.interrupt.fetch_and(kStays, std::memory_order_acq_rel) != 0;
}

void ask(Vcpu& cx, Request request) {
  cx.requests.fetch_or(static_cast<uint8_t>(request), std::memory_order_seq_cst);
  after_flag(cx);
}

void set_request_server(Request request, ServeRequest serve) {
  servers[index_of(request)].store(serve, std::memory_order_release);
}

void set_stop_signal(int signal) {
  if (signal != 0) fence_all_threads();  // registers while there are few threads
  stop_signal.store(signal, std::memory_order_relaxed);
}

TrapCode poll(Vcpu& cx) {
  if (take_interrupt(cx)) return TrapCode::Interrupted;
  if (cx.requests.load(std::memory_order_relaxed) == 0) return TrapCode::None;
  // What is served may free code: positions in it are good no longer.
  if (cx.store != nullptr) cx.store->unwound().clear();
  const uint8_t wanted = cx.requests.exchange(0, std::memory_order_acq_rel);
  // Yielding last: the guest may be away for long.
  for (Request request : {Request::sample, Request::report, Request::yield}) {
    if ((wanted & static_cast<uint8_t>(request)) == 0) continue;
    if (ServeRequest serve = servers[index_of(request)].load(std::memory_order_acquire)) serve(cx);
  }
  return take_interrupt(cx) ? TrapCode::Interrupted : TrapCode::None;
}

void serve_sample(Vcpu& cx) {
  constexpr auto kSample = static_cast<uint8_t>(Request::sample);
  if ((cx.requests.load(std::memory_order_relaxed) & kSample) == 0) return;
  if ((cx.requests.fetch_and(static_cast<uint8_t>(~kSample), std::memory_order_acq_rel) & kSample) == 0) return;
  if (ServeRequest serve = servers[index_of(Request::sample)].load(std::memory_order_acquire)) serve(cx);
}

TrapCode poll_on_return(Vcpu& cx) {
  // The limits first, so that a request made in between is not lost.
  std::atomic_ref<std::byte*>(cx.native_limit).store(cx.native_end, std::memory_order_seq_cst);
  std::atomic_ref<std::byte*>(cx.stack_limit).store(cx.stack_end, std::memory_order_seq_cst);
  return poll(cx);
}

// Neither is inlined: their caller may be on another thread at the second call, and would use the first one's
// addresses.
[[gnu::noinline]] Vcpu* set_running(Vcpu* cx) {
  Vcpu* before = std::exchange(running_vcpu, cx);
  if (before != nullptr && before != cx) before->thread.store(kSuspended, std::memory_order_release);
  if (cx != nullptr) take_over(*cx);
  return before;
}

[[gnu::noinline]] void end_running(Vcpu* cx, Vcpu* before) {
  running_vcpu = before;
  if (cx == before) return;
  cx->thread.store(cx->activation == nullptr ? 0 : kSuspended, std::memory_order_release);
  if (before != nullptr) take_over(*before);
}

}  // namespace vmrun::vm
