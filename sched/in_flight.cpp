// in_flight.h by the C++ ABI's own function.
#include "sched/in_flight.h"

#include <cxxabi.h>

namespace vmrun::sched {

InFlight& in_flight_here() noexcept { return *reinterpret_cast<InFlight*>(abi::__cxa_get_globals()); }

void put_in_flight(const InFlight& exceptions) noexcept { in_flight_here() = exceptions; }

}  // namespace vmrun::sched
