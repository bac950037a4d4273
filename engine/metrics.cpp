// What is collected for metrics, but for servers' (serve/metrics.cpp).
#include "engine/metrics.h"

#include <array>

#include "engine/executor_impl.h"
#include "engine/process_linux.h"
#include "jit/code/code.h"
#include "vm/base/tally.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/vcpus.h"

namespace vmrun::engine {
namespace {

/// Bounds of histograms: powers of two nanoseconds, from a microsecond to 17 seconds.
constexpr size_t kFirstBound = 10, kLastBound = 34;

/// By TrapCode.
constexpr const char* kTrapNames[] = {"none",
                                      "unreachable",
                                      "integer_divide_by_zero",
                                      "integer_overflow",
                                      "invalid_conversion_to_integer",
                                      "memory_out_of_bounds",
                                      "table_out_of_bounds",
                                      "undefined_element",
                                      "uninitialized_element",
                                      "indirect_call_type_mismatch",
                                      "null_reference",
                                      "null_function_reference",
                                      "null_exception_reference",
                                      "cast_failure",
                                      "unaligned_atomic",
                                      "expected_shared_memory",
                                      "stack_overflow",
                                      "out_of_memory",
                                      "interrupted",
                                      "unsupported",
                                      "out_of_fuel"};
static_assert(std::size(kTrapNames) == vm::kTrapCodes);

uint64_t tallied(const vm::Tally::Count& count) { return count.load(std::memory_order_relaxed); }
uint64_t tallied(const vm::StripedCount& count) { return count.load(); }
/// Of a count that goes down too: what two threads do may be seen in either order.
template <class Count>
uint64_t tallied_now(const Count& count) {
  const uint64_t n = tallied(count);
  return n > INT64_MAX ? 0 : n;
}

double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

struct GuestCounts {
  size_t running = 0, suspended = 0, idle = 0;
};

GuestCounts count_guests() {
  GuestCounts out;
  vm::for_each_vcpu(
      [](void* env, vm::VcpuEntry& entry) {
        auto& counts = *static_cast<GuestCounts*>(env);
        const int32_t thread = entry.cx.thread.load(std::memory_order_relaxed);
        ++(thread > 0 ? counts.running : thread < 0 ? counts.suspended : counts.idle);
      },
      &out);
  return out;
}

void compile_metrics(MetricsWriter& out) {
  using vm::Tally;
  constexpr std::pair<vm::Tier, const char*> kTiers[] = {{vm::Tier::baseline, "baseline"}, {vm::Tier::opt, "opt"}};
  const auto each = [&](auto add) {
    for (const auto& [tier, name] : kTiers) add(vm::tally.tier(static_cast<size_t>(tier)), name);
  };
  out.gauge("vmrun_compile_queue_length", "Functions and loops that wait to be compiled.")
      .value(tallied_now(vm::tally.compiles_waiting));
  out.gauge("vmrun_compile_threads_busy", "Threads that compile in the background now.")
      .value(tallied_now(vm::tally.compiles_running));
  out.counter("vmrun_compiles", "Compiles of functions and loops that have ended.");
  each([&](const Tally::OfTier& t, const char* name) {
    out.value(tallied(t.done), {{"tier", name}, {"result", "done"}});
    out.value(tallied(t.failed), {{"tier", name}, {"result", "failed"}});
  });
  out.counter("vmrun_compile_bugs", "Compiles that failed by an error of vmrun; the log has it.");
  each([&](const Tally::OfTier& t, const char* name) { out.value(tallied(t.bugs), {{"tier", name}}); });
  out.counter("vmrun_compile_seconds", "Time that compiles took, by the clock.");
  each([&](const Tally::OfTier& t, const char* name) {
    out.value(static_cast<double>(tallied(t.nanoseconds)) / 1e9, {{"tier", name}});
  });
  out.counter("vmrun_compiled_wasm_bytes", "WebAssembly code that was compiled.");
  each([&](const Tally::OfTier& t, const char* name) { out.value(tallied(t.wasm_bytes), {{"tier", name}}); });
  out.counter("vmrun_compiled_machine_code_bytes", "Machine code that compiles made.");
  each([&](const Tally::OfTier& t, const char* name) { out.value(tallied(t.code_bytes), {{"tier", name}}); });
  out.counter("vmrun_promotions", "Functions and loops that got code of a tier, compiled or from a file of code.");
  each([&](const Tally::OfTier& t, const char* name) {
    out.value(tallied(t.functions), {{"tier", name}, {"unit", "function"}, {"code", "compiled"}});
    out.value(tallied(t.loops), {{"tier", name}, {"unit", "loop"}, {"code", "compiled"}});
    out.value(tallied(t.stored_functions), {{"tier", name}, {"unit", "function"}, {"code", "stored"}});
    out.value(tallied(t.stored_loops), {{"tier", name}, {"unit", "loop"}, {"code", "stored"}});
  });
  out.counter("vmrun_code_dropped", "Pieces of code that were given up for want of code memory.");
  each([&](const Tally::OfTier& t, const char* name) { out.value(tallied(t.dropped), {{"tier", name}}); });
  const jit::CodeSpace* space = jit::CodeSpace::existing();
  out.gauge("vmrun_code_memory_bytes", "Code memory in use.").value(space != nullptr ? space->live_bytes() : 0);
}

void system_metrics(MetricsWriter& out) {
  const ProcessFigures figures = process_figures();
  out.counter("process_cpu_seconds", "Processor time that the process has used, user and system.")
      .value(figures.cpu_seconds);
  out.gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.").value(figures.resident_bytes);
  out.gauge("process_virtual_memory_bytes", "Address space of the process; most of it is reserved and empty.")
      .value(figures.virtual_bytes);
  out.gauge("process_open_fds", "Descriptors that are open.").value(figures.open_descriptors);
  out.gauge("process_max_fds", "Descriptors that may be open.").value(figures.most_descriptors);
  out.gauge("process_threads", "Threads of the process.").value(figures.threads);
  out.gauge("process_start_time_seconds", "When the process began, since 1970.").value(figures.start_seconds);
}

}  // namespace

void add_durations(Durations& sum, const Durations& more) {
  for (size_t i = 0; i < Durations::kRanges; ++i) sum.counts[i] += more.counts[i];
  sum.sum += more.sum;
}

void MetricsWriter::histogram(std::string name, std::string help, const Durations& durations) {
  family(std::move(name), Metric::Type::Histogram, std::move(help));
  Metric::Value& out = out_.back().values.emplace_back();
  uint64_t count = 0;
  for (size_t i = 0; i < Durations::kRanges; ++i) {
    count += durations.counts[i];
    // Range i ends before 2^(i + 1).
    const size_t bound = i + 1;
    if (bound < kFirstBound || bound > kLastBound) continue;
    out.buckets.push_back({static_cast<double>(uint64_t{1} << bound) / 1e9, count});
  }
  out.count = count;
  out.sum = seconds(durations.sum);
}

void process_metrics(MetricsWriter& out) {
  const GuestCounts guests = count_guests();
  out.gauge("vmrun_guests", "Stores with their guests: running, suspended in a wait or for others, or in no call.")
      .value(guests.running, {{"state", "running"}})
      .value(guests.suspended, {{"state", "suspended"}})
      .value(guests.idle, {{"state", "idle"}});
  out.counter("vmrun_instances", "Instances that were made.").value(tallied(vm::tally.instances));
  out.gauge("vmrun_linear_memory_bytes", "Size of all linear memories together; pages never touched take no RAM.")
      .value(tallied_now(vm::tally.memory_bytes));
  out.counter("vmrun_traps", "Traps of guests, by kind; interrupted ones were cancelled or out of time.");
  for (size_t i = 1; i < vm::kTrapCodes; ++i) out.value(tallied(vm::tally.traps[i]), {{"kind", kTrapNames[i]}});
  compile_metrics(out);
  out.counter("vmrun_cache_lookups", "Modules that were looked for in the cache of code on disk.")
      .value(tallied(vm::tally.cache_hits), {{"result", "hit"}})
      .value(tallied(vm::tally.cache_misses), {{"result", "miss"}});
  out.counter("vmrun_cache_stores", "Files of code that were written into the cache.")
      .value(tallied(vm::tally.cache_stores));
  system_metrics(out);
}

void executor_metrics(MetricsWriter& out, const std::vector<const Executor*>& executors) {
  if (executors.empty()) return;
  sched::Counters sums;
  size_t live = 0, ready = 0, blocked = 0, threads = 0, workers = 0, idle = 0, waiting = 0, transfers = 0;
  std::array<uint64_t, io::call_kinds> done{};
  Durations latency, lateness;
  const auto add = [](sched::Counters& sum, const sched::Counters& more) {
#define X(name, text) sum.name += more.name;
    SCHED_COUNTERS(X)
#undef X
  };
  for (const Executor* executor : executors) {
    const sched::Statistics now = executor->impl().scheduler.statistics();
    const ExecutorStats stats = executor->stats();
    add(sums, executor->impl().scheduler.counters());
    live += now.live;
    ready += now.ready;
    blocked += now.blocked_threads;
    threads += now.threads;
    workers += now.processors;
    idle += now.idle_processors;
    waiting += stats.io.waiting;
    transfers += stats.io.transfers;
    const auto calls = executor->impl().reactor->done();
    for (size_t i = 0; i < done.size(); ++i) done[i] += calls[i];
    add_durations(latency, stats.queue_latency);
    add_durations(lateness, stats.timer_lateness);
  }
  // One moment's figures are read one after the other, and need not fit to the last task.
  const size_t running = std::min(workers - std::min(idle, workers), live);
  const size_t others = std::min(running + ready + blocked, live);
  out.gauge("vmrun_tasks", "Tasks that have not ended; ready ones are the run queue.")
      .value(running, {{"state", "running"}})
      .value(ready, {{"state", "ready"}})
      .value(blocked, {{"state", "in_system_call"}})
      .value(live - others, {{"state", "waiting"}});
  out.gauge("vmrun_workers", "Tasks that may run at the same time.").value(workers);
  out.gauge("vmrun_worker_threads", "Threads for tasks, those that system calls hold included.").value(threads);
#define X(name, text) out.counter("vmrun_scheduler_" #name, "Scheduler: " text ".").value(sums.name);
  SCHED_COUNTERS(X)
#undef X
  out.histogram("vmrun_scheduler_queue_latency_seconds",
                "From the time a task could run until it ran; one in 64 is measured.", latency);
  out.histogram("vmrun_scheduler_timer_lateness_seconds", "From a deadline until it was seen to have passed.",
                lateness);
  out.gauge("vmrun_io_in_flight", "Waits of tasks for a descriptor, and transfers of slow files that the system is at.")
      .value(waiting, {{"kind", "wait"}})
      .value(transfers, {{"kind", "transfer"}});
  out.counter("vmrun_io_calls", "Calls of tasks for a descriptor that have ended.");
  constexpr const char* kCalls[] = {"read", "write", "accept", "connect", "receive", "send", "sync", "wait"};
  static_assert(std::size(kCalls) == io::call_kinds);
  for (size_t i = 0; i < done.size(); ++i) out.value(done[i], {{"kind", kCalls[i]}});
}

}  // namespace vmrun::engine
