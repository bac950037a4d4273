// The table of the options of `vmrun serve`.
#include <string_view>
#include <vector>

#include "tools/run_options.h"

namespace vmrun::tools {
namespace {

using Row = OptionRow<RunOptions>;
using Value = std::string_view;
using Serve = RunOptions::Serve;

template <auto kMember>
Result<void> set_text(RunOptions& o, Value v) {
  o.serve.*kMember = std::string(v);
  return {};
}

template <auto kMember, uint64_t kMost>
Result<void> set_number(RunOptions& o, Value v) {
  auto n = parse_count_from_1(v, kMost);
  if (!n) return n.error();
  o.serve.*kMember = static_cast<uint32_t>(*n);
  return {};
}

template <auto kMember>
Result<void> set_size(RunOptions& o, Value v) {
  auto n = parse_size(v);
  if (!n) return n.error();
  o.serve.*kMember = *n;
  return {};
}

template <auto kMember>
Result<void> set_time(RunOptions& o, Value v) {
  auto time = parse_duration(v);
  if (!time) return time.error();
  o.serve.*kMember = *time;
  return {};
}

/// 0s too: guests end at once.
Result<void> set_grace(RunOptions& o, Value v) {
  if (v == "0" || v == "0s") {
    o.serve.grace = std::chrono::nanoseconds(0);
    return {};
  }
  return set_time<&Serve::grace>(o, v);
}

template <auto kMember>
Result<void> set_on(RunOptions& o, Value) {
  o.serve.*kMember = true;
  return {};
}

constexpr Row kServeOptions[] = {
    {0, "http", "ADDRESS", "serve HTTP/1.1 there: HOST:PORT, :PORT or [V6]:PORT; requests by the contract of CGI",
     set_text<&Serve::http>},
    {0, "tcp", "ADDRESS", "serve connections there: each is a guest's standard input and output",
     set_text<&Serve::tcp>},
    {0, "workers", "N", "threads that run guests (one per processor)", set_number<&Serve::workers, 4096>},
    {0, "pin", nullptr, "bind each worker to a processor", set_on<&Serve::pin>},
    {0, "io", "HOW", "how to wait: auto (default), epoll, uring (io_uring for files that prove slow)",
     set_text<&Serve::io>},
    {0, "instances", "N", "guests at a time (1000); whoever comes then waits",
     set_number<&Serve::instances, 1'000'000>},
    {0, "connections", "N", "HTTP connections at a time (20000)", set_number<&Serve::connections, 1'000'000>},
    {0, "max-body", "SIZE", "largest body of a request (16M)", set_size<&Serve::max_body>},
    {0, "max-response", "SIZE", "largest body of a response (64M)", set_size<&Serve::max_response>},
    {0, "idle", "TIME", "how long an HTTP connection may be idle, or take to send a request (60s)",
     set_time<&Serve::idle>},
    {0, "grace", "TIME", "how long guests may go on after SIGTERM or Ctrl-C (10s; 0s: not at all)", set_grace},
    {0, "quiet", nullptr, "print no line for each request", set_on<&Serve::quiet>},
};

/// Options of run that nothing would come of here, or that serve has its own of.
constexpr Value kRunsAlone[] = {"invoke", "preload", "stats", "repeat", "instances", "also", "arg", "workers", "pin"};

}  // namespace

std::span<const Row> serve_rows() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> all(std::begin(kServeOptions), std::end(kServeOptions));
    for (const Row& row : run_rows()) {
      bool alone = false;
      for (Value name : kRunsAlone) alone |= name == row.name;
      if (!alone) all.push_back(row);
    }
    return all;
  }();
  return rows;
}

}  // namespace vmrun::tools
