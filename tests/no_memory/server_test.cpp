// A server lives on when an allocation fails, whichever it is: one client has no answer, or a failure's; the next one is served,
// no connection is counted that is gone, and the server ends when it is told to.
#include "vmrun/server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>

#include "tests/no_memory/allocators.h"
#include "tests/support/ok.h"
#include "vmrun/vmrun.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

/// Sends a request and reads the begin of the answer into `answer`, all without an allocation of its own. Its length.
size_t ask(uint16_t port, std::string_view request, char (&answer)[64]) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  size_t got = 0;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) {
    ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    ::shutdown(fd, SHUT_WR);
    char rest[4096];
    for (;;) {
      const bool begin = got < sizeof answer;
      const ssize_t n = ::recv(fd, begin ? answer + got : rest, begin ? sizeof answer - got : sizeof rest, 0);
      if (n < 0 && errno == EINTR) continue;  // heat is sampled by signals
      if (n <= 0) break;
      if (begin) got += static_cast<size_t>(n);
    }
  }
  ::close(fd);
  return got;
}

void serves_on(ServerConfig::Protocol protocol, const char* guest, std::string_view request,
               std::string_view expected) {
  const Engine engine;
  ExecutorConfig tasks;
  tasks.workers = 1;
  Executor executor = ok(Executor::create(tasks));
  ServerConfig config;
  config.protocol = protocol;
  config.address = "127.0.0.1:0";
  config.timeout = std::chrono::seconds(10);
  config.log = [](std::string_view) {};
  Server server = ok(Server::listen(
      executor, engine, ok(Module::compile_file(engine, std::string(VMRUN_FIXTURES "/") + guest + ".wasm")), config));
  const std::string& address = server.address();
  const auto port = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));

  // All threads are there then: one that starts cannot do without memory.
  char answer[64];
  for (int i = 0; i < 20; ++i)
    CHECK(std::string(answer, ask(port, request, answer)).substr(0, expected.size()) == expected);
  for (const bool all_after : {false, true}) {
    uint64_t failed = 0;
    for (uint64_t number = 1;; ++number) {
      CAPTURE(all_after);
      CAPTURE(number);
      fail_allocation(number, all_after);
      ask(port, request, answer);
      // The connection's task may go on for a moment after its client's end.
      for (int i = 0; i < 20'000 && server.stats().open != 0; ++i) ::usleep(100);
      const bool reached = allocations() >= number;
      fail_allocation(0, false);
      failed += reached;
      CHECK(server.stats().open == 0);
      REQUIRE(std::string(answer, ask(port, request, answer)).substr(0, expected.size()) == expected);
      if (!reached) break;
    }
    MESSAGE(failed << " allocations failed");
    CHECK(failed > 10);
  }
  server.stop();
  server.wait();
  CHECK(server.stats().open == 0);
}

}  // namespace

TEST_CASE("http: a server outlives each allocation that fails") {
  serves_on(ServerConfig::Protocol::Http, "serve_cgi", "GET /a HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\n");
}

TEST_CASE("tcp: a server outlives each allocation that fails") {
  serves_on(ServerConfig::Protocol::Tcp, "serve_echo", "hello", "hello");
}
