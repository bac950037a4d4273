// The lists of vCPUs: see vcpus.h.
#include "vm/runtime/vcpus.h"

#include <pthread.h>

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

void lock_all() {
  for (List& list : lists) list.lock.lock();
}
void unlock_all() {
  for (List& list : lists) list.lock.unlock();
}

}  // namespace

VcpuEntry::VcpuEntry(Vcpu& vcpu) : cx(vcpu), stripe_(stripe()) {
  // A child may end by exit, and its stores with it: it gets the locks free, whatever other threads of its parent were at.
  static const int before_forks = pthread_atfork(lock_all, unlock_all, unlock_all);
  (void)before_forks;  // without memory for that, such a child may wait for ever
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
