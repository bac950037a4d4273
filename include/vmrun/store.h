// Store: everything that running guests own - instances, memories, tables, globals, host functions - with its limits.
#pragma once

#include <cstdint>
#include <memory>

#include "vmrun/engine.h"
#include "vmrun/fwd.h"
#include "vmrun/result.h"
#include "vmrun/slot.h"

namespace vmrun {

/// Limits of one store. What would go beyond one fails: growth returns -1 to the guest, creation an Error of kind
/// Limit, stack a trap.
struct StoreLimits {
  uint64_t memory_bytes = UINT64_MAX;    // of all linear memories together (each is bounded by its type anyway)
  uint64_t table_elements = 10'000'000;  // of all tables together
  uint64_t exception_bytes = 64u << 20;  // of exceptions that guests hold on to; a throw beyond traps (OutOfMemory)
  uint64_t instances = 100'000;
  uint64_t stack_bytes = 8u << 20;    // of guest frames in all tiers; machine code's also end with the native stack
  uint32_t host_depth = 200;          // host -> guest -> host ... nesting: bounds the host's own stack
  bool trap_on_grow_failure = false;  // memory.grow and table.grow that fail trap (OutOfMemory) instead of returning -1
};

/// Owns what instances are made of; all of it lives until the store dies, and every handle (Instance, Func, Memory,
/// Table, Global, Tag, Val with a reference) is a borrowed pointer into it. One thread at a time uses a store and its
/// handles; only `interrupt` may be called from others. Does not move, because guests and host functions point to it.
class Store {
 public:
  explicit Store(const Engine& engine, const StoreLimits& limits = {});
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const Engine& engine() const { return engine_; }

  /// Makes the guest that runs in this store, or the next one that is called, trap with TrapCode::Interrupted soon. Any
  /// thread; async-signal-safe.
  void interrupt();
  /// Forgets an interrupt that nobody has taken yet.
  void clear_interrupt();

  /// Keeps the cell of an exnref alive until `unpin`, wherever the host holds it. Calls nest.
  void pin(Ref exnref);
  void unpin(Ref exnref);

  /// A pointer of the embedder's own; host functions reach it through Caller::data. Not owned.
  void set_data(void* data) { data_ = data; }
  void* data() const { return data_; }

  uint64_t memory_bytes() const;  // committed by all linear memories now
  uint64_t peak_memory_bytes() const;

  vm::Store& impl() const { return *impl_; }

 private:
  Engine engine_;
  std::unique_ptr<vm::Store> impl_;
  void* data_ = nullptr;
};

}  // namespace vmrun
