// Fuel: what guest code costs, in units, the same in every tier.
//
// THE RULE. An instruction costs one unit; nop, drop, block, loop, try, try_table, else, catch, delegate, end, return
// and unreachable cost nothing, and entering a function costs one. Instructions on ranges (memory.copy and the like)
// cost more by their length: fuel_of_bytes, fuel_of_elements. So do functions with very many locals, which are made
// zero at each entry, and try_tables with very many clauses, each of which is searched once at most for each time that
// it is entered.
//
// SEGMENTS. A body falls into segments: runs of instructions which control enters at the first one only, and which end
// with the first that may go elsewhere or call. The decoder tells consumers that take charges (func_decoder.h) of a
// segment's sum in front of its first instruction that costs anything. All tiers execute these charges, and nothing
// else, so what was used up is the same number in each at every call and return. A segment that cannot be paid for traps
// in front of that instruction (TrapCode::OutOfFuel) and is not charged.
//
// TRAPS. One inside of a segment finds all of it charged. What lies behind the instruction is given back then
// (unspent_fuel, from the position in the backtrace), so that code needs no charge for each instruction that may trap.
#pragma once

#include <cstdint>
#include <vector>

#include "vm/wasm/opcode.h"

namespace vmrun::vm {

class Module;

struct FuelSegment {
  uint32_t offset;  // in the image, of the instruction that the charge stands in front of
  uint32_t units;   // not 0
};

/// The segments of an own function whose body is valid, in the order of their offsets.
std::vector<FuelSegment> fuel_segments(const Module& module, uint32_t func_index);

/// What the instructions cost that lie behind the one at `offset` in its segment. 0 where no instruction that costs
/// anything, and no call, is there.
uint64_t unspent_fuel(const Module& module, uint32_t func_index, uint32_t offset);

/// Whether an instruction costs more by its length. It ends its segment.
bool costs_by_length(Op op);

/// What an instruction on a range costs beside its unit: a unit for 16 bytes begun, or for an element.
constexpr uint64_t fuel_of_bytes(uint64_t bytes) { return bytes / 16 + (bytes % 16 != 0 ? 1 : 0); }
/// What entering a function of so many locals, parameters included, costs beside its unit: 16 bytes of them a unit,
/// beyond what a call takes anyway.
constexpr uint64_t fuel_of_locals(uint64_t locals) { return locals > 64 ? (locals - 64 + 1) / 2 : 0; }
/// What a try_table costs: a unit for each clause beyond what a throw takes anyway.
constexpr uint64_t fuel_of_clauses(uint64_t clauses) { return clauses > 16 ? clauses - 16 : 0; }
constexpr uint64_t fuel_of_elements(uint64_t elements) { return elements; }

}  // namespace vmrun::vm
