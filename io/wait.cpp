// Waiting tasks and threads: see wait.h.
#include "io/wait.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "io/sys.h"
#include "sched/check.h"

namespace vmrun::io {

using sched::Wake;

namespace {

/// What wakes a thread that waits; made at its first wait. A thread without one (no descriptors are left) looks every
/// so often.
struct ThreadEvent {
  int fd = -1;
  ~ThreadEvent() {
    if (fd >= 0) sys::close(fd);
  }
};
constexpr Nanos look_every = 5'000'000;

/// For threads that run no task: those are never moved.
[[gnu::noinline]] int thread_event() noexcept {
  thread_local ThreadEvent event;
  if (event.fd < 0) event.fd = static_cast<int>(std::max<int64_t>(sys::event_create(), -1));
  return event.fd;
}

}  // namespace

Stop::~Stop() { SCHED_ASSERT(first_ == nullptr, "a Stop ends before the waits it was given to"); }

void Stop::stop() noexcept {
  stopped_.store(true, std::memory_order_release);
  for (bool more = true; more;) {
    Unparks unparks;
    {
      std::lock_guard lock(lock_);
      while (first_ != nullptr && !unparks.full()) {
        Waiter* waiter = first_;
        first_ = waiter->stop_next_;
        if (first_ != nullptr) first_->stop_prev_ = nullptr;
        waiter->stop_linked_ = false;
        waiter->signal(unparks);
      }
      more = first_ != nullptr;
    }
    unparks.flush();
  }
}

Waiter::Waiter(const Until& until) : until_(until), task_(sched::self()) {
  if (!task_) event_ = thread_event();
  if (Stop* stop = until_.stop) {
    std::lock_guard lock(stop->lock_);
    if (stop->stopped()) {
      signalled_.store(true, std::memory_order_relaxed);
      return;
    }
    stop_next_ = stop->first_;
    if (stop_next_ != nullptr) stop_next_->stop_prev_ = this;
    stop->first_ = this;
    stop_linked_ = true;
  }
}

Waiter::~Waiter() {
  Stop* stop = until_.stop;
  if (stop == nullptr) return;
  std::lock_guard lock(stop->lock_);
  if (!stop_linked_) return;
  (stop_prev_ != nullptr ? stop_prev_->stop_next_ : stop->first_) = stop_next_;
  if (stop_next_ != nullptr) stop_next_->stop_prev_ = stop_prev_;
}

void Waiter::signal(Unparks& unparks) noexcept {
  signalled_.store(true, std::memory_order_release);
  if (task_) {
    unparks.add(task_);
  } else if (event_ >= 0) {
    sys::event_signal(event_);
  }
}

Wake Waiter::wait(sched::WaitsFor waits_for) noexcept {
  Wake how = Wake::Unparked;
  bool stray = false;
  while (!signalled()) {
    if (until_.is_over()) {
      how = Wake::Cancelled;
      break;
    }
    how = until_.deadline == never
              ? sched::park(until_.cancellable, waits_for)
              : sched::park_until(sched::Clock::time_point(std::chrono::nanoseconds(until_.deadline)),
                                  until_.cancellable, waits_for);
    if (how != Wake::Unparked) break;
    stray |= !signalled();
  }
  if (stray) task_.unpark();  // meant for another wait, perhaps
  return signalled() ? Wake::Unparked : how;
}

Wake Waiter::wait(pollfd* fds, size_t count, int64_t& ready) noexcept {
  ready = 0;
  fds[count] = {event_, POLLIN, 0};
  while (!signalled()) {
    const Nanos at = sched::now();
    if (until_.deadline != never && at >= until_.deadline) return Wake::TimedOut;
    const Nanos until = event_ >= 0 ? until_.deadline : std::min(until_.deadline, at + look_every);
    int64_t n = sys::poll(fds, count + 1, until);
    if (n < 0 && n != -EINTR) {
      ready = n;
      return Wake::Unparked;
    }
    if (n <= 0) continue;  // a signal, or time is over
    if (fds[count].revents != 0) {
      uint64_t times = 0;
      [[maybe_unused]] const ssize_t read = ::read(event_, &times, sizeof times);
      --n;
    }
    if (n > 0) {
      ready = n;
      return Wake::Unparked;
    }
  }
  return Wake::Unparked;
}

int64_t Waiter::error_of(Wake how) noexcept { return how == Wake::TimedOut ? -ETIMEDOUT : -ECANCELED; }

void NodeList::push(Node& node, bool front) noexcept {
  node.prev = front ? nullptr : last;
  node.next = front ? first : nullptr;
  (node.prev != nullptr ? node.prev->next : first) = &node;
  (node.next != nullptr ? node.next->prev : last) = &node;
  node.linked = true;
  lookers += node.consumes ? 0 : 1;
}

void NodeList::unlink(Node& node) noexcept {
  (node.prev != nullptr ? node.prev->next : first) = node.next;
  (node.next != nullptr ? node.next->prev : last) = node.prev;
  node.linked = false;
  lookers -= node.consumes ? 0 : 1;
}

}  // namespace vmrun::io
