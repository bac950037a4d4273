// The timers behind sample.h.
#include "jit/sample.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "jit/code.h"
#include "jit/preempt.h"
#include "vm/guest_thread.h"
#include "vm/instance.h"
#include "vm/stop.h"

namespace vmrun::jit {
namespace {

constinit SampleServer server;
constinit char tick_marker = 0;  // tells the timers' signals from others, by its address

/// Whether a tick was charged that nobody has decided about yet.
constinit thread_local bool charged __attribute__((tls_model("initial-exec"))) = false;

/// The thread's timer.
struct Timer {
  bool tried = false;
  bool running = false;
  int id = 0;

  bool start() {
    tried = true;
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = kStopSignal;
    event.sigev_value.sival_ptr = &tick_marker;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    // The bare system calls, as for the other timer of this signal.
    if (syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &id) != 0) return false;
    running = true;
    itimerspec every = {};
    every.it_value.tv_nsec = every.it_interval.tv_nsec = kSampleNanoseconds;
    return syscall(SYS_timer_settime, id, 0, &every, nullptr) == 0;
  }
  ~Timer() {
    if (running) syscall(SYS_timer_delete, id);
  }
};
thread_local Timer timer;

}  // namespace

void set_sample_server(const SampleServer& given) {
  server = given;
  vm::guest_thread_begins.store(&sample_this_thread, std::memory_order_release);
}

bool can_sample() {
  if (!kStopsBySignal) return false;
  static const bool works = [] {
    int id = 0;
    sigevent event = {};
    event.sigev_notify = SIGEV_NONE;
    if (syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &id) != 0) return false;
    syscall(SYS_timer_delete, id);
    return true;
  }();
  return works;
}

void sample_this_thread() {
  if (!timer.tried && CodeSpace::existing() != nullptr) timer.start();
}

bool is_tick(const void* value) { return value == &tick_marker; }

void sample(vm::Vcpu& cx, const void* pc, uint32_t ticks) {
  const CodeSpace* space = CodeSpace::existing();
  const CodeObject* object = space != nullptr ? space->find(pc) : nullptr;
  if (object == nullptr || object->func == nullptr || object->tier != vm::Tier::baseline) return;
  if (!server.charge(*object->func, ticks)) return;
  charged = true;
  cx.budget = -kOuterPolls;
  std::atomic_ref<std::byte*>(cx.native_limit)
      .store(reinterpret_cast<std::byte*>(UINTPTR_MAX), std::memory_order_relaxed);
}

bool decide_if_sampled(vm::FuncCode& code, bool at_entry) {
  if (!charged) return false;
  charged = false;
  return server.decide(code, at_entry);
}

}  // namespace vmrun::jit
