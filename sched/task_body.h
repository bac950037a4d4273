// What a task runs: one callable, kept in the task's cell when it is small.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace vmrun::sched {

class TaskBody {
 public:
  static constexpr size_t inline_size = 64;

  template <class F>
  void emplace(F&& f) {
    using Fn = std::decay_t<F>;
    if constexpr (sizeof(Fn) <= inline_size && alignof(Fn) <= alignof(std::max_align_t)) {
      new (storage_) Fn(std::forward<F>(f));
      run_ = [](void* at, bool call) noexcept {
        Fn* fn = std::launder(static_cast<Fn*>(at));
        if (call) (*fn)();
        fn->~Fn();
      };
    } else {
      new (storage_) Fn*(new Fn(std::forward<F>(f)));
      run_ = [](void* at, bool call) noexcept {
        Fn* fn = *std::launder(static_cast<Fn**>(at));
        if (call) (*fn)();
        delete fn;
      };
    }
  }

  /// Calls the callable, once, and destroys it. An exception that leaves it ends the program, as a thread's does.
  void run() noexcept { run_(storage_, true); }
  /// Destroys it uncalled.
  void discard() noexcept { run_(storage_, false); }

 private:
  void (*run_)(void*, bool call) noexcept = nullptr;
  alignas(std::max_align_t) std::byte storage_[inline_size];
};

}  // namespace vmrun::sched
