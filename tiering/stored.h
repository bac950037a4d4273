// What of a module's code goes from one process to the next: stored code that it came with, and what is to be stored.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jit/stored/reader.h"
#include "jit/stored/stream.h"
#include "jit/stored/writer.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {

/// A function, or a loop of it, that earlier processes found hot.
struct HotUnit {
  uint32_t func_index, unit;  // unit: as in jit::CompileRequest
  uint32_t heat;         // as in HeatTable: of all earlier runs together, those before the last 256 for less and less
  uint16_t refused = 0;  // this_optimiser() of the build whose optimiser did not take it
  uint16_t late = 0;     // kLate for each run that ended before the code was there, less one for each other run
};
inline constexpr uint16_t kLate = 16, kMostLate = 16 * kLate;
/// A number that stands for this build's optimiser; not 0.
uint16_t this_optimiser();
/// What was hot for less than a millisecond is not remembered.
inline constexpr uint32_t kLeastHeat = 25'000;
static_assert(kLeastHeat * policy::kHeatNanoseconds == 1e6);

/// Whoever stores a module's code while it runs.
class Keeper {
 public:
  virtual ~Keeper() = default;
  /// The module has got optimised code that was compiled here. Any thread; short.
  virtual void made_optimised() = 0;
};

/// What a module comes with.
struct StoredCode {
  std::shared_ptr<const jit::stored::File> file;  // of this build and processor; null: there is none
  bool runs = true;                               // false: its code is only shown, and never put into force
  std::vector<HotUnit> hot;                       // by rising function; whatever became of their code
  std::chrono::nanoseconds run{0};                // how long earlier runs took, on average; 0: unknown
  uint32_t hot_runs = 0;                          // of how many of them the heat is, in 256ths; 0: unknown
  std::shared_ptr<Keeper> keeper;                 // null: nothing is stored, and heat counts for this run alone
};

/// What a process has found out about a module that nobody has stored yet.
struct News {
  jit::stored::Settings settings;  // that code made here depends on
  uint64_t units[3] = {};          // functions and entries at loops with code that was compiled here, by tier
  uint64_t nanoseconds = 0;        // that compiling has taken
  bool damaged = false;            // stored code was found to be
  /// What has optimised code or was hot enough to be remembered, by rising function; heat 0: it was not measured, because
  /// its optimised code was stored.
  std::vector<HotUnit> hot;
};

/// What is to be stored.
struct Kept {
  jit::stored::Settings settings;
  std::vector<jit::stored::Unit> units;
};

/// What is compiled for a file, and for whom.
struct Ahead {
  std::optional<vm::Tier> all;      // code of that tier, or of a lower one whose compiler takes it, of all functions
  std::vector<uint32_t> optimised;  // functions that get optimised code whatever `all` says; ascending
  std::string processor;            // LLVM's name of the one that optimised code is for; "": this one
};

/// How many of so many functions are compiled; false: stop. Called by one thread at a time.
using Progress = std::function<bool(uint32_t done, uint32_t all)>;

}  // namespace vmrun::tiering
