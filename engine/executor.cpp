// The public face of sched/ and io/ for guests: see vmrun/executor.h.
#include "vmrun/executor.h"

#include <poll.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/completions.h"
#include "engine/executor_impl.h"
#include "engine/guest_task.h"
#include "engine/host_stacks.h"
#include "io/region.h"
#include "sched/stack.h"
#include "vm/base/log.h"
#include "vm/runtime/native_stack.h"
#include "vm/runtime/store.h"

namespace vmrun {

struct Task::Impl {
  sched::Task task;
};

namespace {

Result<io::Options> io_options(const std::string& name) {
  if (name == "auto") return io::Options{};
  if (name == "epoll") return io::Options{.backend = io::BackendKind::Epoll, .environment = false};
  if (name == "uring") return io::Options{.backend = io::BackendKind::Ring, .environment = false};
  return Error(ErrorKind::Usage, "there is no way of waiting called '" + name + "'; there are auto, epoll, uring");
}

sched::Priority priority_of(TaskPriority priority) {
  switch (priority) {
    case TaskPriority::High: return sched::Priority::High;
    case TaskPriority::Normal: return sched::Priority::Normal;
    case TaskPriority::Low: return sched::Priority::Low;
  }
  return sched::Priority::Normal;
}

/// What is called at a task's end.
struct AtEnd {
  std::function<void()> call;
  Completions::Impl* completions;
  uint64_t token;

  static void ended(void* self) noexcept {
    const std::unique_ptr<AtEnd> end(static_cast<AtEnd*>(self));
    if (end->call) end->call();
    if (end->completions != nullptr) end->completions->push(end->token);
  }
};

static_assert(Durations::kRanges == sched::Histogram::buckets);
Durations durations(const sched::Histogram& histogram) {
  return {.counts = histogram.counts, .sum = std::chrono::nanoseconds(static_cast<int64_t>(histogram.sum))};
}

IoStats io_stats(const io::Reactor& reactor) {
  const io::Counts now = reactor.counts();
  const auto done = reactor.done();
  const auto of = [&](io::Call call) { return done[static_cast<size_t>(call)]; };
  return {.descriptors = now.descriptors,
          .waiting = now.nodes,
          .transfers = now.transfers,
          .reads = of(io::Call::Read),
          .writes = of(io::Call::Write),
          .accepts = of(io::Call::Accept),
          .connects = of(io::Call::Connect),
          .receives = of(io::Call::Receive),
          .sends = of(io::Call::Send),
          .syncs = of(io::Call::Sync),
          .waits = of(io::Call::Wait)};
}

/// That a task has the store, from its spawn until it has ended, whether it ran or not.
class Lease {
 public:
  explicit Lease(Store& store) : store_(&store) {}
  Lease(Lease&& other) noexcept : store_(std::exchange(other.store_, nullptr)) {}
  ~Lease() {
    if (store_ != nullptr) store_->impl().has_task.store(false, std::memory_order_release);
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Store& store() const { return *store_; }

 private:
  Store* store_;
};

/// The body of a task with a store. The lease ends before `f` dies, which may have the last reference to the store.
struct GuestBody {
  std::function<void()> f;
  std::shared_ptr<io::Reactor> reactor;
  Lease lease;

  void operator()() {
    const GuestTask here(lease.store(), reactor);
    f();
  }
};

StopReason reason_of(sched::CancelReason reason) {
  switch (reason) {
    case sched::CancelReason::None: return StopReason::None;
    case sched::CancelReason::Deadline: return StopReason::Timeout;
    default: return StopReason::Cancelled;
  }
}

/// Whether the caller is `task` itself, which would wait for its own end.
bool is_running_task(const sched::Task& task) { return sched::on_task() && sched::self().id() == task.id(); }

/// Says once what a kernel without light guards means for the number of tasks.
void tell_of_guards() {
  static const bool told = [] {
    const vm::Log log("memory");
    if (!sched::has_light_guards()) {
      VMRUN_LOG_AT(
          log, info,
          "the kernel installs no guards in mappings (Linux 6.13 does): each takes two of vm.max_map_count, and only "
          "the first {} of an executor are made",
          sched::StackPool::kMostGuarded);
    }
    return true;
  }();
  (void)told;
}

}  // namespace

// ---- Task --------------------------------------------------------------------------------------------------------------

Task::Task() = default;
Task::~Task() = default;
Task::Task(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Task::Task(const Task& other) : impl_(other.impl_ != nullptr ? std::make_unique<Impl>(*other.impl_) : nullptr) {}
Task& Task::operator=(const Task& other) {
  if (this != &other) impl_ = other.impl_ != nullptr ? std::make_unique<Impl>(*other.impl_) : nullptr;
  return *this;
}
Task::Task(Task&& other) noexcept = default;
Task& Task::operator=(Task&& other) noexcept = default;

bool Task::done() const { return impl_ == nullptr || impl_->task.done(); }
bool Task::failed() const { return impl_ != nullptr && impl_->task.failed(); }
std::string Task::state() const { return impl_ == nullptr ? "has ended" : impl_->task.state(); }
bool Task::join() const {
  if (impl_ == nullptr) return true;
  return !is_running_task(impl_->task) && impl_->task.join() != sched::Wake::Cancelled;
}
bool Task::join_for(std::chrono::nanoseconds time) const {
  if (impl_ == nullptr) return true;
  if (is_running_task(impl_->task)) return false;
  impl_->task.join_until(deadline_after(time));
  return impl_->task.done();
}
void Task::cancel() const {
  if (impl_ != nullptr) impl_->task.cancel();
}

// ---- Executor ----------------------------------------------------------------------------------------------------------

Executor::Executor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;

Result<Executor> Executor::create(const ExecutorConfig& config) {
  if (config.stack_bytes < Store::kMinNativeStack) {
    return Error(ErrorKind::Usage, "a task's stack has at least " + std::to_string(Store::kMinNativeStack) +
                                       " bytes, not " + std::to_string(config.stack_bytes));
  }
  constexpr unsigned kMostThreads = 1 << 14;
  constexpr size_t kMostStack = size_t{17} << 30;  // a guest's 16 GiB and what hosts put beside it
  if (config.workers > kMostThreads || config.max_threads > kMostThreads || config.stack_bytes > kMostStack) {
    return Error(ErrorKind::Usage, "an executor has at most 16384 workers, 16384 threads and stacks of 17 GiB");
  }
  if (config.stack_hooks && !config.stack_hooks->allocate) {
    return Error(ErrorKind::Usage, "StackHooks::allocate is empty: nothing gives stacks");
  }
  auto options = io_options(config.io);
  if (!options) return options.error();
  int64_t error = 0;
  std::shared_ptr<io::Reactor> reactor = io::Reactor::create(*options, error);
  if (reactor == nullptr) {
    return Error(ErrorKind::Io, std::string("cannot wait for descriptors: ") + std::strerror(static_cast<int>(-error)));
  }
  tell_of_guards();
  sched::Config c;
  c.workers = config.workers;
  c.max_threads = config.max_threads;
  c.pin = config.pin;
  c.slice = config.slice;
  c.stack_size = config.stack_bytes;
  try {
    if (config.stack_hooks) c.stack_source = std::make_shared<HostStacks>(*config.stack_hooks);
    return Executor(std::make_unique<Impl>(std::move(reactor), guest_scheduler_config(c)));
  } catch (const std::bad_alloc&) {
    return Error(ErrorKind::Limit, "no memory for an executor");
  } catch (const std::system_error& e) {
    return Error(ErrorKind::Limit, std::string("no thread for an executor: ") + e.code().message());
  }
}

Result<Task> Executor::start(Store* store, std::function<void()> f, const TaskOptions& options) {
  sched::SpawnOptions spawn{.priority = priority_of(options.priority), .name = options.name};
  if (options.timeout) spawn.deadline = deadline_after(*options.timeout);
  static_assert(sizeof(sched::CancelToken) == sizeof options.cancel.storage_);
  spawn.token = *std::launder(reinterpret_cast<const sched::CancelToken*>(options.cancel.storage_));
  Completions::Impl* completions = options.completions != nullptr ? options.completions->impl_.get() : nullptr;
  bool expects = false;
  std::optional<Lease> lease;
  if (store != nullptr) {
    if (store->impl().has_task.exchange(true, std::memory_order_acquire)) {
      return Error(ErrorKind::Usage, "the store belongs to another task until that has ended");
    }
    lease.emplace(*store);
  }
  try {
    auto handle = std::make_unique<Task::Impl>();
    std::unique_ptr<AtEnd> end;
    if (options.on_end || completions != nullptr) {
      end = std::make_unique<AtEnd>(AtEnd{options.on_end, completions, options.token});
      spawn.end = {AtEnd::ended, end.get()};
    }
    if (completions != nullptr) {
      completions->expect();
      expects = true;
    }
    if (store == nullptr) {
      handle->task = impl_->scheduler.spawn(std::move(f), spawn);
    } else {
      handle->task = impl_->scheduler.spawn(GuestBody{std::move(f), impl_->reactor, std::move(*lease)}, spawn);
    }
    [[maybe_unused]] const AtEnd* handed_over = end.release();  // AtEnd::ended has it
    return Task(std::move(handle));
  } catch (const std::bad_alloc&) {
    if (expects) completions->give_up();
    return Error(ErrorKind::Limit, "no memory for another task");
  } catch (const std::system_error& e) {
    if (expects) completions->give_up();
    return Error(ErrorKind::Limit, std::string("no thread for a task: ") + e.what());
  }
}

void Executor::wait_idle() { impl_->scheduler.wait_idle(); }
size_t Executor::live() const { return impl_->scheduler.live(); }
std::string Executor::report() const { return impl_->scheduler.report(); }
std::vector<TaskInfo> Executor::tasks(size_t most, TaskOrder order, std::chrono::nanoseconds* recent_of_all) const {
  using Order = sched::TaskQuery::Order;
  constexpr Order kOrders[] = {Order::Any, Order::Used, Order::Bytes, Order::Id};
  const sched::TaskQuery query{
      .most = most,
      .order = kOrders[static_cast<size_t>(order)],
      .bytes = [](void* user) { return static_cast<GuestTask*>(user)->memory_bytes(); },
      .recent_of_all = recent_of_all,
  };
  std::vector<TaskInfo> out;
  for (sched::TaskState& task : impl_->scheduler.tasks(query)) {
    out.push_back({task.id, std::move(task.name), std::move(task.state), task.age, task.used, task.recent, task.bytes});
  }
  return out;
}
void Executor::account(bool on) { impl_->scheduler.account(on); }
const char* Executor::io() const { return impl_->reactor->backend(); }

ExecutorStats Executor::stats() const {
  const sched::Statistics now = impl_->scheduler.statistics();
  const sched::Counters sums = impl_->scheduler.counters();
  return {.tasks = now.live,
          .ready = now.ready,
          .threads = now.threads,
          .blocked_threads = now.blocked_threads,
          .idle_threads = now.idle_threads,
          .workers = now.processors,
          .idle_workers = now.idle_processors,
          .stacks = now.fibers,
          .spawned = sums.spawns,
          .switches = sums.switches,
          .preemptions = sums.preemptions,
          .steals = sums.steals,
          .parks = sums.parks,
          .finished = sums.finished,
          .yields = sums.yields,
          .stolen = sums.stolen,
          .migrations = sums.migrations,
          .queue_latency = durations(sums.queue_latency),
          .timer_lateness = durations(sums.timer_lateness),
          .io = io_stats(*impl_->reactor)};
}

// ---- this_task ---------------------------------------------------------------------------------------------------------

namespace this_task {

bool is_one() { return sched::on_task(); }

void yield() {
  if (sched::on_task()) {
    sched::yield();
  } else {
    std::this_thread::yield();
  }
}

bool sleep_for(std::chrono::nanoseconds time) {
  if (sched::on_task()) return sched::sleep_until(deadline_after(time)) != sched::Wake::Cancelled;
  std::this_thread::sleep_for(time);
  return true;
}

Result<void> wait_fd(int fd, Ready direction, std::optional<std::chrono::nanoseconds> time) {
  auto failure = [](int64_t error) {
    if (error == -ETIMEDOUT) return Error(ErrorKind::Limit, "the descriptor was not ready in time");
    if (error == -ECANCELED) return Error(ErrorKind::Usage, "the task was cancelled");
    return Error(ErrorKind::Io,
                 std::string("cannot wait for a descriptor: ") + std::strerror(static_cast<int>(-error)));
  };
  if (fd < 0) return failure(-EBADF);  // poll would leave it out, and wait
  const auto deadline = time ? deadline_after(*time) : sched::Clock::time_point::max();
  if (GuestTask* task = GuestTask::current(); task != nullptr && task->reactor() != nullptr) {
    int64_t error = 0;
    const io::Descriptor d = task->reactor()->borrow(fd, error);
    if (!d) return failure(error);
    const int64_t r = task->reactor()->wait(d, direction == Ready::Read ? io::Direction::Read : io::Direction::Write,
                                            time ? io::Until::at(deadline) : io::Until{});
    if (r < 0) return failure(r);
    return {};
  }
  // A task without a store has nothing to wait with: it holds a thread, and looks now and then whether it is cancelled.
  const bool is_task = sched::on_task();
  constexpr auto kLook = std::chrono::milliseconds(10);
  pollfd one{fd, static_cast<short>(direction == Ready::Read ? POLLIN : POLLOUT), 0};
  for (;;) {
    if (is_task && sched::cancel_reason() != sched::CancelReason::None) return failure(-ECANCELED);
    auto rest = deadline - sched::Clock::now();
    if (rest.count() < 0) rest = rest.zero();
    const bool looks = is_task && kLook < rest;
    if (looks) rest = kLook;
    const int64_t ns = rest.count();
    const timespec left = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    const int r = [&] {
      const io::Region region;  // may end on another thread, which has another errno
      const int ready = ::ppoll(&one, 1, time || looks ? &left : nullptr, nullptr);
      return ready < 0 ? -errno : ready;
    }();
    if (r == 0 && looks) continue;
    if (r > 0 && (one.revents & POLLNVAL) != 0) return failure(-EBADF);
    if (r > 0) return {};
    if (r == 0) return failure(-ETIMEDOUT);
    if (r != -EINTR) return failure(r);
  }
}

StopReason stop_reason() { return sched::on_task() ? reason_of(sched::cancel_reason()) : StopReason::None; }
StopReason take_stop() { return sched::on_task() ? reason_of(sched::take_cancel()) : StopReason::None; }

}  // namespace this_task

}  // namespace vmrun
