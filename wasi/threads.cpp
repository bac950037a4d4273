// `wasi.thread-spawn`, and running a program with threads.
#include "wasi/threads.h"

#include <algorithm>
#include <exception>
#include <new>

#include "engine/guest_task.h"
#include "vmrun/caller.h"
#include "vmrun/executor.h"
#include "vmrun/module.h"
#include "vmrun/store.h"
#include "vmrun/wasi.h"
#include "wasi/program.h"

namespace vmrun {
namespace wasi {
namespace {

/// What host functions have beneath the guest's part of a task's stack.
constexpr size_t kHostStack = size_t{256} << 10;

/// The program of a thread, which begins with the first call.
Program& program_of(vm::Store& store, const Context& context) {
  if (store.group == nullptr) store.group = std::make_shared<Program>(store, context.max_threads);
  return static_cast<Program&>(*store.group);
}

Outcome call_thread_spawn(void* env, vm::Vcpu& vcpu, vm::Instance* instance, const Slot* args, Slot* results) {
  Context& context = *static_cast<Context*>(env);
  const uint32_t argument = args[0].as_i32();
  int32_t id = -static_cast<int32_t>(Errno::nomem);
  if (instance == nullptr) {
    id = -static_cast<int32_t>(Errno::notsup);  // it was the embedder who called
  } else {
    try {
      Result<int32_t> started = program_of(*vcpu.store, context).spawn(context, *instance, argument);
      if (!started) return Caller(vcpu, instance).fail(std::move(started).error());
      id = *started;
    } catch (const std::bad_alloc&) {
    }
  }
  VMRUN_LOG_AT(context.log, trace, "thread-spawn(start_arg={:#x}) = {}", argument, id);
  results[0] = Slot::i32(static_cast<uint32_t>(id));
  return Outcome::Return;
}

/// In a task with the store.
Result<void> run_here(Store& store, const std::function<Result<void>()>& main) {
  Result<void> done;
  std::exception_ptr thrown;
  try {
    done = main();
  } catch (...) {
    thrown = std::current_exception();  // the wait below is outside of the catch block
  }
  if (store.impl().group != nullptr) {
    done = static_cast<Program&>(*store.impl().group).finish(std::move(done));
  }
  if (thrown) std::rethrow_exception(thrown);
  return done;
}

}  // namespace

std::shared_ptr<const HostFunc> thread_spawn(const std::shared_ptr<Context>& context) {
  return std::make_shared<const HostFunc>(HostFunc{{{ValKind::I32}, {ValKind::I32}}, &call_thread_spawn, context});
}

}  // namespace wasi

bool starts_threads(const Module& module) {
  return std::ranges::any_of(module.imports(), [](const ImportType& import) {
    return import.module == wasi::kThreadsModule && import.name == wasi::kThreadSpawn;
  });
}

Result<void> run_wasi(Store& store, const std::function<Result<void>()>& main, const ExecutorConfig& config) {
  if (GuestTask* task = GuestTask::current(); task != nullptr && task->runs(store)) return wasi::run_here(store, main);
  if (sched::on_task()) {
    return Error(ErrorKind::Usage, "run_wasi is called in a task that was spawned without the store");
  }
  ExecutorConfig with = config;
  with.stack_bytes = std::max(with.stack_bytes, store.impl().limits().stack_bytes + wasi::kHostStack);
  auto executor = Executor::create(with);
  if (!executor) return executor.error();
  Result<void> done;
  std::exception_ptr thrown;
  const auto task = executor->spawn(store,
                                    [&] {
                                      try {
                                        done = wasi::run_here(store, main);
                                      } catch (...) {
                                        thrown = std::current_exception();
                                      }
                                    },
                                    {.name = "guest's first thread"});
  if (!task) return task.error();
  task->join();
  if (task->failed()) return Error(ErrorKind::Limit, "no memory for the stack of the guest's first thread");
  if (thrown) std::rethrow_exception(thrown);
  return done;
}

}  // namespace vmrun
