// Deadlines of calls. Rules: one thread keeps the times of the whole process, from the first deadline on and until its end.
// All deadlines are in one set, under one lock; the thread interrupts a store with the lock held, so a deadline that is out
// of the set touches its store no more. One that has passed stands on its store (vm::Interrupt::late) until it is
// destroyed: the store counts those, under the same lock, and the last one takes the interrupt back.
#include "vmrun/deadline.h"

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "vm/base/assert.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vmrun/store.h"

namespace vmrun {
namespace {

using Clock = std::chrono::steady_clock;

class Keeper;

}  // namespace

struct Deadline::Impl {
  vm::Store* store = nullptr;
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

  void remove(Deadline::Impl& deadline) {
    std::lock_guard guard(lock_);
    if (!deadline.passed) {
      set_.erase({deadline.end, &deadline});
      return;
    }
    vm::Store& store = *deadline.store;
    VMRUN_ASSERT(store.passed_deadlines > 0, "a deadline that has passed is counted");
    if (--store.passed_deadlines == 0) vm::end_interrupt(store.vcpu(), vm::Interrupt::late);
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
      ++first->store->passed_deadlines;
      vm::ask_interrupt(first->store->vcpu(), vm::Interrupt::late);
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
  impl_->store = &store.impl();
  impl_->end = end_after(time);
  Keeper::get().add(*impl_);
}

Deadline::~Deadline() { Keeper::get().remove(*impl_); }

bool Deadline::passed() const { return Keeper::get().passed(*impl_); }

}  // namespace vmrun
