// What lies between the reactor and the system: five calls that epoll, io_uring, kqueue and IOCP can all implement.
//
// A backend watches descriptors and makes transfers. A watched descriptor reports each *change* to ready, not the state;
// whoever waits tries first. A transfer (of a file that proved slow) is whole: it finishes by itself.
//
// Thread rules: all calls may come from any thread at any time, except that one thread at a time reaps. The sink is
// called on the thread that reaps and, for transfers, on threads of the backend; it takes short locks and never waits.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>

#include "sched/futex.h"

namespace vmrun::io {

/// What a watched descriptor reports: bits.
enum Ready : uint32_t {
  ready_read = 1,   ///< something to read or to accept, or the end
  ready_write = 2,  ///< room to write, or connected
  ready_ended = 4,  ///< the other end is gone, or an error is pending: no further change may follow
};

/// What a backend is asked to do. A transfer's lives, with its buffers, until finished() is called.
struct Op {
  enum class Kind : uint8_t { Watch, Read, Write, Sync, SyncData };
  Kind kind = Kind::Watch;
  int fd = -1;
  uint64_t token = 0;          ///< Watch: what ready() is called with; below 2^63
  const iovec* iov = nullptr;  ///< Read, Write
  int count = 0;
  int64_t offset = -1;  ///< Read, Write; -1: at the file's own position
  bool quiet = true;    ///< Write: raises no signal
  int64_t result = 0;   ///< bytes, or a negated errno value; -ECANCELED when it was cancelled before it did anything

  // The backend's own.
  Op* next = nullptr;
  bool cancelled = false;
};

class Sink {
 public:
  /// The descriptor that is watched by `token` has changed. Returns how many tasks were made ready.
  virtual int ready(uint64_t token, uint32_t ready) noexcept = 0;
  /// A transfer is over; `op` may be gone when this returns. Returns how many tasks were made ready.
  virtual int finished(Op& op) noexcept = 0;

 protected:
  ~Sink() = default;
};

class Backend {
 public:
  virtual ~Backend() = default;
  /// 0: a watch is in force and first reports what is ready already, or a transfer has begun and finished() will follow,
  /// perhaps before this returns. Otherwise a negated errno value, and nothing will follow: -EPERM for a descriptor that
  /// cannot be watched and never waits, -EAGAIN when the backend is full.
  virtual int64_t start(Op& op) noexcept = 0;
  /// Asks for a transfer to end early. finished() follows all the same; it may have been called already.
  virtual void cancel(Op& op) noexcept = 0;
  /// Calls the sink for what has happened; waits for it until `deadline` (0: does not wait), or shorter. Returns how many
  /// tasks were made ready.
  virtual int reap(sched::Nanos deadline) noexcept = 0;
  /// Ends a reap() that waits, or else the next one.
  virtual void interrupt() noexcept = 0;
  /// Ends the watch of a descriptor that is about to be closed. A report on its way may still come.
  virtual void forget(int fd) noexcept = 0;
  virtual const char* name() const noexcept = 0;
};

enum class BackendKind : uint8_t {
  Auto,   ///< io_uring for files that prove slow, where the system lets us; else threads
  Epoll,  ///< epoll, and threads for files
  Ring,   ///< as Auto, with a warning where io_uring is refused
};

struct Options {
  BackendKind backend = BackendKind::Auto;
  /// The environment variable VMRUN_IO (auto, epoll, uring) goes before this.
  bool environment = true;
  /// Threads at most for files that prove slow. They are started as they are needed and end when idle.
  unsigned file_threads = 8;
  /// How long such a thread stays idle.
  sched::Nanos thread_idle = 5'000'000'000;
  /// Transfers that a ring takes at a time; a power of two.
  unsigned ring_entries = 256;
  /// A file whose calls take longer than this proves slow: a hand-over to another thread costs some 10 µs.
  sched::Nanos slow = 100'000;
  /// A call to accept that finds no free descriptor, and every later one, waits for so long before it says so.
  sched::Nanos accept_pause = 10'000'000;
};

/// The backend that `options` and the environment ask for, with a line in the log. Null with a negated errno value in
/// `error` where the system has none (no descriptors are left).
std::unique_ptr<Backend> make_backend(const Options& options, Sink& sink, int64_t& error);

}  // namespace vmrun::io
