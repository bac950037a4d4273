// The code store: see code_store.h.
#include "interp/code_store.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>

#include "interp/bridge.h"
#include "interp/published.h"

namespace vmrun::interp {
namespace {

// A small module takes one chunk of 16 KiB; a large one doubles up to 1 MiB, so that little is left unused at the end.
constexpr size_t kFirstChunk = size_t{16} << 10, kLargestChunk = size_t{1} << 20;

size_t aligned(size_t n) { return (n + 15) & ~size_t{15}; }

size_t put_leb(uint8_t* out, uint32_t value) {
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) out[n++] = static_cast<uint8_t>(value | 0x80);
  out[n++] = static_cast<uint8_t>(value);
  return n;
}
uint32_t get_leb(const uint8_t*& in) {
  uint32_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint8_t byte = *in++;
    value |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}
// Offsets mostly grow: the sign goes into the lowest bit.
uint32_t zigzag(int32_t value) { return static_cast<uint32_t>(value) << 1 ^ static_cast<uint32_t>(value >> 31); }
int32_t unzigzag(uint32_t value) { return static_cast<int32_t>(value >> 1) ^ -static_cast<int32_t>(value & 1); }

/// The encoded size: room for the longest encoding would be mostly waste.
size_t map_size(const CodeVector<SourceMark>& marks) {
  uint8_t scratch[5];
  size_t size = 0;
  SourceMark last{0, 0};
  for (const SourceMark& mark : marks) {
    size += put_leb(scratch, mark.cell - last.cell) +
            put_leb(scratch, zigzag(static_cast<int32_t>(mark.offset - last.offset)));
    last = mark;
  }
  return size;
}

}  // namespace

struct CodeStore::Chunk {
  Chunk* next;
  std::byte* bytes;
  size_t size, used;
  std::atomic<uint32_t> count{0};  // translations

  bool contains(const void* p) const { return p >= bytes && p < bytes + size; }
  /// The place of number `i`, in address order.
  const Translation*& entry(uint32_t i) const {
    return reinterpret_cast<const Translation**>(bytes + size)[-1 - static_cast<ptrdiff_t>(i)];
  }
  size_t room() const { return size - used - sizeof(Translation*) * count.load(std::memory_order_relaxed); }
};

CodeStore::~CodeStore() {
  for (Chunk* chunk = chunks_.load(std::memory_order_relaxed); chunk != nullptr;) {
    Chunk* next = chunk->next;
    delete[] chunk->bytes;
    credit_code(chunk->size);
    delete chunk;
    chunk = next;
  }
}

/// Room for a translation of `size` bytes and its place in the index.
std::byte* CodeStore::allocate(size_t size) {
  Chunk* chunk = chunks_.load(std::memory_order_relaxed);
  const size_t needed = size + sizeof(Translation*);
  if (chunk == nullptr || chunk->room() < needed) {
    size_t wanted = chunk == nullptr ? kFirstChunk : std::min(chunk->size * 2, kLargestChunk);
    wanted = aligned(std::max(wanted, needed));
    if (!charge_code(wanted)) return nullptr;
    std::unique_ptr<std::byte[]> bytes(new (std::nothrow) std::byte[wanted]);
    if (bytes != nullptr) chunk = new (std::nothrow) Chunk{chunk, bytes.get(), wanted, 0, {}};
    if (bytes == nullptr || chunk == nullptr) {
      credit_code(wanted);
      return nullptr;
    }
    bytes.release();
    chunks_.store(chunk, std::memory_order_release);
  }
  std::byte* at = chunk->bytes + chunk->used;
  chunk->used += size;
  return at;
}

CodeStore::Published CodeStore::publish(vm::FuncCode& code, const Draft& draft, Effort effort) {
  size_t cells = draft.cells.size() * sizeof(Cell), spans = draft.spans.size() * sizeof(TrySpan),
         regions = draft.regions.size() * sizeof(TryRegion), catches = draft.catches.size() * sizeof(Catch),
         loops = draft.loops.size() * sizeof(LoopMark), map = map_size(draft.marks);
  std::lock_guard lock(mutex_);
  auto* current = static_cast<Translation*>(code.interp.load(std::memory_order_acquire));
  if (current != nullptr && current->effort >= effort) return {current, false};

  std::byte* at = allocate(aligned(sizeof(Translation)) + cells + aligned(spans + regions + catches + loops + map));
  if (at == nullptr) return {nullptr, false};
  auto* translation = new (at) Translation;
  at += aligned(sizeof(Translation));
  auto* code_cells = reinterpret_cast<Cell*>(at);
  auto put = [&at](const void* from, size_t size) {
    if (size != 0) std::memcpy(at, from, size);
    std::byte* here = at;
    at += size;
    return here;
  };
  put(draft.cells.data(), cells);
  for (uint32_t cell : draft.call_cells) code_cells[cell].q = translation;
  translation->code = &code;
  translation->cells = code_cells;
  translation->cell_count = static_cast<uint32_t>(draft.cells.size());
  translation->func_index = code.func_index;
  translation->span_count = static_cast<uint32_t>(draft.spans.size());
  translation->loop_count = static_cast<uint32_t>(draft.loops.size());
  translation->effort = effort;
  translation->spans = reinterpret_cast<TrySpan*>(put(draft.spans.data(), spans));
  translation->regions = reinterpret_cast<TryRegion*>(put(draft.regions.data(), regions));
  translation->catches = reinterpret_cast<Catch*>(put(draft.catches.data(), catches));
  translation->loops = reinterpret_cast<LoopMark*>(put(draft.loops.data(), loops));
  auto* bytes = reinterpret_cast<uint8_t*>(at);
  translation->map = bytes;
  translation->map_bytes = static_cast<uint32_t>(map);
  SourceMark last{0, 0};
  for (const SourceMark& mark : draft.marks) {
    bytes += put_leb(bytes, mark.cell - last.cell);
    bytes += put_leb(bytes, zigzag(static_cast<int32_t>(mark.offset - last.offset)));
    last = mark;
  }
  Chunk& chunk = *chunks_.load(std::memory_order_relaxed);
  const uint32_t number = chunk.count.load(std::memory_order_relaxed);
  chunk.entry(number) = translation;
  chunk.count.store(number + 1, std::memory_order_release);
  publish_cells();
  code.interp.store(translation, std::memory_order_release);
  const void* entry = code.entry.load(std::memory_order_relaxed);
  while (entry != bridge_cell(code) &&
         !code.entry.compare_exchange_weak(entry, code_cells, std::memory_order_release)) {
  }
  return {translation, true};
}

const Translation* CodeStore::find(const Cell* pc) const {
  const Chunk* chunk = chunks_.load(std::memory_order_acquire);
  while (chunk != nullptr && !chunk->contains(pc)) chunk = chunk->next;
  if (chunk == nullptr) return nullptr;
  // The last one that begins at or before pc.
  uint32_t low = 0, high = chunk->count.load(std::memory_order_acquire);
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    (chunk->entry(middle)->cells <= pc ? low = middle + 1 : high = middle);
  }
  if (low == 0) return nullptr;
  const Translation* found = chunk->entry(low - 1);
  return found->contains(pc) ? found : nullptr;
}

uint32_t source_offset(const Translation& translation, uint32_t cell) {
  const uint8_t* p = translation.map;
  const uint8_t* end = p + translation.map_bytes;
  uint32_t at = 0, offset = 0, found = 0;
  while (p < end) {
    at += get_leb(p);
    offset += static_cast<uint32_t>(unzigzag(get_leb(p)));
    if (at > cell) break;
    found = offset;
  }
  return found;
}

}  // namespace vmrun::interp
