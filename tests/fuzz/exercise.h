// Runs whatever a module offers, within limits, and writes down what could be seen of it: for fuzzing, and for
// comparing one way of executing with another.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "vmrun/vmrun.h"

namespace vmrun::test {

/// What was seen, one event a line: calls of imports, results, traps and exceptions with their backtraces, and at the
/// end exported globals and memories. NaNs are written as "nan" and references as "null" or "ref", because nothing
/// prescribes their bits. A very long trace ends in a hash of its rest.
struct Trace {
  std::vector<std::string> lines;
  /// Set when something happened that depends on time or on the size of frames (an interrupt, a stack overflow, a
  /// limit): the lines end there.
  bool cut = false;
  /// Set beside `cut` when the run took too long.
  bool interrupted = false;
  /// What a guest has changed that is not its own (canaries.h), or "". The run ends there.
  std::string escaped;
  size_t guarded = 0, alone = 0;  // memories that faults guard, and those of them that lie in emptiness
  /// The calls that were made, as another engine may read them: an export's name and its arguments, each a type and a
  /// number in hexadecimal ("f0 i32:7 i64:ff"). Only with `ExerciseOptions::plain`.
  std::vector<std::string> calls;
};

struct ExerciseOptions {
  uint64_t seed = 0;                     // of the arguments that exports are called with
  unsigned rounds = 1;                   // how often all exports are called
  std::chrono::milliseconds time{1000};  // for the whole module; then it is interrupted
  uint64_t memory_bytes = 64u << 20;
  uint64_t stack_bytes = 1u << 20;
  unsigned instances = 1;  // of the module, called in turn
  /// All in one store, where an instance imports functions that the one before it exports, if any have the type; else
  /// each in a store of its own.
  bool one_store = false;
  /// Imported functions return made-up values, and sometimes trap, throw, or call an export.
  bool lively = false;
  /// The engine meters: stores get fuel before each call, and what is left is written down wherever it can be seen.
  enum class Fuel : uint8_t {
    none,
    plenty,
    scarce,  // of which guests often run out
  } fuel = Fuel::none;
  /// Whether canaries lie around the guest and are looked at after each call (canaries.h).
  bool canaries = false;
  /// As another engine can do it too, which has other values at its boundary: each export whose parameters and results
  /// are numbers is called once, in one instance whose imports return zeros.
  bool plain = false;
  /// Called whenever the host runs: between calls, and by all imported functions.
  std::function<void()> meanwhile;
};

/// Instantiates `module` with imports made to measure, and calls every exported function in turn.
Trace exercise(const Module& module, const ExerciseOptions& options);

/// Where two traces of the same module part, for people; empty when they agree.
std::string difference(const Trace& a, const Trace& b);

}  // namespace vmrun::test
