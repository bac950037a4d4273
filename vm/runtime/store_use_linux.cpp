// See store_use.h.
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/runtime/store_use.h"

namespace vmrun::vm {
namespace {

constexpr char kOneAtATime[] = ": one thread at a time uses a store";

#ifdef VMRUN_ASSERTIONS
/// The kernel's number of the calling thread, which need not have run a guest.
int32_t own_number() {
  if (thread_number != 0) return thread_number;
  static thread_local const int32_t number = static_cast<int32_t>(syscall(SYS_gettid));
  return number;
}
#endif

[[gnu::cold]] Error runs_elsewhere(int32_t thread) {
  return Error(ErrorKind::Usage,
               "a guest of this store runs on another thread, number " + std::to_string(thread) + kOneAtATime);
}

#ifdef VMRUN_ASSERTIONS
[[gnu::cold]] Error changed_elsewhere(int32_t thread) {
  return Error(ErrorKind::Usage,
               "another thread, number " + std::to_string(thread) + ", is changing this store" + kOneAtATime);
}
#endif

}  // namespace

std::optional<Error> other_user(const Store& store) {
  const int32_t runs_on = store.vcpu().thread.load(std::memory_order_relaxed);
  if (runs_on > 0 && runs_on != thread_number) [[unlikely]]
    return runs_elsewhere(runs_on);
#ifdef VMRUN_ASSERTIONS
  const int32_t user = store.user.load(std::memory_order_relaxed);
  if (user != 0 && user != own_number()) return changed_elsewhere(user);
#endif
  return std::nullopt;
}

StoreUse::StoreUse(Store& store) : refused_(other_user(store)) {
#ifdef VMRUN_ASSERTIONS
  // Hooks that make memories are the embedder's own: they may wait, and go on with the store on another thread.
  if (refused_ || store.pool()->is_hosted()) return;
  int32_t user = 0;
  if (store.user.compare_exchange_strong(user, own_number(), std::memory_order_acquire)) {
    marked_ = &store;
  } else if (user != own_number()) {
    refused_ = changed_elsewhere(user);
  }
#endif
}

StoreUse::~StoreUse() {
#ifdef VMRUN_ASSERTIONS
  if (marked_ != nullptr) marked_->user.store(0, std::memory_order_release);
#endif
}

}  // namespace vmrun::vm
