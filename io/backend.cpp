// Which backend there is: what the options and the environment ask for, and what the system lets us have.
#include "io/backend.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "io/epoll_linux.h"
#include "io/ring_linux.h"
#include "vm/base/log.h"

namespace vmrun::io {

namespace {

vm::Log& log() {
  static vm::Log log("io");
  return log;
}

struct Choice {
  std::string_view name;
  BackendKind kind;
};
constexpr Choice choices[] = {
    {"auto", BackendKind::Auto},
    {"epoll", BackendKind::Epoll},
    {"uring", BackendKind::Ring},
};

Options with_environment(Options options) {
  const char* setting = options.environment ? std::getenv("VMRUN_IO") : nullptr;
  if (setting == nullptr || *setting == 0) return options;
  for (const Choice& choice : choices) {
    if (setting != choice.name) continue;
    options.backend = choice.kind;
    return options;
  }
  VMRUN_LOG_AT(log(), warn, "VMRUN_IO: there is no '{}'; there are auto, epoll, uring", setting);
  return options;
}

}  // namespace

std::unique_ptr<Backend> make_backend(const Options& given, Sink& sink, int64_t& error) {
  const Options options = with_environment(given);
  error = 0;
  if (options.backend != BackendKind::Epoll) {
    auto ring = std::make_unique<RingBackend>(options, sink);
    bool refused = false;
    error = ring->open(refused);
    if (error == 0) {
      VMRUN_LOG_AT(log(), info, "sockets wait in epoll; files that prove slow go to io_uring");
      return ring;
    }
    if (!refused) return nullptr;
    if (options.backend == BackendKind::Ring) {
      VMRUN_LOG_AT(log(), warn, "io_uring is refused ({}): epoll and threads instead",
                   std::strerror(static_cast<int>(-error)));
    }
  }
  auto epoll = std::make_unique<EpollBackend>(options, sink);
  const int64_t reason = error;
  error = epoll->open();
  if (error < 0) return nullptr;
  VMRUN_LOG_AT(log(), info, "sockets wait in epoll; files that prove slow go to {} threads{}{}", options.file_threads,
               reason < 0 ? ", since io_uring is refused: " : "",
               reason < 0 ? std::strerror(static_cast<int>(-reason)) : "");
  return epoll;
}

}  // namespace vmrun::io
