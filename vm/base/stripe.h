// Stripes: what all threads change is split into parts, and a thread changes the part of its stripe. Two processors then do not
// take the same cache line from each other all the time. Threads may share a stripe; so a part is still for any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace vmrun::vm {

/// As many as threads that make instances all the time, on a large machine; each costs a few hundred bytes.
inline constexpr size_t kStripes = 16;
/// Parts stand so far apart: processors fetch cache lines in pairs.
inline constexpr size_t kStripeAlign = 128;

/// The stripe of the calling thread, which keeps it. Threads get them in turns. A task that moves to another thread meanwhile
/// works on the part of the earlier one, which is as good.
size_t stripe() noexcept;

/// A number that threads add to, and that is read seldom.
class StripedCount {
 public:
  constexpr StripedCount() = default;
  void add(uint64_t n) noexcept { parts_[stripe()].n.fetch_add(n, std::memory_order_relaxed); }
  void subtract(uint64_t n) noexcept { parts_[stripe()].n.fetch_sub(n, std::memory_order_relaxed); }
  /// The sum, also where one part has wrapped around because another thread took away what this one added.
  uint64_t load() const noexcept {
    uint64_t sum = 0;
    for (const Part& part : parts_) sum += part.n.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(kStripeAlign) Part {
    std::atomic<uint64_t> n{0};
  };
  std::array<Part, kStripes> parts_{};
};

/// Another reference to `thing` with a count of its own, in cache lines of its own: who copies it changes no line that other
/// references' users read. Throws std::bad_alloc.
template <class T>
std::shared_ptr<T> counted_apart(std::shared_ptr<T> thing) {
  struct alignas(kStripeAlign) Keeper {
    std::shared_ptr<T> thing;
    // Nobody refers to the thing by this count any more. The count itself, and this beside it, stay as long as weak references do.
    void operator()(T*) noexcept { thing.reset(); }
  };
  T* const what = thing.get();
  return std::shared_ptr<T>(what, Keeper{std::move(thing)});
}

/// References to one thing with a count for each stripe. It lives as long as this or any copy does; it must not own this.
template <class T>
class StripedRef {
 public:
  StripedRef() = default;
  /// Throws std::bad_alloc.
  explicit StripedRef(const std::shared_ptr<T>& thing) {
    for (std::shared_ptr<T>& ref : refs_) ref = counted_apart(thing);
  }
  /// That of the calling thread's stripe, to be copied.
  const std::shared_ptr<T>& ref() const noexcept { return refs_[stripe()]; }
  const std::shared_ptr<T>& ref(size_t stripe) const noexcept { return refs_[stripe]; }

 private:
  std::array<std::shared_ptr<T>, kStripes> refs_;
};

}  // namespace vmrun::vm
