// Random modules that aim at what goes wrong: each kind puts together, in small functions, things that compilers have
// rules for. The modules are small so that every tier, the optimising one included, gets through many of them.
//
// What agrees between correct engines: see generate.h.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "generate.h"

namespace vmrun::test {

namespace generate {

/// How often a series of modules holds each of the things that its generators aim at.
class Tally {
 public:
  void hit(const std::string& what) { ++counts_[what]; }
  /// Something that a long enough series must hold.
  void expect(const std::string& what) { counts_.try_emplace(what); }
  const std::map<std::string, size_t>& counts() const { return counts_; }

 private:
  std::map<std::string, size_t> counts_;
};

/// A kind of aimed modules.
struct Kind {
  std::string_view name;
  /// The module that belongs to `number`. Those of consecutive numbers hold different combinations.
  Bytes (*make)(uint64_t number, Tally& tally);
  /// Names all that a series must hold.
  void (*expect)(Tally& tally);
};

/// i32 operands with dirt in the upper half of their register, through chains of identities, wherever an i32 is taken.
Bytes make_identities(uint64_t number, Tally& tally);
void expect_identities(Tally& tally);

/// Loops whose counters, strides and addresses lie at the edges of 32 bits, of narrow types and of memories.
Bytes make_edges(uint64_t number, Tally& tally);
void expect_edges(Tally& tally);

/// Instructions that need certain registers, above stacks of many live operands of each kind.
Bytes make_pressure(uint64_t number, Tally& tally);
void expect_pressure(Tally& tally);

/// Calls, blocks and branches with hundreds of values.
Bytes make_wide(uint64_t number, Tally& tally);
void expect_wide(Tally& tally);

/// What is seen after a trap and where it was, and arithmetic that makes signalling NaNs quiet.
Bytes make_effects(uint64_t number, Tally& tally);
void expect_effects(Tally& tally);

/// Chains of small functions that call each other in all ways and end in all ways.
Bytes make_inlined(uint64_t number, Tally& tally);
void expect_inlined(Tally& tally);

}  // namespace generate

/// All kinds of aimed modules.
std::span<const generate::Kind> aimed_kinds();

}  // namespace vmrun::test
