// What a series of comparisons has done, counted by all its processes at once.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ways.h"

namespace vmrun::test {

class Counts {
 public:
  struct Way {
    std::atomic<uint64_t> modules{0}, lines{0}, cut{0}, microseconds{0};
  };

  /// In memory that this process's children share.
  static Counts& shared();

  Way& way(size_t index) { return ways_[index]; }
  std::atomic<uint64_t> different{0}, refused{0}, tried{0};
  std::atomic<uint64_t> guarded{0}, alone{0};  // memories, and those that stood in emptiness (canaries.h)

  /// Modules that another engine did not take, by what it said.
  void skipped(std::string_view why);

  /// One line a way, then what was skipped.
  void print(const std::vector<test::Way>& ways) const;

 private:
  static constexpr size_t kWays = 64, kReasons = 24;
  struct Reason {
    std::array<char, 80> text{};
    std::atomic<uint64_t> modules{0};
  };
  std::array<Way, kWays> ways_;
  std::atomic_flag lock_;
  std::array<Reason, kReasons> reasons_;
};

}  // namespace vmrun::test
