// Memories and stacks by the embedder: C functions as the hooks of the C++ API.
#include <memory>
#include <optional>
#include <string>

#include "capi/handles.h"
#include "capi/tasks.h"
#include "vmrun/base/memory_hooks.h"
#include "vmrun/executor.h"

using namespace vmrun;
using namespace vmrun::capi;

namespace {

/// The hooks that somebody gave; the finalizer is called with the last reference.
template <class Hooks>
std::shared_ptr<const Hooks> keep(const Hooks& hooks) {
  try {
    return {new Hooks(hooks), [](const Hooks* kept) {
              if (kept->finalizer != nullptr) kept->finalizer(kept->env);
              delete kept;
            }};
  } catch (const std::bad_alloc&) {
    if (hooks.finalizer != nullptr) hooks.finalizer(hooks.env);
    throw;
  }
}

vmrun_host_memory_t to_c(const HostMemory& memory) {
  return {reinterpret_cast<byte_t*>(memory.base), memory.capacity, memory.handle};
}

MemoryHooks memory_hooks(const vmrun_memory_hooks_t& given) {
  const auto hooks = keep(given);
  MemoryHooks out;
  if (hooks->create != nullptr) {
    out.create = [hooks](const MemoryRequest& wanted) -> Result<HostMemory> {
      const vmrun_memory_request_t request = {wanted.bytes, wanted.max_bytes, wanted.reservation, wanted.shared};
      vmrun_host_memory_t made = {};
      if (!hooks->create(hooks->env, &request, &made)) {
        return Error(ErrorKind::Host,
                     "the embedder's hook gave no memory of " + std::to_string(wanted.bytes) + " bytes");
      }
      return HostMemory{reinterpret_cast<std::byte*>(made.base), made.capacity, made.handle};
    };
  }
  if (hooks->grow != nullptr) {
    out.grow = [hooks](const HostMemory& memory, uint64_t from, uint64_t to) {
      const vmrun_host_memory_t which = to_c(memory);
      return hooks->grow(hooks->env, &which, from, to);
    };
  }
  out.release = [hooks](const HostMemory& memory) {
    const vmrun_host_memory_t which = to_c(memory);
    if (hooks->release != nullptr) hooks->release(hooks->env, &which);
  };
  out.guarded = hooks->guarded;
  return out;
}

StackHooks stack_hooks(const vmrun_stack_hooks_t& given) {
  const auto hooks = keep(given);
  StackHooks out;
  if (hooks->allocate != nullptr) {
    out.allocate = [hooks](size_t bytes) -> std::optional<HostStack> {
      vmrun_host_stack_t made = {};
      if (!hooks->allocate(hooks->env, bytes, &made)) return std::nullopt;
      return HostStack{reinterpret_cast<std::byte*>(made.low), made.size, made.handle};
    };
  }
  out.release = [hooks](const HostStack& stack) {
    const vmrun_host_stack_t which = {reinterpret_cast<byte_t*>(stack.low), stack.size, stack.handle};
    if (hooks->release != nullptr) hooks->release(hooks->env, &which);
  };
  return out;
}

}  // namespace

void vmrun_config_set_memory_hooks(wasm_config_t* config, const vmrun_memory_hooks_t* hooks) {
  guarded([&] {
    config->config.memory_hooks.reset();
    if (hooks != nullptr) config->config.memory_hooks = memory_hooks(*hooks);
  });
}

vmrun_executor_t* vmrun_executor_new_with_stacks(unsigned workers, size_t stack_bytes,
                                                 const vmrun_stack_hooks_t* hooks) {
  return guarded([&] {
    ExecutorConfig config;
    config.workers = workers;
    if (stack_bytes != 0) config.stack_bytes = stack_bytes;
    if (hooks != nullptr) config.stack_hooks = stack_hooks(*hooks);
    return new_executor(config);
  });
}
