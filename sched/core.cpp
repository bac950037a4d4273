// Tasks from spawn to end, the global queue, and the stores of cells and fibers.
#include "sched/core.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include "sched/check.h"
#include "sched/cpus.h"
#include "sched/worker.h"

namespace vmrun::sched {

namespace {
std::atomic<bool> scatters_all{false};
}

void scatter_all(bool on) { scatters_all.store(on, std::memory_order_relaxed); }

Core::Core(const Config& given)
    : config(given),
      stacks(std::make_shared<StackPool>(given.stack_size, 64, StackPool::kMostGuarded,
                                         given.stack_source == nullptr ? given.annex : AnnexShape{},
                                         given.stack_source)) {
  if (config.workers == 0) {
    config.workers = std::max(1u, std::thread::hardware_concurrency());
  }
  config.max_threads = std::max(config.max_threads, config.workers);
  config.scatter = config.workers > 1 && (config.scatter || scatters_all.load(std::memory_order_relaxed));
  for (unsigned i = 0; i < config.workers; ++i) {
    processors.push_back(std::make_unique<Processor>(config.local_queue));
    idle_processors_.push_back(processors.back().get());
  }
  if (config.pin) {
    const std::vector<int> cpus = allowed_cpus();
    for (size_t i = 0; i < processors.size() && !cpus.empty(); ++i) {
      processors[i]->cpu = cpus[i % cpus.size()];
    }
  }
  std::reverse(idle_processors_.begin(), idle_processors_.end());
  idle_count_.store(config.workers, std::memory_order_relaxed);
  config.max_threads = std::min(config.max_threads, 1u << 20);
  // Each worker may be in a call that was made a moment before the last thread was held, and each needs one to go on with.
  if (config.max_threads > 3 * config.workers) most_held_ = config.max_threads - 2 * config.workers;
  monitor_ = std::thread([this] { monitor_main(); });
}

Core::~Core() = default;

TaskCell* Core::take_cells(size_t n, size_t& got) {
  std::lock_guard lock(cells_lock_);
  TaskCell* list = nullptr;
  for (got = 0; got < n; ++got) {
    if (free_cells_ == nullptr) {
      if (got != 0) {
        break;  // a whole chunk is more than was asked for
      }
      cell_chunks_.push_back(std::make_unique<TaskCell[]>(cells_a_chunk));
      for (size_t k = 0; k < cells_a_chunk; ++k) {
        TaskCell* cell = &cell_chunks_.back()[k];
        cell->core = this;
        cell->next = free_cells_;
        free_cells_ = cell;
      }
    }
    TaskCell* cell = free_cells_;
    free_cells_ = cell->next;
    cell->next = list;
    list = cell;
  }
  return list;
}

void Core::free_cell(TaskCell* cell) noexcept {
  Worker* w = current_worker();
  if (w != nullptr && &w->core() == this) {
    w->free_cell(cell);
    return;
  }
  std::lock_guard lock(cells_lock_);
  cell->next = free_cells_;
  free_cells_ = cell;
}

namespace {

/// A fiber that goes back unless it was released.
class SpareFiber {
 public:
  SpareFiber(Core& core, Fiber* fiber) : core_(core), fiber_(fiber) {}
  ~SpareFiber() {
    if (fiber_ != nullptr) {
      core_.keep_fiber(fiber_);
    }
  }
  SpareFiber(const SpareFiber&) = delete;
  SpareFiber& operator=(const SpareFiber&) = delete;
  Fiber* release() { return std::exchange(fiber_, nullptr); }

 private:
  Core& core_;
  Fiber* fiber_;
};

}  // namespace

TaskCell* Core::prepare(const SpawnOptions& options) {
  SCHED_ASSERT(config.auto_shutdown || !stopping.load(std::memory_order_relaxed), "spawn after join()");
  Worker* w = current_worker();
  const bool inside = w != nullptr && &w->core() == this;
  if (!inside) {
    need_thread();
  }
  std::optional<SpareFiber> fiber;
  if (options.with_stack) {
    SCHED_ASSERT(inside, "a stack at once is for tasks that tasks spawn");
    fiber.emplace(*this, w->take_fiber());
  } else {
    need_stack(inside && w->idle_fibers_ != nullptr);
  }
  // Each has at most two timers: its deadline's and that of a wait.
  timers.reserve(2 * (live.load(std::memory_order_relaxed) + 64));
  size_t got = 0;
  TaskCell* cell = inside ? w->take_cell() : take_cells(1, got);
  if (config.auto_shutdown && !inside) {
    std::unique_lock lock(idle_lock_);
    if (stopping.load(std::memory_order_relaxed)) {
      lock.unlock();
      free_cell(cell);
      throw std::system_error(std::make_error_code(std::errc::operation_canceled), "the scheduler has ended");
    }
    live.fetch_add(1, std::memory_order_relaxed);
  } else {
    live.fetch_add(1, std::memory_order_relaxed);
  }
  cell->name.store(options.name, std::memory_order_relaxed);
  cell->born.store(coarse_now(), std::memory_order_relaxed);
  cell->used.store(0, std::memory_order_relaxed);
  cell->on_since.store(0, std::memory_order_relaxed);
  cell->used_when_listed.store(0, std::memory_order_relaxed);
  cell->failed.store(false, std::memory_order_relaxed);
  cell->waits_for.store(nullptr, std::memory_order_relaxed);
  cell->quiet_wakes = 0;
  cell->woke_at = 0;
  cell->park.store(ParkState::Running, std::memory_order_relaxed);
  cell->cancel.store(CancelReason::None, std::memory_order_relaxed);
  cell->done.store(false, std::memory_order_relaxed);
  cell->priority = options.priority;
  cell->woken = false;
  cell->next = nullptr;
  cell->worker.store(nullptr, std::memory_order_relaxed);
  cell->ready_at = 0;
  cell->hooks = options.hooks;
  cell->end = options.end;
  if (options.user != nullptr) {
    cell->set_user(options.user);
  }
  if (fiber) {
    cell->fiber = fiber->release();
    cell->fiber->task = cell;
  }
  cell->id.store(inside ? w->take_id() : next_id.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
  return cell;
}

Task Core::launch(TaskCell* cell, const SpawnOptions& options) {
  cell->refs.store(2, std::memory_order_relaxed);  // the task's own and the handle's
  bump(&ThreadCounters::spawns);
  if (TokenState* token = options.token.state_) {
    token->refs.fetch_add(1, std::memory_order_relaxed);
    cell->token = token;
    if (!token->link(cell)) {
      cell->cancel.store(CancelReason::Requested, std::memory_order_relaxed);
    }
  }
  if (options.deadline && nanos(*options.deadline) != never) {
    cell->deadline.when = nanos(*options.deadline);
    cell->deadline.task = cell;
    cell->deadline.what = Timer::What::Deadline;
    cell->deadline.fired.store(false, std::memory_order_relaxed);
    if (timers.add(cell->deadline)) {
      cover_timers();
    }
  }
  make_ready(cell);
  return Task(cell);
}

void Core::finish(TaskCell* task) {
  if (task->user != nullptr) {
    task->set_user(nullptr);
  }
  task->drop_name();
  if (TokenState* token = std::exchange(task->token, nullptr)) {
    token->unlink(task);
    token->drop_ref();
  }
  if (task->deadline.when != never) {
    timers.remove(task->deadline);
    task->deadline.when = never;
  }
  bump(&ThreadCounters::finished);  // before anybody sees the end, and asks how many have ended
  WaitList::Node* node;
  {
    std::lock_guard lock(task->join_lock);
    task->done.store(true, std::memory_order_release);
    node = task->joiners.pop_all();
  }
  while (node != nullptr) {
    WaitList::Node* next = WaitList::next_of(node);
    WaitList::signal(node);
    node = next;
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);  // see TaskCell::hurry
  task->calm_down(Hurry::No);
  if (const EndHook end = task->end; end.ended != nullptr) {
    end.ended(end.context);
  }
  task->drop_ref();
  one_less();
}

void Core::discard(TaskCell* cell) {
  if (Fiber* fiber = std::exchange(cell->fiber, nullptr)) {
    fiber->task = nullptr;
    keep_fiber(fiber);
  }
  cell->set_user(nullptr);
  cell->drop_name();
  cell->done.store(true, std::memory_order_relaxed);
  free_cell(cell);
  one_less();
}

void Core::one_less() {
  size_t n = live.load(std::memory_order_relaxed);
  do {
    if (n == 1 && config.auto_shutdown) {
      std::lock_guard lock(idle_lock_);  // under which others than tasks spawn
      n = live.load(std::memory_order_acquire);
      if (n == 1) {
        stop_locked();  // before anybody sees that no task is left
        live.store(0, std::memory_order_release);
        break;
      }
    }
  } while (!live.compare_exchange_weak(n, n - 1, std::memory_order_acq_rel));
  if (n == 1) {
    std::lock_guard lock(done_lock_);
    done_.notify_all();
  }
}

void Core::stop_locked() {
  stopping.store(true, std::memory_order_seq_cst);
  while (!idle_workers_.empty()) {
    wake_worker_locked(*idle_workers_.back(), nullptr, false);
  }
  poke_monitor();
}

void Core::wait_idle() {
  Worker* w = current_worker();
  if (w != nullptr && &w->core() == this) {
    misuse(
        "a task of an executor, or what is called at a task's end, waits for all tasks of the executor to end "
        "(wait_idle, "
        "or the executor's destruction), itself included: do that on a thread of your own");
  }
  std::unique_lock lock(done_lock_);
  done_.wait(lock, [this] { return live.load(std::memory_order_acquire) == 0; });
}

void Core::stop() {
  if (std::exchange(stopped_, true)) {
    return;
  }
  wait_idle();
  {
    std::lock_guard lock(idle_lock_);
    stop_locked();
  }
  monitor_.join();
  {
    std::lock_guard lock(ended_lock_);  // from here on nobody else joins
  }
  for (auto& worker : workers_) {
    worker->join();
  }
}

void Core::make_ready(TaskCell* task) {
  Worker* w = current_worker();
  if (w != nullptr && &w->core() == this) {
    w->make_ready(task, true);
    return;
  }
  // As workers do, but from the first one on: threads other than workers may make few.
  if ((made_ready_outside_.fetch_add(1, std::memory_order_relaxed) & 63) == 0) task->ready_at = now();
  push_global(task);
  maybe_wake();
}

void Core::push_global(TaskCell* task) {
  task->next = nullptr;
  push_global_list(task, task, lane_of(*task), 1);
}

void Core::push_global_list(TaskCell* first, TaskCell* last, Lane lane, size_t n) {
  std::lock_guard lock(global_lock_);
  List& list = global_[static_cast<size_t>(lane)];
  (list.first == nullptr ? list.first : list.last->next) = first;
  list.last = last;
  list.size += n;
  global_size_.store(global_size_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  if (lane <= Lane::Woken) {
    urgent_size_.store(urgent_size_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
}

TaskCell* Core::take_global(Processor& p, Lane from, Lane to) {
  std::lock_guard lock(global_lock_);
  size_t size = 0;
  for (auto i = static_cast<size_t>(from); i <= static_cast<size_t>(to); ++i) {
    size += global_[i].size;
  }
  size_t n = std::min<size_t>(size / processors.size() + 1, p.queues[0].capacity() / 2);
  n = std::min(n, size);
  TaskCell* result = nullptr;
  size_t taken = 0;
  for (auto i = static_cast<size_t>(from); i <= static_cast<size_t>(to) && taken < n; ++i) {
    List& list = global_[i];
    while (list.first != nullptr && taken < n) {
      TaskCell* task = list.first;
      TaskCell* next = task->next;
      if (result == nullptr) {
        result = task;
      } else if (!p.queues[i].push(task)) {
        break;
      }
      list.first = next;
      --list.size;
      ++taken;
    }
  }
  global_size_.store(global_size_.load(std::memory_order_relaxed) - taken, std::memory_order_relaxed);
  urgent_size_.store(global_[static_cast<size_t>(Lane::High)].size + global_[static_cast<size_t>(Lane::Woken)].size,
                     std::memory_order_relaxed);
  return result;
}

Fiber* Core::take_fiber() {
  std::lock_guard lock(fibers_lock_);
  Fiber* fiber = idle_fibers_;
  if (fiber != nullptr) {
    idle_fibers_ = fiber->next;
    idle_fiber_count_.fetch_sub(1, std::memory_order_relaxed);
  }
  return fiber;
}

void Core::keep_fiber(Fiber* fiber) {
  std::lock_guard lock(fibers_lock_);
  fiber->next = idle_fibers_;
  idle_fibers_ = fiber;
  idle_fiber_count_.fetch_add(1, std::memory_order_relaxed);
}

void Core::need_stack(bool worker_has_one) {
  if (!worker_has_one && idle_fiber_count_.load(std::memory_order_relaxed) == 0) {
    stacks->reserve_one();
  }
}

void Core::set_preempt(PreemptHook hook, void* context) {
  preempt_context_ = context;
  preempt_hook_.store(hook, std::memory_order_release);
}

void Core::request_preempt(TaskCell* task) {
  Worker* w = task->worker.load(std::memory_order_acquire);
  if (w == nullptr || w == current_worker() || w->current() != task) {
    return;  // it does not run, or it is the caller
  }
  for (auto& p : processors) {
    if (p->running.load(std::memory_order_relaxed) == task) {
      p->preempt.store(true, std::memory_order_relaxed);
    }
  }
  bump(&ThreadCounters::preempt_requests);
  if (PreemptHook hook = preempt_hook_.load(std::memory_order_acquire)) {
    std::lock_guard user(task->user_lock);
    std::lock_guard lock(w->signal_lock_);
    if (w->has_thread_ && w->current() == task) {
      hook(preempt_context_, {.worker = w->pthread(),
                              .task_id = task->id.load(std::memory_order_relaxed),
                              .user = task->user,
                              .reason = task->cancel.load(std::memory_order_acquire)});
    }
  }
}

void Core::bump(std::atomic<uint64_t> ThreadCounters::* which, uint64_t n) {
  Worker* w = current_worker();
  if (w != nullptr && &w->core() == this) {
    count(w->counters.*which, n);
  } else {
    (external_.*which).fetch_add(n, std::memory_order_relaxed);
  }
}

void Core::bump(AtomicHistogram ThreadCounters::* which, Nanos value) {
  Worker* w = current_worker();
  if (w != nullptr && &w->core() == this) {
    (w->counters.*which).add_alone(value);
  } else {
    (external_.*which).add(value);
  }
}

Counters Core::counters() {
  Counters sum;
  std::lock_guard lock(idle_lock_);
  for (auto& worker : workers_) {
    worker->counters.add_to(sum);
  }
  external_.add_to(sum);
  return sum;
}

}  // namespace vmrun::sched
