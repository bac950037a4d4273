// Processor time that calls into a store take, and its limit.
//
// Rules: a store's clock runs from its outermost call's beginning to its end, on the thread that makes the call, and
// stands still while a fiber is suspended. All is kept under the keeper's lock (engine/time_keeper.h). While a clock
// runs, the keeper looks at it when the limit can have been reached at the earliest, reads the thread's own clock of
// processor time, and comes again if there is some left. Stores that are threads of one program count together.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>

#include "engine/time_keeper.h"
#include "vm/runtime/run_clock.h"

namespace vmrun {

/// What the stores of a program have taken together, by the keeper's lock.
struct CpuBudget {
  std::chrono::nanoseconds used{0}, limit = std::chrono::nanoseconds::max();
};

class CpuTime final : public vm::RunClock, private TimeKeeper::Appointment {
 public:
  CpuTime(vm::Store& store, std::shared_ptr<CpuBudget> budget);
  ~CpuTime() override;
  CpuTime(const CpuTime&) = delete;
  CpuTime& operator=(const CpuTime&) = delete;

  std::chrono::nanoseconds used();
  /// As much may be used in all; a limit that has been reached is so no more, if this is higher.
  void set_limit(std::chrono::nanoseconds limit);
  const std::shared_ptr<CpuBudget>& budget() const { return budget_; }

  void begins() noexcept override;
  void ends() noexcept override;
  bool is_over() noexcept override;

 private:
  std::optional<TimeKeeper::Clock::time_point> comes(TimeKeeper::Clock::time_point now) override;
  /// Counts what has been used since the last time. Returns how much that is.
  std::chrono::nanoseconds take();
  /// Makes the store late, or no more, by what is used.
  void judge(const TimeKeeper::Lock& lock);

  vm::Store& store_;
  const std::shared_ptr<CpuBudget> budget_;
  bool runs_ = false, late_ = false;
  clockid_t clock_{};                      // of the thread that it runs on
  std::chrono::nanoseconds counted_{0};    // what that clock showed when it was last counted
  std::chrono::nanoseconds idle_wait_{0};  // how long the keeper waits for a thread that takes no time
};

}  // namespace vmrun
