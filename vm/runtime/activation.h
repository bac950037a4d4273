// Walking the frames of a vCPU through all its activations, and leaving them: backtraces, where an exception lands, how a
// trap gets back to the host.
//
// interp/ and jit/ each register what is particular to their kind of frame (SegmentOps); everything else is here. A
// segment is walked from where its newest frame stands (Activation::pc and fp), so whoever starts a walk has stored that
// for the running segment first.
//
// LEAVING. What ends frames never returns through them. C++ code computes a Transfer (where to go on, with which stack
// pointer), returns it up to the handler or the helper stub that was called by the guest, and that one jumps
// (`transfer`): no C++ frame is ever abandoned. A transfer sets rsp = sp, rax = the vCPU, rbp = cx->activation->fp, and
// jumps to `to`; every other register is garbage. Three kinds of places are gone to:
//   machine frame   `to` is a landing pad (jit/crossing/abi.h)
//   interp frame    `to` dispatches the cell in cx->activation->pc with frame and instance from there; the code at the
//                   handlers' return address must therefore address its frame by rsp, not rbp
//   host entry      `to` is the address stored at native_sp, as if handlers had returned there or a call had; the entry's
//                   activation is the newest one and its outcome set. The code there restores what the host expects of
//                   it, rbp included, from its frame, pops its activation and returns the outcome.
// Newer activations are popped by whoever makes the Transfer, limits included. The budget is left alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vm/blocks/block.h"
#include "vm/runtime/instance.h"

namespace vmrun::vm {

/// The vCPU whose guest runs on this thread: set at the entry from the host and by the scheduler's switches; read by
/// signal handlers, which have no other way to know.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local Vcpu* running_vcpu;

/// One position of a walk.
struct FrameAt {
  const Activation* activation = nullptr;
  const void* pc = nullptr;  // as in Activation
  std::byte* fp = nullptr;
  void* sp = nullptr;            // machine only
  Instance* instance = nullptr;  // interp only
  bool exact = false;
  uint32_t call = 0;  // machine: the inlined call that is meant (FrameInfo::call); 0: where the frame stands
};

/// What is known about one guest frame. Machine code may have inlined calls: then one frame of the machine stands for
/// several of the guest's.
struct FrameInfo {
  FuncCode* code = nullptr;
  uint32_t offset = 0;  // byte offset of the instruction in the image
  Tier tier = Tier::interp;
  Instance* instance =
      nullptr;               // null in optimised code, whose frame keeps it where it likes, and before a body begins
  const void* pc = nullptr;  // interp: const interp::Cell*; machine: return address, or instruction when exact
  uint32_t call = 0;         // not 0: inlined at that call, which FrameAt::call takes to describe the caller
};

/// Where to go on, as described above. `to` null: nowhere, the guest goes on behind its call.
struct Transfer {
  const void* to = nullptr;
  void* sp = nullptr;
};

/// What a kind of frame knows about itself.
struct SegmentOps {
  /// Whether `at`, filled from the activation, is at a frame; if the newest frame is not one (it is being replaced), moves
  /// on to its caller. False when the segment has no frame.
  bool (*begin)(FrameAt& at);
  /// The caller inside the segment; false when there is none (machine: pc is then where the oldest frame returns to).
  bool (*up)(FrameAt& at);
  /// Says what the frame is, the innermost one where there are several; false when it is nobody's (a trampoline).
  bool (*describe)(const FrameAt& at, FrameInfo& info);
  /// Looks for the landing of cx.exception in the segment, from where it stands. If there is one, changes the
  /// activation's position accordingly, prepares what has to be prepared, and says where to go on. Machine segments tell
  /// vm/runtime/unwound.h of the frames that it comes by.
  Transfer (*land)(Vcpu& cx, Activation& activation);
  /// Whether the frame and the one that has called it are one frame of the guest, which is where this one says; null: none is.
  bool (*joined)(const FrameAt& at) = nullptr;
};
void set_segment_ops(Activation::Kind kind, const SegmentOps* ops);

/// Walks all frames of interpreter and machine, innermost first:  for (FrameWalk walk(cx.activation); walk.valid(); walk.next()) ... walk.at()
class FrameWalk {
 public:
  explicit FrameWalk(const Activation* newest);
  /// From a frame of the newest segment that runs. `at` is at a frame.
  explicit FrameWalk(const FrameAt& at) : at_(at) {}
  bool valid() const { return at_.activation != nullptr; }
  const FrameAt& at() const { return at_; }
  /// The guest's frame, the innermost one where there are several. False for frames that are nobody's.
  bool describe(FrameInfo& info) const;
  /// The caller of an inlined frame: `call` is its FrameInfo::call.
  bool describe_caller(uint32_t call, FrameInfo& info) const;
  void next();

 private:
  void enter(const Activation* activation);
  FrameAt at_;
};

inline constexpr size_t kMaxBacktrace = 256;
/// The guest frames of `cx` as it stands, innermost first, at most `max`.
std::vector<Frame> backtrace(const Vcpu& cx, size_t max = kMaxBacktrace);
/// Those of the segment `newest` (null: none) and the older ones.
std::vector<Frame> backtrace(const Activation* newest, size_t max);
/// Fills cx.backtrace, unless a failure that came up through a host function has filled it already.
void record_backtrace(Vcpu& cx);
/// All return addresses and interrupted instructions in the machine frames of `cx` (not running), trampolines included.
void machine_pcs(const Vcpu& cx, std::vector<const void*>& out);

/// The activation that traps and uncaught exceptions leave by.
Activation* host_entry(const Vcpu& cx);
/// Makes `activation` the newest one and puts its limits back.
void pop_activations(Vcpu& cx, Activation* activation);

/// Ends all frames since the host's entry with a backtrace. Trap: cx.trap says which; Error: cx.host_error.
Transfer leave_to_host(Vcpu& cx, Outcome outcome);
/// The same with trap `code`.
[[gnu::visibility("hidden")]] Transfer leave_by_trap(Vcpu& cx, TrapCode code);
/// Ends the process when there is no exception in flight: a host function ended as if it had thrown one.
void check_thrown(const Vcpu& cx);
/// Takes cx.exception to its landing, or out to the host, unless the guest is interrupted first: the search polls.
/// `newest_searched`: it does not land in the newest activation.
Transfer raise_exception(Vcpu& cx, bool newest_searched = false);
/// The same from the pad where it landed, which has no use for it.
Transfer resume_exception(Vcpu& cx);
/// Counts a throw in the newest frame's block record; to be called when its module wants counts.
void count_throw(const Vcpu& cx);
/// What to do after a host function that did not return: by its outcome, one of the above.
[[gnu::visibility("hidden")]] Transfer host_failed(Vcpu& cx, Outcome outcome);

/// Makes the exception `tag` with `slots` from `payload` and puts it in cx.exception; false when there is no memory. The
/// VM stack is in use up to `stack_top`; native stacks are searched for references too.
bool make_exception(Vcpu& cx, TagInst* tag, const Slot* payload, const std::byte* stack_top);

/// Jumps. One file per target.
[[noreturn, gnu::visibility("hidden")]] void transfer(Vcpu& cx, Transfer transfer);

}  // namespace vmrun::vm
