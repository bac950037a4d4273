#include "io/done.h"

namespace vmrun::io {
namespace {

std::atomic<size_t> threads{0};
thread_local size_t number = 0;  // 0: none yet

}  // namespace

Done::Counts& Done::of_thread() noexcept {
  if (number == 0) number = 1 + threads.fetch_add(1, std::memory_order_relaxed);
  return lines_[number % lines_.size()].counts;
}

std::array<uint64_t, call_kinds> Done::sums() const noexcept {
  std::array<uint64_t, call_kinds> out{};
  for (const Line& line : lines_) {
    for (size_t i = 0; i < out.size(); ++i) out[i] += line.counts[i].load(std::memory_order_relaxed);
  }
  return out;
}

}  // namespace vmrun::io
