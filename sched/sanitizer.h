// Tells the thread and address sanitizers which stack runs. Both keep state for each stack (a mirror of the call stack
// with its clock; fake frames); a switch they do not hear of gives false reports or a crash. Debian's Boost is built
// without its own annotations, so these stand around every switch, all of which our code starts: see algorithm.h.
//
// Rules: leave() is called last before the jump, in a function whose frame lives on the stack that is left and that is
// resumed with it, or in one without instrumentation; arrive() first after it. The build defines SCHED_TSAN or
// SCHED_ASAN (not __has_feature: one file is built without sanitizers and shares these types).
#pragma once

#include <cstddef>

#if defined(SCHED_TSAN)
#include <sanitizer/tsan_interface.h>
#elif defined(SCHED_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

#define SCHED_UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation, noinline))

namespace vmrun::sched {

/// One stack as the sanitizers know it: a fiber's, a dispatcher's or a thread's own.
struct Strand {
#if defined(SCHED_TSAN)
  void* fiber = nullptr;
#elif defined(SCHED_ASAN)
  void* fake = nullptr;
  const void* low = nullptr;
  size_t size = 0;
#endif

  /// For a stack that no thread owns.
  void create([[maybe_unused]] const void* low_end, [[maybe_unused]] size_t bytes) {
#if defined(SCHED_TSAN)
    fiber = __tsan_create_fiber(0);
#elif defined(SCHED_ASAN)
    low = low_end;
    size = bytes;
#endif
  }
  /// For the calling thread's own stack.
  void adopt_thread([[maybe_unused]] const void* low_end, [[maybe_unused]] size_t bytes) {
#if defined(SCHED_TSAN)
    fiber = __tsan_get_current_fiber();
#elif defined(SCHED_ASAN)
    low = low_end;
    size = bytes;
#endif
  }
  void destroy() {
#if defined(SCHED_TSAN)
    __tsan_destroy_fiber(fiber);
#endif
  }
};

__attribute__((always_inline)) inline void leave([[maybe_unused]] Strand& from, [[maybe_unused]] Strand& to,
                                                 [[maybe_unused]] bool for_good = false) {
#if defined(SCHED_TSAN)
  __tsan_switch_to_fiber(to.fiber, 0);
#elif defined(SCHED_ASAN)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake, to.low, to.size);
#endif
}

__attribute__((always_inline)) inline void arrive([[maybe_unused]] Strand& here) {
#if defined(SCHED_ASAN)
  __sanitizer_finish_switch_fiber(here.fake, nullptr, nullptr);
  here.fake = nullptr;
#endif
}

}  // namespace vmrun::sched
