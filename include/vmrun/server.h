// Server: each connection, or each HTTP request, runs a fresh guest in a task of its own.
//
//   tcp    the connection is the guest's standard input and output, as inetd gives it to programs
//   http   the guest gets the request by the contract of CGI (RFC 3875): variables in its environment, the body on its
//          standard input; it writes the response to its standard output. So any WASI program is a web service.
//
// Beyond ServerConfig::instances and ServerConfig::connections nobody is refused: who comes then waits.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "vmrun/base/result.h"
#include "vmrun/executor.h"
#include "vmrun/module.h"
#include "vmrun/store.h"
#include "vmrun/wasi.h"

#pragma GCC visibility push(default)
namespace vmrun {

struct ServerConfig {
  enum class Protocol : uint8_t { Tcp, Http };
  Protocol protocol = Protocol::Tcp;
  /// "host:port", ":port" (all addresses of this machine), "[v6]:port". Port 0: a free one, see Server::address.
  std::string address = "127.0.0.1:8080";
  /// What every guest is given beside its connection: arguments, variables, directories. Its standard error too, as it is when
  /// the server begins.
  WasiConfig wasi{};
  StoreLimits limits{};
  /// Guests at a time. Further requests, and connections by tcp, wait for one to end.
  uint32_t instances = 1000;
  /// Connections at a time, by http; further ones wait in the system's queue.
  uint32_t connections = 20'000;
  /// How long a guest may take (tcp: a connection, http: a request); nothing: as long as it wants.
  std::optional<std::chrono::nanoseconds> timeout{};
  /// How long stop() lets guests go on before it cancels them.
  std::chrono::nanoseconds grace = std::chrono::seconds(10);

  // http alone.
  uint32_t max_head_bytes = 16 * 1024;        // of a request
  uint64_t max_body_bytes = 16u << 20;        // of a request; it is kept in memory until its guest has ended
  uint64_t max_bodies_bytes = 1ull << 30;     // of all requests; further ones wait, at most idle_timeout: 503
  uint64_t max_response_bytes = 64ull << 20;  // a guest that writes more sees errno `pipe`
  /// How long a connection may be idle, or take to send a request, or take nothing of an answer.
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(60);

  /// Takes a line for each connection or request that has ended, without its end of line. From tasks, several at a time; it
  /// must not throw, and not wait for long.
  std::function<void(std::string_view line)> log{};
};

struct ServerStats {
  uint64_t connections = 0;  ///< accepted
  uint64_t requests = 0;     ///< guests that were run
  uint64_t failures = 0;     ///< of these, those that trapped, or could not be started, or answered nothing sensible
  size_t open = 0;           ///< connections now
  size_t guests = 0;         ///< that run now
};

/// Listens and serves from creation on, until it is stopped. Its functions may be called from any thread.
class Server {
 public:
  /// `executor` outlives the server. Errors: Usage (an address that is none, a module without _start), Io.
  static Result<Server> listen(Executor& executor, const Engine& engine, const Module& module,
                               const ServerConfig& config);
  /// stop(), then wait().
  ~Server();
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;

  /// Where it listens: the address with its port.
  const std::string& address() const;
  /// No connection is accepted from now on. Those that wait for a request are closed; guests may end in ServerConfig::grace.
  void stop();
  /// Holds the thread until everything has ended after stop().
  void wait();
  ServerStats stats() const;

  struct Impl;
  Impl& impl() const { return *impl_; }

 private:
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace vmrun
#pragma GCC visibility pop
