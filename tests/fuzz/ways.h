// The ways in which `differential` runs a module: which tiers an engine has, and what happens to the module's functions
// and loops in mid-run.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmrun/vmrun.h"

namespace vmrun::test {

/// What moves up and when, in ways that force it.
enum class Force : uint8_t {
  nothing,
  loops,  // every function in the interpreter until some early back-edge of some of its loops, then in baseline code
  loops_opt,    // the same, from the interpreter or from baseline code into either tier
  loops_alone,  // loops become units by themselves at some early back-edge, and are called by baseline code
  disturb,  // whenever the host runs: functions and loops are heated and promoted at random, code is dropped and freed
};

struct Way {
  std::string name;
  Config config;
  Force force = Force::nothing;
  bool opt = false;      // makes optimised code
  bool each = false;     // where engines meter and there is plenty, each instruction is charged for by itself
  bool stored = false;   // all code goes through a compiled image, from an engine that has gone
  bool alone = false;    // loops are compiled alone, and go through a compiled image with whatever calls them
  unsigned threads = 1;  // that run the module at once, each in stores of its own
  bool node = false;     // not ours: node, where it is and takes the module (oracle.h)
};

/// The names of all ways, comma-separated.
std::string way_names();
/// Ways by their names, comma-separated. Says so and exits when there is no such way.
std::vector<Way> make_ways(std::string_view names);

/// The module as the way compiles it. `seed` chooses what is forced.
Result<Module> load(const Way& way, std::span<const uint8_t> image, uint64_t seed);

/// What a way does whenever the host runs; empty for most.
std::function<void()> disturbance(const Way& way, const Module& module, uint64_t seed);

}  // namespace vmrun::test
