// Listening sockets for guests.
#include "vmrun/listen.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doctest/doctest.h"
#include "tests/support/ok.h"

namespace vmrun {
namespace {

using test::ok;

int connection_to(const std::string& address) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  return fd;
}

TEST_CASE("what is accepted sends at once, and the listener does not wait") {
  for (const char* where : {"127.0.0.1:0", ":0", "localhost:0"}) {
    CAPTURE(where);
    const int listener = ok(listen_tcp(where));
    CHECK((::fcntl(listener, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(listener, F_GETFD) & FD_CLOEXEC) != 0);
    const std::string address = address_of(listener);
    CHECK(!address.ends_with(":0"));
    if (where[0] == 'l' && address[0] == '[') {
      ::close(listener);  // this machine's name has an IPv6 address first
      continue;
    }
    const int client = connection_to(address);
    const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    REQUIRE(accepted >= 0);
    int at_once = 0;
    socklen_t length = sizeof at_once;
    REQUIRE(::getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &at_once, &length) == 0);
    CHECK(at_once == 1);
    for (const int fd : {accepted, client, listener}) ::close(fd);
  }
  CHECK(address_of(STDIN_FILENO).empty());
}

TEST_CASE("addresses that are none, or taken") {
  const auto says = [](const std::string& address) {
    const auto fd = listen_tcp(address);
    REQUIRE(!fd);
    return fd.error().to_string();
  };
  CHECK(says("8080").find("it names no port") != std::string::npos);
  CHECK(says("127.0.0.1:").find("the port is missing") != std::string::npos);
  CHECK(says("127.0.0.1:-1").find("port -1 is not between 0 and 65535") != std::string::npos);
  CHECK(says("::1:80").find("an IPv6 address stands in brackets") != std::string::npos);
  CHECK(says("127.0.0.1:no-such-service").find("nor the name of a service") != std::string::npos);
  const int taken = ok(listen_tcp("127.0.0.1:0"));
  CHECK(says(address_of(taken)).find("cannot listen on " + address_of(taken)) != std::string::npos);
  ::close(taken);
}

TEST_CASE("descriptors: as many as the process may give itself") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit few = before;
  few.rlim_cur = 100;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  CHECK(raise_descriptor_limit() == before.rlim_max);
  rlimit after{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &after) == 0);
  CHECK(after.rlim_cur == before.rlim_max);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}

}  // namespace
}  // namespace vmrun
