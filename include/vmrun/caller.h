// Caller: what a host function may know and do about the guest that called it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmrun/base/error.h"
#include "vmrun/base/slot.h"
#include "vmrun/base/trap.h"
#include "vmrun/fwd.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// A view, valid during the call of the host function that received it, on the thread that runs it.
class Caller {
 public:
  Caller(vm::Vcpu& vcpu, vm::Instance* instance) : vcpu_(&vcpu), instance_(instance) {}

  /// True when a guest called; false when the embedder called the host function through its Func.
  bool has_instance() const { return instance_ != nullptr; }
  /// The calling instance. Only when has_instance().
  Instance instance() const;
  Store& store() const;
  /// Store::data as a T*.
  template <class T = void>
  T* data() const {
    return static_cast<T*>(raw_data());
  }

  /// The caller's exported memory "memory", else its memory 0, if it has one.
  std::optional<Memory> memory() const;
  /// Its current contents; empty when there is none. The fast way for system interfaces. Good until a guest runs again
  /// or the memory grows.
  std::span<std::byte> memory_data() const;

  /// The guest frames below, innermost first, at most `max`.
  std::vector<FrameInfo> backtrace(size_t max = 64) const;

  // ---- how a raw host function ends other than by returning: `return caller.trap(...)`. Others return an Error ----

  /// The guest traps with `code`.
  Outcome trap(TrapCode code) const;
  /// The guest ends, and the embedder's call returns `error` (with a backtrace). An Error of kind Trap, Exception or
  /// Exit does what its kind says; any other kind arrives as it is.
  Outcome fail(Error error) const;
  /// The guest ends with that exit status: the embedder's call returns an Error of kind Exit.
  Outcome exit(int status) const;
  /// Throws the exception `exnref`, which guests may catch. Null traps; one of another store fails (Usage).
  Outcome throw_exception(Ref exnref) const;

  vm::Vcpu& vcpu() const { return *vcpu_; }
  vm::Instance* instance_impl() const { return instance_; }

 private:
  void* raw_data() const;
  vm::Vcpu* vcpu_;
  vm::Instance* instance_;
};

}  // namespace vmrun
#pragma GCC visibility pop
