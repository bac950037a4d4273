// The reactor: what a task calls to read, write, accept, connect and wait without holding its thread. It is the
// scheduler's Poller: an idle worker sleeps in it, so there is no thread of its own.
//
//   std::unique_ptr<io::Reactor> reactor = io::Reactor::create({}, error);
//   scheduler.set_poller(reactor.get());
//   io::Descriptor in = reactor->borrow(STDIN_FILENO, error);
//   scheduler.spawn([&] { int64_t n = reactor->read(in, buffer, sizeof buffer); ... });
//
// Results are in raw form: >= 0, or a negated errno value. -EAGAIN: the call was not to wait. -ETIMEDOUT: its deadline has
// passed. -ECANCELED: its task was cancelled, or its Stop or flag set. -EBADF: the descriptor is closed, perhaps by
// somebody else while the call waited. A call that has transferred something gives that number instead. -EINTR never comes.
//
// Thread rules. Every call may come from any thread, and several at a time for one descriptor: those that wait for the
// same direction are served in their order. A call from a task suspends the task; it may go on on another thread. A call
// from a thread that runs no task holds that thread, and needs nobody who polls. Not to be called inside a blocking
// region, and never with an OS mutex held. Buffers stay valid and unmoved until a call returns.
#pragma once

#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>

#include "io/backend.h"
#include "io/descriptor.h"
#include "io/done.h"
#include "io/wait.h"
#include "sched/poller.h"

namespace vmrun::io {

/// What is alive now; all 0 when everything has ended.
struct Counts {
  size_t descriptors = 0;  ///< open ones, and closed ones that still have handles
  size_t transfers = 0;    ///< that a backend has
  size_t nodes = 0;        ///< places in lists of waiters
};

/// One of several things that a call waits for.
struct Interest {
  const Descriptor* descriptor = nullptr;
  Direction direction = Direction::Read;
  /// Filled in: poll(2)'s events that have come (POLLIN, POLLOUT, POLLHUP, POLLRDHUP, POLLERR); 0: none has.
  short happened = 0;
};

/// How a descriptor is borrowed.
struct Borrowing {
  bool raises = false;  ///< writes raise SIGPIPE and SIGXFSZ as they would without this
  bool alone = false;   ///< nobody else gets a handle to the same
};

class Reactor final : public sched::Poller, private Sink {
 public:
  /// Null with a negated errno value in `error` where the system has nothing to wait with.
  static std::unique_ptr<Reactor> create(const Options& options, int64_t& error);
  /// Everything has ended: no handle is left, and no scheduler uses it.
  ~Reactor();

  // Descriptors.

  /// Takes over an open descriptor: it is closed with the last handle, and non-blocking from here on (with everybody who
  /// shares the open file). Null with the reason in `error`; the descriptor is then closed too.
  Descriptor adopt(int fd, int64_t& error) noexcept;
  /// For a descriptor that others use as well, such as an inherited stream: it is never closed, and its flags are not
  /// touched. Whoever borrows a pipe or socket that is lent already gets a handle to the same: they wait in one line, and
  /// close() ends it for all. Who is going to close it therefore borrows it `alone`.
  Descriptor borrow(int fd, int64_t& error, const Borrowing& how = {}) noexcept;
  /// An eventfd that post() makes readable; 8 bytes are read from it.
  Descriptor open_event(int64_t& error) noexcept;
  int64_t post(const Descriptor& event) noexcept;
  /// A signalfd: take_signal() gives those of `signals` that come to the process. Every thread has to block them.
  Descriptor open_signals(const sigset_t& signals, int64_t& error) noexcept;
  int64_t take_signal(const Descriptor& signals, const Until& until = {}) noexcept;
  /// Ends every wait and every later call for it with -EBADF. A file's call that has begun goes on. The number is closed
  /// when the last call has left.
  int64_t close(const Descriptor& d) noexcept;

  // Transfers.

  /// What read(2) gives of a descriptor that blocks: bytes, at least one; 0 at the end.
  int64_t read(const Descriptor& d, void* buffer, size_t size, const Until& until = {}) noexcept;
  int64_t readv(const Descriptor& d, const iovec* iov, int count, const Until& until = {}) noexcept;
  /// What write(2) does with a descriptor that blocks: everything, unless an error, the deadline or a cancellation ends it.
  int64_t write(const Descriptor& d, const void* data, size_t size, const Until& until = {}) noexcept;
  int64_t writev(const Descriptor& d, const iovec* iov, int count, const Until& until = {}) noexcept;
  /// Of files, at a position. A deadline of 0 makes the plain call, which may take as long as the device.
  int64_t readv_at(const Descriptor& d, const iovec* iov, int count, int64_t offset, const Until& until = {}) noexcept;
  int64_t writev_at(const Descriptor& d, const iovec* iov, int count, int64_t offset, const Until& until = {}) noexcept;
  int64_t sync(const Descriptor& d, bool data_only, const Until& until = {}) noexcept;

  // Sockets.

  /// As recvmsg and sendmsg (`flags`: MSG_...; never SIGPIPE).
  int64_t receive(const Descriptor& d, msghdr& message, int flags, const Until& until = {}) noexcept;
  int64_t send(const Descriptor& d, const msghdr& message, int flags, const Until& until = {}) noexcept;
  /// The number of a new descriptor, close-on-exec and with the further `flags` of accept4. Where none is free (EMFILE,
  /// ENFILE, ENOBUFS, ENOMEM) it says so after a pause, so that a loop costs no processor.
  int64_t accept(const Descriptor& d, int flags = 0, const Until& until = {}, sockaddr* address = nullptr,
                 socklen_t* length = nullptr) noexcept;
  /// Until the connection stands. When it ends early, the attempt goes on: close the socket.
  int64_t connect(const Descriptor& d, const sockaddr* address, socklen_t length, const Until& until = {}) noexcept;

  // Waiting.

  /// Until the descriptor is ready: 0.
  int64_t wait(const Descriptor& d, Direction direction, const Until& until = {}) noexcept;
  /// Until one of several is ready: how many are, at least one. At most 2^20.
  int64_t wait_any(std::span<Interest> interests, const Until& until = {}) noexcept;
  /// Until its deadline: 0, or -ECANCELED.
  int64_t sleep(const Until& until) noexcept;

  // For the scheduler.

  int poll(int64_t deadline) noexcept override;
  void interrupt() noexcept override { backend_->interrupt(); }
  bool waited_for() const noexcept override { return waiting_.load(std::memory_order_relaxed) != 0; }

  Counts counts() const noexcept;
  /// Calls that have ended, by Call. Any thread.
  std::array<uint64_t, call_kinds> done() const noexcept { return done_.sums(); }
  /// "epoll" or "uring".
  const char* backend() const noexcept { return backend_->name(); }

 private:
  friend class Descriptor;
  class Use;
  struct Place;
  struct Transfer;

  explicit Reactor(const Options& options) : options_(options) {}

  // Life of descriptors: descriptor.cpp.
  Descriptor make(int fd, bool owned, bool raises, int64_t& error) noexcept;
  Descriptor make(int fd, sys::Kind kind, bool owned, bool raises) noexcept;
  /// A further handle, if `cell` is of that file and neither closed nor at its end.
  static Descriptor share(Cell& cell, const sys::FileId& file) noexcept;
  void last_handle(Cell& cell) noexcept;
  int64_t shut(Cell& cell) noexcept;
  void finish(Cell& cell) noexcept;
  /// False when it is closed. While it is used, its number stays open.
  bool begin_use(Cell& cell) noexcept;
  void end_use(Cell& cell) noexcept;
  void drop_use(Cell& cell) noexcept;

  // Events and waiting: events.cpp.
  int ready(uint64_t token, uint32_t ready) noexcept override;
  int finished(Op& op) noexcept override;
  /// Takes nodes out of a side's list and wakes them: all, or those that look and one that takes.
  int wake(Cell& cell, Direction direction, bool all, bool closed = false) noexcept;
  /// By one that may have left something: wakes the next, if there is something.
  void pass_on(Cell& cell, Direction direction) noexcept {
    if (cell.side(direction).waits.load(std::memory_order_acquire)) [[unlikely]]
      pass_on_what_is_left(cell, direction);
  }
  void pass_on_what_is_left(Cell& cell, Direction direction) noexcept;
  int64_t watch_locked(Cell& cell) noexcept;
  static int64_t look(std::span<Place> places, pollfd* fds) noexcept;
  int64_t wait_in(std::span<Place> places, pollfd* fds, const Until& until) noexcept;
  void enter(Cell& cell, Direction direction, Node& node, bool front) noexcept;
  void leave(Cell& cell, Direction direction, Node& node) noexcept;
  /// Until an event after `tick`: 1; 0 when one has come already. `again`: the caller was woken before and found nothing,
  /// so it keeps its turn.
  int64_t wait_for_event(Cell& cell, Direction direction, uint64_t tick, bool again, const Until& until) noexcept;
  /// Tries `attempt` until it gives something other than -EAGAIN, waiting in between.
  template <class Attempt>
  int64_t retry(Cell& cell, Direction direction, size_t wanted, const Until& until, Attempt attempt) noexcept;

  // transfer.cpp, file.cpp
  int64_t try_read(Cell& cell, const iovec* iov, int count) noexcept;
  int64_t try_write(Cell& cell, const iovec* iov, int count) noexcept;
  int64_t file_call(Cell& cell, Op& op, const Until& until) noexcept;
  int64_t quick_file_call(Cell& cell, Op& op, const Until& until) noexcept;
  int64_t slow_file_call(Cell& cell, Op& op, const Until& until) noexcept;
  int64_t read_file(Cell& cell, const iovec* iov, int count, const Until& until) noexcept;
  int64_t write_file(Cell& cell, const iovec* iov, int count, int64_t offset, const Until& until) noexcept;
  static int64_t plain_call(const Cell& cell, const Op& op, const Until& until, bool& gives_way) noexcept;
  int64_t hand_over(Cell& cell, Op& op, const Until& until) noexcept;

  const Options options_;
  Store store_;
  std::unique_ptr<Backend> backend_;
  std::mutex borrowed_lock_;
  std::unordered_map<int, Cell*> borrowed_[2];  // what is lent, by number; with and without signals
  alignas(64) std::atomic<size_t> waiting_{0};  // nodes and transfers: what a poll may bring
  std::atomic<size_t> nodes_{0};
  std::atomic<size_t> transfers_{0};
  Done done_;
};

}  // namespace vmrun::io
