// -D metrics: what Prometheus gets from run, from guests at the same time and from serve; and clients that mean no good.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <list>
#include <thread>
#include <vector>

#include "tests/unit/tools/background.h"
#include "tests/unit/tools/command.h"
#include "tests/unit/tools/pages.h"

namespace vmrun::test {
namespace {

constexpr const char* kPlace = "metrics at http://127.0.0.1:";

/// A guest that spins, with metrics on a free port.
std::vector<std::string> spinning(const std::vector<std::string>& more = {}) {
  std::vector<std::string> args{"run", "-D", "metrics=127.0.0.1:0"};
  args.insert(args.end(), more.begin(), more.end());
  args.insert(args.end(), {"--invoke", "memory", fixture("stop_spin")});
  return args;
}

void check_by_promtool(const std::string& text) {
  if (run_script("command -v promtool").status != 0) {
    MESSAGE("skipped: promtool is not installed (apt-get install prometheus)");
    return;
  }
  const TemporaryDirectory folder;
  const auto r = run_script("promtool check metrics < \"$1\"", {folder.write("metrics", text)});
  CHECK(r.out == "");
  CHECK(r.err == "");
  CHECK(r.status == 0);
}

TEST_CASE("metrics of a guest that runs") {
  Background guest(spinning());
  const unsigned port = guest.port(kPlace);
  REQUIRE(port != 0);
  const std::string answer = get_page(port, "/metrics");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  auto values = read_metrics(body_of(answer));
  CHECK(!values.contains("problem"));
  CHECK(values.at("process_cpu_seconds_total") > 0);
  CHECK(values.contains("vmrun_traps_total{kind=\"unreachable\"}"));
  check_by_promtool(body_of(answer));
  for (int i = 0; i < 600 && values["vmrun_guests{state=\"running\"}"] != 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    values = read_metrics(body_of(get_page(port, "/metrics")));
  }
  CHECK(values["vmrun_guests{state=\"running\"}"] == 1);
  CHECK(values["vmrun_linear_memory_bytes"] == 1 << 20);
  guest.signal(SIGINT);
  CHECK(guest.wait().status == 130);
  CHECK(!PageClient(port).connected());
}

TEST_CASE("metrics of guests at the same time have the scheduler's") {
  Background guests(spinning({"--instances", "3", "--workers", "2"}));
  const unsigned port = guests.port(kPlace);
  REQUIRE(port != 0);
  std::map<std::string, double> values;
  for (int i = 0; i < 600 && values["vmrun_scheduler_spawns_total"] != 3; ++i) {
    values = read_metrics(body_of(get_page(port, "/metrics")));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(!values.contains("problem"));
  CHECK(values["vmrun_scheduler_spawns_total"] == 3);
  CHECK(values["vmrun_workers"] == 2);
  check_by_promtool(body_of(get_page(port, "/metrics")));
}

TEST_CASE("metrics of a server count requests by status, and how long they took") {
  Background server({"serve", "--http", "127.0.0.1:0", "-D", "metrics=127.0.0.1:0", "--quiet", fixture("serve_cgi")});
  const unsigned metrics = server.port(kPlace);
  const unsigned port = server.port("serving http on 127.0.0.1:");
  REQUIRE(metrics != 0);
  REQUIRE(port != 0);
  for (int i = 0; i < 3; ++i) CHECK(get_page(port, "/page", "Connection: close\r\n").starts_with("HTTP/1.1 200"));
  const PageClient bad(port);
  bad.send("NONSENSE\r\n\r\n");
  CHECK(bad.rest().starts_with("HTTP/1.1 400"));
  const std::string text = body_of(get_page(metrics, "/metrics"));
  auto values = read_metrics(text);
  CHECK(!values.contains("problem"));
  CHECK(values["vmrun_http_requests_total{code=\"200\"}"] == 3);
  CHECK(values["vmrun_http_requests_total{code=\"400\"}"] == 1);
  CHECK(values["vmrun_http_request_duration_seconds_count"] == 3);
  CHECK(values["vmrun_http_request_duration_seconds_bucket{le=\"+Inf\"}"] == 3);
  CHECK(values["vmrun_http_request_duration_seconds_sum"] > 0);
  CHECK(values["vmrun_server_connections_total"] == 4);
  CHECK(values["vmrun_io_calls_total{kind=\"accept\"}"] == 4);
  CHECK(values["vmrun_io_calls_total{kind=\"write\"}"] >= 4);
  check_by_promtool(text);
}

TEST_CASE("OpenMetrics for those who ask for it; other pages and methods") {
  Background guest(spinning());
  const unsigned port = guest.port(kPlace);
  REQUIRE(port != 0);
  const std::string open = get_page(port, "/metrics?x=1", "ACCEPT: application/openmetrics-text;version=1.0.0\r\n");
  CHECK(open.find("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n") != open.npos);
  CHECK(open.ends_with("\n# EOF\n"));
  CHECK(get_page(port, "/top").starts_with("HTTP/1.1 404 "));  // that is for the own user alone
  CHECK(get_page(port, "/").starts_with("HTTP/1.1 200 "));
  const auto says = [&](const std::string& request) {
    const PageClient client(port);
    client.send(request);
    const std::string answer = client.rest();
    return answer.substr(0, answer.find('\r'));
  };
  CHECK(says("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc") == "HTTP/1.1 405 Method Not Allowed");
  CHECK(says("GET /metrics HTTP/2.0\r\n\r\n") == "HTTP/1.1 505 HTTP Version Not Supported");
  CHECK(says("nothing\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(says("GET  HTTP/1.1\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(says("\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(says("GET /metrics HTTP/1.1\n\n") == "HTTP/1.1 200 OK");
  CHECK(says(std::string(9000, 'x')) == "HTTP/1.1 431 Request Header Fields Too Large");
  const PageClient head(port);
  head.send("HEAD /metrics HTTP/1.1\r\n\r\n");
  const std::string answer = head.rest();
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(body_of(answer) == "");
}

TEST_CASE("a web page whose name leads to this machine gets no metrics") {
  Background guest(spinning());
  const unsigned port = guest.port(kPlace);
  REQUIRE(port != 0);
  const auto status = [&](const std::string& fields) {
    const PageClient client(port);
    client.send("GET /metrics HTTP/1.1\r\n" + fields + "\r\n");
    return client.rest().substr(0, 12);
  };
  for (const char* host :
       {"localhost", "LocalHost:1", "127.0.0.1", "127.0.0.1:9464", "[::1]", "[::1]:80", "10.0.0.1:", ""}) {
    CAPTURE(host);
    CHECK(status(std::string("Host: ") + host + "\r\n") == "HTTP/1.1 200");
  }
  for (const char* host : {"evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example",
                           "[::1", "[evil]", "[localhost]", "[::1]x", "127.0.0.1:80x", "127.0.0.1:80:80", "::1"}) {
    CAPTURE(host);
    CHECK(status(std::string("hOST:\t") + host + " \r\n") == "HTTP/1.1 403");
  }
  CHECK(status("Host: localhost\r\nHost: evil.example\r\n") == "HTTP/1.1 403");
}

TEST_CASE("clients that are slow, many or silent keep nobody out, and end") {
  Background guest(spinning());
  const unsigned port = guest.port(kPlace);
  REQUIRE(port != 0);
  std::list<PageClient> silent;
  for (int i = 0; i < 40; ++i) {
    silent.emplace_back(port);
    CHECK(silent.back().connected());
    silent.back().send("GET /met");
  }
  for (int i = 0; i < 3; ++i) CHECK(get_page(port, "/metrics").starts_with("HTTP/1.1 200 "));
  // All of them are sent away: at once where too many came, the others when their time was up.
  const auto begin = std::chrono::steady_clock::now();
  for (const PageClient& client : silent) CHECK(client.rest() == "");
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(55));
  CHECK(get_page(port, "/metrics").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("metrics on a socket in the file system are for the own user, and leave nothing behind") {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/metrics";
  const auto answers = [&] {
    for (int i = 0; i < 600; ++i) {
      const PageClient client("unix:" + path);
      if (client.connected()) {
        client.send("GET /metrics HTTP/1.1\r\nHost: any.name\r\n\r\n");
        const std::string page = client.rest();
        // It answers before the guest begins, which is interrupted only then.
        if (page.find("vmrun_guests{state=\"running\"} 1\n") != page.npos) return page.starts_with("HTTP/1.1 200 ");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  };
  const std::vector<std::string> args{"run", "-D", "metrics=unix:" + path, "--invoke", "memory", fixture("stop_spin")};
  {
    Background guest(args);
    CHECK(answers());
    struct stat info{};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    const auto second = run_vmrun(args);
    CHECK(second.status == 1);
    CHECK(second.err == "vmrun: error: -D metrics: cannot listen at '" + path + "': Address already in use\n");
  }  // killed: the name stays, and the next one takes it
  CHECK(std::filesystem::exists(path));
  Background guest(args);
  CHECK(answers());
  guest.signal(SIGINT);
  CHECK(guest.wait().status == 130);
  CHECK(!std::filesystem::exists(path));
}

TEST_CASE("the end removes the socket and nothing else, wherever its folder has gone meanwhile") {
  namespace fs = std::filesystem;
  const TemporaryDirectory folder;
  const std::string inner = folder.path() + "/granted/inner", moved = folder.path() + "/granted/moved";
  const std::string other = folder.path() + "/other", path = inner + "/socket";
  fs::create_directories(inner);
  fs::create_directory(other);
  const std::string mine = folder.write("other/socket", "mine");
  const std::vector<std::string> args{"run", "-D", "metrics=unix:" + path, "--invoke", "memory", fixture("stop_spin")};
  const auto begun = [&] {
    for (int i = 0; i < 600 && !PageClient("unix:" + path).connected(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return PageClient("unix:" + path).connected();
  };
  // The handler of Ctrl-C is there with the guest, a moment later than the socket.
  const auto hears = [](const Background& guest) {
    for (int i = 0; i < 600; ++i) {
      std::ifstream status("/proc/" + std::to_string(guest.pid()) + "/status");
      for (std::string line; std::getline(status, line);) {
        if (!line.starts_with("SigCgt:")) continue;
        if ((std::stoull(line.substr(7), nullptr, 16) >> (SIGINT - 1) & 1) != 0) return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  };
  {
    Background guest(args);
    REQUIRE(begun());
    REQUIRE(hears(guest));
    // As a guest can that was granted the folder above.
    fs::rename(inner, moved);
    fs::create_directory_symlink("../other", inner);
    guest.signal(SIGINT);
    CHECK(guest.wait().status == 130);
  }
  CHECK(fs::exists(mine));
  CHECK(!fs::exists(moved + "/socket"));
  fs::remove(inner);
  fs::rename(moved, inner);
  Background guest(args);
  REQUIRE(begun());
  REQUIRE(hears(guest));
  fs::rename(path, inner + "/renamed");
  fs::rename(mine, path);
  guest.signal(SIGINT);
  CHECK(guest.wait().status == 130);
  CHECK(fs::exists(path));
}

TEST_CASE("a guest that was granted the folder of the socket cannot open it") {
  const TemporaryDirectory folder;
  const auto r = run_vmrun({"run", "-D", "metrics=unix:" + folder.path() + "/file", "--dir", folder.path() + "::/x",
                            "--invoke", "open_file", fixture("wasi_open")});
  CHECK(r.err == "");
  CHECK(r.out == "60\n");  // nxio
}

TEST_CASE("addresses of metrics that are none, or taken") {
  const auto says = [](const std::string& value) { return run_vmrun({"run", "-D", value, fixture("cli_empty")}); };
  auto r = says("metrics=here");
  CHECK(r.status == 2);
  CHECK(r.err ==
        "vmrun: -D metrics=here: expected HOST:PORT, :PORT, [V6]:PORT or unix:PATH; 'vmrun help run' lists what there "
        "is\n");
  r = says("metrics=127.0.0.1:99999");
  CHECK(r.status == 2);
  CHECK(r.err.starts_with("vmrun: error: -D metrics: '127.0.0.1:99999' is not an address to listen on: "));
  r = says("metrics=unix:" + std::string(200, 'x'));
  CHECK(r.status == 2);
  r = says("metrics=unix:/missing/folder/socket");
  CHECK(r.status == 1);
  CHECK(r.err == "vmrun: error: -D metrics: cannot listen at '/missing/folder/socket': No such file or directory\n");
  Background guest(spinning());
  const unsigned port = guest.port(kPlace);
  r = says("metrics=:" + std::to_string(port));  // this machine's own, so the same
  CHECK(r.status == 1);
  CHECK(r.err ==
        "vmrun: error: -D metrics: cannot listen on 127.0.0.1:" + std::to_string(port) + ": Address already in use\n");
}

}  // namespace
}  // namespace vmrun::test
