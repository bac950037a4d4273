// The machine ABI: registers, parameters, results, frames and OSR entries of all guest machine code, in both compilers
// and all trampolines. (docs/decisions/0008-one-prototype.md has the reasons.)
//
// REGISTERS are those of LLVM's preserve_none on x86-64; no register is callee-saved but rbp, the frame pointer.
//   r12 vCPU (vm::Vcpu*)    r13 running instance    r14 base of its memory 0 (anything when it has none)
//   r15 rdi rsi rdx rcx r8  the first six parameters of integer class (i32 zero-extended, i64, references)
//   xmm0..xmm7              the first eight of float class (f32, f64: low lane, the rest unspecified) and v128
//   r9  block record of the callee (vm::FuncCode*), set by every caller
//   r11 the caller's instance, set by calls through a FuncRecord (imports, indirect, by reference)
//   rax first result of integer class     xmm0 first result of float or vector class
//   rax, rbx, r10 are scratch at a call; rsp is 16-byte aligned before it.
// In metered code (vm/wasm/fuel.h) rax also has what Vcpu::fuel has at a call, and rdx at a return, so that what is left
// passes from one function to the next without going through memory.
// All other parameters, and all other results, are in the vCPU's area (Vcpu::area), 16 bytes each, in the order in
// which they occur: read or overwritten before anything else is called. Nothing is ever pushed for a call.
// In LLVM terms every function is
//   preserve_none {i64, <16 x i8>} (ptr cx, ptr inst, ptr mem, i64 x 6, ptr callee, ptr caller, <16 x i8> x 8)
// so every tail call is a plain musttail. In metered code an i64 more comes last, and one more is returned: rax, rdx.
//
// CALLING. Direct: r9 = inst->codes + (index - imported functions) * sizeof(FuncCode); call [r9 + kMachine]. Through a record: r13 = record's
// instance, r14 = its memory 0's base, r9 = record->code, r11 = own instance; call [r9 + kMachine]. After a call the
// caller reloads r12, r13, r14 from its own frame.
//
// FRAMES. push rbp; mov rbp, rsp; then fixed size, no red zone, no push in the body: at a return address rsp is the
// callee's rbp + 16. Walks follow rbp until an Activation says that the segment ends. A prologue compares its lowest rsp
// with Vcpu::native_limit (unsigned; below it: Helper::stack_poll); the 64 KiB beneath the limit are always there.
//
// OSR ENTRY. An ordinary function of this ABI, but parameter 0 (r15) points at the loop header's state: locals, then the
// operand stack, in the canonical slots of interp/abi.h (8 bytes each, v128 two). Of a local that is an i32 only the lower
// half counts, and a local that the body never names may hold anything: baseline code writes neither. Read completely
// before the function makes any call; it is the interpreter's frame or Vcpu::area. The function runs the rest of the body
// and returns the function's results.
//
// LOOP UNIT. A loop of a function that is compiled alone is a function of this ABI that baseline code of the function calls
// at the loop's header, as if it went into it. Parameter 0 (r15) points at canonical slot 0 of the caller's frame; slot i is
// 8 i bytes beneath it (a v128 in slots i and i+1: at slot i+1), and all of them hold the header's state. Where the guest
// leaves the loop, the unit puts the locals that the loop writes and what the label takes into the slots that they have
// there, and returns the number of the exit in rax: the index of the frame that is branched to, 0 the function's and rising
// inwards, or the loop's own index where its end is reached. It makes one frame of the guest together with its caller's:
// walks pass that by. Where the loop stands in a try, the unit stores those locals before an exception leaves it.
//
// LANDING PADS. A pad is entered with rbp of its frame, rsp as after the call that threw, rax = vCPU; all else is
// garbage. The exception is in Vcpu::exception; the pad matches tags and takes it (Helper::take_exception), or goes on
// with Helper::resume_throw.
//
// HELPERS are called by the C calling convention with the vCPU as first argument, through the table Vcpu::helpers (an
// entry records the caller's rbp and return address in the activation, then jumps to the C function).
#pragma once

#include <cstddef>
#include <cstdint>

#include "vm/blocks/block.h"
#include "vm/runtime/instance.h"
#include "vm/wasm/types.h"

namespace vmrun::jit {

inline constexpr unsigned kIntParams = 6;
inline constexpr unsigned kVectorParams = 8;
/// Metered code in LLVM's terms: the numbers of what is left among the parameters and among the results.
inline constexpr unsigned kFuelParam = 3 + kIntParams + 2 + kVectorParams, kFuelResult = 2;
inline constexpr size_t kAreaSlot = 16;

/// Where one parameter or result travels.
struct Place {
  enum class In : uint8_t { integer, vector, area } in;
  uint32_t index;  // of the register in its class, or of the 16-byte slot of the area
};

/// Walks parameters (or results, with one register of each class) in order.
class PlaceWalk {
 public:
  static PlaceWalk params() { return {kIntParams, kVectorParams}; }
  static PlaceWalk results() { return {1, 1}; }
  Place next(vm::ValType type) {
    const bool vector = type.kind() == vm::ValType::Kind::f32 || type.kind() == vm::ValType::Kind::f64 ||
                        type.kind() == vm::ValType::Kind::v128;
    uint32_t& used = vector ? vectors_ : ints_;
    if (used < (vector ? max_vectors_ : max_ints_)) {
      return {vector ? Place::In::vector : Place::In::integer, used++};
    }
    return {Place::In::area, area_++};
  }
  uint32_t area_slots() const { return area_; }

 private:
  PlaceWalk(uint32_t ints, uint32_t vectors) : max_ints_(ints), max_vectors_(vectors) {}
  uint32_t max_ints_, max_vectors_, ints_ = 0, vectors_ = 0, area_ = 0;
};

/// What generated code may ask of the runtime: name, result and arguments as generated code sees them. Arguments follow
/// the vCPU; slots are canonical (v128 two). A helper that meets a trap does not return. A call of any of them is a call
/// that can trap: it wants a SourceMark at its return address; throw_, throw_ref and resume_throw want a PadMark inside a
/// try. (jit/crossing/helpers.cpp holds the bodies: a row here and a body there make a helper.)
// clang-format off
#define VMRUN_HELPERS(X)                                                                                              \
  X(trap, void, (uint64_t code))                            /* vm::TrapCode; does not return */                       \
  X(stack_poll, void, ())                                   /* rsp below the limit: polls, or traps. Frames of more than 64 KiB compare again afterwards */ \
  X(throw_, void, (vm::Instance*, uint32_t tag))            /* payload: slots in the area; does not return */         \
  X(throw_ref, void, (uint64_t exn))                        /* traps on null; does not return */                      \
  X(resume_throw, void, ())                                 /* no clause matched: Vcpu::exception goes on; no return */ \
  X(take_exception, uint64_t, (uint64_t want_ref))          /* clears Vcpu::exception; the address of a cell with its payload, to be read before a signal may stop the guest; the exnref, if wanted */ \
  X(memory_grow, uint64_t, (vm::Instance*, uint32_t memory, uint64_t pages)) /* old size or -1 (as i32 or i64) */     \
  X(ref_test, uint64_t, (vm::Instance*, uint64_t heap, uint64_t ref)) /* whether the reference is of that heap type (its bits); bit 32: or null */ \
  X(check_callee, void, (vm::Instance*, vm::FuncRecord*, uint32_t type)) /* call_indirect: traps unless a subtype */  \
  /* Baseline code only. Its canonical slots lie at rbp + kBaselineSlots downwards, a v128's low half at the lower      \
     address. The first two are called with r12 and r9 as a function is entered, whose parameters all survive. */      \
  X(prologue_poll, void, (vm::FuncCode*))                   /* as stack_poll */                                       \
  X(hot_entry, void, (vm::FuncCode*))                       /* the budget is used up; refills it */                   \
  X(hot_loop, const void*, (vm::FuncCode*, uint64_t loop))  /* the same in a loop: offset | slots << 32 (| kSampledLoop). A better OSR entry, the slots copied into the area; or null */ \
  X(enter_loop, void, (const uint64_t* state, uint32_t slots)) /* copies the state of an OSR entry into the frame */  \
  /* Pairs of indices are destination | source << 32; for init, memory (or table) | segment << 32. */                 \
  X(memory_copy, void, (vm::Instance*, uint64_t memories, uint64_t to, uint64_t from, uint64_t size))                 \
  X(memory_fill, void, (vm::Instance*, uint32_t memory, uint64_t address, uint32_t value, uint64_t size))             \
  X(memory_init, void, (vm::Instance*, uint64_t indices, uint64_t to, uint64_t from, uint64_t size))                  \
  X(data_drop, void, (vm::Instance*, uint32_t segment))                                                               \
  X(table_get, uint64_t, (vm::Instance*, uint32_t table, uint64_t index))                                             \
  X(table_set, void, (vm::Instance*, uint32_t table, uint64_t index, uint64_t ref))                                   \
  X(table_grow, uint64_t, (vm::Instance*, uint32_t table, uint64_t ref, uint64_t count)) /* as memory_grow */         \
  X(table_fill, void, (vm::Instance*, uint32_t table, uint64_t index, uint64_t ref, uint64_t size))                   \
  X(table_copy, void, (vm::Instance*, uint64_t tables, uint64_t to, uint64_t from, uint64_t size))                    \
  X(table_init, void, (vm::Instance*, uint64_t indices, uint64_t to, uint64_t from, uint64_t size))                   \
  X(elem_drop, void, (vm::Instance*, uint32_t segment))                                                               \
  /* Addresses of these have the offset added; the sum has not wrapped. */                                            \
  X(atomic_wait32, uint64_t, (vm::Instance*, uint32_t memory, uint64_t address, uint32_t expected, int64_t timeout))  \
  X(atomic_wait64, uint64_t, (vm::Instance*, uint32_t memory, uint64_t address, uint64_t expected, int64_t timeout))  \
  X(atomic_notify, uint64_t, (vm::Instance*, uint32_t memory, uint64_t address, uint32_t count))
// clang-format on

inline constexpr int32_t kBaselineSlots = -32;
/// Where a frame of baseline code has its instance, from rbp on, once its prologue is over.
inline constexpr int32_t kBaselineInstance = -16;
/// Frames with more canonical slots stay in baseline code: OSR into the next tier goes through the vCPU's area.
inline constexpr uint32_t kMaxOsrSlots = 2000;
/// In the argument of Helper::hot_loop: of code that is sampled and does not count (jit/stop/sample.h).
inline constexpr uint64_t kSampledLoop = uint64_t{1} << 63;

enum class Helper : uint8_t {
#define X(name, result, params) name,
  VMRUN_HELPERS(X)
#undef X
      count
};

/// Where metered code jumps, instead of to the callee's code, for a tail call that leaves no register for both that address
/// and what is left: behind the helpers in their table, with all registers but rax as the callee wants them.
inline constexpr uint64_t kTailCallEntry = static_cast<uint64_t>(Helper::count);

}  // namespace vmrun::jit
