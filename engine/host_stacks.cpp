// See host_stacks.h.
#include "engine/host_stacks.h"

#include <cstdint>
#include <exception>
#include <new>

#include "vm/base/log.h"
#include "vm/runtime/probe.h"

namespace vmrun {
namespace {

constexpr size_t kStackAlignment = 16;

/// Made at the first message: a static object would read VMRUN_LOG before the program has looked at it.
const vm::Log& stack_log() {
  static const vm::Log log("memory");
  return log;
}

/// What is wrong with it; null: nothing.
const char* wrong_stack(const HostStack& stack, size_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(stack.low);
  if (at == 0) return "it is nowhere (a null end)";
  if (at % kStackAlignment != 0 || stack.size % kStackAlignment != 0) return "its ends are no multiples of 16";
  if (stack.size < bytes) return "it is smaller than what was asked for";
  if (at >> 47 != 0 || stack.size > (uintptr_t{1} << 47) - at) return "it would end beyond all addresses";
  if (!vm::is_writable(stack.low) || !vm::is_writable(stack.low + stack.size - 1)) return "it cannot be written";
  return nullptr;
}

}  // namespace

bool HostStacks::claim(const HostStack& stack) {
  std::byte* const end = stack.low + stack.size;
  std::lock_guard hold(lock_);
  const auto after = given_.upper_bound(stack.low);
  if (after != given_.end() && after->second.low < end) return false;
  given_.emplace_hint(after, end, stack);
  return true;
}

void HostStacks::call_release(const HostStack& stack) noexcept try {
  if (hooks_.release) hooks_.release(stack);
} catch (...) {
  VMRUN_LOG_AT(stack_log(), error, "the embedder's hook that releases stacks threw: what it did not do stays undone");
}

sched::StackBounds HostStacks::take(size_t bytes) {
  std::optional<HostStack> stack;
  try {
    if (hooks_.allocate) stack = hooks_.allocate(bytes);
  } catch (...) {
    VMRUN_LOG_AT(stack_log(), error, "the embedder's hook for stacks threw: a task fails");
    throw std::bad_alloc();
  }
  if (!stack) {
    VMRUN_LOG_AT(stack_log(), warn, "the embedder's hook gave no stack of {} bytes: a task fails", bytes);
    throw std::bad_alloc();
  }
  const char* why = wrong_stack(*stack, bytes);
  try {
    if (why == nullptr && !claim(*stack)) why = "another task has some of its bytes";
  } catch (const std::bad_alloc&) {
    call_release(*stack);
    throw;
  }
  if (why != nullptr) {
    VMRUN_LOG_AT(stack_log(), error, "a stack from the embedder's hook is refused, and a task fails: {}", why);
    call_release(*stack);
    throw std::bad_alloc();
  }
  return {stack->low, stack->low + stack->size};
}

void HostStacks::give(sched::StackBounds stack) noexcept {
  HostStack given;
  {
    std::lock_guard hold(lock_);
    const auto at = given_.find(stack.high);
    given = at->second;
    given_.erase(at);
  }
  call_release(given);
}

}  // namespace vmrun
