// How much the interpreter does to a function.
#pragma once

#include <cstdint>

#pragma GCC visibility push(default)
namespace vmrun {

/// How much the interpreter does to a function before it runs it. In ascending order of what it costs.
enum class Effort : uint8_t {
  Auto,     // a quick translation at the first call, a careful one when the function turns out hot
  Quick,    // only the quick one
  Careful,  // the careful one at the first call
};

}  // namespace vmrun
#pragma GCC visibility pop
