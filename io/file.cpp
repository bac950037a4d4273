// Files. A call is the plain system call, in a region in which others may take over the processor. Where such calls prove
// slow, they go to the backend, which needs no thread of the scheduler's for each.
//
// How slow reads, writes and syncs of a descriptor have proved is a number for each: a slow call adds, a quick one takes
// away. Calls of a quick file are measured now and then, those of another always. Above a threshold calls are handed over; a read that memory can answer is still made at once, and counts as quick.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/iov.h"
#include "io/quick_x86_64.h"
#include "io/reactor.h"
#include "io/region.h"
#include "io/retry.h"
#include "io/use.h"

namespace vmrun::io {

namespace {

// Two slow calls in a row, or in four, hand a file over; some twenty quick ones take it back.
constexpr uint8_t slow_step = 8;
constexpr uint8_t slow_from = 13;
constexpr uint8_t slow_most = 32;
constexpr uint8_t measured_every = 8;

size_t index_of(Op::Kind kind) { return kind == Op::Kind::Read ? 0 : kind == Op::Kind::Write ? 1 : 2; }

// Several calls at a time may lose a count: it is a guess anyway.
void proved(std::atomic<uint8_t>& slow, bool is_slow) noexcept {
  const uint8_t now = slow.load(std::memory_order_relaxed);
  if (is_slow) {
    slow.store(std::min<uint8_t>(now + slow_step, slow_most), std::memory_order_relaxed);
  } else if (now != 0) {
    slow.store(now - 1, std::memory_order_relaxed);
  }
}

[[gnu::always_inline]] inline int64_t call(const Cell& cell, const Op& op) noexcept {
  switch (op.kind) {
    case Op::Kind::Read:
      return op.offset < 0 ? sys::quick_readv(cell.fd, op.iov, op.count)
                           : sys::quick_preadv(cell.fd, op.iov, op.count, op.offset);
    case Op::Kind::Write:
      return op.offset < 0 ? sys::writev(cell.fd, op.iov, op.count, cell.quiet)
                           : sys::pwritev(cell.fd, op.iov, op.count, op.offset, cell.quiet);
    case Op::Kind::Sync: return sys::fsync(cell.fd, false);
    case Op::Kind::SyncData: return sys::fsync(cell.fd, true);
    case Op::Kind::Watch: break;
  }
  return -EINVAL;
}

}  // namespace

/// A transfer that a backend has, in the frame of the task that waits for it.
struct Reactor::Transfer : Op {
  Transfer(const Op& op, const Until& until) : Op(op), waiter(until) {}
  Waiter waiter;
  std::atomic<bool> over{false};
  std::atomic<bool> left{false};  // and whoever finished it touches neither it nor the task any more
};

int Reactor::finished(Op& op) noexcept {
  auto& transfer = static_cast<Transfer&>(op);
  transfer.over.store(true, std::memory_order_release);
  // By the waiter's own handle: a copy might be the last one, and outlive the scheduler on a thread of its own.
  transfer.waiter.task().unpark();
  transfer.left.store(true, std::memory_order_release);  // from here on it may be gone
  return 1;
}

// -EAGAIN: the backend does not take it.
int64_t Reactor::hand_over(Cell& cell, Op& op, const Until& until) noexcept {
  Transfer transfer(op, until);
  transfer.fd = cell.fd;
  transfer.quiet = cell.quiet;
  transfers_.fetch_add(1, std::memory_order_relaxed);
  waiting_.fetch_add(1, std::memory_order_seq_cst);
  int64_t r = backend_->start(transfer);
  if (r == 0) {
    // The kernel or a thread has the buffers: nobody leaves before it is over.
    const sched::WaitsFor what{"a transfer of descriptor", static_cast<uint64_t>(cell.fd)};
    Until patient = until;
    sched::Wake how = sched::Wake::Unparked;
    bool stray = false;
    while (!transfer.over.load(std::memory_order_acquire)) {
      const sched::Wake woken =
          patient.deadline == never
              ? sched::park(patient.cancellable, what)
              : sched::park_until(sched::Clock::time_point(std::chrono::nanoseconds(patient.deadline)),
                                  patient.cancellable, what);
      if (transfer.over.load(std::memory_order_acquire)) break;
      const bool stopped = until.is_over();
      if (woken == sched::Wake::Unparked && !stopped) {
        stray = true;
        continue;
      }
      if (how == sched::Wake::Unparked) {
        how = stopped ? sched::Wake::Cancelled : woken;
        backend_->cancel(transfer);
      }
      patient = {.cancellable = sched::Cancellable::No};
    }
    while (!transfer.left.load(std::memory_order_acquire)) sched::yield();
    if (stray) transfer.waiter.task().unpark();  // meant for another wait, perhaps
    r = transfer.result;
    if (r == -ECANCELED) r = Waiter::error_of(how);
  }
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  transfers_.fetch_sub(1, std::memory_order_release);
  return r;
}

// `gives_way`: the task's slice is over.
[[gnu::always_inline]] inline int64_t Reactor::plain_call(const Cell& cell, const Op& op, const Until& until,
                                                          bool& gives_way) noexcept {
  for (;;) {
    Region region;
    const int64_t r = call(cell, op);
    gives_way = region.leave();
    if (r != -EINTR) return r;
    if (is_cancelled(until)) return -ECANCELED;
  }
}

// Where such calls have proved slow, or no thread is left to make one on. -EAGAIN: it is to be made like any other.
[[gnu::noinline]] int64_t Reactor::slow_file_call(Cell& cell, Op& op, const Until& until) noexcept {
  std::atomic<uint8_t>& slow = cell.slow[index_of(op.kind)];
  if (until.deadline == 0 || !sched::on_task()) return -EAGAIN;
  if (slow.load(std::memory_order_relaxed) < slow_from && sched::threads_to_hold() != 0) return -EAGAIN;
  if (op.kind == Op::Kind::Read) {
    const int64_t r = op.offset < 0 ? sys::readv_now(cell.fd, op.iov, op.count)
                                    : sys::preadv_now(cell.fd, op.iov, op.count, op.offset);
    if (r >= 0) {
      proved(slow, false);
      give_way();
      return r;
    }
  }
  if (is_cancelled(until)) return -ECANCELED;
  const Nanos begin = sched::now();
  const int64_t r = hand_over(cell, op, until);
  if (r != -EAGAIN) proved(slow, sched::now() - begin > options_.slow);
  return r;
}

[[gnu::always_inline]] inline int64_t Reactor::quick_file_call(Cell& cell, Op& op, const Until& until) noexcept {
  std::atomic<uint8_t>& slow = cell.slow[index_of(op.kind)];
  if (slow.load(std::memory_order_relaxed) >= slow_from ||
      sched::schedulers_short_of_threads.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    if (const int64_t r = slow_file_call(cell, op, until); r != -EAGAIN) return r;
  }
  // Looking at the clock twice is a tenth of a read of a cached page, so quick files are measured now and then.
  const uint8_t calls = cell.calls.load(std::memory_order_relaxed);
  cell.calls.store(static_cast<uint8_t>(calls + 1), std::memory_order_relaxed);
  const bool measured = calls % measured_every == 0 || slow.load(std::memory_order_relaxed) != 0;
  const Nanos begin = measured ? sched::now() : 0;
  bool gives_way = false;
  const int64_t r = plain_call(cell, op, until, gives_way);
  if (measured) proved(slow, sched::now() - begin > options_.slow);
  if (gives_way) [[unlikely]]
    sched::yield();
  return r;
}

int64_t Reactor::file_call(Cell& cell, Op& op, const Until& until) noexcept { return quick_file_call(cell, op, until); }

int64_t Reactor::read_file(Cell& cell, const iovec* iov, int count, const Until& until) noexcept {
  Use use(cell, Call::Read);
  if (!use) return -EBADF;
  Op op;
  op.kind = Op::Kind::Read;
  op.iov = iov;
  op.count = count;
  return quick_file_call(cell, op, until);
}

int64_t Reactor::write_file(Cell& cell, const iovec* iov, int count, int64_t offset, const Until& until) noexcept {
  Iov left(iov, count);
  if (!left) return -ENOMEM;
  return in_parts(left, [&](int64_t done) {
    Op op;
    op.kind = Op::Kind::Write;
    op.iov = left.data();
    op.count = left.count();
    op.offset = offset < 0 ? -1 : offset + done;
    return file_call(cell, op, until);
  });
}

int64_t Reactor::readv_at(const Descriptor& d, const iovec* iov, int count, int64_t offset,
                          const Until& until) noexcept {
  Use use(d, Call::Read);
  if (!use) return -EBADF;
  if (offset < 0) return -EINVAL;
  Op op;
  op.kind = Op::Kind::Read;
  op.iov = iov;
  op.count = count;
  op.offset = offset;
  return quick_file_call(use.cell(), op, until);
}

int64_t Reactor::writev_at(const Descriptor& d, const iovec* iov, int count, int64_t offset,
                           const Until& until) noexcept {
  Use use(d, Call::Write);
  if (!use) return -EBADF;
  if (offset < 0) return -EINVAL;
  return write_file(use.cell(), iov, count, offset, until);
}

int64_t Reactor::sync(const Descriptor& d, bool data_only, const Until& until) noexcept {
  Use use(d, Call::Sync);
  if (!use) return -EBADF;
  Op op;
  op.kind = data_only ? Op::Kind::SyncData : Op::Kind::Sync;
  return file_call(use.cell(), op, until);
}

}  // namespace vmrun::io
