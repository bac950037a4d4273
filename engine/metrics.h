// Collecting metrics, folder by folder; vmrun/metrics.h is the public face.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "vmrun/base/durations.h"
#include "vmrun/metrics.h"

namespace vmrun::engine {

/// Adds families to a list.
class MetricsWriter {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  explicit MetricsWriter(std::vector<Metric>& out) : out_(out) {}

  /// Begins a family; value() and histogram() add to it.
  MetricsWriter& family(std::string name, Metric::Type type, std::string help) {
    out_.push_back({.name = std::move(name), .help = std::move(help), .type = type, .values = {}});
    return *this;
  }
  MetricsWriter& counter(std::string name, std::string help) {
    return family(std::move(name), Metric::Type::Counter, std::move(help));
  }
  MetricsWriter& gauge(std::string name, std::string help) {
    return family(std::move(name), Metric::Type::Gauge, std::move(help));
  }
  MetricsWriter& value(double number, Labels labels = {}) {
    out_.back().values.push_back({.labels = std::move(labels), .number = number, .buckets = {}});
    return *this;
  }
  template <class Count>
  MetricsWriter& value(Count number, Labels labels = {}) {
    return value(static_cast<double>(number), std::move(labels));
  }
  /// A family of one histogram, in seconds, with bounds from a microsecond on.
  void histogram(std::string name, std::string help, const Durations& durations);

 private:
  std::vector<Metric>& out_;
};

/// Adds `more` to `sum`.
void add_durations(Durations& sum, const Durations& more);

/// Of the process: guests, compiles, code, traps, the cache, and what the system says of it.
void process_metrics(MetricsWriter& out);
/// Sums over executors.
void executor_metrics(MetricsWriter& out, const std::vector<const Executor*>& executors);

}  // namespace vmrun::engine
