// The C++ side of the interpreter's slow paths: what handlers call when they leave the fast path. Internal to interp/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "interp/abi.h"
#include "interp/cell.h"
#include "interp/handlers/handler.h"
#include "vm/runtime/instance.h"

namespace vmrun::interp {

/// Where the first result of a function called from the host is when the function returns.
enum class ExitKind : uint8_t { other, integer, floating };  // in its slot, or there is none; r0; f0

/// Where a function's register parameters have their slots (0xfff: no such parameter), packed into FuncRecord::places.
struct ParamPlaces {
  static constexpr uint64_t kAbsent = 0xfff;
  uint64_t int0 : 12, int1 : 12, float0 : 12, float1 : 12;
  uint64_t area : 12;   // slots that parameters or results take, whichever is more
  uint64_t exit : 2;    // ExitKind
  uint64_t simple : 1;  // all parameters are in registers, and there is at most one result, which is too
  uint64_t known : 1;   // 1
};
static_assert(sizeof(ParamPlaces) == 8);
ParamPlaces work_out_places(const vm::FuncType& type);
/// Of `record`, with the registry of `inst`'s module.
uint64_t remember_places(vm::FuncRecord* record, const vm::Instance* inst);
[[gnu::always_inline]] inline ParamPlaces param_places(vm::FuncRecord* record, const vm::Instance* inst) {
  uint64_t places = record->places;
  if (__builtin_expect(places == 0, 0)) places = remember_places(record, inst);
  return std::bit_cast<ParamPlaces>(places);
}

/// call_indirect: whether the callee's type is a subtype of the expected one.
bool callee_matches(const vm::FuncRecord* record, uint32_t expected, const vm::Instance* inst);

/// The stub's work: translates the function whose FuncCode::stub is at `stub` and returns its entry.
const Cell* translate_at_first_call(const Cell* stub);
Handler translate_handler();
/// Code that traps because there was no memory for a translation.
const Cell* out_of_memory_cell();
/// Code that traps because the guest was interrupted in a translation.
const Cell* interrupted_cell();

/// Puts careful code behind `code`'s entry, if there is to be any.
void promote_entered(vm::FuncCode* code);

/// A slice ended at `target` of a back-edge. Where to go on: at `pc`; with `machine`, that is the cell that goes on in that
/// machine code of `code`'s loop.
struct SliceEnd {
  const Cell* pc;
  vm::FuncCode* code = nullptr;
  const void* machine = nullptr;
};
SliceEnd slice_ended(vm::Vcpu& cx, const vm::Instance* inst, const Cell* target);
/// Serves what was asked of the guest that stands at `pc`, which may be long. None: goes on.
vm::TrapCode poll_here(vm::Vcpu& cx, const Cell* pc, std::byte* fp, vm::Instance* inst);
/// A call at `pc` found no room or was asked to poll. None: try again.
vm::TrapCode call_polled(vm::Vcpu& cx, const Cell* pc, std::byte* fp, vm::Instance* inst);

/// Cells that end an activation; the frame of the function called from the host returns to them.
const Cell* exit_cell(ExitKind kind);

/// Tells vm/runtime/activation.h what interpreter frames are. Once per process.
void register_frames();

/// Looks for the landing of cx.exception in the frames of `segment`, from where it stands, and polls meanwhile. If there
/// is one, moves the payload into place, clears cx.exception, makes pc, fp and instance of `segment` those to go on with
/// and returns true. If the guest has to end, does so without the moving and the clearing.
bool land_exception(vm::Vcpu& cx, vm::Activation& segment);
/// Makes the exception of a throw cell and puts it in cx.exception. False when there is no memory for it.
bool make_exception(vm::Vcpu& cx, const Cell* pc, std::byte* fp, vm::Instance* inst);
/// Goes on where the newest activation stands, with nothing but cx in place.
__attribute__((visibility("hidden"))) VMRUN_COLD_HANDLER landed(VMRUN_PARAMS);
/// The same as a place to transfer to (vm/runtime/activation.h).
void landing();

/// Ends the activation after a host function's Error (cx.host_error says why).
VMRUN_COLD_HANDLER leave_error(VMRUN_PARAMS);
VMRUN_COLD_HANDLER enter_hot(VMRUN_PARAMS);

/// The handlers' section, by the linker's names.
extern "C" {
extern const char __start_vmrun_handlers[] __attribute__((visibility("hidden")));
extern const char __stop_vmrun_handlers[] __attribute__((visibility("hidden")));
}

/// Tells vm/fault about the handlers' section. Once per process.
void register_faults();

}  // namespace vmrun::interp
