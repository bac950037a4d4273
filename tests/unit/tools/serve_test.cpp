// vmrun serve: its command line, its start and its end. What it serves: tests/unit/serve.
#include <doctest/doctest.h>

#include "tests/unit/tools/command.h"

namespace vmrun::test {
namespace {

void says(const std::string& message, std::vector<std::string> args) {
  args.insert(args.begin(), "serve");
  const auto r = run_vmrun(args);
  CHECK(r.status == 2);
  CHECK(r.out == "");
  CHECK(r.err == "vmrun: " + message + "; 'vmrun help serve' lists what there is\n");
}

TEST_CASE("serve: what cannot be meant") {
  const std::string http = "--http", where = "127.0.0.1:0";
  says("no image given", {http, where});
  says("what is to be served? --http ADDRESS or --tcp ADDRESS, such as --http :8080", {"x.wasm"});
  says("a server speaks either --http or --tcp", {http, where, "--tcp", where, "x.wasm"});
  says("--connections, --max-body, --max-response and --idle are for --http",
       {"--tcp", where, "--idle", "1s", "x.wasm"});
  says("-O tier=opt compiles in the time of the guest that calls: leave it out, auto optimises beside it",
       {http, where, "-O", "tier=opt", "x.wasm"});
  says("what is served is a WASI program: -S wasi=n is for run", {http, where, "-S", "wasi=n", "x.wasm"});
  says("'--workers': must be from 1 to 4096", {http, where, "--workers", "0", "x.wasm"});
  CHECK(run_vmrun({"serve", http, "here", fixture("serve_cgi")}).err.find("names no port") != std::string::npos);
  CHECK(run_vmrun({"serve", http, where, fixture("interp_loops")}).err.find("_start") != std::string::npos);
}

TEST_CASE("serve: a signal ends it, and says what was served") {
  for (const char* signal : {"TERM", "INT"}) {
    CAPTURE(signal);
    const auto r = run_script(R"(
      log=$(mktemp); trap 'rm -f "$log"' EXIT
      $vmrun serve --http 127.0.0.1:0 "$1" 2>"$log" & server=$!
      until grep -q 'serving http on 127.0.0.1:' "$log"; do sleep 0.01; done
      kill -s $2 $server; wait $server; status=$?
      cat "$log"; exit $status)",
                              {fixture("serve_cgi"), signal});
    CHECK(r.status == 0);
    CHECK(r.out.find("served 0 connections, 0 guests, 0 of which failed") != std::string::npos);
  }
}

TEST_CASE("serve: without a grace a signal ends guests that wait") {
  for (const char* grace : {"0s", "0"}) {
    CAPTURE(grace);
    const auto r = run_script(R"(
      log=$(mktemp); trap 'rm -f "$log"' EXIT
      $vmrun serve --tcp 127.0.0.1:0 --grace "$2" "$1" 2>"$log" & server=$!
      until grep -q 'serving tcp on 127.0.0.1:' "$log"; do sleep 0.01; done
      port=$(grep -o '127.0.0.1:[0-9]*' "$log" | cut -d: -f2)
      exec 9<>/dev/tcp/127.0.0.1/$port
      echo here >&9; read -r line <&9
      kill -s TERM $server
      timeout 8 tail --pid=$server -f /dev/null || exit 99
      wait $server; status=$?
      cat "$log"; exit $status)",
                              {fixture("serve_echo"), grace});
    CAPTURE(r.out);
    CHECK(r.status == 0);
    CHECK(r.out.find("terminated: no further connections; guests end now\n") != std::string::npos);
    CHECK(r.out.find("served 1 connections, 1 guests") != std::string::npos);
  }
}

TEST_CASE("serve: a full pipe that nobody reads keeps it neither from starting nor from ending") {
  const auto r = run_script(R"(
    pipe=$(mktemp -u); mkfifo "$pipe"; trap 'rm -f "$pipe"' EXIT
    exec 9<>"$pipe"
    dd if=/dev/zero of="$pipe" bs=1 oflag=nonblock 2>/dev/null
    $vmrun serve --http 127.0.0.1:0 "$1" 2>&9 & server=$!
    until awk '/^Threads/ { exit $2 < 4 }' /proc/$server/status; do sleep 0.01; done
    kill -s TERM $server; sleep 0.3; kill -s TERM $server 2>/dev/null
    wait $server; status=$?
    test $status = 0 || test $status = 143)",
                            {fixture("serve_cgi")});
  CHECK(r.status == 0);
}

}  // namespace
}  // namespace vmrun::test
