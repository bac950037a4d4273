// What the interpreter must know to leave for machine code; jit/ makes all of it, per signature.
#pragma once

#include "interp/cell.h"
#include "vm/blocks/block.h"
#include "vm/runtime/instance.h"

namespace vmrun::interp {

/// The ways into machine code of one signature. Live as long as the process.
struct MachineEntries {
  /// From the host: calls `code`'s machine code with the slots at `args`, leaves the slots of the results at `results`,
  /// which may be the same. `activation` is the newest of the vCPU and filled but for entry_fp and native_sp. By
  /// preserve_none: machine code preserves nothing, so the caller need not save what it has no use for.
  using FromHost = __attribute__((preserve_none)) void (*)(vm::Vcpu* cx, vm::Instance* inst, std::byte* memory0,
                                                           const vm::Slot* args, vm::Slot* results,
                                                           vm::Activation* activation, vm::FuncCode* code);
  FromHost from_host = nullptr;
  /// A call or tail call of the function whose FuncCode::bridge this cell has been copied to. Its second word is this
  /// structure's address.
  Cell bridge{};
  /// Goes on in a loop's machine code: expects it in r3, and the running function's FuncCode in r2.
  Cell osr{};
};

/// The cell that `code.entry` points to while machine code is in force.
inline const Cell* bridge_cell(const vm::FuncCode& code) { return reinterpret_cast<const Cell*>(code.bridge); }
inline const MachineEntries& machine_entries(const vm::FuncCode& code) {
  return *static_cast<const MachineEntries*>(bridge_cell(code)->p);
}

/// Makes interpreter calls of `code` go to its machine code, by `entries` of its signature; undone by the other.
/// Machine calls go by FuncCode::machine, which is set before and unset after. Any thread, one at a time for one
/// function.
void set_bridge(vm::FuncCode& code, const MachineEntries& entries);
void unset_bridge(vm::FuncCode& code);
/// The cells in FuncCode::bridge alone: all that loops need.
void prepare_bridge(vm::FuncCode& code, const MachineEntries& entries);

/// Fills the three cells that a frame of the interpreter returns to when machine code called it: `handler` is entered
/// with fp, cx, r0 and f0 as after any return. They look like the exit cells to the host in a walk.
void make_exit_cells(Cell cells[3], Handler handler);

}  // namespace vmrun::interp
