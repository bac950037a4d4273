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
  /// Called whenever the host runs: between calls, and by all imported functions.
  std::function<void()> meanwhile;
};

/// Instantiates `module` with imports made to measure, and calls every exported function in turn.
Trace exercise(const Module& module, const ExerciseOptions& options);

/// Where two traces of the same module part, for people; empty when they agree.
std::string difference(const Trace& a, const Trace& b);

}  // namespace vmrun::test
