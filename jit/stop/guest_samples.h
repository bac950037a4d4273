// Sampling guests for a profile: where they are and who called them, in all tiers and in what the host does for them.
//
// Each thread that runs guests has a timer, whose signal is the stop signal (jit/stop/preempt.h). Timers of processor time
// come no more often than the kernel's own tick, 250 times a second on most machines; they come with it, and so take no
// interrupt of their own. Those of shorter intervals are of real time. A tick asks how much processor time the thread has
// used since its last one, and that is what the sample counts for: a thread that waits has none, and its ticks of real time
// become rare. The handler takes the guest's stack where it can:
//
//   code of a function        at once. Frames are walked by rbp, also from a prologue or an epilogue
//   the interpreter           at once, where its registers make sense (interp/sample.h)
//   the host, a trampoline    the time is noted in the vCPU, and counted where the guest polls next, which is on the way
//                             back (vm::Request::sample), or when its frames end
//
// Threads: start and stop are any thread's, one at a time. The handler uses its thread's own state, atomics, system calls
// and the samples (vm/runtime/samples.h). stop returns when no handler is at work.
#pragma once

#include <cstdint>
#include <string>

namespace vmrun::jit {

/// Samples all guests of the process every so many nanoseconds from now on, into vm::Samples::get(), which is emptied.
/// False, with the reason: this build or system cannot, or they are sampled already.
bool start_guest_samples(int64_t nanoseconds, std::string* why);
/// No sample is added after this. Harmless when there are none.
void stop_guest_samples();

/// Makes what the calling thread has for samples and ticks (jit/stop/sample.h), which otherwise its first guest does. The C
/// library registers the end of such a thing under the lock that dlopen holds all its time.
void guest_samples_prepare_thread();

/// For threads that begin to run guests. Once, by the first engine.
void watch_guest_threads();

// ---- for the stop signal's handler ----
/// Whether the signal is one of the sampler's, by its value.
bool is_guest_tick(const void* value);
/// Serves it.
void guest_tick(const void* value, const void* ucontext);

}  // namespace vmrun::jit
