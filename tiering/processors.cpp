// What is left of the machine: see processors.h.
#include "tiering/processors.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "vm/blocks/policy.h"

namespace vmrun::tiering {
namespace {

constexpr uint32_t kUnits = 64;  // of a thread

}  // namespace

bool Processors::are_idle(unsigned ours) {
  static const unsigned processors = std::max(std::thread::hardware_concurrency(), 1u);
  const int64_t now = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  int64_t asked = asked_.load(std::memory_order_relaxed);
  const bool first = asked == 0;
  if ((first || now - asked >= policy::kLoadNanoseconds) &&
      asked_.compare_exchange_strong(asked, now, std::memory_order_relaxed)) {
    const unsigned running = runnable_threads();
    const uint32_t others = kUnits * (running - std::min(running, ours));
    const uint32_t before = busy_.load(std::memory_order_relaxed);
    busy_.store(first ? others : before - before / 4 + others / 4, std::memory_order_relaxed);
  }
  return busy_.load(std::memory_order_relaxed) <= kUnits * (processors - 1) && processors > 1;
}

}  // namespace vmrun::tiering
