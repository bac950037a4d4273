// What a tier has done for a module.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vm/blocks/block.h"

namespace vmrun::tiering {

struct TierStats {
  uint64_t functions = 0;  // compiled as a whole
  uint64_t osr_units = 0;  // compiled for the entry at a loop
  uint64_t failed = 0;
  uint64_t bugs = 0;        // of these: by an error of ours
  uint64_t tasks = 0;       // shares of work: of compile threads, and of who waits for a whole module
  uint64_t task_units = 0;  // compiled in these, and not by a guest's thread
  uint64_t loaded = 0;      // of the functions and units: they were stored, and nobody compiled them
  uint64_t dropped = 0;     // given up for want of code memory
  uint64_t wasm_bytes = 0;  // of the compiled bodies
  uint64_t code_bytes = 0;  // that they became
  std::chrono::nanoseconds compile_time{0};
  uint64_t osr_entries = 0;                 // frames that moved into this tier in mid-loop
  std::map<std::string, uint64_t> reasons;  // of failures, without their offsets
};

/// A function's heat, and its loops'.
struct FunctionHeat {
  struct Loop {
    uint32_t offset;  // of the `loop` opcode in the image
    vm::Tier tier;    // of the code that it may be entered in
    double nanoseconds;
  };
  vm::Tier tier = vm::Tier::interp;  // of the code in force
  double nanoseconds = 0;            // that the function has used, as far as reports and ticks say
  std::vector<Loop> loops;
};

}  // namespace vmrun::tiering
