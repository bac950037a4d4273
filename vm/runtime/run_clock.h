// Clocks that run while guests of a store do: told when the store's outermost call begins and ends on a thread, and
// when a fiber with such calls is suspended and goes on, perhaps on another thread.
#pragma once

namespace vmrun::vm {

/// Of one store. Used by the thread that uses the store.
class RunClock {
 public:
  virtual ~RunClock() = default;
  /// On the calling thread, from now on.
  virtual void begins() noexcept = 0;
  /// On the thread of the last begins().
  virtual void ends() noexcept = 0;
  /// Whether guests of the store trap because as much time has passed as may.
  virtual bool is_over() noexcept = 0;

 private:
  friend void run_begins(RunClock& clock) noexcept;
  friend void run_ends(RunClock& clock) noexcept;
  friend RunClock* pause_runs() noexcept;
  friend void resume_runs(RunClock* newest) noexcept;
  RunClock* outer_ = nullptr;  // that of the call around this one's
};

/// A call into its store begins, or ends. Calls nest on a stack.
void run_begins(RunClock& clock) noexcept;
void run_ends(RunClock& clock) noexcept;
/// The stack that runs is left: stops its clocks. What it returns is for the stack's resumption.
[[nodiscard]] RunClock* pause_runs() noexcept;
void resume_runs(RunClock* newest) noexcept;

}  // namespace vmrun::vm
