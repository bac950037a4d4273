// The list of vCPUs: see vcpus.h.
#include "vm/runtime/vcpus.h"

#include <mutex>

#include "vm/runtime/stop.h"

namespace vmrun::vm {
namespace {

std::mutex lock;
constinit VcpuEntry* first = nullptr;

}  // namespace

VcpuEntry::VcpuEntry(Vcpu& vcpu) : cx(vcpu) {
  std::lock_guard guard(lock);
  next_ = first;
  if (first != nullptr) first->previous_ = this;
  first = this;
}

VcpuEntry::~VcpuEntry() {
  std::lock_guard guard(lock);
  (previous_ != nullptr ? previous_->next_ : first) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

void for_each_vcpu(void (*visit)(void*, VcpuEntry&), void* env) {
  std::lock_guard guard(lock);
  for (VcpuEntry* entry = first; entry != nullptr; entry = entry->next_) visit(env, *entry);
}

StillVcpu::StillVcpu(Vcpu& cx) : cx_(cx) {
  int32_t expected = kSuspended;
  held_ = cx.thread.compare_exchange_strong(expected, kHeldStill, std::memory_order_acquire);
}

StillVcpu::~StillVcpu() {
  if (held_) cx_.thread.store(kSuspended, std::memory_order_release);
}

}  // namespace vmrun::vm
