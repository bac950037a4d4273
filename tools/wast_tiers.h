// Where the functions of the test suite ran, by the engine's counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "vmrun/vmrun.h"

namespace vmrun::tools {

class WastTiers {
 public:
  /// `stored`: all code is to have been stored.
  WastTiers(Tiers wanted, bool stored) : wanted_(wanted), stored_(stored) {}

  /// Takes account of a module that has run; of those of an engine with Config::count_runs.
  void add(const std::string& script, const Module& module);
  /// Prints the accounts; false when functions ran elsewhere than wanted.
  bool finish() const;

 private:
  void judge(const std::string& script, const Module& module, uint32_t func_index, const FunctionRuns& runs);

  Tiers wanted_;
  bool stored_;
  uint64_t loaded_ = 0;                                       // functions and units whose code was stored
  uint64_t ran_ = 0;                                          // functions that ran at all
  uint64_t ran_in_[3] = {}, runs_[3] = {}, entries_[3] = {};  // by tier: functions, their runs, entries into loops
  uint64_t compiled_[3] = {}, units_[3] = {}, refused_[3] = {};
  std::map<std::string, uint64_t> reasons_[3];  // of refusals
  uint64_t elsewhere_ = 0;
};

}  // namespace vmrun::tools
