// One guest from its start to its end.
#include "serve/guest.h"

#include "engine/guest_task.h"
#include "sched/scheduler.h"
#include "vmrun/vmrun.h"

namespace vmrun::serve {
namespace {

GuestEnd failure(const Error& error) {
  GuestEnd end;
  end.stopped = error.kind == ErrorKind::Trap && error.trap == TrapCode::Interrupted &&
                sched::cancel_reason() != sched::CancelReason::None;
  end.error = std::string(to_string(error.kind)) + ": " + error.message;
  return end;
}

}  // namespace

GuestEnd run_guest(const Engine& engine, const Module& module, const WasiConfig& wasi, const StoreLimits& limits,
                   const std::shared_ptr<io::Reactor>& reactor) {
  const Result<WasiContext> context = WasiContext::create(wasi);
  if (!context) return failure(context.error());
  Store store(engine, limits);
  GuestTask here(store, reactor);
  const Result<Instance> instance = instantiate_wasi(store, module, *context);
  if (!instance) return failure(instance.error());
  const Result<Func> start = instance->func("_start");
  if (!start) return failure(start.error());
  const Result<void> result = run_wasi(store, [&]() -> Result<void> {
    auto done = start->call();
    if (!done) return std::move(done).error();
    return {};
  });
  if (result) return {.ended = true};
  if (result.error().kind == ErrorKind::Exit) return {.ended = true, .status = result.error().exit_status};
  return failure(result.error());
}

}  // namespace vmrun::serve
