// Listening sockets for guests: -S tcplisten and -S listenfd.
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "tools/report.h"
#include "tools/run.h"

namespace vmrun::tools {
namespace {

constexpr int kBacklog = 128;
constexpr int kFirstPassed = 3;  // systemd's SD_LISTEN_FDS_START

/// A port is a number up to 65535 (0: any that is free) or a service's name, of which the system has a list.
Result<void> check_port(const std::string& port) {
  if (port.empty()) return usage_error("the port is missing: expected ADDRESS:PORT");
  const size_t sign = port.starts_with('-') || port.starts_with('+') ? 1 : 0;
  if (port.find_first_not_of("0123456789", sign) != port.npos) return {};
  const auto number = parse_count(port);
  if (!number || *number > 65535) return usage_error("port " + port + " is not between 0 and 65535");
  return {};
}

Result<int> listen_on(const std::string& where) {
  const size_t colon = where.rfind(':');
  std::string host = where.substr(0, colon);
  const std::string port = where.substr(colon + 1);
  if (auto good = check_port(port); !good) {
    return usage_error("cannot listen on '" + where + "': " + good.error().message);
  }
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  if (int failure = getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &list); failure != 0) {
    if (failure == EAI_SERVICE) {
      return usage_error("cannot listen on '" + where + "': port " + port +
                         " is neither a number up to 65535 nor the name of a service");
    }
    return Error(ErrorKind::Io, "cannot listen on '" + where + "': " + gai_strerror(failure));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, freeaddrinfo);
  int number = 0;
  for (addrinfo* address = list; address; address = address->ai_next) {
    const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, kBacklog) == 0) {
      return fd;
    }
    number = errno;
    if (fd >= 0) close(fd);
  }
  return Error(ErrorKind::Io, "cannot listen on '" + where + "': " + std::strerror(number));
}

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
    auto fd = listen_on(where);
    if (!fd) return fd.error();
    out.push_back(*fd);
  }
  return out;
}

}  // namespace vmrun::tools
