// A shelf of a MemoryPool: free guarded mappings and VM stacks that wait for their next user.
//
// Threads: any. Its lock covers its lists and numbers, and nothing that takes long happens under it. Putting something back never
// allocates: the lists have room for what they hold at most, and for what a trim has taken out meanwhile.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

#include "vm/base/stripe.h"
#include "vm/runtime/memory.h"

namespace vmrun::vm {

struct FreeStack {
  std::byte* base;
  size_t bytes;
  enum : uint8_t { Cold, Warm, Deep } how;  // none, few or all of its pages have stayed
};

struct alignas(kStripeAlign) Shelf {
  std::mutex lock;
  std::vector<MemoryMapping> guarded;
  std::vector<FreeStack> stacks;
  size_t most = 0;      // of each that may be put here
  size_t deep = 0;      // of the stacks, Deep
  size_t may_deep = 0;  // of them that may be; taken from the pool's number until it is trimmed
  // Bytes that are charged to the pool as resident and are not: the next ones that memories of this stripe keep.
  std::atomic<uint64_t> spare{0};

  /// Before its first use. Throws std::bad_alloc.
  void hold_at_most(size_t count) {
    most = count;
    stacks.reserve(count + 1);
    guarded.reserve(count + 2);  // the pool's first one, too
  }

  /// Takes a mapping: the newest of which so many bytes are accessible, or if `any` the newest. False: there is none.
  bool take(uint64_t accessible, bool any, MemoryMapping& mapping) {
    std::lock_guard hold(lock);
    for (size_t i = guarded.size(); i-- > 0;) {
      if (!any && guarded[i].accessible != accessible) continue;
      mapping = guarded[i];
      guarded[i] = guarded.back();
      guarded.pop_back();
      return true;
    }
    return false;
  }
  /// Takes a stack of that size; null: there is none.
  std::byte* take_stack(size_t bytes) {
    std::lock_guard hold(lock);
    for (size_t i = stacks.size(); i-- > 0;) {
      if (stacks[i].bytes != bytes) continue;
      const FreeStack stack = stacks[i];
      stacks[i] = stacks.back();
      stacks.pop_back();
      if (stack.how == FreeStack::Deep) --deep;
      return stack.base;
    }
    return nullptr;
  }

  /// False: it is full.
  bool put(const MemoryMapping& mapping) {
    std::lock_guard hold(lock);
    if (guarded.size() >= most) return false;
    guarded.push_back(mapping);
    return true;
  }
  bool put(const FreeStack& stack) {
    std::lock_guard hold(lock);
    if (stacks.size() >= most) return false;
    stacks.push_back(stack);
    return true;
  }
  /// Puts a stack whose pages all stay. False: it is full, or there are as many of them as `left` once said.
  bool put_deep(std::byte* base, size_t bytes, std::atomic<size_t>& left) {
    std::lock_guard hold(lock);
    if (stacks.size() >= most) return false;
    if (deep == may_deep) {
      size_t have = left.load(std::memory_order_relaxed);
      do {
        if (have == 0) return false;
      } while (!left.compare_exchange_weak(have, have - 1, std::memory_order_relaxed));
      ++may_deep;
    }
    ++deep;
    stacks.push_back({base, bytes, FreeStack::Deep});
    return true;
  }
  /// In a child after fork. Another thread of the parent was changing the shelf if its lock is taken, and will not go on here: what
  /// lies on it stays mapped, and nothing is put there any more.
  void take_from_parent() {
    if (lock.try_lock()) {
      lock.unlock();
      return;
    }
    new (&lock) std::mutex;
    new (&guarded) std::vector<MemoryMapping>;
    new (&stacks) std::vector<FreeStack>;
    most = deep = may_deep = 0;
  }
  /// Gives back what nobody uses of `may_deep`.
  void give_back_deep(std::atomic<size_t>& left) {
    std::lock_guard hold(lock);
    left.fetch_add(may_deep - deep, std::memory_order_relaxed);
    may_deep = deep;
  }
};

}  // namespace vmrun::vm
