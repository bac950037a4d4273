// How hot functions are: the time that they have used, in units of policy::kHeatNanoseconds, and what of it has paid for
// compiles already.
//
// Threads: any, without a lock. Charges may be lost, which only delays a promotion.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "vm/blocks/block.h"

namespace vmrun::tiering {

/// What of a loop's heat has paid for nothing yet.
inline uint32_t heat_of(const vm::LoopCode& loop) {
  const uint32_t sum = loop.heat.load(std::memory_order_relaxed), paid = loop.paid.load(std::memory_order_relaxed);
  return sum - std::min(sum, paid);
}

/// The heat of a module's own functions, by their index among these.
class HeatTable {
 public:
  explicit HeatTable(size_t functions) : sums_(zeros(functions)), paid_(zeros(functions)) {}

  /// False: there was no memory for it, and nothing else here may be called.
  bool exists() const { return sums_ != nullptr && paid_ != nullptr; }

  /// Returns what it is then.
  uint32_t charge(uint32_t function, uint32_t heat) {
    std::atomic<uint32_t>& sum = sums_[function];
    const uint32_t before = sum.load(std::memory_order_relaxed);
    const uint32_t after = before > UINT32_MAX - heat ? UINT32_MAX : before + heat;
    sum.store(after, std::memory_order_relaxed);
    return after;
  }
  uint32_t sum(uint32_t function) const { return sums_[function].load(std::memory_order_relaxed); }
  /// What another compile by the optimiser has to pay with: each unit of a function has to earn its own, or a program of
  /// many loops in one function would have all of them compiled at once.
  uint32_t unpaid(uint32_t function) const {
    return sum(function) - std::min(sum(function), paid_[function].load(std::memory_order_relaxed));
  }
  /// So much of the function's heat has paid for a compile by the optimiser.
  void pay(uint32_t function, uint32_t heat) {
    paid_[function].store(sum(function) - (unpaid(function) - std::min(unpaid(function), heat)),
                          std::memory_order_relaxed);
  }
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
