// Threads for slow files: see file_pool.h.
#include "io/file_pool.h"

#include <signal.h>

#include <cerrno>
#include <chrono>
#include <exception>

#include "io/sys.h"

namespace vmrun::io {

namespace {

int64_t make_call(const Op& op) {
  for (;;) {
    int64_t r = 0;
    switch (op.kind) {
      case Op::Kind::Read:
        r = op.offset < 0 ? sys::readv(op.fd, op.iov, op.count) : sys::preadv(op.fd, op.iov, op.count, op.offset);
        break;
      case Op::Kind::Write:
        r = op.offset < 0 ? sys::writev(op.fd, op.iov, op.count, op.quiet)
                          : sys::pwritev(op.fd, op.iov, op.count, op.offset, op.quiet);
        break;
      case Op::Kind::Sync: r = sys::fsync(op.fd, false); break;
      case Op::Kind::SyncData: r = sys::fsync(op.fd, true); break;
      case Op::Kind::Watch: return -EINVAL;
    }
    if (r != -EINTR) return r;
  }
}

}  // namespace

FilePool::~FilePool() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    work_.notify_all();
  }
  // Threads move themselves from one list to the other: take them in turn.
  for (;;) {
    std::thread thread;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return !ended_.empty() || threads_.empty(); });
      if (ended_.empty()) return;
      thread = std::move(ended_.front());
      ended_.pop_front();
    }
    thread.join();
  }
}

bool FilePool::start_thread_locked() noexcept {
  if (sys::injected(sys::Call::Thread) < 0) return false;
  // Signals are for the process's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = false;
  try {
    const auto self = threads_.emplace(threads_.end());
    try {
      *self = std::thread([this, self] { main(self); });
      started = true;
    } catch (const std::exception&) {
      threads_.erase(self);
    }
  } catch (const std::exception&) {
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

int64_t FilePool::start(Op& op) noexcept {
  std::list<std::thread> ended;
  {
    std::lock_guard lock(mutex_);
    ended.swap(ended_);
    if (idle_ <= queued_ && threads_.size() < options_.file_threads && !start_thread_locked() && threads_.empty()) {
      return -EAGAIN;
    }
    op.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &op;
    last_ = &op;
    ++queued_;
    work_.notify_one();
  }
  for (std::thread& thread : ended) thread.join();
  return 0;
}

void FilePool::cancel(Op& op) noexcept {
  {
    std::lock_guard lock(mutex_);
    Op* before = nullptr;
    Op* at = first_;
    while (at != nullptr && at != &op) {
      before = at;
      at = at->next;
    }
    if (at == nullptr) return;
    (before != nullptr ? before->next : first_) = op.next;
    if (last_ == &op) last_ = before;
    --queued_;
  }
  op.result = -ECANCELED;
  sink_.finished(op);
}

size_t FilePool::threads() const {
  std::lock_guard lock(mutex_);
  return threads_.size();
}

void FilePool::main(std::list<std::thread>::iterator self) {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    const bool wanted = work_.wait_for(lock, std::chrono::nanoseconds(options_.thread_idle),
                                       [this] { return first_ != nullptr || ending_; });
    --idle_;
    if (first_ == nullptr) {
      if (wanted && !ending_) continue;
      ended_.splice(ended_.end(), threads_, self);
      work_.notify_all();  // for the destructor
      return;
    }
    Op* op = first_;
    first_ = op->next;
    if (first_ == nullptr) last_ = nullptr;
    --queued_;
    lock.unlock();
    op->result = make_call(*op);
    sink_.finished(*op);
    lock.lock();
  }
}

}  // namespace vmrun::io
