// Listening sockets; see vmrun/listen.h.
#include "vmrun/listen.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "serve/address.h"
#include "wasi/sys.h"

namespace vmrun {
namespace {

using serve::Address;

/// Connections that the system keeps until they are accepted; it lowers the number to its own limit.
constexpr int kBacklog = 4096;

/// A listening socket, or a negated errno value.
int listening_socket(const Address& address) {
  wasi::HostFd socket(::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.get() < 0) return -errno;
  const int on = 1, off = 0;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Those that are accepted have it from here.
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (address.bytes.ss_family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address.bytes), address.length) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    return -errno;
  }
  return socket.release();
}

}  // namespace

Result<int> listen_tcp(const std::string& address) {
  const auto wanted = serve::parse_address(address);
  if (!wanted) return wanted.error();
  int fd = -EADDRNOTAVAIL;
  for (const Address& one : *wanted) {
    fd = listening_socket(one);
    if (fd >= 0) return fd;
  }
  return Error(ErrorKind::Io, "cannot listen on " + address + ": " + std::strerror(-fd));
}

std::string address_of(int socket) {
  Address bound;
  bound.length = sizeof bound.bytes;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound.bytes), &bound.length) != 0) return {};
  const int family = bound.bytes.ss_family;
  return family == AF_INET || family == AF_INET6 ? serve::to_string(bound) : std::string();
}

uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return UINT64_MAX;
  if (limit.rlim_cur != limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

}  // namespace vmrun
