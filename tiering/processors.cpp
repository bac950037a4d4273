// What is left of the machine: see processors.h.
#include "tiering/processors.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "vm/blocks/policy.h"

namespace vmrun::tiering {

void SmoothedThreads::count(unsigned threads) {
  const uint32_t before = threads_.load(std::memory_order_relaxed);
  threads_.store(before - before / 4 + kUnits * std::min(threads, 1000u) / 4, std::memory_order_relaxed);
}

bool SmoothedThreads::leaves_idle(unsigned processors) const {
  return processors > 1 && threads_.load(std::memory_order_relaxed) < kUnits * (processors - 1) + kUnits / 2;
}

bool Processors::are_idle(unsigned ours) {
  static const unsigned processors = std::max(std::thread::hardware_concurrency(), 1u);
  const int64_t now = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  int64_t asked = asked_.load(std::memory_order_relaxed);
  if ((asked == 0 || now - asked >= policy::kLoadNanoseconds) &&
      asked_.compare_exchange_strong(asked, now, std::memory_order_relaxed)) {
    const unsigned running = runnable_threads();
    others_.count(running - std::min(running, ours));
  }
  return others_.leaves_idle(processors);
}

}  // namespace vmrun::tiering
