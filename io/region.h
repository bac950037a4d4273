// A blocking region of the calling task, or nothing on a thread that runs none.
#pragma once

#include "sched/scheduler.h"

namespace vmrun::io {

class Region {
 public:
  explicit Region(bool wanted = true) : on_(wanted && sched::on_task()) {
    if (on_) sched::enter_blocking();
  }
  ~Region() {
    if (on_) sched::exit_blocking();
  }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

 private:
  const bool on_;
};

}  // namespace vmrun::io
