// The contract of inetd: the connection is the guest's standard input and output.
#include <new>

#include "serve/guest.h"
#include "serve/server_impl.h"

namespace vmrun::serve {

void serve_tcp(Server::Impl& server, const wasi::HostFd& connection, const std::string& peer) {
  const auto start = sched::Clock::now();
  WasiConfig wasi = server.config.wasi;
  wasi.env("REMOTE_HOST", peer).stdin_fd(connection.get()).stdout_fd(connection.get());
  GuestEnd end;
  try {
    end = run_guest(server.engine, server.module, wasi, server.config.limits, server.reactor);
  } catch (const std::bad_alloc&) {
    end.error = "limit: no memory";
  }
  server.requests.fetch_add(1, std::memory_order_relaxed);
  if (!end.ended) server.failures.fetch_add(1, std::memory_order_relaxed);
  server.log_line(peer + " " +
                  (end.ended     ? "status " + std::to_string(end.status)
                   : end.stopped ? "stopped"
                                 : end.error) +
                  " " + time_text(sched::Clock::now() - start));
}

}  // namespace vmrun::serve
