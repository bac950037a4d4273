// Metrics of servers, and all metrics together.
#include "vmrun/metrics.h"

#include "engine/metrics.h"
#include "serve/server_impl.h"

namespace vmrun {
namespace {

void server_metrics(engine::MetricsWriter& out, const std::vector<const Server*>& servers) {
  if (servers.empty()) return;
  uint64_t connections = 0, requests = 0, failures = 0;
  size_t open = 0, guests = 0;
  std::array<uint64_t, serve::Answers::kStatuses> statuses{};
  Durations durations;
  bool http = false;
  for (const Server* server : servers) {
    Server::Impl& impl = server->impl();
    const ServerStats stats = server->stats();
    connections += stats.connections;
    requests += stats.requests;
    failures += stats.failures;
    open += stats.open;
    guests += stats.guests;
    http |= impl.config.protocol == ServerConfig::Protocol::Http;
    for (size_t i = 0; i < statuses.size(); ++i)
      statuses[i] += impl.answers.statuses[i].load(std::memory_order_relaxed);
    Durations of_this;
    sched::Histogram histogram;
    impl.answers.durations.add_to(histogram);
    of_this.counts = histogram.counts;
    of_this.sum = std::chrono::nanoseconds(static_cast<int64_t>(histogram.sum));
    engine::add_durations(durations, of_this);
  }
  out.counter("vmrun_server_connections", "Connections that were accepted.").value(connections);
  out.gauge("vmrun_server_open_connections", "Connections that are open.").value(open);
  out.counter("vmrun_server_guests", "Guests that were started for connections or requests.").value(requests);
  out.gauge("vmrun_server_running_guests", "Guests of connections or requests that have not ended.").value(guests);
  out.counter("vmrun_server_guest_failures", "Guests that trapped, could not be started or answered nothing sensible.")
      .value(failures);
  if (!http) return;
  out.counter("vmrun_http_requests", "Requests that were answered or refused, by the status of the answer.");
  for (size_t i = 0; i < statuses.size(); ++i) {
    if (statuses[i] != 0) out.value(statuses[i], {{"code", std::to_string(i)}});
  }
  out.histogram("vmrun_http_request_duration_seconds",
                "From a request's last byte to its answer's, for requests that a guest answered.", durations);
}

}  // namespace

std::vector<Metric> metrics(const MetricsSubject& subject) {
  std::vector<Metric> out;
  engine::MetricsWriter writer(out);
  writer.gauge("vmrun_build_info", "The version of vmrun; always 1.").value(1, {{"version", VMRUN_VERSION}});
  engine::process_metrics(writer);
  engine::executor_metrics(writer, subject.executors);
  server_metrics(writer, subject.servers);
  return out;
}

}  // namespace vmrun
