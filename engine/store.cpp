// Store: the embedder's end of vm::Store.
#include "vmrun/store.h"

#include <algorithm>

#include "engine/cpu_time.h"
#include "engine/engine_impl.h"
#include "engine/freed_memory.h"
#include "vm/base/assert.h"
#include "vm/runtime/native_stack.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/runtime/store_use.h"

namespace vmrun {

static_assert(Store::kMinNativeStack == vm::kMinNativeStack &&
              vm::kMinNativeStack > vm::host_reserve(vm::kMinNativeStack));
static_assert(sizeof(StoreLimits) == sizeof(vm::Store::Limits) + sizeof(StoreLimits::cpu_time));

namespace {

/// All clocks of stores are these.
CpuTime* clock_of(const vm::Store& store) { return static_cast<CpuTime*>(store.clock.get()); }

}  // namespace

Store::Store(const Engine& engine, const StoreLimits& limits)
    : Store(engine,
            std::make_unique<vm::Store>(
                engine.impl()->pool_refs.ref(), engine.impl()->registry_refs.ref(),
                vm::Store::Limits{limits.memory_bytes, limits.table_elements, limits.exception_bytes, limits.instances,
                                  limits.stack_bytes, limits.fuel, limits.host_depth, limits.trap_on_grow_failure})) {
  if (limits.cpu_time) set_cpu_time_limit(*limits.cpu_time);
}

Store::Store(const Engine& engine, std::unique_ptr<vm::Store> impl)
    : engine_(engine.for_store()), impl_(std::move(impl)) {
  impl_->owner = this;
  impl_->vcpu().metered = engine.config().fuel;
  impl_->vcpu().fuel = engine.config().fuel ? impl_->limits().fuel : 0;
  note_new_store();
}

std::unique_ptr<Store> Store::beside(Store& other) {
  vm::Store& impl = other.impl();
  const vm::StoreUse use(impl);
  if (use.refused()) vm::misuse("a store is made beside another one, but " + use.refused()->message);
  std::unique_ptr<Store> store(new Store(
      other.engine_, std::make_unique<vm::Store>(impl.pool(), impl.registry(), impl.limits(), impl.budget())));
  store->data_ = other.data_;
  const uint64_t half = impl.vcpu().fuel / 2;
  impl.vcpu().fuel -= half;
  store->impl_->vcpu().fuel = half;
  if (const CpuTime* clock = clock_of(impl))
    store->impl_->clock = std::make_unique<CpuTime>(store->impl(), clock->budget());
  return store;
}

Store::~Store() {
  impl_.reset();
  note_dead_store();
}

void Store::interrupt() { impl_->interrupt(); }
void Store::clear_interrupt() { vm::end_interrupt(impl_->vcpu(), vm::Interrupt::once); }

Result<void> Store::set_fuel(uint64_t units) {
  if (!engine_.config().fuel) {
    return Error(ErrorKind::Usage, "the code of this engine uses up no fuel: set Config::fuel when it is made");
  }
  impl_->vcpu().fuel = units;
  return {};
}

uint64_t Store::fuel() const { return impl_->vcpu().fuel; }

std::chrono::nanoseconds Store::cpu_time() const {
  CpuTime* clock = clock_of(*impl_);
  return clock != nullptr ? clock->used() : std::chrono::nanoseconds(0);
}

void Store::set_cpu_time_limit(std::chrono::nanoseconds limit) {
  if (impl_->clock == nullptr) impl_->clock = std::make_unique<CpuTime>(*impl_, std::make_shared<CpuBudget>());
  clock_of(*impl_)->set_limit(std::max(limit, std::chrono::nanoseconds(0)));
}

namespace {

std::optional<Error> cannot_change_stack(const vm::Store& store) {
  if (store.vcpu().activation == nullptr) return std::nullopt;
  return Error(ErrorKind::Usage, "the stack of a store cannot change while a guest of it is in a call");
}

}  // namespace

Result<void> Store::set_native_stack(void* lowest, size_t bytes) {
  if (auto error = cannot_change_stack(*impl_)) return *error;
  if (lowest == nullptr || bytes < kMinNativeStack) {
    return Error(ErrorKind::Usage, "a stack of " + std::to_string(bytes) +
                                       " bytes is too small for guests: they need " + std::to_string(kMinNativeStack));
  }
  if (bytes > UINTPTR_MAX - reinterpret_cast<uintptr_t>(lowest)) {
    return Error(ErrorKind::Usage, "a stack of " + std::to_string(bytes) + " bytes would end beyond all addresses");
  }
  impl_->set_native_stack(lowest, bytes);
  return {};
}

Result<void> Store::reset_native_stack() {
  if (auto error = cannot_change_stack(*impl_)) return *error;
  impl_->set_native_stack(nullptr, 0);
  return {};
}

GuestPause::GuestPause() : paused_(vm::set_running(nullptr)), clocks_(vm::pause_runs()) {}

GuestPause::~GuestPause() {
  if (paused_ != nullptr) vm::set_running(paused_);
  if (clocks_ != nullptr) vm::resume_runs(clocks_);
}

void Store::pin(Ref exnref) {
  if (!exnref.is_null()) impl_->exns().pin(exnref.as<vm::ExnCell>());
}
void Store::unpin(Ref exnref) {
  if (!exnref.is_null()) impl_->exns().unpin(exnref.as<vm::ExnCell>());
}

uint64_t Store::memory_bytes() const { return impl_->memory_bytes(); }
uint64_t Store::peak_memory_bytes() const { return impl_->peak_memory_bytes(); }

}  // namespace vmrun
