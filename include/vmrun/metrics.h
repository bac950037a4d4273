// Metrics: what a process that runs guests has done and is at, for Prometheus and other collectors.
//
//   std::string page = vmrun::metrics_text(vmrun::metrics({.executors = {&executor}, .servers = {&server}}));
//   ... your HTTP server answers GET /metrics with it, as vmrun::metrics_content_type() ...
//
// Most metrics are of the process as a whole; those of executors and servers are sums over the ones that are named.
// Collecting takes some 0.2 ms, and a little more for each store, worker and descriptor of the process; guests are not stopped
// for it. docs/profiling.md lists the names.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vmrun/executor.h"
#include "vmrun/fwd.h"

#pragma GCC visibility push(default)
namespace vmrun {

class Server;

/// A family of values under one name.
struct Metric {
  enum class Type : uint8_t {
    Counter,    ///< only grows; its name in the text ends in _total
    Gauge,      ///< goes up and down
    Histogram,  ///< how many values were at most so large, for some bounds
  };
  struct Bucket {
    double bound;    ///< in the unit of the name
    uint64_t count;  ///< of values up to there, those of smaller bounds included
  };
  struct Value {
    std::vector<std::pair<std::string, std::string>> labels;
    double number = 0;            ///< Counter, Gauge
    std::vector<Bucket> buckets;  ///< Histogram: bounds in rising order, without the infinite one
    uint64_t count = 0;           ///< Histogram: all values
    double sum = 0;               ///< Histogram: of all values
  };
  std::string name;  ///< with its unit, without _total
  std::string help;  ///< a line
  Type type = Type::Gauge;
  std::vector<Value> values;
};

/// What metrics speak of besides the process. All outlive the call of metrics().
struct MetricsSubject {
  std::vector<const Executor*> executors;
  std::vector<const Server*> servers;
};

/// What there is to say at the moment. Any thread, but no task of the executors: it may wait for a lock that they hold for a
/// moment. Throws std::bad_alloc. A program may add metrics of its own; names are unique.
std::vector<Metric> metrics(const MetricsSubject& subject = {});

enum class MetricsFormat : uint8_t {
  Prometheus,   ///< the text format, version 0.0.4
  OpenMetrics,  ///< OpenMetrics 1.0; for clients whose Accept header names application/openmetrics-text
};
/// The metrics as text. Labels and helps are escaped.
std::string metrics_text(const std::vector<Metric>& metrics, MetricsFormat format = MetricsFormat::Prometheus);
/// The Content-Type of that text.
const char* metrics_content_type(MetricsFormat format = MetricsFormat::Prometheus);

}  // namespace vmrun
#pragma GCC visibility pop
