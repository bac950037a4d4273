// MemoryHooks: linear memories in address space of the embedder's own, for hosts that have rules about where memory
// comes from: a pool that they measure, huge pages, a device's memory, a system that forbids mmap or mprotect.
//
//   vmrun::Config config;
//   config.memory_hooks = vmrun::MemoryHooks{.create = [](const vmrun::MemoryRequest& wanted) { ... }, ...};
//   vmrun::Engine engine(config);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "vmrun/base/result.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// What a linear memory needs.
struct MemoryRequest {
  /// Its size at first: accessible at once.
  uint64_t bytes = 0;
  /// What it may grow to by its type and the store's limits, often far more than there is: UINT64_MAX for a 64-bit
  /// memory without a maximum.
  uint64_t max_bytes = 0;
  /// Of hooks that promise guards, for memories that rely on them: all of so many bytes from the base on are reserved,
  /// and those beyond the size fault. 0: accesses are checked, and nothing need lie behind the memory.
  uint64_t reservation = 0;
  /// Guests of several threads may use it, and grow it, at once.
  bool shared = false;
};

/// A linear memory that a hook has made.
struct HostMemory {
  /// A multiple of kAlignment.
  std::byte* base = nullptr;
  /// What it may grow to without moving: at least MemoryRequest::bytes. What is beyond max_bytes is not used.
  uint64_t capacity = 0;
  /// The embedder's own.
  void* handle = nullptr;

  static constexpr size_t kAlignment = 4096;
};

/// Where all linear memories of an engine come from. They are called by any thread, several at once, on the stack of
/// whoever makes, grows or drops a memory, a guest's too. They call neither guests nor anything of the store. All of
/// them, and what they own, live until the last memory of the engine is gone.
///
/// What they give is looked at, as far as that is cheap: alignment, size, that no two memories overlap, that the bytes
/// can be read and the first one written, that guards are there at both ends of what is reserved. Builds with
/// assertions look at all bytes. What does not fit is released again and fails as if there were no memory: one
/// instantiation, with an Error of kind Host that says what was wrong, or one growth, which gives the guest -1. The log
/// says so too (VMRUN_LOG=memory). A hook that throws fails likewise; the exception goes no further.
struct MemoryHooks {
  /// A memory whose first `bytes` can be read and written and are zero; an error (of any kind) is what the
  /// instantiation fails with.
  std::function<Result<HostMemory>(const MemoryRequest& wanted)> create = {};
  /// Makes the bytes [from, to) accessible and zero; `to` is at most the capacity. False: there is no room, and nothing
  /// has changed. Shared memories grow one call at a time. None: all of the capacity is accessible and zero from
  /// the beginning.
  std::function<bool(const HostMemory& memory, uint64_t from, uint64_t to)> grow = {};
  /// Nobody uses it any more. None: nothing is to be done.
  std::function<void(const HostMemory& memory)> release = {};
  /// Promises guards (MemoryRequest::reservation). Then code leaves the checks of 32-bit addresses out, as in
  /// memories of the engine's own, and a guest of an embedder who breaks the promise may read and write what is not its
  /// own. Without it, all accesses are checked.
  bool guarded = false;
};

}  // namespace vmrun
#pragma GCC visibility pop
