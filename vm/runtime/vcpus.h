// All vCPUs of the process, for those who must look at every one's stack.
//
// Threads: there is a list for each stripe (vm/base/stripe.h), so that threads that make and drop stores all the time do not meet
// at one lock. A mutex guards each list; for_each calls under it, one list after the other, so what it calls takes no vCPU away,
// blocks on no guest and is quick. A vCPU that is there from beginning to end is visited once, since it stays in its list; one
// that enters a list already walked sees all that was written before the walk. A vCPU's stacks may be looked at from outside
// only while it is held still (StillVcpu) or has no activation.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "vm/runtime/instance.h"

namespace vmrun::vm {

/// A vCPU's place in the list, from its owner's birth to its death.
class VcpuEntry {
 public:
  explicit VcpuEntry(Vcpu& cx);
  ~VcpuEntry();
  VcpuEntry(const VcpuEntry&) = delete;
  VcpuEntry& operator=(const VcpuEntry&) = delete;

  Vcpu& cx;
  /// The number of the last walk over all stacks that this vCPU's have been part of (jit/code/reclaim.h), under its lock.
  uint64_t walked = 0;

 private:
  friend void for_each_vcpu(void (*)(void*, VcpuEntry&), void*);
  const size_t stripe_;
  VcpuEntry* previous_ = nullptr;
  VcpuEntry* next_ = nullptr;
};

void for_each_vcpu(void (*visit)(void* env, VcpuEntry& entry), void* env);

/// Keeps a suspended vCPU from being resumed meanwhile (which then waits, spinning: only for a walk of its stacks).
/// False: it runs, or nobody has suspended it.
class StillVcpu {
 public:
  explicit StillVcpu(Vcpu& cx);
  ~StillVcpu();
  StillVcpu(const StillVcpu&) = delete;
  StillVcpu& operator=(const StillVcpu&) = delete;
  explicit operator bool() const { return held_; }

 private:
  Vcpu& cx_;
  bool held_;
};

}  // namespace vmrun::vm
