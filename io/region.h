// A blocking region of the calling task, or nothing on a thread that runs none.
#pragma once

#include <utility>

#include "sched/scheduler.h"

namespace vmrun::io {

class Region {
 public:
  explicit Region(bool wanted = true) : worker_(wanted ? sched::try_enter_blocking() : nullptr) {}
  ~Region() { leave(); }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  /// Ends it now. Whether the task was asked to give way meanwhile.
  bool leave() {
    sched::Worker* worker = std::exchange(worker_, nullptr);
    return worker != nullptr && sched::exit_blocking(*worker);
  }

 private:
  sched::Worker* worker_;
};

}  // namespace vmrun::io
