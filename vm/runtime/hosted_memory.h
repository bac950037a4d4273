// Linear memories that the embedder's hooks make: calls the hooks, and looks at what they give.
//
// Threads: any. The lock covers the list of memories; hooks are called outside of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "vm/wasm/types.h"
#include "vmrun/base/memory_hooks.h"
#include "vmrun/base/result.h"

namespace vmrun::vm {

struct MemoryMapping;

class HostedMemories {
 public:
  explicit HostedMemories(MemoryHooks hooks) : hooks_(std::move(hooks)) {}
  HostedMemories(const HostedMemories&) = delete;
  HostedMemories& operator=(const HostedMemories&) = delete;

  /// Whether the hooks promise guards.
  bool guards() const { return hooks_.guarded; }
  /// As MemoryPool::acquire. Errors: Host (what was given does not fit), and those of the hook.
  Result<MemoryMapping> acquire(const MemoryType& type, uint64_t bytes, uint64_t max_bytes);
  /// Makes the first `bytes` accessible, which are more than before. False: the memory is as it was.
  bool grow(MemoryMapping& mapping, uint64_t bytes) noexcept;
  void release(const MemoryMapping& mapping) noexcept;

 private:
  /// Claims [base, base + bytes) for a memory: false, if another one of these has a byte of it.
  bool claim(const std::byte* base, uint64_t bytes);
  void unclaim(const std::byte* base);
  Result<HostMemory> call_create(const MemoryRequest& request);
  void call_release(const HostMemory& memory) noexcept;

  const MemoryHooks hooks_;
  std::mutex lock_;
  std::map<const std::byte*, const std::byte*> claims_;  // by beginning: the end
};

}  // namespace vmrun::vm
