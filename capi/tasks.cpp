// Tasks: executors, completions, waiting.
#include "capi/tasks.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "capi/handles.h"
#include "vmrun/executor.h"

using namespace vmrun;
using namespace vmrun::capi;

struct vmrun_executor_t {
  Executor executor;
};
struct vmrun_task_t {
  Task task;
};
struct vmrun_completions_t {
  Completions completions;
};
struct vmrun_event_t {
  Event event;
};

namespace {

std::chrono::nanoseconds time_of(uint64_t nanoseconds) {
  return std::chrono::nanoseconds(
      std::min(nanoseconds, static_cast<uint64_t>(std::chrono::nanoseconds::max().count())));
}
/// For ever is nothing.
std::optional<std::chrono::nanoseconds> wait_of(uint64_t nanoseconds) {
  if (nanoseconds == UINT64_MAX) return std::nullopt;
  return time_of(nanoseconds);
}

TaskOptions options_of(const vmrun_task_options_t* from) {
  TaskOptions options;
  if (from == nullptr) return options;
  options.name = from->name;
  if (from->timeout != 0) options.timeout = time_of(from->timeout);
  if (from->priority != 0) options.priority = from->priority > 0 ? TaskPriority::High : TaskPriority::Low;
  if (from->on_end != nullptr) options.on_end = [call = from->on_end, env = from->on_end_env] { call(env); };
  if (from->completions != nullptr) options.completions = &from->completions->completions;
  options.token = from->token;
  return options;
}

}  // namespace

// ---- completions ----

vmrun_completions_t* vmrun_completions_new(void) {
  return guarded([] {
    return with(Completions::create(), [](Completions& made) { return new vmrun_completions_t{std::move(made)}; });
  });
}
void vmrun_completions_delete(vmrun_completions_t* completions) { delete completions; }
int vmrun_completions_descriptor(const vmrun_completions_t* completions) {
  return completions->completions.descriptor();
}
size_t vmrun_completions_take(vmrun_completions_t* completions, uint64_t tokens[], size_t max) {
  return completions->completions.take({tokens, max});
}

// ---- executors ----

vmrun_executor_t* vmrun::capi::new_executor(const ExecutorConfig& config) {
  return with(Executor::create(config), [](Executor& made) { return new vmrun_executor_t{std::move(made)}; });
}
vmrun_executor_t* vmrun_executor_new(unsigned workers, size_t stack_bytes) {
  return guarded([&] {
    ExecutorConfig config;
    config.workers = workers;
    if (stack_bytes != 0) config.stack_bytes = stack_bytes;
    return new_executor(config);
  });
}
void vmrun_executor_delete(vmrun_executor_t* executor) { delete executor; }
void vmrun_executor_wait_idle(vmrun_executor_t* executor) { executor->executor.wait_idle(); }

vmrun_error_t* vmrun_executor_spawn(vmrun_executor_t* executor, wasm_store_t* store, void (*run)(void*), void* env,
                                    const vmrun_task_options_t* options, vmrun_task_t** out) {
  if (out != nullptr) *out = nullptr;
  if (run == nullptr) return new_error(usage("what the task is to run is NULL"));
  try {
    std::unique_ptr<vmrun_task_t> handle = out != nullptr ? std::make_unique<vmrun_task_t>() : nullptr;
    // The task keeps the store: it may delete the last handle of it.
    auto body = [run, env, state = store != nullptr ? store->state : nullptr] { run(env); };
    Result<Task> task = store != nullptr ? executor->executor.spawn(store->state->store, body, options_of(options))
                                         : executor->executor.spawn(body, options_of(options));
    if (!task) return new_error(std::move(task).error());
    if (out != nullptr) {
      handle->task = std::move(*task);
      *out = handle.release();
    }
    return nullptr;
  } catch (...) {
    return new_error(caught());
  }
}

void vmrun_task_delete(vmrun_task_t* task) { delete task; }
bool vmrun_task_failed(const vmrun_task_t* task) { return task->task.failed(); }
bool vmrun_task_done(const vmrun_task_t* task) { return task->task.done(); }
bool vmrun_task_join(const vmrun_task_t* task) { return task->task.join(); }
void vmrun_task_cancel(const vmrun_task_t* task) { task->task.cancel(); }

// ---- in a task ----

bool vmrun_in_task(void) { return this_task::is_one(); }
void vmrun_yield(void) { this_task::yield(); }
bool vmrun_sleep(uint64_t nanoseconds) { return this_task::sleep_for(time_of(nanoseconds)); }
vmrun_error_t* vmrun_wait_fd(int fd, bool write, uint64_t nanoseconds) {
  const auto direction = write ? this_task::Ready::Write : this_task::Ready::Read;
  Result<void> done = this_task::wait_fd(fd, direction, wait_of(nanoseconds));
  return done ? nullptr : new_error(std::move(done).error());
}

// ---- events ----

vmrun_event_t* vmrun_event_new(void) {
  return guarded([] { return new vmrun_event_t; });
}
void vmrun_event_delete(vmrun_event_t* event) { delete event; }
void vmrun_event_set(vmrun_event_t* event) { event->event.set(); }
void vmrun_event_reset(vmrun_event_t* event) { event->event.reset(); }
bool vmrun_event_wait(vmrun_event_t* event, uint64_t nanoseconds) {
  return event->event.wait(wait_of(nanoseconds)) == Waited::Done;
}
