// io_uring: see ring_linux.h.
#include "io/ring_linux.h"

#include <cerrno>
#include <new>

#include "io/sys.h"

namespace vmrun::io {

namespace {

// What a completion is about: an operation's address, or nothing.
constexpr uint64_t no_data = 0;
uint64_t data_of(const Op& op) { return reinterpret_cast<uint64_t>(&op); }

// Threads of the kernel that may work for the ring at a time; without a limit, hundreds were seen.
constexpr unsigned kernel_threads = 16;
// Completions taken at a time: a poll may run on a small stack.
constexpr int ring_batch = 32;

}  // namespace

RingBackend::~RingBackend() {
  if (open_) ::io_uring_queue_exit(&ring_);
}

int64_t RingBackend::open(bool& refused) noexcept {
  refused = false;
  if (const int64_t r = set_.open(); r < 0) return r;
  refused = true;
  if (const int64_t r = sys::ring_setup(ring_, options_.ring_entries); r < 0) return r;
  open_ = true;
  room_ = *ring_.cq.kring_entries;
  unsigned most[2] = {kernel_threads, kernel_threads};
  ::io_uring_register_iowq_max_workers(&ring_, most);  // older kernels know no such limit
  return set_.add(ring_.ring_fd, EpollSet::ring_data);
}

io_uring_sqe* RingBackend::slot_locked() noexcept {
  io_uring_sqe* sqe = sys::ring_slot(ring_);
  if (sqe != nullptr) return sqe;
  // Full of what the kernel did not take before: perhaps it does by now.
  sys::ring_submit(ring_);
  return sys::ring_slot(ring_);
}

bool RingBackend::submit_locked(io_uring_sqe* sqe) noexcept {
  int64_t r;
  do {
    r = sys::ring_submit(ring_);
  } while (r == -EINTR);
  if (r >= 0 && ::io_uring_sq_ready(&ring_) == 0) return true;
  // The entry stays in the queue and goes with the next: as one that does nothing.
  ::io_uring_prep_nop(sqe);
  ::io_uring_sqe_set_data64(sqe, no_data);
  return false;
}

int64_t RingBackend::start_locked(Op& op) noexcept {
  if (in_flight_ >= room_) return -EAGAIN;
  io_uring_sqe* sqe = slot_locked();
  if (sqe == nullptr) return -EAGAIN;
  const auto count = static_cast<unsigned>(op.count);
  const auto offset = static_cast<uint64_t>(op.offset);
  switch (op.kind) {
    case Op::Kind::Read: ::io_uring_prep_readv(sqe, op.fd, op.iov, count, offset); break;
    case Op::Kind::Write: ::io_uring_prep_writev(sqe, op.fd, op.iov, count, offset); break;
    case Op::Kind::Sync: ::io_uring_prep_fsync(sqe, op.fd, 0); break;
    case Op::Kind::SyncData: ::io_uring_prep_fsync(sqe, op.fd, IORING_FSYNC_DATASYNC); break;
    case Op::Kind::Watch: return -EINVAL;
  }
  ::io_uring_sqe_set_data64(sqe, data_of(op));
  if (!submit_locked(sqe)) return -EAGAIN;
  ++in_flight_;
  return 0;
}

int64_t RingBackend::start(Op& op) noexcept {
  if (op.kind == Op::Kind::Watch) return set_.add(op.fd, op.token);
  const bool at_position = op.kind == Op::Kind::Sync || op.kind == Op::Kind::SyncData || op.offset >= 0;
  if (at_position) {
    std::lock_guard lock(mutex_);
    op.cancelled = false;
    if (start_locked(op) == 0) return 0;
  }
  return files_.start(op);
}

void RingBackend::cancel(Op& op) noexcept {
  {
    std::lock_guard lock(mutex_);
    op.cancelled = true;
    // Where the ring has no room for this, the operation ends by itself.
    if (io_uring_sqe* sqe = slot_locked()) {
      ::io_uring_prep_cancel64(sqe, data_of(op), 0);
      ::io_uring_sqe_set_data64(sqe, no_data);
      submit_locked(sqe);
    }
  }
  files_.cancel(op);
}

int RingBackend::take(Done* done, int max) noexcept {
  std::lock_guard lock(mutex_);
  int n = 0;
  io_uring_cqe* cqe = nullptr;
  while (n < max && ::io_uring_peek_cqe(&ring_, &cqe) == 0 && cqe != nullptr) {
    const Done one{::io_uring_cqe_get_data64(cqe), cqe->res, cqe->flags};
    ::io_uring_cqe_seen(&ring_, cqe);
    if (one.data == no_data) continue;
    --in_flight_;
    done[n++] = one;
  }
  return n;
}

int RingBackend::deliver(const Done& done) noexcept {
  Op& op = *reinterpret_cast<Op*>(done.data);
  op.result = done.result;
  if (done.result == -ECANCELED || done.result == -EINTR || done.result == -EAGAIN) {
    bool again = false;
    {
      std::lock_guard lock(mutex_);
      if (op.cancelled) {
        op.result = -ECANCELED;
      } else {
        // Not our doing: the thread that submitted it has ended, or the kernel had no means to wait.
        again = true;
        if (done.result != -EAGAIN && start_locked(op) == 0) return 0;
      }
    }
    if (again) {
      if (files_.start(op) == 0) return 0;
      op.result = -EAGAIN;
    }
  }
  return sink_.finished(op);
}

int RingBackend::reap_ring() noexcept {
  int woken = 0;
  Done done[ring_batch];
  for (;;) {
    const int n = take(done, ring_batch);
    for (int i = 0; i < n; ++i) woken += deliver(done[i]);
    if (n < ring_batch) return woken;
  }
}

int RingBackend::reap(sched::Nanos deadline) noexcept {
  epoll_event events[reap_batch];
  const int n = set_.wait(deadline, events, reap_batch);
  int woken = 0;
  bool ring = false;
  for (int i = 0; i < n; ++i) {
    if (events[i].data.u64 == EpollSet::ring_data) {
      ring = true;
    } else {
      woken += sink_.ready(events[i].data.u64, ready_of(events[i].events));
    }
  }
  return ring ? woken + reap_ring() : woken;
}

}  // namespace vmrun::io
