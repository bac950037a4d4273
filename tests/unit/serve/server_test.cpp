// Servers as their clients see them: over sockets, with real guests.
#include "vmrun/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "doctest/doctest.h"
#include "tests/support/ok.h"
#include "vmrun/vmrun.h"

namespace vmrun {
namespace {

using namespace std::chrono_literals;
using test::ok;

/// A connection to a server of this machine.
class Client {
 public:
  explicit Client(const Server& server) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const std::string& address = server.address();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;

  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<size_t>(n));
    }
  }
  void end_sending() { ::shutdown(fd_, SHUT_WR); }
  /// Reads more; false at the end.
  bool more() {
    char block[4096];
    const ssize_t n = ::recv(fd_, block, sizeof block, 0);
    if (n > 0) text_.append(block, static_cast<size_t>(n));
    return n > 0;
  }
  std::string rest() {
    while (more()) {
    }
    return std::exchange(text_, {});
  }
  /// One answer with a Content-Length, or all there is.
  std::string answer() {
    for (;;) {
      const size_t end = text_.find("\r\n\r\n");
      if (end != text_.npos) {
        const size_t at = text_.find("Content-Length: ");
        if (at == text_.npos || at > end) return rest();
        const size_t whole = end + 4 + std::stoul(text_.substr(at + 16));
        if (text_.size() >= whole) {
          std::string one = text_.substr(0, whole);
          text_.erase(0, whole);
          return one;
        }
      }
      if (!more()) return std::exchange(text_, {});
    }
  }

 private:
  int fd_;
  std::string text_;
};

std::string get(std::string_view path) { return "GET " + std::string(path) + " HTTP/1.1\r\nHost: here\r\n\r\n"; }
bool begins(const std::string& text, std::string_view with) { return text.starts_with(with); }
std::string body_of(const std::string& answer) {
  const size_t end = answer.find("\r\n\r\n");
  return end == answer.npos ? "" : answer.substr(end + 4);
}

/// An executor and a server on a free port.
struct Serving {
  Engine engine;
  Executor executor;
  Server server;

  static Executor make_executor(unsigned workers) {
    ExecutorConfig config;
    config.workers = workers;
    config.slice = 1ms;
    return ok(Executor::create(config));
  }
  static ServerConfig here(ServerConfig config) {
    config.address = "127.0.0.1:0";
    return config;
  }
  Serving(const char* guest, const ServerConfig& config, unsigned workers = 2)
      : executor(make_executor(workers)),
        server(ok(Server::listen(executor, engine,
                                 ok(Module::compile_file(engine, std::string(VMRUN_FIXTURES "/") + guest + ".wasm")),
                                 here(config)))) {}
};

ServerConfig http() {
  ServerConfig config;
  config.protocol = ServerConfig::Protocol::Http;
  config.wasi.args({"program", "argument"});
  return config;
}

TEST_CASE("http: requests one after the other on one connection, each by a fresh guest") {
  Serving s("serve_cgi", http());
  Client client(s.server);
  client.send(get("/a%20b?x=%20y"));
  std::string answer = client.answer();
  CHECK(begins(answer, "HTTP/1.1 200 OK\r\n"));
  CHECK(answer.find("Content-Type: text/plain\r\n") != answer.npos);
  CHECK(body_of(answer) == "GET /a b?x=%20y none argument\n");
  client.send("POST /p HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nabcde" + get("/next"));
  CHECK(body_of(client.answer()) == "POST /p? 5 argument\nabcde");
  CHECK(body_of(client.answer()) == "GET /next? none argument\n");
  client.send(
      "POST /c HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
  CHECK(body_of(client.answer()) == "POST /c? 5 argument\nabcde");
  client.send(get("/status"));
  answer = client.answer();
  CHECK(begins(answer, "HTTP/1.1 418 I'm a teapot\r\n"));
  CHECK(answer.find("X-Args: 2\r\n") != answer.npos);
  client.send("HEAD / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
  answer = client.rest();
  CHECK(begins(answer, "HTTP/1.1 200 OK\r\n"));
  CHECK(answer.ends_with("\r\n\r\n"));
  CHECK(s.server.stats().requests == 6);
  CHECK(s.server.stats().connections == 1);
  CHECK(s.server.stats().failures == 0);
}

TEST_CASE("http: long answers come in chunks, and as they are to HTTP/1.0") {
  Serving s("serve_cgi", http());
  Client client(s.server);
  client.send("GET /long HTTP/1.0\r\n\r\n");
  const std::string plain = body_of(client.rest());
  CHECK(plain.size() == 50000 * 8);
  CHECK(plain.ends_with("0049999\n"));
  Client other(s.server);
  other.send("GET /long HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
  std::string chunked = other.rest(), joined;
  CHECK(chunked.find("Transfer-Encoding: chunked\r\n") != chunked.npos);
  std::string_view rest = std::string_view(chunked).substr(chunked.find("\r\n\r\n") + 4);
  for (;;) {
    const size_t size = std::stoul(std::string(rest.substr(0, 8)), nullptr, 16);
    rest.remove_prefix(rest.find("\r\n") + 2);
    if (size == 0) break;
    REQUIRE(rest.size() >= size + 2);
    joined += rest.substr(0, size);
    rest.remove_prefix(size + 2);
  }
  CHECK(joined == plain);
}

TEST_CASE("http: what guests do wrong is answered, and hurts nobody else") {
  std::mutex mutex;
  std::string log;
  ServerConfig config = http();
  config.timeout = 200ms;
  config.max_response_bytes = 100'000;
  config.log = [&](std::string_view line) {
    std::lock_guard lock(mutex);
    log += std::string(line) + "\n";
  };
  {
    Serving s("serve_cgi", config);
    Client client(s.server);
    const auto status = [&](std::string_view path) {
      client.send(get(path));
      return client.answer().substr(9, 3);
    };
    CHECK(status("/trap") == "500");
    CHECK(status("/nothing") == "502");
    CHECK(status("/exit") == "200");
    CHECK(status("/loop") == "504");
    CHECK(status("/sleep") == "504");
    CHECK(status("/fine") == "200");
    Client big(s.server);  // begun, it can only be cut short
    big.send(get("/long"));
    CHECK(!big.rest().ends_with("0\r\n\r\n"));
    CHECK(s.server.stats().failures == 5);
  }
  CHECK(log.find("\"GET /trap\" 500 0 bytes") != log.npos);
  CHECK(log.find("unreachable") != log.npos);
  CHECK(log.find("\"GET /loop\" 504") != log.npos);
}

TEST_CASE("http: requests that are none, or too much, are refused") {
  ServerConfig config = http();
  config.max_body_bytes = 10;
  config.idle_timeout = 300ms;
  Serving s("serve_cgi", config);
  const auto status = [&](const std::string& request) {
    Client client(s.server);
    client.send(request);
    const std::string answer = client.rest();
    return answer.size() > 12 ? answer.substr(9, 3) : answer;
  };
  CHECK(status("nonsense\r\n\r\n") == "400");
  CHECK(status("GET / HTTP/1.1\r\n\r\n") == "400");  // no host
  CHECK(status("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 11\r\n\r\n") == "413");
  CHECK(status("POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nabcdefghijk\r\n0\r\n\r\n") ==
        "413");
  CHECK(status("GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: here\r\n\r\n") == "414");
  CHECK(status("GET /%zz HTTP/1.1\r\nHost: here\r\n\r\n") == "400");
  CHECK(status("GET / HTTP/1.1\r\nHost: he") == "408");                                     // never goes on
  CHECK(status("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nabc") == "408");  // likewise
  CHECK(status("") == "");                                                                  // idle: closed
  CHECK(s.server.stats().requests == 0);
}

TEST_CASE("http: a client that does not read holds nothing for ever") {
  ServerConfig config = http();
  config.idle_timeout = 200ms;
  Serving s("serve_cgi", config, 1);
  Client deaf(s.server), other(s.server);
  for (int i = 0; i < 40; ++i) deaf.send(get("/long"));  // 16 MB
  other.send(get("/fine"));
  CHECK(begins(other.answer(), "HTTP/1.1 200"));
  while (s.server.stats().open != 0) std::this_thread::sleep_for(1ms);
}

TEST_CASE("http: a guest's time counts while its client does not read") {
  ServerConfig config = http();
  config.timeout = 200ms;
  config.idle_timeout = 60s;
  config.instances = 1;
  std::mutex mutex;
  std::string log;
  config.log = [&](std::string_view line) {
    std::lock_guard lock(mutex);
    log += std::string(line) + "\n";
  };
  Serving s("serve_cgi", config, 1);
  Client deaf(s.server), other(s.server);
  for (int i = 0; i < 40; ++i) deaf.send(get("/long"));
  other.send(get("/fine"));
  CHECK(begins(other.answer(), "HTTP/1.1 200"));
  while (s.server.stats().open != 1) std::this_thread::sleep_for(1ms);
  std::lock_guard lock(mutex);
  CHECK(log.find("interrupted") != log.npos);
}

TEST_CASE("http: an answer of which a part was lost does not look whole") {
  ServerConfig config = http();
  config.timeout = 200ms;
  config.idle_timeout = 60s;
  Serving s("serve_once", config, 1);
  Client client(s.server);
  client.send(get("/"));
  while (s.server.stats().failures == 0) std::this_thread::sleep_for(1ms);
  const std::string answer = client.rest();
  CHECK(answer.find("Transfer-Encoding: chunked") != answer.npos);
  CHECK(answer.size() < 4u << 20);
  CHECK(!answer.ends_with("0\r\n\r\n"));
}

TEST_CASE("times that no clock can hold") {
  ServerConfig config = http();
  config.timeout = std::chrono::nanoseconds::max();
  config.idle_timeout = std::chrono::nanoseconds::max();
  Serving s("serve_cgi", config, 1);
  Client client(s.server);
  for (int i = 0; i < 3; ++i) {  // the tasks' cells are used again
    client.send(get("/fine"));
    CHECK(begins(client.answer(), "HTTP/1.1 200"));
  }
}

TEST_CASE("http: the end of the grace is the end for clients that do not read") {
  ServerConfig config = http();
  config.grace = 100ms;
  Serving s("serve_cgi", config, 1);
  Client deaf(s.server);
  for (int i = 0; i < 40; ++i) deaf.send(get("/long"));
  while (s.server.stats().requests == 0) std::this_thread::sleep_for(1ms);
  s.server.stop();
  s.server.wait();
  CHECK(s.server.stats().open == 0);
}

TEST_CASE("http: an answer arrives although the request was not read to its end") {
  Serving s("serve_cgi", http());
  for (int i = 0; i < 10; ++i) {
    Client client(s.server);
    client.send("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 99999999\r\n\r\n" + std::string(500'000, 'x'));
    CHECK(begins(client.answer(), "HTTP/1.1 413 "));
  }
}

TEST_CASE("http: the bodies of all requests have a limit") {
  ServerConfig config = http();
  config.max_body_bytes = 1000;
  config.max_bodies_bytes = 100'000;  // one block
  config.idle_timeout = 500ms;
  Serving s("serve_cgi", config);
  const std::string head = "POST /p HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n";
  Client first(s.server), second(s.server);
  first.send(head + "y");
  while (s.server.stats().open != 2) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(50ms);
  second.send(head + std::string(1000, 'y'));
  CHECK(begins(first.answer(), "HTTP/1.1 408 "));
  // The second had its room when the first had given it up, or its own time was over.
  const std::string answer = second.answer();
  CHECK((begins(answer, "HTTP/1.1 200 ") || begins(answer, "HTTP/1.1 503 ")));
  Client third(s.server);
  third.send(head + std::string(1000, 'z'));
  CHECK(begins(third.answer(), "HTTP/1.1 200 "));
  config.max_bodies_bytes = 999;
  CHECK(!Server::listen(s.executor, s.engine, ok(Module::compile_file(s.engine, VMRUN_FIXTURES "/serve_cgi.wasm")),
                        Serving::here(config)));
}

TEST_CASE("tcp: connections at the same time on one worker, each its own guest") {
  ServerConfig config;
  Serving s("serve_echo", config, 1);
  constexpr int kClients = 60;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<Client>(s.server));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kClients; ++i)
      clients[i]->send("round " + std::to_string(round) + " of " + std::to_string(i) + "\n");
  }
  for (int i = 0; i < kClients; ++i) {
    clients[i]->end_sending();
    std::string expected;
    for (int round = 0; round < 3; ++round)
      expected += "round " + std::to_string(round) + " of " + std::to_string(i) + "\n";
    CHECK(clients[i]->rest() == expected);
  }
  CHECK(s.executor.stats().threads <= 6);
  CHECK(s.server.stats().failures == 0);
}

TEST_CASE("tcp: beyond the limit of guests, connections wait") {
  ServerConfig config;
  config.instances = 2;
  Serving s("serve_echo", config);
  Client first(s.server), second(s.server), third(s.server);
  third.send("third");
  third.end_sending();
  first.send("a");
  second.send("b");
  CHECK(first.more());
  CHECK(second.more());
  CHECK(s.server.stats().open == 2);
  first.end_sending();
  CHECK(third.rest() == "third");
}

TEST_CASE("tcp: a guest's threads end with it") {
  // cli_threads.wat: two threads go on for ever, and a third exits with 7; or nothing ends before its time.
  for (const bool late : {false, true}) {
    std::mutex lock;
    std::string log;
    ServerConfig config;
    config.wasi.arg("cli_threads");
    if (late) config.wasi.args({"1", "2", "3"});
    if (late) config.timeout = 50ms;
    config.log = [&](std::string_view line) {
      std::lock_guard guard(lock);
      log += std::string(line) + "\n";
    };
    Serving s("cli_threads", config);
    Client first(s.server), second(s.server);
    CHECK(first.rest().empty());
    CHECK(second.rest().empty());
    s.server.stop();
    s.server.wait();
    s.executor.wait_idle();
    CHECK(s.server.stats().requests == 2);
    std::lock_guard guard(lock);
    CHECK(log.find(late ? "stopped" : "status 7") != std::string::npos);
  }
}

TEST_CASE("stopping lets guests end, and then does not") {
  ServerConfig config = http();
  config.grace = 200ms;
  Serving s("serve_cgi", config);
  Client idle(s.server), busy(s.server);
  busy.send(get("/sleep"));
  idle.send(get("/fine"));
  CHECK(begins(idle.answer(), "HTTP/1.1 200"));
  while (s.server.stats().requests != 2) std::this_thread::sleep_for(1ms);
  s.server.stop();
  s.server.wait();
  CHECK(idle.rest().empty());  // closed at once
  CHECK(busy.rest().substr(9, 3) == "503");
  CHECK(s.server.stats().open == 0);
  s.executor.wait_idle();
}

TEST_CASE("a server that cannot be made says why") {
  Engine engine;
  Executor executor = Serving::make_executor(1);
  const Module program = ok(Module::compile_file(engine, VMRUN_FIXTURES "/serve_echo.wasm"));
  const auto says = [&](const Module& module, const std::string& address) {
    ServerConfig config;
    config.address = address;
    const auto server = Server::listen(executor, engine, module, config);
    return server ? std::string() : server.error().to_string();
  };
  CHECK(says(program, "8080").find("names no port") != std::string::npos);
  CHECK(says(program, "::1:80").find("brackets") != std::string::npos);
  CHECK(says(program, "127.0.0.1:70000").find("port") != std::string::npos);
  CHECK(says(program, "192.0.2.1:80").find("cannot listen on") != std::string::npos);
  const Module library = ok(Module::compile_file(engine, VMRUN_FIXTURES "/engine_memory64.wasm"));
  CHECK(says(library, "127.0.0.1:0").find("_start") != std::string::npos);
  ServerConfig config = http();
  config.address = "127.0.0.1:0";
  const auto refuses = [&](const ServerConfig& wrong) {
    const auto server = Server::listen(executor, engine, program, wrong);
    return server ? std::string() : server.error().to_string();
  };
  ServerConfig wrong = config;
  wrong.wasi.preopen_dir("/nonexistent", "/");
  CHECK(refuses(wrong).find("/nonexistent") != std::string::npos);
  for (const char* name : {"HTTP_TOKEN", "CONTENT_LENGTH"}) {
    wrong = config;
    wrong.wasi.env(name, "1");
    CHECK(refuses(wrong).find(name) != std::string::npos);
  }
  CHECK(refuses(config).empty());
}

}  // namespace
}  // namespace vmrun
