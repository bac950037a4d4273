// Free ranges and the chunks of an arena: see arena.h.
#include "jit/code/arena.h"

#include <algorithm>
#include <new>
#include <utility>

#include "jit/code/code.h"
#include "vm/base/assert.h"

namespace vmrun::jit {
namespace {

/// An arena's first chunk, in granules, and the largest that it takes for growing. Sixteen kilobytes of addresses a
/// module let 65,536 modules have some; a quarter of a megabyte is a system call less often than anybody notices.
constexpr uint32_t kFirstChunk = (16 << 10) / CodeSpace::kGranule, kMostChunk = (256 << 10) / CodeSpace::kGranule;

}  // namespace

// ---- free ranges ----------------------------------------------------------------------------------------------------

std::optional<Extent> FreeRanges::take(uint32_t count) {
  auto fit = by_count_.lower_bound({count, 0});
  if (fit == by_count_.end()) return std::nullopt;
  const Extent whole{fit->second, fit->first};
  auto first = by_first_.extract(whole.first);
  auto by_count = by_count_.extract(fit);
  if (whole.count != count) {
    // The nodes go back with what is left: nothing allocates, so that nothing stops half-way.
    first.key() = whole.first + count;
    first.mapped() = whole.count - count;
    by_count.value() = {whole.count - count, whole.first + count};
    by_first_.insert(std::move(first));
    by_count_.insert(std::move(by_count));
  }
  return Extent{whole.first, count};
}

void FreeRanges::insert(Extent extent, Extent bounds) {
  // Before anything changes.
  decltype(by_first_) first;
  decltype(by_count_) by_count;
  auto first_node = first.extract(first.emplace(0, 0).first);
  auto count_node = by_count.extract(by_count.emplace(0, 0).first);
  auto after = by_first_.lower_bound(extent.first);
  if (after != by_first_.end() && after->first == extent.end() && after->first < bounds.end()) {
    const Extent next{after->first, after->second};
    erase(next);
    extent.count += next.count;
  }
  after = by_first_.lower_bound(extent.first);
  if (after != by_first_.begin() && extent.first > bounds.first) {
    auto before = std::prev(after);
    const Extent previous{before->first, before->second};
    if (previous.end() == extent.first) {
      erase(previous);
      extent = {previous.first, previous.count + extent.count};
    }
  }
  first_node.key() = extent.first;
  first_node.mapped() = extent.count;
  count_node.value() = {extent.count, extent.first};
  by_first_.insert(std::move(first_node));
  by_count_.insert(std::move(count_node));
}

void FreeRanges::erase(Extent extent) {
  by_first_.erase(extent.first);
  by_count_.erase({extent.count, extent.first});
}

// ---- arenas ---------------------------------------------------------------------------------------------------------

CodeArena::~CodeArena() { VMRUN_ASSERT(blocks_ == 0 && chunks_.empty(), "an arena is dropped before it dies"); }

uint32_t CodeArena::next_chunk() const { return std::clamp(total_, kFirstChunk, kMostChunk); }

void CodeArena::add_chunk(Extent chunk) {
  const auto at = chunks_.emplace(chunk.first, Chunk{chunk.count, 0}).first;
  try {
    free_.insert(chunk, chunk);
  } catch (const std::bad_alloc&) {
    chunks_.erase(at);
    throw;
  }
  total_ += chunk.count;
  ++empty_chunks_;
}

std::optional<Extent> CodeArena::take(uint32_t count) {
  const std::optional<Extent> extent = free_.take(count);
  if (!extent) return std::nullopt;
  Chunk& chunk = std::prev(chunks_.upper_bound(extent->first))->second;
  if (chunk.live == 0) --empty_chunks_;
  chunk.live += count;
  return extent;
}

Extent CodeArena::release(Extent extent) {
  auto at = std::prev(chunks_.upper_bound(extent.first));
  const Extent bounds{at->first, at->second.count};
  try {
    free_.insert(extent, bounds);
  } catch (const std::bad_alloc&) {
    return {};  // it counts as in use until the arena is dropped
  }
  at->second.live -= extent.count;
  if (at->second.live != 0) return {};
  ++empty_chunks_;
  if (empty_chunks_ == 1) return {};
  --empty_chunks_;
  free_.erase(bounds);
  chunks_.erase(at);
  total_ -= bounds.count;
  return bounds;
}

std::optional<Extent> CodeArena::take_empty() {
  auto at = std::find_if(chunks_.begin(), chunks_.end(), [](const auto& chunk) { return chunk.second.live == 0; });
  if (at == chunks_.end()) return std::nullopt;
  const Extent bounds{at->first, at->second.count};
  --empty_chunks_;
  free_.erase(bounds);
  chunks_.erase(at);
  total_ -= bounds.count;
  return bounds;
}

}  // namespace vmrun::jit
