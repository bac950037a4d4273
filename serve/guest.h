// One guest from its start to its end.
#pragma once

#include <memory>
#include <string>

#include "io/reactor.h"
#include "vmrun/module.h"
#include "vmrun/store.h"
#include "vmrun/wasi.h"

namespace vmrun::serve {

/// How a guest ended.
struct GuestEnd {
  bool ended = false;    // by returning from _start, or by exit
  bool stopped = false;  // its task was cancelled, or its time was over
  int status = 0;        // that it ended with
  std::string error{};   // why it did not: one line
};

/// Instantiates `module` and runs its `_start`, in the calling task and with what `wasi` grants.
GuestEnd run_guest(const Engine& engine, const Module& module, const WasiConfig& wasi, const StoreLimits& limits,
                   const std::shared_ptr<io::Reactor>& reactor);

}  // namespace vmrun::serve
