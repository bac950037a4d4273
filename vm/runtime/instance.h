// What runs: the vCPU, instances and the records that references point to. Generated code and interpreter handlers read
// these structures at fixed offsets, so their layout is stated here and nowhere else.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "vm/base/trap.h"
#include "vm/base/value.h"
#include "vm/wasm/module.h"
#include "vm/wasm/types.h"

namespace vmrun::vm {

class Store;  // owns everything below (vm/runtime/store.h)
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
  FuncCode* code = nullptr;      // never null: a host function's has `host` set and a trampoline as its machine code
  HostFn host = nullptr;         // null for a wasm function
  /// A host function's environment. Of a wasm function its instance's memory0_base, so that machine code that calls
  /// through the record loads it from here.
  void* host_env = nullptr;
  uint64_t places = 0;  // how the interpreter passes parameters (interp::ParamPlaces); 0: not worked out yet
};

/// A linear memory. `base` never moves while the memory lives: its reservation covers what it may grow to.
struct MemoryInst {
  std::byte* base = nullptr;
  std::atomic<uint64_t> bytes{0};  // current size; shared memories grow concurrently
  MemoryType type;
  uint64_t max_pages = 0;  // the type's maximum, or what the limits and the reservation allow
  bool guarded = false;    // faults catch every 32-bit access; otherwise accesses are checked explicitly
  uint64_t reserved = 0;   // bytes of address space behind base
  Store* store = nullptr;  // null: shared, and kept by all stores that use it
  void* impl = nullptr;    // its MemoryOwner
};

/// A table; `elems` moves when it grows, always through Table functions in vm/runtime/table.h.
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
  uint32_t payload_slots = 0;
};

/// The cell of an exception (what an exnref points to); payload slots follow it. Owned by its store.
struct alignas(16) ExnCell {
  TagInst* tag = nullptr;
  uint32_t payload_slots = 0;
  bool escaped = false;  // an exnref to it may live somewhere
  bool marked = false;   // during a collection
  bool free = false;     // not in use
  Slot* payload() { return reinterpret_cast<Slot*>(this + 1); }
};

/// The cell of an externref made by the host: any pointer-sized value. Owned by its store.
struct alignas(16) ExternCell {
  void* value = nullptr;
};

/// An instance. The arrays behind the pointers are allocated with it, imports first, in the module's index order.
struct Instance {
  std::byte* memory0_base = nullptr;  // memories[0]->base, or null
  MemoryInst** memories = nullptr;
  TableInst** tables = nullptr;
  GlobalInst** globals = nullptr;  // pointers for all globals; own ones point into own_globals
  GlobalInst* own_globals = nullptr;
  FuncRecord** funcs = nullptr;  // imports: whoever's record; own: into own_funcs
  FuncRecord* own_funcs = nullptr;
  TagInst** tags = nullptr;
  TagInst* own_tags = nullptr;
  const Module* module = nullptr;
  Store* store = nullptr;
  Vcpu* vcpu = nullptr;              // the vCPU of the store
  FuncCode* codes = nullptr;         // the module's block records: own functions only, from 0
  uint8_t* dropped_elems = nullptr;  // per segment: 1 once dropped
  uint8_t* dropped_datas = nullptr;
};

/// Bytes of VM stack that are mapped beyond Vcpu::stack_end: a call checks only where the callee's frame begins.
inline constexpr size_t kStackRedZone = size_t{1} << 20;
/// Bytes of Vcpu::area, right behind the red zone: 16 for each value that does not travel in a register.
inline constexpr size_t kAreaBytes = 2048 * 16;

/// A run of frames of one kind on a vCPU: interpreter frames on its VM stack, or machine frames on the native stack. A
/// call between the kinds, or from the host, begins a new one; the list alternates, newest first. Traps, exceptions and
/// backtraces walk it (vm/runtime/activation.h). Records live on the native stack, in the frame of the trampoline that made the
/// transition.
struct Activation {
  enum class Kind : uint8_t { interp, machine };
  Activation* previous = nullptr;
  Kind kind = Kind::interp;
  bool from_host = false;  // traps and uncaught exceptions leave here
  bool exact = false;      // pc is the very instruction (a fault, a signal, a trap), not a call that was made;
                           // whoever sets it clears it before the frame goes on
  Outcome outcome = Outcome::Return;
  // Where the newest frame stands while it is not running (it called the host, a helper, or the other kind):
  const void* pc = nullptr;      // interp: const interp::Cell*, null when the newest frame is about to be replaced by a
                                 // callee of the other kind (walk from its caller); machine: return address
  std::byte* fp = nullptr;       // interp: frame on the VM stack; machine: rbp
  void* sp = nullptr;            // machine: rsp as the frame has it once that call has returned
  Instance* instance = nullptr;  // interp: what the newest frame runs
  std::byte* top = nullptr;      // first byte of the VM stack above everything of this segment and the older ones
  // Where the segment ends:
  std::byte* entry_fp = nullptr;  // interp: its oldest frame; machine: rbp of the trampoline that entered
  void* native_sp = nullptr;      // interp: the stack pointer as handlers see it. from_host: where the address lies at
                                  // which the host entry goes on: it is left by rsp = native_sp, ret
  // Limits of the segment below, put back when this one ends:
  std::byte* saved_stack_end = nullptr;
  std::byte* saved_native_end = nullptr;
};

/// A guest thread of execution with its stacks and machine context. Machine code and handlers use derived offsets.
struct Vcpu {
  int64_t budget = 0;                 // counts down at loop back-edges and entries; negative: charge heat and poll
  std::byte* stack_limit = nullptr;   // a VM frame may not reach beyond; set to null to make the next call poll
  std::byte* native_limit = nullptr;  // rsp may not sink below; set to the highest address to make the next entry poll
  Activation* activation = nullptr;
  const void* const* helpers = nullptr;  // what machine code calls, by jit::Helper
  Slot* area = nullptr;  // 16-byte slots of parameters and results beyond the registers (jit/crossing/abi.h)
  Store* store = nullptr;
  std::byte* stack_base = nullptr;    // lowest address of the VM stack; it grows upwards
  std::byte* stack_end = nullptr;     // the real limit, with room for the deepest leaf
  std::byte* native_end = nullptr;    // the limit of the native stack for the machine segment that runs
  std::byte* native_floor = nullptr;  // the end of the native stack in use, less what is kept for the host
  std::byte* fiber_floor = nullptr;   // the same of the stack that was named for the store; null: the thread's
  Ref exception;                      // in flight or uncaught
  uint64_t fuel = 0;                  // what metered code may still use up (vm/wasm/fuel.h)
  bool metered = false;               // code of its engine is
  TrapCode trap = TrapCode::None;
  // Somebody wants the guest to stop, vm::Interrupt bits (vm/runtime/stop.h): polled when the budget or a call says so.
  std::atomic<uint8_t> interrupt{0};
  std::atomic<uint8_t> requests{0};  // what else is wanted at its next poll: vm::Request bits (vm/runtime/stop.h)
  std::atomic<int32_t> thread{0};    // kernel's number of the thread that runs its guest, for stop signals; 0: none
  std::vector<Frame> backtrace;      // of the last trap or uncaught exception
  std::string host_error;            // what a failed host function said
  int exit_status = 0;               // with is_exit: the guest asked to end with this status
  bool is_exit = false;
  uint32_t host_depth = 0;  // nesting of host -> guest -> host calls, bounded
  // Processor time that a profiler's ticks have found and nobody could say the stack of, in nanoseconds: Request::sample
  // has it counted where the guest polls next. Its thread's own, signal handlers included.
  uint64_t unsampled_host = 0, unsampled_guest = 0;
  uint32_t unsampled_profile = 0;  // the profile that they are of, by number
};

}  // namespace vmrun::vm
