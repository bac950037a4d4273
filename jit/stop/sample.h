// How baseline code's heat is measured where nothing counts it: by a timer of the guest's thread.
//
// The timer counts the processor time of its thread, so that a thread that waits has no ticks. A tick is a signal (the
// one of preempt.h); its handler looks which baseline code it has interrupted, has the time charged to that function,
// and makes the guest poll at its next entry or back-edge (CompileRequest::sample_heat), where decisions may be made. A
// counter in each entry instead, which the next entry has to wait for, made fibonacci take 1.19 times the processor
// time, and queens 1.32 times (2026-11-21).
//
// Threads: the handler uses its thread's own state and atomics. A thread gets its timer when it runs its first guest, or
// when it first hears of heat after there is code; it is suspended while the thread is busy with other things, and ends
// with the thread.
#pragma once

#include <cstdint>

#include "vm/blocks/block.h"
#include "vm/runtime/instance.h"

namespace vmrun::jit {

/// So much of its processor time a thread goes on without guests before its ticks are suspended: signals cut the host's
/// own waits short, and going on costs a system call or two.
inline constexpr uint32_t kIdleTicks = 8;

/// Who is told.
struct SampleServer {
  /// `code` was found running in its baseline code, for so many ticks. Called in a signal handler. Returns at how many of
  /// their back-edges loops that contain loops poll now; 0: nobody cares.
  int64_t (*charge)(vm::FuncCode& code, uint32_t ticks) = nullptr;
  /// The first poll after a charge, in `code`, where it begins or at a back-edge. Returns whether it was charged
  /// itself.
  bool (*decide)(vm::FuncCode& code, bool at_entry) = nullptr;
};
/// The part of guest_samples_prepare_thread (jit/stop/guest_samples.h) for ticks.
void sample_prepare_thread();

/// Once. Threads that run their first guest afterwards are sampled.
void set_sample_server(const SampleServer& server);

/// Whether this system has such timers and signals get through to guests.
bool can_sample();

/// Guests of this thread are sampled from now on, although it may have run some before there was a server. Does nothing
/// while the process has no code memory, and so nothing to sample.
void sample_this_thread();

/// By the stop signal's handler (preempt.h): whether the signal was a tick, whose value is `value`.
bool is_tick(const void* value);
/// A tick has interrupted the guest of `cx` at `pc`; `ticks` with those that were late.
void sample(vm::Vcpu& cx, const void* pc, uint32_t ticks);
/// The same where no guest runs on the thread. After kIdleTicks in a row it has no more until its next guest.
void sample_no_guest(uint32_t ticks);
/// By the helpers that poll in baseline code. Returns whether `code` was charged since the last time.
bool decide_if_sampled(vm::FuncCode& code, bool at_entry);

}  // namespace vmrun::jit
