// Who is to be told that a guest was interrupted which waits where no stop signal reaches it: suspended, on no thread.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace vmrun::vm {

/// Set, for as long as the guest may be suspended, by who suspends it.
class Waker {
 public:
  using Wake = void (*)(void* env);

  /// From now on wake() calls `call(env)`, which is async-signal-safe and may come on several threads at a time. It makes
  /// whoever waits for the guest look at Vcpu::interrupt. None is set.
  void set(Wake call, void* env) {
    env_ = env;
    call_.store(call, std::memory_order_release);
  }
  /// When it has returned, nobody is in the call any more.
  void clear() {
    call_.store(nullptr, std::memory_order_seq_cst);
    while (inside_.load(std::memory_order_seq_cst) != 0) ::sched_yield();
  }
  /// Any thread; async-signal-safe.
  void wake() {
    inside_.fetch_add(1, std::memory_order_seq_cst);
    if (Wake call = call_.load(std::memory_order_seq_cst)) call(env_);
    inside_.fetch_sub(1, std::memory_order_release);
  }

 private:
  std::atomic<Wake> call_{nullptr};
  void* env_ = nullptr;
  std::atomic<uint32_t> inside_{0};
};

}  // namespace vmrun::vm
