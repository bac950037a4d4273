// Listening sockets for guests: -S tcplisten and -S listenfd.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tools/report.h"
#include "tools/run.h"
#include "vmrun/listen.h"

namespace vmrun::tools {
namespace {

constexpr int kFirstPassed = 3;  // systemd's SD_LISTEN_FDS_START

/// The sockets that systemd passed, as LISTEN_PID and LISTEN_FDS say. Called before vmrun opens anything: a number that
/// was not passed is not open yet.
Result<std::vector<int>> passed_sockets() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  const auto wanted_pid = parse_count(pid ? pid : "");
  if (!count || (pid && (!wanted_pid || *wanted_pid != static_cast<uint64_t>(getpid())))) {
    return usage_error("-S listenfd: no sockets were passed to this process (LISTEN_FDS, LISTEN_PID)");
  }
  const auto wanted = parse_count(count);
  if (!wanted) return usage_error("-S listenfd: LISTEN_FDS=" + std::string(count) + " is not a number");
  std::vector<int> out;
  for (uint64_t i = 0; i < *wanted; ++i) {
    const int fd = kFirstPassed + static_cast<int>(i);
    if (fcntl(fd, F_GETFD) < 0) {
      return usage_error("-S listenfd: LISTEN_FDS=" + std::string(count) + ", but descriptor " + std::to_string(fd) +
                         " is not open");
    }
    out.push_back(fd);
  }
  return out;
}

}  // namespace

Result<std::vector<int>> open_listeners(const RunOptions& options) {
  std::vector<int> out;
  if (options.listenfd) {
    auto passed = passed_sockets();
    if (!passed) return passed.error();
    out = std::move(*passed);
  }
  for (const std::string& where : options.tcplisten) {
    auto fd = listen_tcp(where);
    if (!fd) return fd.error();
    out.push_back(*fd);
    // The guest cannot ask which one it got.
    if (where.ends_with(":0")) print_note("listening on " + address_of(*fd));
  }
  if (!out.empty()) raise_descriptor_limit();
  return out;
}

uint32_t descriptors_of_server() {
  constexpr uint64_t kOurs = 64, kMost = 1'000'000;
  const uint64_t all = raise_descriptor_limit();
  return static_cast<uint32_t>(std::min(kMost, all > 2 * kOurs ? all - kOurs : all / 2));
}

}  // namespace vmrun::tools
