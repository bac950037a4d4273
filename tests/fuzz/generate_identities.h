// What makes the functions of generate_identities.cpp, for its parts.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "generate_aimed.h"
#include "generate_writer.h"

namespace vmrun::test::generate {

class Maker {
 public:
  Maker(uint64_t number, Tally& tally);
  /// Adds an exported function [i64 i64 i32] -> [i64] with that step and that use.
  void function(size_t step, size_t use, const std::string& name);

  /// A use of an i32 that has gone through that step and perhaps some more.
  void operand(size_t use, size_t step);

  // Locals: the parameters, and some of each type.
  static constexpr uint32_t a = 0, b = 1, c32 = 2, x32 = 3, y32 = 4, x64 = 5, xf = 6, xd = 7, xv = 8;
  static Types locals() { return {i32, i32, i64, f32, f64, v128}; }
  static constexpr uint32_t kGlobal32 = 0, kGlobal64 = 1;

  /// Numbers at edges; of 64 bits also with dirt in their upper half.
  uint32_t edge();
  uint64_t edge64();
  uint64_t dirt();        // upper half only
  uint64_t small_mask();  // keeps the upper half and leaves an aligned address in a page

  Random r;
  ModuleWriter w;
  Code c;  // of the function that is being made
  Tally& tally;
  uint32_t host = 0, tag = 0;
  uint32_t through = 0;                                       // the type [i32] -> [i32]
  uint32_t same32 = 0, same64 = 0, widen_u = 0, widen_s = 0;  // functions
  bool memory64 = false;                                      // memory 1 is there, with 64-bit addresses
};

/// A named piece of code.
struct Step {
  const char* name;
  void (*emit)(Maker& m);
};

/// Takes an i32 and leaves an i64.
struct Use {
  std::string name;
  std::function<void(Maker& m)> before;  // puts there what lies beneath the i32
  std::function<void(Maker& m)> after;
  bool address = false;
  bool alone = false;  // takes the whole function so far
};
/// Each i32 operand of each instruction, and whatever else takes an i32 (generate_uses.cpp).
const std::vector<Use>& all_uses();

}  // namespace vmrun::test::generate
