// The cells of the matrix: who calls whom in which tiers, how, and what then happens. See matrix_test.cpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/support/module_builder.h"
#include "vm/blocks/block.h"

namespace vmrun::spine {

/// A tier, or the host.
enum class Side : uint8_t { interp, baseline, opt, host };
enum class Kind : uint8_t { call, indirect, tail };
enum class Scenario : uint8_t {
  returns,
  multi_value,
  live_across,
  trap,
  caught_by_caller,
  caught_far_up,
  rethrow,
  stack_overflow,
  preempted,
  cancelled,
};
inline constexpr Side kSides[] = {Side::interp, Side::baseline, Side::opt, Side::host};
inline constexpr Kind kKinds[] = {Kind::call, Kind::indirect, Kind::tail};
inline constexpr unsigned kScenarios = 10;

const char* to_string(Side side);
const char* to_string(Kind kind);
const char* to_string(Scenario scenario);

struct Cell {
  Side caller, callee;
  Kind kind;
  Scenario scenario;
};
std::string name_of(const Cell& cell);
/// Why a cell cannot be; empty when it can.
std::string impossible(const Cell& cell);

/// The functions of a cell's module. `outer` calls `mid`, which calls `caller`, which calls `callee` in the way of the
/// cell; where the host is the callee, that one is an import. Cells that need no outer functions have none.
struct Plan {
  Bytes image;
  uint32_t callee = 0, caller = 0, mid = 0, outer = 0;
  bool has_caller = false, has_outer = false;
  Types params;  // of the function that the test calls
  /// Offset in the body of the instruction that the function stands at when the scenario ends it; 0: not asserted.
  uint32_t callee_at = 0, caller_at = 0, mid_at = 0, outer_at = 0;
};
Plan plan(const Cell& cell);

/// Nineteen values, more than travel in registers on either side.
Types many_types();
Types many_types_reversed();

}  // namespace vmrun::spine
