// See cpu_time.h.
#include "engine/cpu_time.h"

#include <pthread.h>

#include <algorithm>
#include <exception>

namespace vmrun {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

/// The keeper looks no sooner than this after it has looked, and so a limit is overrun by about as much; where a thread
/// takes no time, it looks more and more seldom.
constexpr nanoseconds kLook = milliseconds(1), kSeldom = milliseconds(10);

nanoseconds read(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

}  // namespace

CpuTime::CpuTime(vm::Store& store, std::shared_ptr<CpuBudget> budget) : store_(store), budget_(std::move(budget)) {}

CpuTime::~CpuTime() {
  TimeKeeper& keeper = TimeKeeper::get();
  const TimeKeeper::Lock lock = keeper.lock();
  keeper.remove(lock, *this);
}

nanoseconds CpuTime::take() {
  if (!runs_) return nanoseconds(0);
  const nanoseconds now = read(clock_), used = now - counted_;
  counted_ = now;
  budget_->used += used;
  return used;
}

void CpuTime::judge(const TimeKeeper::Lock& lock) {
  const bool late = budget_->used >= budget_->limit;
  if (late == late_) return;
  late_ = late;
  if (late) {
    TimeKeeper::make_late(lock, store_);
  } else {
    TimeKeeper::end_late(lock, store_);
  }
}

nanoseconds CpuTime::used() {
  const TimeKeeper::Lock lock = TimeKeeper::get().lock();
  take();
  return budget_->used;
}

void CpuTime::set_limit(nanoseconds limit) {
  TimeKeeper& keeper = TimeKeeper::get();
  const TimeKeeper::Lock lock = keeper.lock();
  take();
  budget_->limit = limit;
  judge(lock);
  keeper.remove(lock, *this);
  if (runs_ && !late_ && limit != nanoseconds::max()) {
    keeper.add(lock, *this, TimeKeeper::after(std::max(limit - budget_->used, kLook)));
  }
}

void CpuTime::begins() noexcept {
  TimeKeeper& keeper = TimeKeeper::get();
  const TimeKeeper::Lock lock = keeper.lock();
  pthread_getcpuclockid(pthread_self(), &clock_);
  counted_ = read(CLOCK_THREAD_CPUTIME_ID);
  runs_ = true;
  judge(lock);
  if (late_ || budget_->limit == nanoseconds::max() || keeper.waits(lock, *this)) return;
  idle_wait_ = kLook;
  try {
    keeper.add(lock, *this, TimeKeeper::after(std::max(budget_->limit - budget_->used, kLook)));
  } catch (const std::exception&) {
    // Nobody would notice that the limit is reached.
    late_ = true;
    TimeKeeper::make_late(lock, store_);
  }
}

void CpuTime::ends() noexcept {
  const TimeKeeper::Lock lock = TimeKeeper::get().lock();
  take();
  runs_ = false;
  // The appointment stays, for the next call.
}

bool CpuTime::is_over() noexcept {
  const TimeKeeper::Lock lock = TimeKeeper::get().lock();
  return late_;
}

std::optional<TimeKeeper::Clock::time_point> CpuTime::comes(TimeKeeper::Clock::time_point now) {
  if (!runs_ || budget_->limit == nanoseconds::max()) return std::nullopt;
  const nanoseconds used = take();
  if (budget_->used >= budget_->limit) {
    if (!late_) TimeKeeper::make_late(store_);
    late_ = true;
    return std::nullopt;
  }
  idle_wait_ = used < kLook / 100 ? std::min(2 * idle_wait_, kSeldom) : kLook;
  const auto at = TimeKeeper::after(std::max(budget_->limit - budget_->used, idle_wait_));
  return std::max(at, now);
}

}  // namespace vmrun
