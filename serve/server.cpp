// Listening and accepting: one task accepts, and starts one for each connection while there are fewer than may be.
#include "vmrun/server.h"

#include <cstring>
#include <exception>
#include <mutex>
#include <new>

#include "engine/executor_impl.h"
#include "serve/address.h"
#include "serve/server_impl.h"
#include "vm/base/log.h"
#include "vmrun/instance.h"
#include "vmrun/listen.h"
#include "wasi/context.h"

namespace vmrun {
namespace {

using serve::Address;

const vm::Log& serve_log() {
  static const vm::Log log("serve");
  return log;
}

std::string text_of_errno(int64_t error) { return std::strerror(static_cast<int>(-error)); }

/// Descriptors that this process may have open for connections and guests, after it has taken all that it may have.
uint64_t descriptor_room() {
  constexpr uint64_t kOthers = 96;  // ours, and files that guests open
  const uint64_t all = raise_descriptor_limit();
  if (all == UINT64_MAX) return all;
  return all > kOthers ? all - kOthers : all / 2;
}

/// Whether a request gives the variable `name` a value, so that nobody else may.
bool is_of_request(std::string_view name) {
  for (std::string_view known :
       {"AUTH_TYPE", "CONTENT_LENGTH", "CONTENT_TYPE", "GATEWAY_INTERFACE", "PATH_INFO", "PATH_TRANSLATED",
        "QUERY_STRING", "REMOTE_ADDR", "REMOTE_HOST", "REMOTE_IDENT", "REMOTE_USER", "REQUEST_METHOD", "SCRIPT_NAME",
        "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE"}) {
    if (name == known) return true;
  }
  return name.starts_with("HTTP_");
}

/// Its streams are looked at now, and not for each guest.
ServerConfig with_known_streams(ServerConfig config) {
  wasi::look_at_streams(config.wasi);
  return config;
}

}  // namespace

std::string serve::time_text(std::chrono::nanoseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(time.count()) / 1e6);
  return text;
}

Server::Impl::Impl(Executor& executor, const Engine& engine, const Module& module, const ServerConfig& config)
    : executor(executor),
      reactor(executor.impl().reactor),
      scheduler(executor.impl().scheduler),
      engine(engine),
      module(module),
      config(with_known_streams(config)) {}

/// What would fail for each guest alike: the program, its imports, what it is granted. And how many there can be.
Result<void> Server::Impl::check_guests() {
  const Result<WasiContext> context = WasiContext::create(config.wasi);
  if (!context) return context.error();
  const wasi::Context& granted = *context->impl();
  const bool tcp = config.protocol == ServerConfig::Protocol::Tcp;
  for (const uint32_t at : granted.environ.offsets()) {
    const std::string_view variable = granted.environ.bytes().c_str() + at;
    const std::string_view name = variable.substr(0, variable.find('='));
    if (!tcp && is_of_request(name)) {
      return Error(ErrorKind::Usage,
                   "the variable " + std::string(name) + " is the request's: no other can be granted");
    }
  }
  bool starts = false;
  for (const ExportType& item : module.exports()) {
    starts |= item.name == "_start" && item.type == ExternType(FuncType{});
  }
  if (!starts) {
    return Error(ErrorKind::Usage,
                 "the module exports no function _start without parameters and results: it is no program");
  }
  if (!module.has_start()) {
    Store store(engine, config.limits);
    if (auto instance = instantiate_wasi(store, module, *context); !instance) return instance.error();
  }
  // Each connection takes a descriptor; that of a guest perhaps a second one, where both of its directions wait.
  const uint64_t room = descriptor_room(), of_guest = granted.fds.owned() + (tcp ? 2 : 0), of_connection = tcp ? 0 : 1;
  most_guests = std::min<uint64_t>(config.instances, of_guest != 0 ? room / (of_guest + of_connection) : room);
  most_connections = tcp ? most_guests : std::min<uint64_t>(config.connections, room - most_guests * of_guest);
  if (most_guests == 0 || most_connections == 0) {
    return Error(ErrorKind::Limit, "this process may have too few descriptors open for a single guest (RLIMIT_NOFILE)");
  }
  if (most_guests < config.instances || (!tcp && most_connections < config.connections)) {
    VMRUN_LOG_AT(serve_log(), info, "descriptors (RLIMIT_NOFILE) suffice for {} connections and {} guests at a time",
                 most_connections, most_guests);
  }
  return {};
}

Result<void> Server::Impl::begin() {
  if (config.max_bodies_bytes < config.max_body_bytes) {
    return Error(ErrorKind::Usage, "all bodies together have room for " + std::to_string(config.max_bodies_bytes) +
                                       " bytes, but one may have " + std::to_string(config.max_body_bytes));
  }
  if (config.instances == 0 || config.connections == 0) {
    return Error(ErrorKind::Usage, "a server takes one connection and runs one guest at a time, or more");
  }
  if (auto r = check_guests(); !r) return r;
  const Result<int> listening = listen_tcp(config.address);
  if (!listening) return listening.error();
  const int fd = *listening;
  Address bound;
  bound.length = sizeof bound.bytes;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound.bytes), &bound.length);
  address = serve::to_string(bound);
  port = serve::port_of(bound);
  int64_t error = 0;
  listener = reactor->adopt(fd, error);
  if (!listener) return Error(ErrorKind::Io, "cannot wait for connections: " + text_of_errno(error));
  return {};
}

namespace {

/// A connection that counts as open, for as long as it lives.
class OpenConnection {
 public:
  explicit OpenConnection(std::shared_ptr<Server::Impl> server) : server_(std::move(server)) {
    std::lock_guard lock(server_->mutex);
    ++server_->open;
  }
  OpenConnection(OpenConnection&&) noexcept = default;
  ~OpenConnection() {
    if (server_ == nullptr) return;
    std::lock_guard lock(server_->mutex);
    --server_->open;
    server_->changed.notify_all();
  }
  Server::Impl& server() const { return *server_; }

 private:
  std::shared_ptr<Server::Impl> server_;
};

/// Without memory there may be none for the line either.
void warn_dropped(const char* why) noexcept {
  try {
    VMRUN_LOG_AT(serve_log(), warn, "a connection was dropped: {}", why);
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace

void Server::Impl::accept_all() {
  for (;;) {
    try {
      if (!accept_one()) return;
      continue;
    } catch (const std::exception& e) {
      warn_dropped(e.what());
    }
    // No memory, or no stack: others that end give some back. Not in the handler, which would hold what was thrown.
    sched::sleep_for(std::chrono::milliseconds(10));
  }
}

bool Server::Impl::accept_one() {
  const io::Until until{.stop = &stopping};
  const bool tcp = config.protocol == ServerConfig::Protocol::Tcp;
  {
    std::unique_lock lock(mutex);
    while (open >= most_connections && !stopping.stopped()) changed.wait(mutex);
    if (stopping.stopped()) return false;
  }
  Address peer;
  peer.length = sizeof peer.bytes;
  const int64_t accepted = reactor->accept(listener, 0, until, reinterpret_cast<sockaddr*>(&peer.bytes), &peer.length);
  if (accepted == -ECANCELED || accepted == -EBADF) return false;
  if (accepted < 0) {
    // No descriptor is free, say. accept has paused; what waits in the queue is served later.
    VMRUN_LOG_AT(serve_log(), warn, "cannot accept a connection: {}", text_of_errno(accepted));
    return true;
  }
  wasi::HostFd connection(static_cast<int>(accepted));
  connections.fetch_add(1, std::memory_order_relaxed);
  OpenConnection counted(shared_from_this());
  // With a stack at once: a task that gets none in its turn would drop what it holds where nobody may wait for a lock.
  sched::SpawnOptions options{.token = ending, .name = "connection", .with_stack = true};
  if (tcp && config.timeout) options.deadline = deadline_after(*config.timeout);
  scheduler.spawn(
      [counted = std::move(counted), connection = std::move(connection), name = serve::host_of(peer)]() mutable {
        try {
          counted.server().serve(std::move(connection), name);
        } catch (const std::bad_alloc&) {
          warn_dropped("no memory");
        }
      },
      options);
  return true;
}

serve::GuestEnd Server::Impl::run_in_task(const WasiConfig& wasi) {
  serve::GuestEnd end;
  {
    std::unique_lock lock(mutex);
    while (guests >= most_guests) {
      if (room.wait(mutex) == sched::Wake::Cancelled) {
        end.stopped = true;
        return end;
      }
    }
    ++guests;
  }
  requests.fetch_add(1, std::memory_order_relaxed);
  sched::SpawnOptions options{.token = ending, .name = "guest", .with_stack = true};
  if (config.timeout) options.deadline = deadline_after(*config.timeout);
  bool no_memory = false;
  try {
    const sched::Task task = scheduler.spawn(
        [&] {
          try {
            end = serve::run_guest(engine, module, wasi, config.limits, reactor);
          } catch (const std::bad_alloc&) {
            no_memory = true;
          }
        },
        options);
    // Also when this task is cancelled: the guest's writes to what is in this frame.
    while (task.join() == sched::Wake::Cancelled) sched::take_cancel();
  } catch (const std::exception&) {
    no_memory = true;
  }
  {
    std::lock_guard lock(mutex);
    --guests;
    room.notify_one();
  }
  if (no_memory) end.error = "limit: no memory for a guest";
  return end;
}

bool serve::BodyRoom::reach(Server::Impl& server, uint64_t bytes, sched::Clock::time_point deadline) {
  if (bytes <= bytes_) return true;
  std::unique_lock lock(server.mutex);
  const uint64_t more = bytes - bytes_;
  while (more > server.config.max_bodies_bytes - server.bodies) {
    const sched::Wake how = server.shrunk.wait(server.mutex, sched::Cancellable::Yes, sched::nanos(deadline));
    if (how != sched::Wake::Unparked && more > server.config.max_bodies_bytes - server.bodies) return false;
  }
  server.bodies += more;
  server_ = &server;
  bytes_ = bytes;
  return true;
}

void serve::BodyRoom::give_back() {
  if (server_ == nullptr) return;
  std::lock_guard lock(server_->mutex);
  server_->bodies -= std::exchange(bytes_, 0);
  server_->shrunk.notify_all();
  server_ = nullptr;
}

void Server::Impl::serve(wasi::HostFd connection, const std::string& peer) {
  if (config.protocol == ServerConfig::Protocol::Tcp) {
    serve::serve_tcp(*this, connection, peer);
    return;
  }
  int64_t error = 0;
  io::Descriptor d = reactor->adopt(connection.release(), error);
  if (!d) return;
  serve::Connection client(*reactor, std::move(d), config.idle_timeout, leaving);
  bool dropped = false;
  try {
    serve::serve_http(*this, client, peer);
  } catch (const std::bad_alloc&) {
    dropped = true;
  }
  // Not in the handler, which would hold what was thrown while the peer keeps this waiting.
  client.end();
  if (dropped) throw std::bad_alloc();
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&& other) noexcept {
  if (this != &other) {
    Server old(std::move(*this));
    impl_ = std::move(other.impl_);
  }
  return *this;
}
Server::~Server() {
  if (impl_ == nullptr) return;
  stop();
  wait();
}

Result<Server> Server::listen(Executor& executor, const Engine& engine, const Module& module,
                              const ServerConfig& config) {
  auto impl = std::make_shared<Impl>(executor, engine, module, config);
  if (auto r = impl->begin(); !r) return r.error();
  try {
    impl->accepting = impl->scheduler.spawn([server = impl] { server->accept_all(); }, {.name = "accept"});
  } catch (const std::exception& e) {
    return Error(ErrorKind::Limit, std::string("no task to accept connections: ") + e.what());
  }
  return Server(std::move(impl));
}

const std::string& Server::address() const { return impl_->address; }

void Server::stop() {
  impl_->stopping.stop();
  // Under the mutex: the accepting task is either before its look at the switch, or waits.
  std::lock_guard lock(impl_->mutex);
  impl_->changed.notify_all();
}

void Server::wait() {
  Impl& server = *impl_;
  server.accepting.join();
  const auto end = deadline_after(server.config.grace);
  std::unique_lock lock(server.mutex);
  while (server.open != 0) {
    if (server.changed.wait(server.mutex, sched::Cancellable::No, sched::nanos(end)) == sched::Wake::TimedOut) break;
  }
  if (server.open == 0) return;
  lock.unlock();
  server.ending.cancel();
  server.leaving.stop();
  lock.lock();
  while (server.open != 0) server.changed.wait(server.mutex, sched::Cancellable::No);
}

ServerStats Server::stats() const {
  ServerStats stats{.connections = impl_->connections, .requests = impl_->requests, .failures = impl_->failures};
  std::lock_guard lock(impl_->mutex);
  stats.open = impl_->open;
  stats.guests = impl_->config.protocol == ServerConfig::Protocol::Tcp ? impl_->open : impl_->guests;
  return stats;
}

}  // namespace vmrun
