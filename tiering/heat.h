// How hot functions are: the time that they have used, in units of policy::kHeatNanoseconds, and what of it has paid for
// compiles already.
//
// Threads: any, without a lock. Charges may be lost, which only delays a promotion.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace vmrun::tiering {

/// The heat of a block before and after what was charged last.
struct Heat {
  uint32_t before = 0, after = 0;

  /// What is left of it when so much of it is spent.
  Heat without(uint32_t paid) const { return {before - std::min(before, paid), after - std::min(after, paid)}; }
  /// Whether the last charge led beyond a power of two: a compile that waits is asked for again then.
  bool has_doubled() const { return std::bit_width(before) != std::bit_width(after); }
};

/// The heat of a module's own functions, by their index among these.
class HeatTable {
 public:
  explicit HeatTable(size_t functions) : sums_(zeros(functions)), paid_(zeros(functions)) {}

  /// False: there was no memory for it, and nothing else here may be called.
  bool exists() const { return sums_ != nullptr && paid_ != nullptr; }

  Heat charge(uint32_t function, uint32_t heat) {
    std::atomic<uint32_t>& sum = sums_[function];
    const uint32_t before = sum.load(std::memory_order_relaxed);
    const uint32_t after = before > UINT32_MAX - heat ? UINT32_MAX : before + heat;
    sum.store(after, std::memory_order_relaxed);
    return {before, after};
  }
  uint32_t sum(uint32_t function) const { return sums_[function].load(std::memory_order_relaxed); }
  /// What of `heat` another compile by the optimiser has to pay with: each unit of a function has to earn its own, or a
  /// program of many loops in one function would have all of them compiled at once.
  Heat unpaid(uint32_t function, Heat heat) const {
    return heat.without(paid_[function].load(std::memory_order_relaxed));
  }
  /// All of the function's heat has paid for a compile by the optimiser.
  void pay(uint32_t function) { paid_[function].store(sum(function), std::memory_order_relaxed); }
  void forget(uint32_t function) {
    sums_[function].store(0, std::memory_order_relaxed);
    paid_[function].store(0, std::memory_order_relaxed);
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  using Numbers = std::unique_ptr<std::atomic<uint32_t>[], Free>;
  /// Zero pages, until somebody is hot.
  static Numbers zeros(size_t count) {
    return Numbers(static_cast<std::atomic<uint32_t>*>(std::calloc(std::max<size_t>(count, 1), sizeof(uint32_t))));
  }

  Numbers sums_, paid_;
};

}  // namespace vmrun::tiering
