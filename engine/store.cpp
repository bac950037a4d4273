// Store: the embedder's end of vm::Store.
#include "vmrun/store.h"

#include "engine/engine_impl.h"
#include "vm/store.h"

namespace vmrun {

static_assert(sizeof(StoreLimits) == sizeof(vm::Store::Limits));

Store::Store(const Engine& engine, const StoreLimits& limits)
    : engine_(engine),
      impl_(std::make_unique<vm::Store>(
          engine.impl()->pool, engine.impl()->registry,
          vm::Store::Limits{limits.memory_bytes, limits.table_elements, limits.exception_bytes, limits.instances,
                            limits.stack_bytes, limits.host_depth, limits.trap_on_grow_failure})) {
  impl_->owner = this;
}

Store::~Store() = default;

void Store::interrupt() { impl_->interrupt(); }
void Store::clear_interrupt() { impl_->vcpu().interrupt.store(false, std::memory_order_relaxed); }

void Store::pin(Ref exnref) {
  if (!exnref.is_null()) impl_->exns().pin(exnref.as<vm::ExnCell>());
}
void Store::unpin(Ref exnref) {
  if (!exnref.is_null()) impl_->exns().unpin(exnref.as<vm::ExnCell>());
}

uint64_t Store::memory_bytes() const { return impl_->memory_bytes(); }
uint64_t Store::peak_memory_bytes() const { return impl_->peak_memory_bytes(); }

}  // namespace vmrun
