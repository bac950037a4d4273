// The backend with io_uring: transfers at a position go to the ring, the rest stays with epoll and threads. On request
// sockets and pipes are watched by the ring as well.
//
// One ring serves all workers, behind a mutex: what goes through it takes tens of microseconds at least. It is set up
// without flags: with task work deferred or cooperative, a completion waits until its submitter enters the kernel (18 ms
// where it computes), or for ever. The kernel cancels what a thread submitted when that thread ends; such an operation
// is started again, by the thread that reaps.
//
// Rules: `mutex_` guards the ring's both queues and is held across no wait. The sink is called without it. At most as
// many transfers are in flight as there is room for completions; the kernel keeps what watches report beyond it.
#pragma once

#include <liburing.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "io/backend.h"
#include "io/epoll_linux.h"
#include "io/file_pool.h"

namespace vmrun::io {

class RingBackend final : public Backend {
 public:
  RingBackend(const Options& options, Sink& sink) : options_(options), sink_(sink), files_(options, sink) {}
  ~RingBackend() override;

  /// 0 or a negated errno value; `refused` where the ring alone is missing.
  int64_t open(bool& refused) noexcept;

  int64_t start(Op& op) noexcept override;
  void cancel(Op& op) noexcept override;
  int reap(sched::Nanos deadline) noexcept override;
  void interrupt() noexcept override { set_.interrupt(); }
  void forget(int fd) noexcept override { set_.remove(fd); }
  const char* name() const noexcept override { return "uring"; }

 private:
  struct Done {
    uint64_t data;
    int32_t result;
    uint32_t flags;
  };

  io_uring_sqe* slot_locked() noexcept;
  bool submit_locked(io_uring_sqe* sqe) noexcept;
  int64_t start_locked(Op& op) noexcept;
  /// Takes completions out; how many.
  int take(Done* done, int max) noexcept;
  int deliver(const Done& done) noexcept;
  int reap_ring() noexcept;

  const Options options_;
  Sink& sink_;
  EpollSet set_;
  FilePool files_;
  std::mutex mutex_;
  io_uring ring_{};
  bool open_ = false;
  unsigned room_ = 0;       // completions that there is room for
  unsigned in_flight_ = 0;  // transfers
};

}  // namespace vmrun::io
