// The lists of vCPUs: see vcpus.h.
#include "vm/runtime/vcpus.h"

#include <array>
#include <mutex>

#include "vm/base/stripe.h"
#include "vm/runtime/stop.h"

namespace vmrun::vm {
namespace {

struct alignas(kStripeAlign) List {
  std::mutex lock;
  VcpuEntry* first = nullptr;
};
constinit std::array<List, kStripes> lists{};

}  // namespace

VcpuEntry::VcpuEntry(Vcpu& vcpu) : cx(vcpu), stripe_(stripe()) {
  List& list = lists[stripe_];
  std::lock_guard guard(list.lock);
  next_ = list.first;
  if (next_ != nullptr) next_->previous_ = this;
  list.first = this;
}

VcpuEntry::~VcpuEntry() {
  List& list = lists[stripe_];
  std::lock_guard guard(list.lock);
  (previous_ != nullptr ? previous_->next_ : list.first) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

void for_each_vcpu(void (*visit)(void*, VcpuEntry&), void* env) {
  for (List& list : lists) {
    std::lock_guard guard(list.lock);
    for (VcpuEntry* entry = list.first; entry != nullptr; entry = entry->next_) visit(env, *entry);
  }
}

StillVcpu::StillVcpu(Vcpu& cx) : cx_(cx) {
  int32_t expected = kSuspended;
  held_ = cx.thread.compare_exchange_strong(expected, kHeldStill, std::memory_order_acquire);
}

StillVcpu::~StillVcpu() {
  if (held_) cx_.thread.store(kSuspended, std::memory_order_release);
}

}  // namespace vmrun::vm
