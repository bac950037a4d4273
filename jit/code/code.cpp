// The code space and lookups in code objects: see code.h.
#include "jit/code/code.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>

#include "jit/code/announce.h"
#include "vm/base/assert.h"

namespace vmrun::jit {
namespace {

/// Code at least this long has its pages taken away when it is freed: a system call a megabyte is nothing, one a
/// function is.
constexpr size_t kGiveBack = size_t{256} << 10;
constexpr size_t kPage = 4096;
constexpr uint32_t kPageGranules = kPage / CodeSpace::kGranule;
constexpr size_t kLarge = size_t{2} << 20;
constexpr uint32_t kLargeGranules = kLarge / CodeSpace::kGranule;
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif
constexpr int kBreakpoint = 0xcc;  // int3 on x86; traps, or is undefined, elsewhere too

/// Whether the administrator wants no large pages, which MADV_COLLAPSE does not ask.
bool large_pages_are_off() {
  const int file = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;  // nor are there any
  char text[64];
  const ssize_t read_bytes = read(file, text, sizeof text);
  close(file);
  return read_bytes <= 0 ||
         std::string_view(text, static_cast<size_t>(read_bytes)).find("[never]") != std::string_view::npos;
}

void* map_table(size_t bytes) {
  void* table = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return table == MAP_FAILED ? nullptr : table;
}

}  // namespace

// ---- objects --------------------------------------------------------------------------------------------------------

const void* CodeObject::pad(const void* return_pc) const {
  const uint32_t at = distance(return_pc);
  auto mark =
      std::lower_bound(pads.begin(), pads.end(), at, [](const PadMark& m, uint32_t p) { return m.return_pc < p; });
  return mark != pads.end() && mark->return_pc == at ? begin + mark->pad : nullptr;
}

bool CodeObject::preemptible(const void* pc) const {
  const uint32_t at = distance(pc);
  auto after = std::upper_bound(preempt.begin(), preempt.end(), at,
                                [](uint32_t p, const PreemptRange& r) { return p < r.begin; });
  return after != preempt.begin() && at < (after - 1)->end;
}

// ---- the space ------------------------------------------------------------------------------------------------------

CodeSpace::CodeSpace(size_t range_bytes) {
  VMRUN_ASSERT(range_bytes % kPage == 0 && range_bytes / kGranule < UINT32_MAX, "size of a code space");
  published_.emplace_back();
  // Shared memory without a file, mapped a second time by mremap: perf takes its names from the map only where there is
  // no file behind the code. Pages come into being when they are written and count as this process's memory only then.
  // Both begin where a large page may.
  const size_t apart = (range_bytes + kLarge - 1) & ~(kLarge - 1), reserved = 2 * apart + kLarge;
  void* const place = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return;
  const size_t before = -reinterpret_cast<uintptr_t>(place) & (kLarge - 1);
  std::byte* const begin = static_cast<std::byte*>(place) + before;
  void* rw =
      mmap(begin, range_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  void* rx = rw == MAP_FAILED ? rw : mremap(rw, 0, range_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, begin + apart);
  if (rx != MAP_FAILED && mprotect(rx, range_bytes, PROT_READ | PROT_EXEC) != 0) rx = MAP_FAILED;
  if (rx == MAP_FAILED) {
    munmap(place, reserved);
    return;
  }
  const auto give = [](std::byte* from, const std::byte* to) {
    if (from != to) munmap(from, static_cast<size_t>(to - from));
  };
  give(static_cast<std::byte*>(place), begin);
  give(begin + range_bytes, begin + apart);
  give(begin + apart + range_bytes, static_cast<std::byte*>(place) + reserved);
  const size_t granules = range_bytes / kGranule;
  owners_ = static_cast<std::atomic<uint32_t>*>(map_table(granules * sizeof *owners_));
  objects_ = static_cast<std::atomic<const CodeObject*>*>(map_table((granules + 1) * sizeof *objects_));
  if (owners_ == nullptr || objects_ == nullptr) {
    munmap(rw, range_bytes);
    munmap(rx, range_bytes);
    if (owners_ != nullptr) munmap(owners_, granules * sizeof *owners_);
    if (objects_ != nullptr) munmap(objects_, (granules + 1) * sizeof *objects_);
    return;  // no executable memory here: everything stays in the interpreter
  }
  // A child must not see its code change: what it inherits is only good for exec.
  madvise(rw, range_bytes, MADV_DONTFORK);
  rw_ = static_cast<std::byte*>(rw);
  rx_ = static_cast<const std::byte*>(rx);
  range_ = range_bytes;
  const Extent all{0, static_cast<uint32_t>(granules)};
  pages_.insert(all, all);
}

CodeSpace::~CodeSpace() {
  drop(common_);
  drop(trampolines_);
  if (range_ != 0) {
    munmap(rw_, range_);
    munmap(const_cast<std::byte*>(rx_), range_);
    munmap(owners_, range_ / kGranule * sizeof *owners_);
    munmap(objects_, (range_ / kGranule + 1) * sizeof *objects_);
  }
}

Extent CodeSpace::extent_of(const Block& block) const {
  return {static_cast<uint32_t>(static_cast<size_t>(block.rx - rx_) / kGranule),
          static_cast<uint32_t>(block.size / kGranule)};
}

std::optional<Extent> CodeSpace::take(CodeArena& holder, uint32_t count) {
  if (std::optional<Extent> extent = holder.take(count)) return extent;
  const uint32_t least = (count + kPageGranules - 1) / kPageGranules * kPageGranules;
  std::optional<Extent> chunk = pages_.take(std::max(least, holder.next_chunk()));
  if (!chunk) chunk = pages_.take(least);
  if (!chunk) {
    // An empty chunk may be what is missing to a larger one.
    std::optional<Extent> empty = holder.take_empty();
    if (!empty) return std::nullopt;
    pages_.insert(*empty, everything());
    chunk = pages_.take(least);
    if (!chunk) return std::nullopt;
  }
  holder.add_chunk(*chunk);
  return holder.take(count);
}

CodeSpace::Block CodeSpace::allocate(size_t size, Use use, CodeArena* arena) {
  if (size >= range_) return {};
  const auto count = static_cast<uint32_t>(size / kGranule + 1);  // so that a byte is left behind the last one
  const size_t bytes = size_t{count} * kGranule;
  if (use == Use::trampoline) arena = &trampolines_;
  Block block;
  {
    std::lock_guard lock(lock_);
    const size_t live = live_bytes_.load(std::memory_order_relaxed) + bytes;
    if (use == Use::function && live > budget_.load(std::memory_order_relaxed)) return {};
    if (use == Use::trampoline && trampoline_bytes_ + bytes > trampoline_budget_) return {};
    const std::optional<Extent> place = take(holder(arena), count);
    if (!place) return {};
    if (arena != nullptr) ++arena->blocks_;
    if (use == Use::trampoline) trampoline_bytes_ += bytes;
    live_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    const size_t offset = size_t{place->first} * kGranule;
    block = {rw_ + offset, rx_ + offset, bytes, arena};
  }
  // A trampoline may turn out smaller than what was asked for.
  const size_t written = use == Use::function ? size : 0;
  std::memset(block.rw + written, kBreakpoint, block.size - written);
  return block;
}

Extent CodeSpace::expect(CodeArena& arena, size_t bytes) {
  // A quarter of a large page of small ones takes longer to make.
  const size_t pages = std::min((bytes + kLarge - kLarge / 4) / kLarge, kMostLarge);
  if (pages == 0 || range_ == 0 || arena.shared_) return {};
  const auto count = static_cast<uint32_t>(pages) * kLargeGranules;
  std::lock_guard lock(lock_);
  const std::optional<Extent> found = pages_.take(count + kLargeGranules);
  if (!found) return {};
  const Extent chunk{(found->first + kLargeGranules - 1) / kLargeGranules * kLargeGranules, count};
  if (chunk.first != found->first) pages_.insert({found->first, chunk.first - found->first}, everything());
  if (chunk.end() != found->end()) pages_.insert({chunk.end(), found->end() - chunk.end()}, everything());
  // The system takes one large page in the place of many only where there is one already.
  for (uint32_t at = chunk.first; at != chunk.end(); at += kLargeGranules) {
    rw_[size_t{at} * kGranule] = static_cast<std::byte>(kBreakpoint);
  }
  arena.add_chunk(chunk);
  return chunk;
}

void CodeSpace::make_large(Extent chunk) const {
  if (chunk.count == 0 || large_pages_are_off()) return;
  madvise(rw_ + size_t{chunk.first} * kGranule, size_t{chunk.count} * kGranule, MADV_COLLAPSE);
}

void CodeSpace::remove_pages(Extent extent) {
  madvise(rw_ + size_t{extent.first} * kGranule, size_t{extent.count} * kGranule, MADV_REMOVE);
}

void CodeSpace::give_back(Extent extent) {
  if (extent.count == 0) return;
  remove_pages(extent);
  std::lock_guard lock(lock_);
  try {
    pages_.insert(extent, everything());
  } catch (const std::bad_alloc&) {  // then nobody gets these addresses again
  }
}

void CodeSpace::free(const Block& block) {
  if (!block) return;
  // Whatever still jumped here would stop at once. Long ranges have their pages taken away instead.
  const Extent extent = extent_of(block);
  const uint32_t begin = (extent.first + kPageGranules - 1) / kPageGranules * kPageGranules;
  const uint32_t end = extent.end() / kPageGranules * kPageGranules;
  if (begin + kGiveBack / kGranule <= end) {
    remove_pages({begin, end - begin});
  } else {
    std::memset(block.rw, kBreakpoint, block.size);
  }
  Extent chunk;
  {
    std::lock_guard lock(lock_);
    live_bytes_.fetch_sub(block.size, std::memory_order_relaxed);
    if (block.arena != nullptr) --block.arena->blocks_;
    if (block.arena == &trampolines_) trampoline_bytes_ -= block.size;
    chunk = holder(block.arena).release(extent);
  }
  give_back(chunk);
}

size_t CodeSpace::drop(CodeArena& arena) {
  // Nothing here allocates: modules die also where memory is short.
  std::lock_guard freeing(freeing_);
  {
    std::lock_guard lock(lock_);
    const auto is_of = [&](const Retired& entry) { return published_[entry.id].arena == &arena; };
    retired_count_.fetch_sub(std::erase_if(retired_, is_of), std::memory_order_relaxed);
  }
  size_t dropped = 0;
  for (;; ++dropped) {
    Published entry;
    {
      std::lock_guard lock(lock_);
      if (arena.first_object_ == 0) break;
      entry = forget(arena.first_object_);
      if (!arena.shared_) {
        live_bytes_.fetch_sub(size_t{entry.extent.count} * kGranule, std::memory_order_relaxed);
        if (&arena != &common_) --arena.blocks_;
      }
    }
    if (announcing.load(std::memory_order_relaxed)) [[unlikely]]
      announce_removed(*entry.object);
    if (arena.shared_) free(block_of(entry));
  }
  if (arena.shared_) return dropped;
  decltype(arena.chunks_) chunks;
  {
    std::lock_guard lock(lock_);
    VMRUN_ASSERT(arena.blocks_ == 0, "nobody allocates for an arena that is dropped");
    chunks.swap(arena.chunks_);
    arena.free_ = {};
    arena.total_ = arena.empty_chunks_ = 0;
  }
  Extent run;
  for (const auto& [first, chunk] : chunks) {
    if (run.count != 0 && run.end() == first) {
      run.count += chunk.count;
      continue;
    }
    give_back(run);
    run = {first, chunk.count};
  }
  give_back(run);
  return dropped;
}

const CodeObject* CodeSpace::publish(std::unique_ptr<CodeObject> object, const Block& block) {
  if (object->begin == nullptr) object->begin = block.rx;
  if (object->size == 0) object->size = static_cast<uint32_t>(block.size - 1);
  VMRUN_ASSERT(object->begin >= block.rx && object->begin + object->size < block.rx + block.size,
               "code lies in its block");
  VMRUN_ASSERT(std::is_sorted(object->marks.begin(), object->marks.end(),
                              [](const SourceMark& a, const SourceMark& b) { return a.pc < b.pc; }),
               "marks in order");
  VMRUN_ASSERT(std::is_sorted(object->pads.begin(), object->pads.end(),
                              [](const PadMark& a, const PadMark& b) { return a.return_pc < b.return_pc; }),
               "pads in order");
  VMRUN_ASSERT(std::is_sorted(object->preempt.begin(), object->preempt.end(),
                              [](const PreemptRange& a, const PreemptRange& b) { return a.end <= b.begin; }),
               "preemptible ranges in order");
  auto* begin = reinterpret_cast<char*>(const_cast<std::byte*>(object->begin));
  __builtin___clear_cache(begin, begin + object->size);

  const CodeObject* published = object.get();
  const Extent extent = extent_of(block);
  std::unique_lock lock(lock_);
  if (free_ids_.capacity() <= published_.size()) {  // now, so that nothing is missing when code is retired and freed
    free_ids_.reserve(2 * published_.size());
    retired_.reserve(2 * published_.size());
  }
  uint32_t id;
  if (!free_ids_.empty()) {
    id = free_ids_.back();
    free_ids_.pop_back();
  } else {
    id = static_cast<uint32_t>(published_.size());
    published_.emplace_back();
  }
  CodeArena& arena = block.arena != nullptr ? *block.arena : common_;
  published_[id] = {extent, block.arena, 0, arena.first_object_, std::move(object)};
  if (arena.first_object_ != 0) published_[arena.first_object_].previous = id;
  arena.first_object_ = id;
  objects_[id].store(published, std::memory_order_release);
  for (uint32_t i = 0; i < extent.count; ++i) owners_[extent.first + i].store(id, std::memory_order_release);
  live_objects_.fetch_add(1, std::memory_order_relaxed);
  if (published->func != nullptr) live_functions_.fetch_add(1, std::memory_order_relaxed);
  lock.unlock();
  if (announcing.load(std::memory_order_relaxed)) [[unlikely]]
    announce_added(*published);
  return published;
}

void CodeSpace::retire(const CodeObject* object) {
  const size_t granule = static_cast<size_t>(object->begin - rx_) / kGranule;
  std::lock_guard lock(lock_);
  const uint32_t id = owners_[granule].load(std::memory_order_relaxed);
  VMRUN_ASSERT(objects_[id].load(std::memory_order_relaxed) == object, "retires what is published");
  const uint64_t number = retirements_.load(std::memory_order_relaxed) + 1;
  retired_.push_back({number, id});
  retired_count_.fetch_add(1, std::memory_order_relaxed);
  retirements_.store(number, std::memory_order_release);
}

void CodeSpace::discard(const CodeObject* object) {
  Published gone;
  {
    std::lock_guard lock(lock_);
    const uint32_t id = owners_[static_cast<size_t>(object->begin - rx_) / kGranule].load(std::memory_order_relaxed);
    VMRUN_ASSERT(objects_[id].load(std::memory_order_relaxed) == object, "discards what is published");
    gone = forget(id);
  }
  if (announcing.load(std::memory_order_relaxed)) [[unlikely]]
    announce_removed(*object);
  free(block_of(gone));
}

CodeSpace::Published CodeSpace::forget(uint32_t id) {
  Published gone = std::move(published_[id]);
  const Extent extent = gone.extent;
  if (gone.next != 0) published_[gone.next].previous = gone.previous;
  CodeArena& arena = gone.arena != nullptr ? *gone.arena : common_;
  (gone.previous != 0 ? published_[gone.previous].next : arena.first_object_) = gone.next;
  for (uint32_t i = 0; i < extent.count; ++i) owners_[extent.first + i].store(0, std::memory_order_release);
  if (gone.object->func != nullptr) live_functions_.fetch_sub(1, std::memory_order_relaxed);
  objects_[id].store(nullptr, std::memory_order_release);
  // Before anybody gets the memory again, and the code in it.
  frees_.fetch_add(1, std::memory_order_relaxed);
  free_ids_.push_back(id);
  live_objects_.fetch_sub(1, std::memory_order_relaxed);
  return gone;
}

CodeSpace::Block CodeSpace::block_of(const Published& entry) const {
  const size_t offset = size_t{entry.extent.first} * kGranule;
  return {rw_ + offset, rx_ + offset, size_t{entry.extent.count} * kGranule, entry.arena};
}

size_t CodeSpace::reclaim(uint64_t retirements, const std::vector<const CodeObject*>& standing) {
  std::vector<const CodeObject*> in_use = standing;
  std::sort(in_use.begin(), in_use.end());
  std::lock_guard freeing(freeing_);
  std::vector<Published> freed;
  {
    std::lock_guard lock(lock_);
    freed.reserve(retired_.size());  // now: what is forgotten has to be freed, too
    auto is_free = [&](const Retired& entry) {
      const CodeObject* object = objects_[entry.id].load(std::memory_order_relaxed);
      if (entry.number > retirements || std::binary_search(in_use.begin(), in_use.end(), object)) return false;
      freed.push_back(forget(entry.id));
      return true;
    };
    std::erase_if(retired_, is_free);
    retired_count_.fetch_sub(freed.size(), std::memory_order_relaxed);
  }
  for (const Published& entry : freed) {
    if (announcing.load(std::memory_order_relaxed)) [[unlikely]]
      announce_removed(*entry.object);
    free(block_of(entry));
  }
  return freed.size();
}

}  // namespace vmrun::jit
