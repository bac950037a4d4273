// How many calls a reactor has seen, by kind.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vmrun::io {

/// What a call does.
enum class Call : uint8_t { Read, Write, Accept, Connect, Receive, Send, Sync, Wait };
inline constexpr size_t call_kinds = 8;

/// Calls that have ended. Threads add to different lines of the cache, as far as there are enough.
class Done {
 public:
  void add(Call call) noexcept { of_thread()[static_cast<size_t>(call)].fetch_add(1, std::memory_order_relaxed); }
  std::array<uint64_t, call_kinds> sums() const noexcept;

 private:
  using Counts = std::array<std::atomic<uint64_t>, call_kinds>;
  struct alignas(64) Line {
    Counts counts{};
  };
  /// Never inlined: its caller may have begun on another thread, whose number a compiler could have kept.
  [[gnu::noinline]] Counts& of_thread() noexcept;

  std::array<Line, 16> lines_;
};

}  // namespace vmrun::io
