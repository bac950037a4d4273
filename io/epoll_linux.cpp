// Epoll: see epoll_linux.h.
#include "io/epoll_linux.h"

#include <algorithm>
#include <cerrno>

#include "io/sys.h"

namespace vmrun::io {

using sched::Nanos;
using sched::never;

namespace {

// The kernel ends a timeout up to a thousandth of it late (a two-hundredth where the process is nice). From here on the
// timer, which is exact, is worth its system call.
constexpr Nanos long_wait = 10'000'000;

}  // namespace

uint32_t ready_of(uint32_t events) noexcept {
  uint32_t ready = 0;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0) ready |= ready_read;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) ready |= ready_write;
  // Urgent data ends a read early, as the end does: a short read then does not tell that nothing is left.
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0) ready |= ready_ended;
  return ready;
}

EpollSet::~EpollSet() {
  for (const int fd : {timer_, event_, epoll_}) {
    if (fd >= 0) sys::close(fd);
  }
}

int64_t EpollSet::open() noexcept {
  int64_t r = sys::epoll_create();
  if (r < 0) return r;
  epoll_ = static_cast<int>(r);
  if ((r = sys::event_create()) < 0) return r;
  event_ = static_cast<int>(r);
  if ((r = sys::timer_create()) < 0) return r;
  timer_ = static_cast<int>(r);
  if ((r = sys::epoll_add(epoll_, event_, EPOLLIN | EPOLLET, interrupt_data)) < 0) return r;
  return sys::epoll_add(epoll_, timer_, EPOLLIN | EPOLLET, timer_data);
}

int64_t EpollSet::add(int fd, uint64_t data) noexcept {
  return sys::epoll_add(epoll_, fd, data == ring_data ? EPOLLIN | EPOLLET : watched_events, data);
}

void EpollSet::remove(int fd) noexcept { sys::epoll_remove(epoll_, fd); }

void EpollSet::interrupt() noexcept {
  if (!interrupted_.exchange(true, std::memory_order_acq_rel)) sys::event_signal(event_);
}

int EpollSet::wait(Nanos deadline, epoll_event* events, int count) noexcept {
  Nanos timeout = deadline;
  if (deadline != 0 && deadline != never) {
    const Nanos left = deadline - sched::now();
    timeout = std::max<Nanos>(left, 0);
    if (left > long_wait || (left > 0 && !fine_timeouts_)) {
      if (timer_at_ == deadline || sys::timer_set(timer_, deadline) == 0) {
        timer_at_ = deadline;
        timeout = never;
      }
    }
  }
  int64_t n = sys::epoll_wait(epoll_, events, count, timeout);
  if (n == -ENOSYS) {
    fine_timeouts_ = false;
    return 0;  // the caller comes back with the same deadline
  }
  // A signal may have ended it (-EINTR). No other error is possible, and the next wait would tell.
  int kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t data = events[i].data.u64;
    if (data == interrupt_data) {
      interrupted_.exchange(false, std::memory_order_acq_rel);
    } else if (data == timer_data) {
      timer_at_ = never;
    } else {
      events[kept++] = events[i];
    }
  }
  return kept;
}

int64_t EpollBackend::start(Op& op) noexcept {
  return op.kind == Op::Kind::Watch ? set_.add(op.fd, op.token) : files_.start(op);
}

int EpollBackend::reap(Nanos deadline) noexcept {
  epoll_event events[reap_batch];
  const int n = set_.wait(deadline, events, reap_batch);
  int woken = 0;
  for (int i = 0; i < n; ++i) woken += sink_.ready(events[i].data.u64, ready_of(events[i].events));
  return woken;
}

}  // namespace vmrun::io
