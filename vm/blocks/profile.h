// What baseline code counts while it runs, for the optimising tier and for people: entries, conditions, targets of
// indirect calls. A function's profile belongs to its block record, is shared by all instances of the module and outlives
// the code that filled it.
//
// It lies behind the function's TierCounts in one piece of memory, so that code reaches a counter by two loads from its
// instance: record, counts, counter. Counters are 32 bits, wrap, and may lose counts where vCPUs meet.
//
// What is not counted follows from what is: a loop's iterations from LoopCode::heat and the conditions inside, a block's
// runs from those of the blocks before it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vm/blocks/block.h"

namespace vmrun::vm {

enum class ProfileKind : uint8_t {
  entry,   // one counter: entries of the function; `offset` is that of its body
  then,    // one counter: how often an `if` found its condition true
  passed,  // one counter: how often a `br_if` did not branch
  target,  // two counters of an indirect call: 1 + index of the function it called last in that function's own module
           // (0: none yet), and how often that changed. Once: there was one target.
};
struct ProfileSite {
  uint32_t offset = 0;  // of the instruction, in the image
  ProfileKind kind = ProfileKind::entry;
  uint32_t word = 0;  // its first counter
};

/// What FuncCode::counts points into.
struct CountsBlock {
  TierCounts tiers[kTiers];
  CountsBlock* older = nullptr;  // replaced by this one; whoever has just loaded its address may still count there
  uint32_t site_count = 0, word_count = 0;
  ProfileSite* sites = nullptr;   // by rising offset
  std::atomic<uint32_t> words[];  // word_count of them
};
static_assert(offsetof(CountsBlock, tiers) == 0);

/// The memory that code with these sites counts in; `words` is one more than its last counter. What a function has
/// already stays, when it has that many. False when there is no memory. Any thread.
bool add_profile(FuncCode& code, std::span<const ProfileSite> sites, uint32_t words);

struct ProfileCount {
  ProfileSite site;
  uint32_t value;        // the counter, or the target
  uint32_t changes = 0;  // of the target
};
/// A function's profile so far, by rising offset; empty when there is none.
std::vector<ProfileCount> profile_of(const FuncCode& code);

/// The counters behind the block record of a function that has none; see vm/wasm/loops.h.
CountsBlock* make_counts(std::span<const ProfileSite> sites, uint32_t words);
void free_counts(TierCounts* counts);

}  // namespace vmrun::vm
