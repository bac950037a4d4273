// What runs: the vCPU, instances and the records that references point to. Generated code and interpreter handlers read
// these structures at fixed offsets, so their layout is stated here and nowhere else.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "vm/module.h"
#include "vm/trap.h"
#include "vm/types.h"
#include "vm/value.h"

namespace vmrun::vm {

class Store;  // owns everything below (vm/store.h)
struct Instance;
struct Vcpu;
struct FuncRecord;

/// A host function: reads its parameters from `args` and leaves its results in `results` (which may be the same slots).
/// Runs on the caller's stack and vCPU. Returns Outcome::Return, or Trap after setting Vcpu::trap, Exception after
/// setting Vcpu::exception, or Error after setting Vcpu::host_error. `caller` is the instance that called, null from the
/// host. Must not throw.
using HostFn = Outcome (*)(void* env, Vcpu& vcpu, Instance* caller, const Slot* args, Slot* results);

/// What a funcref points to. Owned by its instance (wasm functions) or its store (host functions); never moves.
struct alignas(16) FuncRecord {
  TypeId type = TypeId::none;
  uint32_t func_index = 0;       // in the instance's module
  Instance* instance = nullptr;  // null for a host function
  FuncCode* code = nullptr;      // null for a host function
  HostFn host = nullptr;         // null for a wasm function
  void* host_env = nullptr;
  uint64_t places = 0;           // how the interpreter passes parameters (interp::ParamPlaces); 0: not worked out yet
};

/// A linear memory. `base` never moves while the memory lives: its reservation covers what it may grow to.
struct MemoryInst {
  std::byte* base = nullptr;
  std::atomic<uint64_t> bytes{0};  // current size; shared memories grow concurrently
  MemoryType type;
  uint64_t max_pages = 0;          // the type's maximum, or what the limits and the reservation allow
  bool guarded = false;            // faults catch every 32-bit access; otherwise accesses are checked explicitly
  uint64_t reserved = 0;           // bytes of address space behind base
  Store* store = nullptr;
  void* impl = nullptr;            // the allocator's bookkeeping
};

/// A table; `elems` moves when it grows, always through Table functions in vm/table.h.
struct TableInst {
  Ref* elems = nullptr;
  uint64_t size = 0;
  TableType type;
  uint64_t max = 0;
  uint64_t capacity = 0;
  Store* store = nullptr;
};

/// A global: its value in place, two slots wide so that a v128 fits.
struct alignas(16) GlobalInst {
  Slot value[2];
  GlobalType type;
};

struct alignas(16) TagInst {
  TypeId type = TypeId::none;
};

/// The cell of an exception (what an exnref points to); payload slots follow it. Owned by its store.
struct alignas(16) ExnCell {
  TagInst* tag = nullptr;
  uint32_t payload_slots = 0;
  bool escaped = false;     // an exnref to it may live somewhere
  bool marked = false;      // during a collection
  bool free = false;        // not in use
  Slot* payload() { return reinterpret_cast<Slot*>(this + 1); }
};

/// The cell of an externref made by the host: any pointer-sized value. Owned by its store.
struct alignas(16) ExternCell {
  void* value = nullptr;
};

/// An instance. The arrays behind the pointers are allocated with it, imports first, in the module's index order.
struct Instance {
  std::byte* memory0_base = nullptr;   // memories[0]->base, or null
  MemoryInst** memories = nullptr;
  TableInst** tables = nullptr;
  GlobalInst** globals = nullptr;      // pointers for all globals; own ones point into own_globals
  GlobalInst* own_globals = nullptr;
  FuncRecord** funcs = nullptr;        // imports: whoever's record; own: into own_funcs
  FuncRecord* own_funcs = nullptr;
  TagInst** tags = nullptr;
  TagInst* own_tags = nullptr;
  const Module* module = nullptr;
  Store* store = nullptr;
  Vcpu* vcpu = nullptr;                // the vCPU of the store
  uint8_t* dropped_elems = nullptr;    // per segment: 1 once dropped
  uint8_t* dropped_datas = nullptr;
};

/// Bytes of VM stack that are mapped beyond Vcpu::stack_end: a call checks only where the callee's frame begins.
inline constexpr size_t kStackRedZone = size_t{1} << 20;

/// One entry of the interpreter (or later of machine code) from the host. Links the activations of a vCPU, newest first;
/// traps, exceptions and backtraces walk it.
struct Activation {
  Activation* previous = nullptr;
  const void* pc = nullptr;      // where the newest frame stands, when it is not running: const interp::Cell*
  std::byte* fp = nullptr;       // its frame
  std::byte* entry_fp = nullptr; // frame of the boundary that entered; walking stops there
  Instance* instance = nullptr;  // what the newest frame runs
  std::byte* top = nullptr;      // first byte of the VM stack above the newest frame, while the host runs
  void* native_sp = nullptr;     // the machine's stack pointer as handlers see it
  Outcome outcome = Outcome::Return;
};

/// A guest thread of execution with its stack and machine context.
struct Vcpu {
  int64_t budget = 0;               // counts down at loop back-edges and entries; negative: charge heat and poll
  std::byte* stack_limit = nullptr; // a frame may not reach beyond; set to null to make the next call poll
  Activation* activation = nullptr;
  Store* store = nullptr;
  std::byte* stack_base = nullptr;  // lowest address of the VM stack; it grows upwards
  std::byte* stack_end = nullptr;   // the real limit, with room for the deepest leaf
  Ref exception;                    // in flight or uncaught
  TrapCode trap = TrapCode::None;
  std::atomic<bool> interrupt{false};   // somebody wants the guest to stop: polled when the budget or a call says so
  std::vector<Frame> backtrace;     // of the last trap or uncaught exception
  std::string host_error;           // what a failed host function said
  int exit_status = 0;              // with is_exit: the guest asked to end with this status
  bool is_exit = false;
  uint32_t host_depth = 0;          // nesting of host -> guest -> host calls, bounded
};

}  // namespace vmrun::vm
