// Store: everything that running guests own - instances, memories, tables, globals, host functions - with its limits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "vmrun/base/result.h"
#include "vmrun/base/slot.h"
#include "vmrun/engine.h"
#include "vmrun/fwd.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// Limits of one store. What would go beyond one fails: growth returns -1 to the guest, creation an Error of kind
/// Limit, stack a trap.
struct StoreLimits {
  uint64_t memory_bytes = UINT64_MAX;    // of all linear memories together (each is bounded by its type anyway)
  uint64_t table_elements = 10'000'000;  // of all tables together
  uint64_t exception_bytes = 64u << 20;  // of exceptions that guests hold on to; a throw beyond traps (OutOfMemory)
  uint64_t instances = 100'000;
  // Of guest frames in all tiers. Machine code's also end with the native stack, and so do all of a task's whose instance
  // was made in it.
  uint64_t stack_bytes = 8u << 20;
  uint64_t fuel = 0;                  // with Config::fuel: units to begin with (Store::set_fuel)
  uint32_t host_depth = 200;          // host -> guest -> host ... nesting: bounds the host's own stack
  bool trap_on_grow_failure = false;  // memory.grow and table.grow that fail trap (OutOfMemory) instead of returning -1
  // Processor time of all calls into the store (Store::set_cpu_time_limit). Unset: neither limited nor counted.
  std::optional<std::chrono::nanoseconds> cpu_time = {};
};

/// Owns what instances are made of; all of it lives until the store dies, and every handle (Instance, Func, Memory,
/// Table, Global, Tag, Val with a reference) is a borrowed pointer into it. A handle of one store that is used in
/// another one is an Error. Does not move, because guests and host functions point to it. Must not die while a guest of
/// it runs.
///
/// THREADS. One thread at a time uses a store and its handles; only `interrupt` may be called from others. Guests that run at
/// the same time have a store each, and share no more than memories (SharedMemory). The store
/// may go from thread to thread between calls. While a guest waits in a host function, calls into the store come from
/// that host function, on the same stack.
///
/// SIGNALS. Traps need SIGSEGV, SIGBUS, SIGFPE and SIGILL, and `interrupt` needs SIGURG. The first call of a guest on a
/// thread unblocks them there, and they stay unblocked. Do not block them later on a thread that goes on calling guests:
/// a trap would end the process, and an interrupt would not reach a loop in compiled code.
class Store {
 public:
  explicit Store(const Engine& engine, const StoreLimits& limits = {});
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  /// A store for another thread of the same program: with the engine, the limits and the data() of `other`. Their memories
  /// together keep to the limit of one store, and half of the fuel of `other` moves over. By the thread that uses `other`,
  /// which may die first.
  static std::unique_ptr<Store> beside(Store& other);

  const Engine& engine() const { return engine_; }

  /// Makes the guest that runs in this store, or the next one that is called, trap with TrapCode::Interrupted soon. A
  /// WASI call that waits (for a descriptor, a clock, a peer) and memory.atomic.wait are ended, also where they suspend
  /// the task of an executor; a host function of the embedder's own runs to its end first, and its waits are not cut
  /// short. Any thread; async-signal-safe.
  void interrupt();
  /// Forgets an interrupt that nobody has taken yet. A Deadline that has passed goes on interrupting.
  void clear_interrupt();

  /// In an engine with Config::fuel: gives the store so much fuel in place of what it has. Also while a guest of it runs, from a host
  /// function: the guest goes on with that. Errors: Usage (an engine without).
  Result<void> set_fuel(uint64_t units);
  /// What is left; 0 in an engine without Config::fuel. In a host function and after a call, whichever way it ended, this
  /// is the same number in whatever tier the guest ran. After an interrupt it is only about right.
  uint64_t fuel() const;

  /// Processor time that calls into the store have taken, in all, since it was first limited: of the thread that made
  /// the call, from its beginning to its end, host functions and compiling on that thread included. Waiting takes none,
  /// and a task that is suspended takes none either. Of threads of a program (wasi-threads): of all of them. 0: it was
  /// never limited. Any thread.
  std::chrono::nanoseconds cpu_time() const;
  /// From the next call into the store on, its guests trap with TrapCode::Interrupted when cpu_time() is beyond
  /// `limit`, by a millisecond or two; all further calls do, too, until the limit is higher. nanoseconds::max(): it is
  /// counted only. A call costs half a microsecond more in such a store. By the thread that uses the store. Throws
  /// std::bad_alloc; std::system_error when the first limit of a process gets no thread.
  void set_cpu_time_limit(std::chrono::nanoseconds limit);

  /// Says that calls into this store are made on a stack of the embedder's own (a fiber's, a coroutine's) until further
  /// notice: [lowest, lowest + bytes), which grows down from its end. Without this, a call that does not come from its
  /// thread's own stack is refused (Usage), because nobody would stop a guest's recursion at its end. Guests leave the
  /// lowest 128 KiB (64 KiB of a stack of less than 192 KiB) to host functions and the runtime. Errors: Usage (a stack
  /// of less than kMinNativeStack bytes; a guest of the store is in a call).
  Result<void> set_native_stack(void* lowest, size_t bytes);
  /// Calls are made on their thread's own stack again. Errors: Usage (as above).
  Result<void> reset_native_stack();
  /// The least that guests run on. A call on a thread whose stack is smaller is refused (Usage).
  static constexpr size_t kMinNativeStack = size_t{128} << 10;

  /// Keeps the cell of an exnref alive until `unpin`, wherever the host holds it. Calls nest.
  void pin(Ref exnref);
  void unpin(Ref exnref);

  /// A pointer of the embedder's own; host functions reach it through Caller::data. Not owned.
  void set_data(void* data) { data_ = data; }
  void* data() const { return data_; }

  /// Committed by all linear memories now, those of stores beside it included, and at most so far. Any thread.
  uint64_t memory_bytes() const;
  uint64_t peak_memory_bytes() const;

  vm::Store& impl() const { return *impl_; }

 private:
  Store(const Engine& engine, std::unique_ptr<vm::Store> impl);
  Engine engine_;
  std::unique_ptr<vm::Store> impl_;
  void* data_ = nullptr;
};

/// A host function that switches to another stack makes the switch while it holds one of these. It says that the guest
/// which called does not run on this thread meanwhile: other stacks may call guests of other stores then, and the switch
/// back may come at any time, on any thread. A host function that calls other guests and waits for them needs none.
class GuestPause {
 public:
  GuestPause();
  ~GuestPause();
  GuestPause(const GuestPause&) = delete;
  GuestPause& operator=(const GuestPause&) = delete;

 private:
  vm::Vcpu* paused_;
  vm::RunClock* clocks_;
};

}  // namespace vmrun
#pragma GCC visibility pop
