// Memory of fiber stacks: slabs of equal stacks, each with a guard below it, committed page by page as it is used.
//
// A process may have some 65,530 mappings, so a slab is one mapping and its guards are, where the kernel can
// (MADV_GUARD_INSTALL, Linux 6.13), marks in the page tables that split nothing. Elsewhere a guard is a protected page,
// which costs two mappings: only the first `max_guarded` stacks get one, and code on the others relies on checking its
// own limit (guest code does).
//
// Rules: every call takes the pool's mutex; the fibers kept for reuse stand before it, so calls are rare.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace vmrun::sched {

/// The usable part of a stack: [low, high), growing down from `high`.
struct StackBounds {
  std::byte* low = nullptr;
  std::byte* high = nullptr;
  size_t size() const { return static_cast<size_t>(high - low); }
};

class StackPool {
 public:
  /// Stacks of at least `stack_size` usable bytes, in slabs of `slab_stacks`; at most `max_guarded` guards that split
  /// mappings.
  explicit StackPool(size_t stack_size, size_t slab_stacks = 64, size_t max_guarded = 8192);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  /// A stack, zeroed or used before. Throws std::bad_alloc.
  StackBounds take();
  /// Gives back a stack of take() that nobody runs on. Its memory goes back to the system; so does the address space of
  /// a slab without any stack in use, if another slab has free ones.
  void give(StackBounds stack) noexcept;
  /// Makes sure that a stack is free. Throws std::bad_alloc.
  void reserve_one();

  size_t stack_size() const { return stack_size_; }
  /// Stacks handed out, and mappings in use (one a slab, and two a guard where guards split them).
  size_t in_use() const;
  size_t mappings() const;
  /// Whether this kernel's guards split no mapping.
  bool light_guards() const { return light_guards_; }

 private:
  struct Slab {
    size_t guarded = 0;            // by protected pages
    std::vector<std::byte*> free;  // low ends, above the guard
    Slab* prev = nullptr;          // in the list of those with free stacks
    Slab* next = nullptr;
  };
  using Slabs = std::map<std::byte*, Slab>;  // by their ends

  void add_slab();
  void link(Slab& slab);
  void unlink(Slab& slab);

  const size_t guard_size_;
  const size_t stack_size_;
  const size_t slab_stacks_;
  const size_t max_guarded_;
  mutable std::mutex mutex_;
  Slabs slabs_;
  Slab* first_ = nullptr;  // with free stacks
  std::atomic<size_t> free_{0};
  size_t in_use_ = 0;
  size_t guarded_ = 0;  // by protected pages
  bool light_guards_ = true;
};

}  // namespace vmrun::sched
