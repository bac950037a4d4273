// Servers that are guests: -S tcplisten. Each kind works as it comes: programs that wait in accept, and those that are told
// that it does not wait, and poll.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "tests/unit/tools/background.h"

namespace vmrun::test {
namespace {

constexpr int kRequests = 10'000;

/// The options, and a socket to listen on.
std::vector<std::string> listening(std::vector<std::string> options, const std::string& image) {
  options.insert(options.end(), {"-S", "tcplisten=127.0.0.1:0", image});
  return options;
}

const std::vector<std::vector<std::string>> kWays = {{}, {"--workers", "1"}, {"--instances", "8", "--workers", "2"}};

TEST_CASE("a program that waits in accept answers 10,000 requests") {
  for (const auto& options : kWays) {
    CAPTURE(options.size());
    Background server(listening(options, fixture("serve_accept")));
    const unsigned port = server.port();
    REQUIRE(port != 0);
    CHECK(ask(port, kRequests, 4, false, "yes") == kRequests);
    server.signal(SIGINT);
    const auto end = server.wait();
    CAPTURE(end.err);
    CHECK(end.status == 130);
    CHECK(end.err.find("did not stop") == std::string::npos);
  }
}

TEST_CASE("a program that polls 200 connections answers 10,000 requests") {
  for (const auto& options : kWays) {
    CAPTURE(options.size());
    Background server(listening(options, fixture("http")));
    const unsigned port = server.port();
    REQUIRE(port != 0);
    CHECK(ask(port, kRequests, 200, true, "Hello GET /page\n") == kRequests);
    server.signal(SIGINT);
    const auto end = server.wait();
    CAPTURE(end.err);
    CHECK(end.status == 130);
    CHECK(end.err.find("did not stop") == std::string::npos);
  }
}

TEST_CASE("a program of Go's net/http answers 10,000 requests") {
  TemporaryDirectory folder;
  const auto built = run_script(
      "command -v go >/dev/null || exit 99; export HOME=${HOME:-/tmp}; GO111MODULE=off GOOS=wasip1 GOARCH=wasm go "
      "build "
      "-o \"$1/serve.wasm\" \"$2\"",
      {folder.path(), VMRUN_SOURCE "/tests/guests/go/serve_http.go"});
  if (built.status == 99) {
    MESSAGE("skipped: no test of Go's net/http, go is not installed");
    return;
  }
  REQUIRE_MESSAGE(built.status == 0, built.err);
  for (const auto& options : {kWays[0], kWays[1]}) {
    CAPTURE(options.size());
    Background server(listening(options, folder.path() + "/serve.wasm"));
    const unsigned port = server.port();
    REQUIRE(port != 0);
    CHECK(ask(port, kRequests, 32, true, "Hello GET /page\n") == kRequests);
    server.signal(SIGINT);
    const auto end = server.wait();
    CAPTURE(end.err);
    CHECK(end.status == 130);
    CHECK(end.err.find("did not stop") == std::string::npos);
  }
}

TEST_CASE("a guest that listens may have more connections than other guests have descriptors") {
  // 600 at a time, where the process began with room for 256.
  Background server(
      {"-c", "ulimit -Sn 256; exec \"$0\" -S tcplisten=127.0.0.1:0 \"$1\"", VMRUN_COMMAND, fixture("http")},
      "/bin/bash");
  const unsigned port = server.port();
  REQUIRE(port != 0);
  CHECK(ask(port, 6000, 600, true, "Hello GET /page\n") == 6000);
}

}  // namespace
}  // namespace vmrun::test
