// What optimising compiles really take, beside what the constants of vm/blocks/policy.h say.
#pragma once

#include <atomic>
#include <cstdint>

#include "vm/blocks/policy.h"

namespace vmrun::tiering {

/// How many times longer the optimising compiles of this process took than the constants say: these are of one machine and of
/// bench/'s guests, while heat is in this machine's time. Starts with one, which counts as much as policy::kCostsKnown of compiles
/// do. Any thread.
class CompileCosts {
 public:
  /// A compile that should have taken `expected` nanoseconds took `actual` of processor time.
  void count(double expected, int64_t actual) {
    expected_.fetch_add(static_cast<int64_t>(expected), std::memory_order_relaxed);
    actual_.fetch_add(actual, std::memory_order_relaxed);
  }
  double factor() const {
    return static_cast<double>(actual_.load(std::memory_order_relaxed)) /
           static_cast<double>(expected_.load(std::memory_order_relaxed));
  }

 private:
  // Two compiles that end at once may be seen one half each: a little off for a moment.
  std::atomic<int64_t> expected_{policy::kCostsKnown}, actual_{policy::kCostsKnown};
};

}  // namespace vmrun::tiering
