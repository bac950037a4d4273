// Metrics: their texts are what their formats ask for, and they count what happened.
#include "vmrun/metrics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "tests/support/ok.h"
#include "vmrun/executor.h"
#include "vmrun/server.h"
#include "vmrun/vmrun.h"

namespace vmrun {
namespace {

using test::ok;

Module load(const Engine& engine, const std::string& name) {
  return ok(Module::compile_file(engine, std::string(VMRUN_FIXTURES) + "/" + name + ".wasm"));
}

/// The number of the value with that label; of the only one, without.
double number(const std::vector<Metric>& all, const std::string& name, const std::string& label = {}) {
  for (const Metric& metric : all) {
    if (metric.name != name) continue;
    for (const Metric::Value& value : metric.values) {
      if (label.empty() || std::ranges::any_of(value.labels, [&](const auto& l) { return l.second == label; })) {
        return value.number;
      }
    }
  }
  FAIL("there is no metric " << name << " " << label);
  return 0;
}

TEST_CASE("names are unique, in the common form, and say their unit; helps are sentences") {
  Executor executor = ok(Executor::create({.workers = 1}));
  std::set<std::string> names;
  for (const Metric& metric : metrics({.executors = {&executor}, .servers = {}})) {
    CAPTURE(metric.name);
    CHECK(names.insert(metric.name).second);
    CHECK((metric.name.starts_with("vmrun_") || metric.name.starts_with("process_")));
    CHECK(metric.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == metric.name.npos);
    for (const char* end : {"_total", "_count", "_sum", "_bucket"}) CHECK(!metric.name.ends_with(end));
    CHECK(metric.help.ends_with("."));
    CHECK(metric.help.find('\n') == metric.help.npos);
    CHECK(!metric.values.empty());
  }
}

TEST_CASE("what guests do is counted") {
  const auto before = metrics();
  CHECK(number(before, "process_resident_memory_bytes") > 100'000);
  CHECK(number(before, "process_open_fds") >= 3);
  CHECK(number(before, "process_threads") >= 1);
  CHECK(number(before, "process_cpu_seconds") > 0);
  const double now = static_cast<double>(std::time(nullptr));
  CHECK(std::fabs(number(before, "process_start_time_seconds") - now) < 3600);

  Config config;
  config.tiers = Tiers::Baseline;
  const Engine engine(config);
  {
    Store store(engine);
    const Module module = load(engine, "cli_traps");
    CHECK(!module.exports().empty());
    Linker linker(engine);
    auto instance = ok(linker.instantiate(store, module));
    const auto during = metrics();
    CHECK(number(during, "vmrun_instances") == number(before, "vmrun_instances") + 1);
    CHECK(number(during, "vmrun_guests", "idle") == number(before, "vmrun_guests", "idle") + 1);
    const auto trapped = ok(instance.func("unreachable")).call({});
    CHECK(!trapped);
    const auto after = metrics();
    CHECK(number(after, "vmrun_traps", "unreachable") == number(before, "vmrun_traps", "unreachable") + 1);
    CHECK(number(after, "vmrun_compiles", "baseline") > number(before, "vmrun_compiles", "baseline"));
    CHECK(number(after, "vmrun_compile_seconds", "baseline") > number(before, "vmrun_compile_seconds", "baseline"));
    CHECK(number(after, "vmrun_code_memory_bytes") > 0);
  }
  CHECK(number(metrics(), "vmrun_guests", "idle") == number(before, "vmrun_guests", "idle"));
}

TEST_CASE("linear memories are counted as they come, grow and go") {
  const double before = number(metrics(), "vmrun_linear_memory_bytes");
  {
    const Engine engine;
    Store store(engine);
    auto memory = ok(Memory::create(store, MemoryType{.min = 2, .max = 10}));
    CHECK(number(metrics(), "vmrun_linear_memory_bytes") == before + 2 * 65536);
    CHECK(memory.grow(3));
    CHECK(number(metrics(), "vmrun_linear_memory_bytes") == before + 5 * 65536);
  }
  CHECK(number(metrics(), "vmrun_linear_memory_bytes") == before);
}

TEST_CASE("an executor's tasks, waits and calls are counted") {
  Executor executor = ok(Executor::create({.workers = 2}));
  for (int i = 0; i < 200; ++i) {
    ok(executor.spawn([] { this_task::yield(); }));
  }
  executor.wait_idle();
  const auto all = metrics({.executors = {&executor, &executor}, .servers = {}});
  CHECK(number(all, "vmrun_scheduler_spawns") == 400);  // the sum of both
  CHECK(number(all, "vmrun_scheduler_finished") == 400);
  CHECK(number(all, "vmrun_workers") == 4);
  CHECK(number(all, "vmrun_tasks", "waiting") == 0);
  const ExecutorStats stats = executor.stats();
  CHECK(stats.finished == 200);
  CHECK(stats.queue_latency.total() >= 1);
  CHECK(stats.queue_latency.sum.count() > 0);
  for (const Metric& metric : all) {
    if (metric.name != "vmrun_scheduler_queue_latency_seconds") continue;
    const Metric::Value& value = metric.values[0];
    CHECK(value.count == 2 * stats.queue_latency.total());
    uint64_t last = 0;
    double bound = 0;
    for (const Metric::Bucket& bucket : value.buckets) {
      CHECK(bucket.bound > bound);
      CHECK(bucket.count >= last);
      CHECK(bucket.count <= value.count);
      bound = bucket.bound;
      last = bucket.count;
    }
  }
}

TEST_CASE("calls for descriptors are counted by kind, and waits while they last") {
  Executor executor = ok(Executor::create({.workers = 1}));
  const Engine engine;
  Store store(engine);
  int ends[2] = {};
  REQUIRE(::pipe(ends) == 0);
  const Task task = ok(executor.spawn(store, [&] { CHECK(this_task::wait_fd(ends[0], this_task::Ready::Read)); }));
  for (int i = 0; i < 5000 && executor.stats().io.waiting == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(executor.stats().io.waiting == 1);
  CHECK(number(metrics({.executors = {&executor}, .servers = {}}), "vmrun_io_in_flight", "wait") == 1);
  const auto tasks = executor.tasks(10);
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].state.starts_with("waits for "));
  CHECK(executor.tasks(0).empty());
  REQUIRE(::write(ends[1], "x", 1) == 1);
  task.join();
  executor.wait_idle();
  CHECK(executor.stats().io.waiting == 0);
  CHECK(executor.stats().io.waits == 1);
  ::close(ends[0]);
  ::close(ends[1]);
}

/// Some of each type, with all that has to be escaped.
std::vector<Metric> examples() {
  return {{.name = "a",
           .help = "Back\\slash, \"quotes\" and a\nline.",
           .type = Metric::Type::Counter,
           .values = {{.labels = {{"x", "1\"2\\3\n4"}, {"y", ""}}, .number = 7, .buckets = {}}}},
          {.name = "b_bytes",
           .help = "B.",
           .type = Metric::Type::Gauge,
           .values = {{.labels = {}, .number = 0.25, .buckets = {}},
                      {.labels = {{"z", "big"}}, .number = 1e300, .buckets = {}}}},
          {.name = "c_seconds",
           .help = "C.",
           .type = Metric::Type::Histogram,
           .values = {{.labels = {{"k", "v"}}, .number = 0, .buckets = {{0.5, 1}, {2, 3}}, .count = 4, .sum = 9.5}}}};
}

TEST_CASE("the text that Prometheus reads") {
  CHECK(metrics_text(examples()) ==
        "# HELP a_total Back\\\\slash, \"quotes\" and a\\nline.\n"
        "# TYPE a_total counter\n"
        "a_total{x=\"1\\\"2\\\\3\\n4\",y=\"\"} 7\n"
        "# HELP b_bytes B.\n"
        "# TYPE b_bytes gauge\n"
        "b_bytes 0.25\n"
        "b_bytes{z=\"big\"} 1e+300\n"
        "# HELP c_seconds C.\n"
        "# TYPE c_seconds histogram\n"
        "c_seconds_bucket{k=\"v\",le=\"0.5\"} 1\n"
        "c_seconds_bucket{k=\"v\",le=\"2\"} 3\n"
        "c_seconds_bucket{k=\"v\",le=\"+Inf\"} 4\n"
        "c_seconds_count{k=\"v\"} 4\n"
        "c_seconds_sum{k=\"v\"} 9.5\n");
}

TEST_CASE("the text of OpenMetrics names a counter's family without _total, and ends") {
  const std::string text = metrics_text(examples(), MetricsFormat::OpenMetrics);
  CHECK(text.starts_with("# HELP a Back\\\\slash, \\\"quotes\\\" and a\\nline.\n# TYPE a counter\na_total{"));
  CHECK(text.ends_with("c_seconds_sum{k=\"v\"} 9.5\n# EOF\n"));
  CHECK(std::string(metrics_content_type(MetricsFormat::OpenMetrics)).starts_with("application/openmetrics-text"));
}

}  // namespace
}  // namespace vmrun
