// How long things took, by powers of two.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)
namespace vmrun {

/// counts[i] is how many took from 2^i to 2^(i+1) - 1 nanoseconds; counts[0] has those of 0 too, the last one all that took
/// longer.
struct Durations {
  static constexpr size_t kRanges = 40;
  std::array<uint64_t, kRanges> counts{};
  std::chrono::nanoseconds sum{};  ///< of all

  uint64_t total() const {
    uint64_t all = 0;
    for (const uint64_t n : counts) all += n;
    return all;
  }
  /// What the given share of all (0 to 1) did not exceed, rounded up to the end of a range; 0 where there are none.
  std::chrono::nanoseconds percentile(double share) const {
    const uint64_t all = total();
    uint64_t seen = 0;
    for (size_t i = 0; i < kRanges; ++i) {
      seen += counts[i];
      if (seen != 0 && static_cast<double>(seen) >= share * static_cast<double>(all)) {
        return std::chrono::nanoseconds((int64_t{2} << i) - 1);
      }
    }
    return {};
  }
};

}  // namespace vmrun
#pragma GCC visibility pop
