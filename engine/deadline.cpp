// Deadlines of calls. Rules: one thread keeps the times of the whole process, from the first deadline on and until its end.
// All deadlines are in one set, under one lock; the thread interrupts a store with the lock held, so a deadline that is out
// of the set touches its store no more.
#include "vmrun/deadline.h"

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "vmrun/store.h"

namespace vmrun {
namespace {

using Clock = std::chrono::steady_clock;

class Keeper;

}  // namespace

struct Deadline::Impl {
  Store* store = nullptr;
  Clock::time_point end;
  bool passed = false;  // under the keeper's lock
};

namespace {

class Keeper {
 public:
  /// Lives as long as the process: its thread may wait when that ends.
  static Keeper& get() {
    static Keeper& keeper = *new Keeper;
    return keeper;
  }

  void add(Deadline::Impl& deadline) {
    std::lock_guard guard(lock_);
    if (!started_) {
      std::thread([this] { run(); }).detach();
      started_ = true;
    }
    const auto at = set_.emplace(deadline.end, &deadline).first;
    if (at == set_.begin()) wake_.notify_one();
  }

  /// Whether the time was over.
  bool remove(Deadline::Impl& deadline) {
    std::lock_guard guard(lock_);
    if (!deadline.passed) set_.erase({deadline.end, &deadline});
    return deadline.passed;
  }

  bool passed(const Deadline::Impl& deadline) {
    std::lock_guard guard(lock_);
    return deadline.passed;
  }

 private:
  void run() {
    std::unique_lock lock(lock_);
    for (;;) {
      if (set_.empty()) {
        wake_.wait(lock);
        continue;
      }
      const auto [end, first] = *set_.begin();
      if (Clock::now() < end) {
        wake_.wait_until(lock, end);
        continue;
      }
      set_.erase(set_.begin());
      first->passed = true;
      first->store->interrupt();
    }
  }

  std::mutex lock_;
  std::condition_variable wake_;
  std::set<std::pair<Clock::time_point, Deadline::Impl*>> set_;
  bool started_ = false;
};

Clock::time_point end_after(std::chrono::nanoseconds time) {
  const auto now = Clock::now();
  return time < Clock::time_point::max() - now ? now + time : Clock::time_point::max();
}

}  // namespace

Deadline::Deadline(Store& store, std::chrono::nanoseconds time) : impl_(std::make_unique<Impl>()) {
  impl_->store = &store;
  impl_->end = end_after(time);
  Keeper::get().add(*impl_);
}

Deadline::~Deadline() {
  if (Keeper::get().remove(*impl_)) impl_->store->clear_interrupt();
}

bool Deadline::passed() const { return Keeper::get().passed(*impl_); }

}  // namespace vmrun
