// Memory of fiber stacks: slabs of equal places, each with a stack, a guard below it and, if asked for, an annex above it.
// All is committed page by page as it is used.
//
//   ... guard | stack, growing down | annex ......... guard ......... | guard | stack ...
//
// The annex is room for whoever runs tasks: a task's own data that is worth a place beside its stack, where both share
// pages of memory and of page tables.
//
// A process may have some 65,530 mappings, so a slab is one mapping and its guards are, where the kernel can
// (MADV_GUARD_INSTALL, Linux 6.13), marks in the page tables that split nothing. Elsewhere a guard is a protected page,
// which costs two mappings: only the first `max_guarded` guards are made, and code on the other stacks relies on checking
// its own limit (guest code does). A guard is made when its place is first used.
//
// Where somebody else provides stacks (StackSource), a pool hands those out, without guards and annexes of its own.
//
// Rules: every call takes the pool's mutex; the fibers kept for reuse stand before it, so calls are rare.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace vmrun::sched {

/// The usable part of a stack: [low, high), growing down from `high`.
struct StackBounds {
  std::byte* low = nullptr;
  std::byte* high = nullptr;
  size_t size() const { return static_cast<size_t>(high - low); }
};

/// What lies above a stack.
struct AnnexShape {
  size_t shared = 0;  // its bytes in the stack's highest page, a multiple of 64: the stack begins below them
  size_t size = 0;    // its bytes beyond that page; 0: there is no annex
  size_t guard = 0;   // where beyond that page a page lies that nobody may touch; 0: nowhere
};

/// Where stacks come from, if not from a pool's own slabs. Any thread, several at once.
class StackSource {
 public:
  virtual ~StackSource() = default;
  /// At least so many bytes, both ends multiples of 16. Throws std::bad_alloc.
  virtual StackBounds take(size_t bytes) = 0;
  /// Nobody runs on it any more.
  virtual void give(StackBounds stack) noexcept = 0;
};

/// Whether this kernel has guards that split no mapping.
bool has_light_guards();

class StackPool {
 public:
  /// Of the some 32,000 guards that a process has mappings for.
  static constexpr size_t kMostGuarded = 8192;

  /// Stacks of at least `stack_size` usable bytes, in slabs of `slab_stacks`; at most `max_guarded` guards that split
  /// mappings. With a `source` all stacks are its own, and there are no annexes.
  explicit StackPool(size_t stack_size, size_t slab_stacks = 64, size_t max_guarded = kMostGuarded,
                     const AnnexShape& annex = {}, std::shared_ptr<StackSource> source = nullptr);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  /// A stack, zeroed or used before. Throws std::bad_alloc.
  StackBounds take();
  /// Gives back a stack of take() on which nobody runs and whose annex nobody uses. Its memory goes back to the system,
  /// that of its annex too; so does the address space of a slab without any stack in use, if another slab has free ones.
  void give(StackBounds stack) noexcept;
  /// Makes sure that a stack is free. Throws std::bad_alloc.
  void reserve_one();
  /// Whether the stack has an annex, from its high end on: there may have been no address space for it.
  bool has_annex(StackBounds stack) const;

  const AnnexShape& annex() const { return annex_; }
  size_t stack_size() const { return stack_size_; }
  /// Stacks handed out, and mappings in use (one a slab, and two a guard where guards split them).
  size_t in_use() const;
  size_t mappings() const;
  /// Whether the guards so far split no mapping.
  bool light_guards() const { return light_guards_; }

 private:
  struct Slab {
    std::byte* base = nullptr;  // where its first place begins
    size_t places = 0;
    size_t made = 0;               // places with guards; the others have not been used yet
    size_t used = 0;               // places handed out
    size_t guarded = 0;            // protected pages
    bool annexed = false;          // there was address space for annexes
    std::vector<std::byte*> free;  // the beginnings of places that were given back
    Slab* prev = nullptr;          // in the list of those with free places
    Slab* next = nullptr;
  };
  using Slabs = std::map<std::byte*, Slab>;  // by their ends

  size_t step(bool annexed) const;
  StackBounds stack_at(std::byte* place) const;
  std::byte* map_slab(size_t places, bool annexed) const;
  void add_slab();
  void guard(Slab& slab, std::byte* page);
  void link(Slab& slab);
  void unlink(Slab& slab);

  const size_t page_;
  const size_t stack_size_;
  const size_t slab_stacks_;
  const size_t max_guarded_;
  const AnnexShape annex_;
  const std::shared_ptr<StackSource> source_;
  mutable std::mutex mutex_;
  Slabs slabs_;
  Slab* first_ = nullptr;  // with free stacks
  std::atomic<size_t> free_{0};
  size_t in_use_ = 0;
  size_t guarded_ = 0;  // by protected pages
  bool light_guards_ = true;
};

}  // namespace vmrun::sched
