// What is behind Server's handle, and what serves one connection.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "io/reactor.h"
#include "sched/counters.h"
#include "sched/scheduler.h"
#include "sched/sync.h"
#include "serve/connection.h"
#include "serve/guest.h"
#include "vmrun/server.h"
#include "wasi/sys.h"

namespace vmrun {

namespace serve {

/// What a request's body takes of the room that there is for all of them, given back at the end of its life.
class BodyRoom {
 public:
  BodyRoom() = default;
  BodyRoom(const BodyRoom&) = delete;
  BodyRoom& operator=(const BodyRoom&) = delete;
  ~BodyRoom() { give_back(); }
  /// Makes it `bytes` at least. Waits for others to give theirs back until `deadline`; false when they have not by then.
  bool reach(Server::Impl& server, uint64_t bytes, sched::Clock::time_point deadline);
  void give_back();

 private:
  Server::Impl* server_ = nullptr;
  uint64_t bytes_ = 0;
};

/// What has been answered, by http. Any thread.
struct Answers {
  static constexpr size_t kStatuses = 1000;
  std::array<std::atomic<uint64_t>, kStatuses> statuses{};
  sched::AtomicHistogram durations;  // of requests that a guest answered

  void add(uint16_t status) {
    if (status < kStatuses) statuses[status].fetch_add(1, std::memory_order_relaxed);
  }
};

}  // namespace serve

/// Lives until the server and its last task are gone.
struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(Executor& executor, const Engine& engine, const Module& module, const ServerConfig& config);

  Result<void> check_guests();
  /// Listens; then the accepting task runs.
  Result<void> begin();
  void accept_all();
  /// Waits until there may be another connection, and for one; its task is on its way then. False: no further ones are
  /// to come. Throws what stands against a task: then the connection is closed.
  bool accept_one();
  /// In a task: serves the connection until it ends. Throws std::bad_alloc; the connection is closed then.
  void serve(wasi::HostFd connection, const std::string& peer);
  /// Runs a guest in a task of its own, which has ended when this returns; before, it waits until there are fewer guests
  /// than may be. `config.timeout` counts from the guest's start.
  serve::GuestEnd run_in_task(const WasiConfig& wasi);
  void log_line(const std::string& line) const {
    if (config.log) config.log(line);
  }

  Executor& executor;
  const std::shared_ptr<io::Reactor> reactor;
  sched::Scheduler& scheduler;
  const Engine engine;
  const Module module;
  const ServerConfig config;
  std::string address;
  uint16_t port = 0;
  io::Descriptor listener;

  size_t most_guests = 0, most_connections = 0;  // at a time
  io::Stop leaving;                              // ends all waits for clients: the time for stopping is over
  io::Stop stopping;                             // ends accepting, and waits for further requests
  sched::CancelToken ending = sched::CancelToken::create();  // ends guests
  sched::Mutex mutex;
  sched::Condition changed;  // `open` went down, or the server was stopped
  sched::Condition room;     // `guests` went down
  size_t open = 0;           // connections, under the mutex
  uint64_t bodies = 0;       // bytes that requests' bodies may take, under the mutex
  sched::Condition shrunk;   // `bodies` went down
  size_t guests = 0;         // those in tasks of their own, under the mutex
  sched::Task accepting;

  std::atomic<uint64_t> connections{0}, requests{0}, failures{0};
  serve::Answers answers;
};

namespace serve {

/// Serve one connection by the protocol's rules: in a task, which the guest's calls suspend.
void serve_tcp(Server::Impl& server, const wasi::HostFd& connection, const std::string& peer);
void serve_http(Server::Impl& server, Connection& connection, const std::string& peer);

/// "12.3 ms".
std::string time_text(std::chrono::nanoseconds time);

}  // namespace serve
}  // namespace vmrun
