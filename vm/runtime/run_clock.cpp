// See run_clock.h. Nothing here is inlined: a caller may come back on another thread, and would use the first one's
// address of the variable.
#include "vm/runtime/run_clock.h"

#include <utility>

namespace vmrun::vm {
namespace {

[[gnu::tls_model("initial-exec")]] constinit thread_local RunClock* newest_clock = nullptr;

}  // namespace

[[gnu::noinline]] void run_begins(RunClock& clock) noexcept {
  clock.outer_ = newest_clock;
  newest_clock = &clock;
  clock.begins();
}

[[gnu::noinline]] void run_ends(RunClock& clock) noexcept {
  clock.ends();
  newest_clock = clock.outer_;
}

[[gnu::noinline]] RunClock* pause_runs() noexcept {
  RunClock* const newest = std::exchange(newest_clock, nullptr);
  for (RunClock* clock = newest; clock != nullptr; clock = clock->outer_) clock->ends();
  return newest;
}

[[gnu::noinline]] void resume_runs(RunClock* newest) noexcept {
  newest_clock = newest;
  for (RunClock* clock = newest; clock != nullptr; clock = clock->outer_) clock->begins();
}

}  // namespace vmrun::vm
