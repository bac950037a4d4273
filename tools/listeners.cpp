// Listening sockets for guests: -S tcplisten and -S listenfd.
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

Result<int> listen_on(const std::string& where) {
  const size_t colon = where.rfind(':');
  std::string host = where.substr(0, colon);
  const std::string port = where.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  if (int failure = getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &list); failure != 0) {
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

}  // namespace

Result<std::vector<int>> open_listeners(const RunOptions& options) {
  std::vector<int> out;
  if (options.listenfd) {
    const char* pid = std::getenv("LISTEN_PID");
    const char* count = std::getenv("LISTEN_FDS");
    if (!count || (pid && std::atol(pid) != static_cast<long>(getpid()))) {
      return Error(ErrorKind::Usage, "-S listenfd: no sockets were passed to this process (LISTEN_FDS, LISTEN_PID)");
    }
    for (int i = 0; i < std::atoi(count); ++i) out.push_back(kFirstPassed + i);
  }
  for (const std::string& where : options.tcplisten) {
    auto fd = listen_on(where);
    if (!fd) return fd.error();
    out.push_back(*fd);
  }
  return out;
}

}  // namespace vmrun::tools
