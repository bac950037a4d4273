// Stacks of tasks that the embedder's hooks give.
#pragma once

#include <map>
#include <mutex>
#include <utility>

#include "sched/stack.h"
#include "vmrun/executor.h"

namespace vmrun {

/// Calls the hooks, and looks at what they give. Hooks are called without the lock.
class HostStacks final : public sched::StackSource {
 public:
  explicit HostStacks(StackHooks hooks) : hooks_(std::move(hooks)) {}
  sched::StackBounds take(size_t bytes) override;
  void give(sched::StackBounds stack) noexcept override;

 private:
  bool claim(const HostStack& stack);
  void call_release(const HostStack& stack) noexcept;

  const StackHooks hooks_;
  std::mutex lock_;
  std::map<std::byte*, HostStack> given_;  // by their ends
};

}  // namespace vmrun
