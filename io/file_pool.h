// Threads that make the calls of files that prove slow: for epoll, which knows nothing of files, and for calls at a
// file's own position, which the kernel keeps in order only for plain calls.
//
// Rules: one mutex guards everything. The sink is called without it. Threads are started when a call finds none idle, and
// end after `thread_idle`; one that has ended is joined by whoever comes next.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

#include "io/backend.h"

namespace vmrun::io {

class FilePool {
 public:
  FilePool(const Options& options, Sink& sink) : options_(options), sink_(sink) {}
  /// No transfer is in it any more.
  ~FilePool();

  /// As Backend::start, for transfers. -EAGAIN when no thread can be had.
  int64_t start(Op& op) noexcept;
  /// Ends one that no thread has begun.
  void cancel(Op& op) noexcept;
  size_t threads() const;

 private:
  void main(std::list<std::thread>::iterator self);
  bool start_thread_locked() noexcept;

  const Options options_;
  Sink& sink_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  Op* first_ = nullptr;
  Op* last_ = nullptr;
  size_t queued_ = 0;
  size_t idle_ = 0;
  bool ending_ = false;
  std::list<std::thread> threads_, ended_;
};

}  // namespace vmrun::io
