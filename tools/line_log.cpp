#include "tools/line_log.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace vmrun::tools {
namespace {

constexpr size_t kMostLines = 10'000;
constexpr auto kPatience = std::chrono::milliseconds(500);

void write_line(const std::string& line) {
  for (size_t done = 0; done < line.size();) {
    const ssize_t n = ::write(STDERR_FILENO, line.data() + done, line.size() - done);
    if (n < 0 && errno != EINTR && errno != EAGAIN) return;
    if (n < 0 && errno == EAGAIN) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (n > 0) done += static_cast<size_t>(n);
  }
}

}  // namespace

/// Shared with the thread, which may outlive the log inside a write.
struct LineLog::State {
  std::mutex mutex;
  std::condition_variable more, empty;
  std::deque<std::string> lines;
  size_t dropped = 0;
  bool writing = false, ends = false;
};

LineLog::LineLog() : state_(std::make_shared<State>()) {
  std::thread([state = state_] {
    std::unique_lock lock(state->mutex);
    for (;;) {
      state->more.wait(lock, [&] { return !state->lines.empty() || state->ends; });
      if (state->lines.empty()) return;
      std::string line = std::move(state->lines.front());
      state->lines.pop_front();
      if (state->dropped != 0 && state->lines.empty()) {
        line += "vmrun: " + std::to_string(state->dropped) + " lines were dropped: nobody read them\n";
        state->dropped = 0;
      }
      state->writing = true;
      lock.unlock();
      write_line(line);
      lock.lock();
      state->writing = false;
      if (state->lines.empty()) state->empty.notify_all();
    }
  }).detach();
}

LineLog::~LineLog() {
  std::unique_lock lock(state_->mutex);
  state_->empty.wait_for(lock, kPatience, [&] { return state_->lines.empty() && !state_->writing; });
  state_->ends = true;
  state_->more.notify_all();
}

void LineLog::add(std::string_view line) {
  const std::lock_guard lock(state_->mutex);
  if (state_->lines.size() == kMostLines) {
    ++state_->dropped;
    return;
  }
  state_->lines.push_back("vmrun: " + std::string(line) + "\n");
  state_->more.notify_one();
}

}  // namespace vmrun::tools
