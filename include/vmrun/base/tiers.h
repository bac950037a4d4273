// Tiers: the ways of executing a function, and which of them an engine uses.
#pragma once

#include <cstdint>

#pragma GCC visibility push(default)
namespace vmrun {

/// A way of executing a function.
enum class Tier : uint8_t {
  Interp,    // the interpreter
  Baseline,  // machine code made in one pass
  Opt,       // machine code made by LLVM
};

/// Which tiers an engine uses.
enum class Tiers : uint8_t {
  Auto,            // all: baseline code at the first call, optimised code for what is hot, made in the background
  Interp,          // the interpreter alone
  Baseline,        // baseline code at a function's first call, where the compiler supports it, else the interpreter
  Opt,             // the same with optimised code
  InterpBaseline,  // as Auto, without optimised code
  Steps,           // each call and each loop iteration moves what runs a tier up, at once: for tests, very slow
};

/// Which calls optimised code inlines: replaces by the callee's own instructions. What a guest computes, its traps and
/// their backtraces are the same.
enum class Inlining : uint8_t {
  On,   // calls of small functions
  Off,  // none
  All,  // whatever can be, in units as large as may be compiled at all: for tests, slow to compile
};

}  // namespace vmrun
#pragma GCC visibility pop
