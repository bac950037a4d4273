// What is behind Executor's handle.
#pragma once

#include <memory>
#include <utility>

#include "engine/guest_task.h"
#include "io/reactor.h"
#include "sched/scheduler.h"
#include "vmrun/executor.h"

namespace vmrun {

struct Executor::Impl {
  Impl(std::shared_ptr<io::Reactor> r, const sched::Config& config) : reactor(std::move(r)), scheduler(config) {
    let_scheduler_stop_guests(scheduler);
    scheduler.set_poller(reactor.get());
  }

  const std::shared_ptr<io::Reactor> reactor;  // outlives the scheduler, which polls it
  sched::Scheduler scheduler;
};

}  // namespace vmrun
