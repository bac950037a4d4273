// See time_keeper.h.
#include "engine/time_keeper.h"

#include <thread>

#include "vm/base/assert.h"
#include "vm/runtime/stop.h"

namespace vmrun {

TimeKeeper& TimeKeeper::get() {
  static TimeKeeper& keeper = *new TimeKeeper;
  return keeper;
}

void TimeKeeper::add(const Lock&, Appointment& appointment, Clock::time_point at) {
  if (!started_) {
    std::thread([this] { run(); }).detach();
    started_ = true;
  }
  const auto place = set_.emplace(at, &appointment).first;
  appointment.at_ = at;
  appointment.waits_ = true;
  if (place == set_.begin()) wake_.notify_one();
}

void TimeKeeper::remove(const Lock&, Appointment& appointment) {
  if (!appointment.waits_) return;
  set_.erase({appointment.at_, &appointment});
  appointment.waits_ = false;
}

void TimeKeeper::make_late(vm::Store& store) {
  ++store.passed_deadlines;
  vm::ask_interrupt(store.vcpu(), vm::Interrupt::late);
}
void TimeKeeper::make_late(const Lock&, vm::Store& store) { make_late(store); }

void TimeKeeper::end_late(const Lock&, vm::Store& store) {
  VMRUN_ASSERT(store.passed_deadlines > 0, "a time that has passed is counted");
  if (--store.passed_deadlines == 0) vm::end_interrupt(store.vcpu(), vm::Interrupt::late);
}

TimeKeeper::Clock::time_point TimeKeeper::after(std::chrono::nanoseconds time) {
  const auto now = Clock::now();
  return time < Clock::time_point::max() - now ? now + time : Clock::time_point::max();
}

void TimeKeeper::run() {
  Lock lock(lock_);
  for (;;) {
    if (set_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const auto [at, first] = *set_.begin();
    const auto now = Clock::now();
    if (now < at) {
      wake_.wait_until(lock, at);
      continue;
    }
    auto node = set_.extract(set_.begin());
    first->waits_ = false;
    if (const auto again = first->comes(now)) {
      node.value().first = first->at_ = *again;
      set_.insert(std::move(node));  // its memory is there already
      first->waits_ = true;
    }
  }
}

}  // namespace vmrun
