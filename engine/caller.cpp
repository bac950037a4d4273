// What host functions may do with the guest that called them.
#include "vmrun/caller.h"

#include "engine/outcome.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/store.h"
#include "vmrun/instance.h"
#include "vmrun/store.h"

namespace vmrun {
namespace {

/// The memory that system interfaces mean.
vm::MemoryInst* caller_memory(const vm::Instance* instance) {
  if (instance == nullptr || instance->module->memories.empty()) return nullptr;
  if (instance->module->memories.size() == 1) return instance->memories[0];
  for (const vm::Export& item : instance->module->exports) {
    if (item.kind == vm::ExternKind::memory && item.name == "memory") return instance->memories[item.index];
  }
  return instance->memories[0];
}

}  // namespace

Instance Caller::instance() const { return Instance(instance_); }
Store& Caller::store() const { return *static_cast<Store*>(vcpu_->store->owner); }
void* Caller::raw_data() const { return store().data(); }

std::optional<Memory> Caller::memory() const {
  vm::MemoryInst* memory = caller_memory(instance_);
  if (memory == nullptr) return std::nullopt;
  return Memory(memory);
}

std::span<std::byte> Caller::memory_data() const {
  const vm::MemoryInst* memory = caller_memory(instance_);
  if (memory == nullptr) return {};
  return {memory->base, memory->bytes.load(std::memory_order_acquire)};
}

std::vector<FrameInfo> Caller::backtrace(size_t max) const { return engine::name_frames(vm::backtrace(*vcpu_, max)); }

Outcome Caller::trap(TrapCode code) const {
  vcpu_->store->host_failure.reset();
  vcpu_->trap = code;
  return Outcome::Trap;
}

Outcome Caller::exit(int status) const {
  vcpu_->exit_status = status;
  vcpu_->is_exit = true;
  vcpu_->host_error = "exit";
  return Outcome::Error;
}

Outcome Caller::throw_exception(Ref exnref) const {
  if (exnref.is_null()) return trap(TrapCode::NullExceptionReference);
  if (exnref.is_i31() || !vcpu_->store->owns(exnref.as<vm::ExnCell>())) {
    return fail(Error(ErrorKind::Usage, "the exception to throw does not belong to this store"));
  }
  vcpu_->exception = exnref;
  return Outcome::Exception;
}

Outcome Caller::fail(Error error) const {
  switch (error.kind) {
    case ErrorKind::Exit: return exit(error.exit_status);
    case ErrorKind::Exception:
      if (error.exception != 0) return throw_exception(Ref{error.exception});
      break;
    case ErrorKind::Trap:
      vcpu_->trap = error.trap;
      vcpu_->store->host_failure = std::move(error);
      return Outcome::Trap;
    default: break;
  }
  vcpu_->is_exit = false;
  vcpu_->host_error = error.message;
  vcpu_->store->host_failure = std::move(error);
  return Outcome::Error;
}

}  // namespace vmrun
