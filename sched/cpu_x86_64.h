// What the scheduler asks of the processor, for x86-64.
#pragma once

#if !defined(__x86_64__)
#error "sched/ has no processor file for this target"
#endif

namespace vmrun::sched {

/// Tells the core that this is a spinning loop.
inline void pause_cpu() noexcept { __builtin_ia32_pause(); }

}  // namespace vmrun::sched
