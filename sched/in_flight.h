// Exceptions that a task has caught or is throwing. The C++ runtime keeps them by thread, as a list of what is caught and a
// number of what is thrown; a task that waits inside a catch block, or in a destructor while it unwinds, takes them along to the
// thread on which it goes on. Else it would leave them to whatever task that thread runs next: `throw;` there would find
// them, and the end of a catch block would free another task's exception.
#pragma once

#include <cxxabi.h>

namespace vmrun::sched {

/// As __cxa_eh_globals of the Itanium C++ ABI, which names its fields and their order.
struct InFlight {
  void* caught = nullptr;
  unsigned thrown = 0;

  bool any() const { return caught != nullptr || thrown != 0; }
};

// Out of line: the compiler takes the place of this thread's state for the same after a switch.

/// Where the C++ runtime keeps those of this thread, for as long as the thread lives.
[[gnu::noinline]] inline InFlight& in_flight_here() noexcept {
  return *reinterpret_cast<InFlight*>(abi::__cxa_get_globals());
}
/// Takes away those that `here` has.
inline InFlight take_in_flight(InFlight& here) noexcept {
  const InFlight taken = here;
  if (taken.any()) here = {};
  return taken;
}
/// Gives them to this thread, which has none.
[[gnu::noinline]] inline void put_in_flight(const InFlight& exceptions) noexcept { in_flight_here() = exceptions; }

}  // namespace vmrun::sched
