// Deadlines of calls. One that has passed stands on its store (vm::Interrupt::late) until it is destroyed.
#include "vmrun/deadline.h"

#include "engine/time_keeper.h"
#include "vmrun/store.h"

namespace vmrun {

struct Deadline::Impl : TimeKeeper::Appointment {
  explicit Impl(vm::Store& of) : store(of) {}
  std::optional<TimeKeeper::Clock::time_point> comes(TimeKeeper::Clock::time_point) override {
    passed = true;
    TimeKeeper::make_late(store);
    return std::nullopt;
  }

  vm::Store& store;
  bool passed = false;  // under the keeper's lock
};

Deadline::Deadline(Store& store, std::chrono::nanoseconds time) : impl_(std::make_unique<Impl>(store.impl())) {
  TimeKeeper& keeper = TimeKeeper::get();
  const TimeKeeper::Lock lock = keeper.lock();
  keeper.add(lock, *impl_, TimeKeeper::after(time));
}

Deadline::~Deadline() {
  TimeKeeper& keeper = TimeKeeper::get();
  const TimeKeeper::Lock lock = keeper.lock();
  keeper.remove(lock, *impl_);
  if (impl_->passed) TimeKeeper::end_late(lock, impl_->store);
}

bool Deadline::passed() const {
  const TimeKeeper::Lock lock = TimeKeeper::get().lock();
  return impl_->passed;
}

}  // namespace vmrun
