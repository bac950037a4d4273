// Profiles: see profile.h.
#include "vm/blocks/profile.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace vmrun::vm {
namespace {

CountsBlock* block_of(TierCounts* counts) { return reinterpret_cast<CountsBlock*>(counts); }

void copy(std::atomic<uint64_t>& to, const std::atomic<uint64_t>& from) {
  to.store(from.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

}  // namespace

CountsBlock* make_counts(std::span<const ProfileSite> sites, uint32_t words) {
  const size_t at_sites = (offsetof(CountsBlock, words) + words * sizeof(uint32_t) + 7) & ~size_t{7};
  void* memory = std::calloc(1, at_sites + sites.size_bytes());
  if (memory == nullptr) return nullptr;
  auto* block = new (memory) CountsBlock;
  block->site_count = static_cast<uint32_t>(sites.size());
  block->word_count = words;
  block->sites = reinterpret_cast<ProfileSite*>(static_cast<std::byte*>(memory) + at_sites);
  std::copy(sites.begin(), sites.end(), block->sites);
  return block;
}

void free_counts(TierCounts* counts) {
  for (CountsBlock* block = block_of(counts); block != nullptr;) {
    CountsBlock* older = block->older;
    std::free(block);
    block = older;
  }
}

bool add_profile(FuncCode& code, std::span<const ProfileSite> sites, uint32_t words) {
  TierCounts* old = code.counts.load(std::memory_order_acquire);
  if (old != nullptr && block_of(old)->word_count >= words) return true;
  CountsBlock* fresh = make_counts(sites, words);
  if (fresh == nullptr) return false;
  do {
    for (unsigned tier = 0; old != nullptr && tier < kTiers; ++tier) {
      copy(fresh->tiers[tier].runs, old[tier].runs);
      copy(fresh->tiers[tier].osr_entries, old[tier].osr_entries);
      copy(fresh->tiers[tier].traps, old[tier].traps);
      copy(fresh->tiers[tier].throws, old[tier].throws);
    }
    fresh->older = block_of(old);
  } while (!code.counts.compare_exchange_weak(old, fresh->tiers, std::memory_order_acq_rel));
  return true;
}

std::vector<ProfileCount> profile_of(const FuncCode& code) {
  std::vector<ProfileCount> out;
  TierCounts* counts = code.counts.load(std::memory_order_acquire);
  if (counts == nullptr) return out;
  const CountsBlock& block = *block_of(counts);
  for (const ProfileSite& site : std::span(block.sites, block.site_count)) {
    ProfileCount& count = out.emplace_back(ProfileCount{site, block.words[site.word].load(std::memory_order_relaxed)});
    if (site.kind == ProfileKind::target) count.changes = block.words[site.word + 1].load(std::memory_order_relaxed);
  }
  return out;
}

}  // namespace vmrun::vm
