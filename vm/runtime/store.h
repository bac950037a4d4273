// Store: owns the vCPU and everything that guests are made of. All of it lives until the store dies; pointers into it
// are handed out freely. One thread at a time uses a store (only Vcpu::interrupt may be set from another).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "vm/runtime/exn.h"
#include "vm/runtime/instance.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/memory_owner.h"
#include "vm/runtime/native_stack.h"
#include "vm/runtime/room.h"
#include "vm/runtime/run_clock.h"
#include "vm/runtime/shared_funcs.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/unwound.h"
#include "vm/runtime/vcpus.h"
#include "vm/runtime/waker.h"
#include "vm/wasm/module.h"
#include "vmrun/base/result.h"

namespace vmrun::vm {

/// Stores that are one program, whose threads are guests of one store each. Any thread.
class StoreGroup {
 public:
  virtual ~StoreGroup() = default;
  /// A call into `store` from outside has ended with `error`, and with it the program. Returns what ended it first.
  virtual Error failed(Store& store, Error error) = 0;
  /// Why no call into one of the stores may begin any more: the program has ended. Nothing while it runs.
  virtual std::optional<Error> why_refused() const = 0;
  /// `store` dies.
  virtual void leave(Store& store) = 0;

  /// Calls of its threads that hold a thread of the system.
  std::atomic<uint32_t> holding{0};
};

class Store {
 public:
  struct Limits {
    uint64_t memory_bytes = UINT64_MAX;
    uint64_t table_elements = 10'000'000;
    uint64_t exception_bytes = 64u << 20;
    uint64_t instances = 100'000;
    uint64_t stack_bytes = 8u << 20;
    uint64_t fuel = 0;
    uint32_t host_depth = 200;
    bool trap_on_grow_failure = false;
  };

  /// The first instance or host function gets a VM stack for the store; when there is no address space, `new_instance`
  /// reports it. `budget` is what memories, tables and exceptions are charged to; null: one of the store's own, by `limits`.
  Store(std::shared_ptr<MemoryPool> pool, std::shared_ptr<TypeRegistry> registry, const Limits& limits,
        std::shared_ptr<Budget> budget = nullptr);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Vcpu& vcpu() { return vcpu_; }
  const Vcpu& vcpu() const { return vcpu_; }
  VcpuEntry& vcpu_entry() { return vcpu_entry_; }
  const Limits& limits() const { return limits_; }
  const std::shared_ptr<TypeRegistry>& registry() const { return registry_; }
  const std::shared_ptr<MemoryPool>& pool() { return pool_; }
  const std::shared_ptr<Budget>& budget() const { return budget_; }
  ExnHeap& exns() { return exns_; }
  Unwound& unwound() { return unwound_; }
  Waker& waker() { return waker_; }

  /// Makes the guest stop at its next poll, and wakes it. Any thread, async-signal-safe.
  void interrupt() { ask_interrupt(vcpu_); }
  /// Deadlines of calls that have passed and still stand, each of which is a reason for Interrupt::late. Changed under
  /// the lock of engine/deadline.cpp.
  uint32_t passed_deadlines = 0;
  /// Whether a task of an executor was spawned with the store and has not ended.
  std::atomic<bool> has_task{false};
  /// In builds with assertions: the kernel's number of the thread that changes it from the host (vm/runtime/store_use.h); 0: none.
  std::atomic<int32_t> user{0};

  /// Whether it has its VM stack.
  bool has_stack() const { return vcpu_.stack_base != nullptr; }
  /// Takes the room for its VM stack and a memory, if it has no stack yet. Any thread that may use the store.
  void take_room(Room room);
  /// Sees to it that there is a VM stack, or a reason why not.
  void need_stack();

  // Makers. What they return is owned by the store. Errors: Limit.
  Result<MemoryInst*> new_memory(const MemoryType& type);
  Result<TableInst*> new_table(const TableType& type, Ref init);
  GlobalInst* new_global(const GlobalType& type, const Slot value[2]);
  TagInst* new_tag(TypeId type);
  /// `env` is kept alive by the store.
  FuncRecord* new_host_func(TypeId type, HostFn fn, std::shared_ptr<void> env);
  /// What keeps the envs of the host functions of this store alive.
  const std::vector<std::shared_ptr<void>>& host_envs() const { return host_envs_; }

  // What owners of memories ask.
  /// Address space for a memory of this store: in its room, if that has so much to spare and the memory is not shared.
  Result<MemoryMapping> reserve_memory(const MemoryType& type, uint64_t bytes, uint64_t max_bytes);
  /// The memory that was in the room is gone; it has had so many bytes.
  void room_memory_left(uint64_t bytes);

  // Shared memories.
  /// From now on the store keeps `memory`, which is of its pool, and its instances may import it.
  MemoryInst* attach(std::shared_ptr<MemoryOwner> memory);
  /// The reference to a memory that the store keeps; null for any other.
  std::shared_ptr<MemoryOwner> owner_of(const MemoryInst& memory) const;
  /// Whether it keeps `memory`. Async-signal-safe while a guest of the store runs on the thread.
  bool keeps(const MemoryInst& memory) const;
  /// The cell of an externref that holds `value`: one cell per value, so equal values give equal references.
  Ref new_extern(void* value);
  /// An instance of `module` with its arrays: import entries null, own functions and tags made, own globals zero, own
  /// tables and memories null.
  Result<Instance*> new_instance(std::shared_ptr<const Module> module);

  /// Lets the store use the functions of `funcs`, which work on `env`. Both are kept alive. Once.
  void share(std::shared_ptr<const SharedFuncs> funcs, std::shared_ptr<void> env);
  /// Lets it use those that `other` uses, on the same env. False: it uses them on another one.
  bool share_as(const Store& other);
  /// Whether a record of a store of its engine is one of the shared functions that it uses.
  bool shares(const FuncRecord& record) const {
    return shared_funcs_ != nullptr && shared_funcs_->find(record.host) == &record;
  }
  /// Null: the store uses no shared functions.
  void* shared_env() const { return shared_env_.get(); }

  /// How much there is of what instantiation makes.
  struct Mark {
    size_t memories, tables, instances, modules, funcs, host_envs;
  };
  Mark mark() const {
    return {memories_.size(), tables_.size(), instances_.size(), modules_.size(), funcs_.size(), host_envs_.size()};
  }
  /// Destroys what was made since. Only while nothing but that refers to it: before a guest could run.
  void undo(const Mark& mark);

  /// All of it. Signal handlers may read it while a guest of the store runs on the thread.
  const auto& instances() const { return instances_; }
  /// The shared handle to the module of an instance of this store.
  std::shared_ptr<const Module> module_of(const Instance& instance) const;

  // Accounting, used by growth.
  bool charge_table(uint64_t elements) { return budget_->table_elements.charge(elements); }
  void credit_table(uint64_t elements) { budget_->table_elements.uncharge(elements); }
  uint64_t memory_bytes() const { return budget_->memory_bytes.used(); }
  uint64_t peak_memory_bytes() const { return budget_->memory_bytes.peak(); }

  /// Says that calls into this store are made on the stack [lowest, lowest + bytes) from now on; null: on the calling
  /// thread's own. While no guest of the store has frames.
  void set_native_stack(void* lowest, size_t bytes);
  /// The stack that was named; only when Vcpu::fiber_floor says so.
  NativeStack named_stack() const { return {vcpu_.fiber_floor, named_stack_room_, named_stack_reserve_}; }

  // What may enter the store from outside.
  /// Whether `record` is one of this store's functions. Looks at no memory of other stores.
  bool owns(const FuncRecord* record);
  bool owns(const ExternCell* cell) const;
  bool owns(const ExnCell* cell) const { return exns_.holds(cell); }

  /// What a host function failed with, from Caller::fail until the embedder's call returns it.
  std::optional<Error> host_failure;
  /// The same of a call that was refused (StoreGroup::why_refused).
  std::optional<Error> refused;
  /// What a host function threw, from there until the embedder's call throws it again.
  std::exception_ptr host_exception;
  /// The embedder's Store, for host functions.
  void* owner = nullptr;
  /// The program that the store belongs to, if that has several.
  std::shared_ptr<StoreGroup> group;
  /// Runs while guests of the store do, if there is one.
  std::unique_ptr<RunClock> clock;
  /// Host functions made real in this store, by the definition they come from (kept alive by it).
  std::unordered_map<const void*, FuncRecord*> host_funcs;

 private:
  friend class ExnHeap;
  struct InstanceFree {
    void operator()(Instance* instance) const;
  };

  void use_stack(std::byte* base, uint64_t bytes);
  void destroy(TableInst& table);

  std::shared_ptr<MemoryPool> pool_;
  std::shared_ptr<TypeRegistry> registry_;
  std::shared_ptr<Budget> budget_;
  Limits limits_;
  Vcpu vcpu_;
  VcpuEntry vcpu_entry_{vcpu_};
  Waker waker_;
  ExnHeap exns_;
  Unwound unwound_;  // by the exception in flight
  std::vector<std::shared_ptr<MemoryOwner>> memories_;
  std::vector<std::unique_ptr<TableInst>> tables_;
  std::vector<std::unique_ptr<GlobalInst>> globals_;  // made by the host; an instance's own lie in the instance
  std::vector<std::unique_ptr<TagInst>> tags_;
  std::vector<std::unique_ptr<FuncRecord>> funcs_;
  std::vector<std::shared_ptr<void>> host_envs_;
  std::shared_ptr<const SharedFuncs> shared_funcs_;
  std::shared_ptr<void> shared_env_;
  std::vector<std::unique_ptr<FuncCode>> host_codes_;  // of host functions
  std::unordered_map<void*, std::unique_ptr<ExternCell>> externs_;
  std::vector<std::unique_ptr<Instance, InstanceFree>> instances_;
  std::vector<std::shared_ptr<const Module>> modules_;
  std::optional<Error> stack_error_;
  uint64_t stack_bytes_ = 0;
  Room room_;
  bool room_memory_used_ = false;
  uint64_t room_memory_dirty_ = 0;  // bytes that a memory in the room has had
  size_t named_stack_room_ = 0, named_stack_reserve_ = 0;
  // Where function records lie, by their beginnings: filled in at questions, as far as has been asked.
  std::map<const FuncRecord*, const FuncRecord*> func_ranges_;
  size_t instances_in_ranges_ = 0, funcs_in_ranges_ = 0;
};

}  // namespace vmrun::vm
