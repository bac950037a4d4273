// The descriptor in which an idle worker sleeps: an epoll set with an interrupt, an exact timer and whatever is watched;
// and the backend made of it and of threads for files.
//
// Rules: add, remove and interrupt from any thread; wait from one at a time. Everything is edge-triggered. The
// interrupt's counter is never read: each write to it is a new edge.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>

#include "io/backend.h"
#include "io/file_pool.h"

namespace vmrun::io {

class EpollSet {
 public:
  EpollSet() = default;
  ~EpollSet();
  EpollSet(const EpollSet&) = delete;
  EpollSet& operator=(const EpollSet&) = delete;

  /// 0 or a negated errno value.
  int64_t open() noexcept;
  /// `data` below `first_own`, or ring_data.
  int64_t add(int fd, uint64_t data) noexcept;
  void remove(int fd) noexcept;
  /// What has happened, without its own events; 0 too when it was interrupted or `deadline` has come.
  int wait(sched::Nanos deadline, epoll_event* events, int count) noexcept;
  void interrupt() noexcept;

  static constexpr uint64_t first_own = uint64_t{1} << 63;
  static constexpr uint64_t interrupt_data = first_own;
  static constexpr uint64_t timer_data = first_own + 1;
  static constexpr uint64_t ring_data = first_own + 2;

 private:
  int epoll_ = -1;
  int event_ = -1;
  int timer_ = -1;
  sched::Nanos timer_at_ = sched::never;  // the timer will fire then, or never
  bool fine_timeouts_ = true;             // the kernel knows epoll_pwait2
  std::atomic<bool> interrupted_{false};  // the interrupt is on its way
};

/// Events that one reap takes at most; others come with the next. A poll may run on a small stack.
inline constexpr int reap_batch = 64;

/// The Ready bits of what epoll or a ring's poll reports.
uint32_t ready_of(uint32_t events) noexcept;
/// What is watched for.
inline constexpr uint32_t watched_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

class EpollBackend final : public Backend {
 public:
  EpollBackend(const Options& options, Sink& sink) : sink_(sink), files_(options, sink) {}
  int64_t open() noexcept { return set_.open(); }

  int64_t start(Op& op) noexcept override;
  void cancel(Op& op) noexcept override { files_.cancel(op); }
  int reap(sched::Nanos deadline) noexcept override;
  void interrupt() noexcept override { set_.interrupt(); }
  void forget(int fd) noexcept override { set_.remove(fd); }
  const char* name() const noexcept override { return "epoll"; }

 private:
  Sink& sink_;
  EpollSet set_;
  FilePool files_;
};

}  // namespace vmrun::io
