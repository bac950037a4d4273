// What is behind Executor's handle.
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "engine/guest_task.h"
#include "io/reactor.h"
#include "sched/scheduler.h"
#include "vmrun/executor.h"

namespace vmrun {

/// `time` from now on; times that no clock can hold are its last one, negative ones are now.
inline sched::Clock::time_point deadline_after(std::chrono::nanoseconds time) {
  const auto now = sched::Clock::now();
  if (time <= std::chrono::nanoseconds(0)) return now;
  return time < sched::Clock::time_point::max() - now ? now + time : sched::Clock::time_point::max();
}

struct Executor::Impl {
  Impl(std::shared_ptr<io::Reactor> r, const sched::Config& config) : reactor(std::move(r)), scheduler(config) {
    let_scheduler_stop_guests(scheduler);
    scheduler.set_poller(reactor.get());
  }

  const std::shared_ptr<io::Reactor> reactor;  // outlives the scheduler, which polls it
  sched::Scheduler scheduler;
};

}  // namespace vmrun
