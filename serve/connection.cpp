#include "serve/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "engine/executor_impl.h"

namespace vmrun::serve {
namespace {

constexpr size_t kPiece = size_t{64} << 10;
constexpr auto kLinger = std::chrono::seconds(1);
constexpr size_t kMostLingering = size_t{1} << 20;

}  // namespace

bool Connection::read(std::string& to, size_t most, sched::Clock::time_point deadline, io::Stop* stop) {
  const size_t before = to.size();
  to.resize(before + most);
  const io::Until until{.deadline = sched::nanos(deadline), .stop = stop != nullptr ? stop : &leaving_};
  const int64_t n = reactor_.read(descriptor_, to.data() + before, most, until);
  to.resize(before + static_cast<size_t>(std::max<int64_t>(n, 0)));
  return n > 0;
}

bool Connection::write(std::string_view bytes) {
  while (!bytes.empty() && !broken_) {
    const size_t piece = std::min(bytes.size(), kPiece);
    const bool waits = !leaving_.stopped();
    io::Until until = io::Until::now();
    if (waits) until = {.deadline = sched::nanos(deadline_after(patience_)), .stop = &leaving_};
    const int64_t n = reactor_.write(descriptor_, bytes.data(), piece, until);
    if (n == -ECANCELED) {
      if (waits && leaving_.stopped()) continue;  // once more, without waiting
      return false;                               // the task is to end
    }
    broken_ = n <= 0;
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
  }
  return !broken_;
}

void Connection::end() {
  if (!broken_ && !leaving_.stopped()) {
    ::shutdown(descriptor_.fd(), SHUT_WR);
    const auto deadline = sched::Clock::now() + kLinger;
    std::string dropped;
    for (size_t all = 0; all < kMostLingering && read(dropped, kPiece / 4, deadline); dropped.clear()) {
      all += dropped.size();
    }
  }
  reactor_.close(descriptor_);
}

}  // namespace vmrun::serve
