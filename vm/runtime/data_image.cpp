// Making and using images of data segments: see data_image.h.
#include "vm/runtime/data_image.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "vm/base/assert.h"
#include "vm/runtime/const_expr.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/memory_file.h"
#include "vm/runtime/memory_owner.h"
#include "vm/runtime/memory_pages.h"
#include "vm/wasm/image.h"

namespace vmrun::vm {
namespace {

/// Where a segment writes that cannot trap, whatever the instance.
struct Place {
  uint32_t memory;
  uint64_t begin, end;
};

/// Nothing: the segment may trap, or depends on the instance.
std::optional<Place> certain_place(const Module& module, const DataSegment& segment) {
  if (segment.memory < module.imported_memories) return std::nullopt;
  const MemoryType& type = module.memories[segment.memory];
  const uint64_t bytes = type.limits.min > UINT64_MAX >> type.page_log2 ? 0 : type.limits.min << type.page_log2;
  if (!segment.is_constant || segment.constant > bytes || segment.bytes.size() > bytes - segment.constant) {
    return std::nullopt;
  }
  return Place{segment.memory, segment.constant, segment.constant + segment.bytes.size()};
}

const std::byte* bytes_of(const Module& module, const DataSegment& segment) {
  return reinterpret_cast<const std::byte*>(module.bytes()) + segment.bytes.begin;
}

}  // namespace

bool DataImage::plan(const Module& module) {
  std::vector<Place> places;
  uint64_t total = 0;
  for (const DataSegment& segment : module.datas) {
    const bool active = segment.mode == SegmentMode::active;
    if (active) {
      const std::optional<Place> place = certain_place(module, segment);
      if (!place) break;
      if (place->begin != place->end) places.push_back(*place);
      total += place->end - place->begin;
    }
    dropped_.push_back(active ? 1 : 0);
  }
  if (places.size() < 2 && total < kMapped) return false;
  std::ranges::sort(places, [](const Place& a, const Place& b) {
    return a.memory != b.memory ? a.memory < b.memory : a.begin < b.begin;
  });
  for (const Place& place : places) {
    Piece* last = pieces_.empty() || pieces_.back().memory != place.memory ? nullptr : &pieces_.back();
    if (last != nullptr && place.begin <= last->address + last->size + kGap) {
      last->size = std::max(last->size, place.end - last->address);
    } else {
      pieces_.push_back({place.memory, place.begin, place.end - place.begin, 0});
    }
  }
  // The largest group of pieces of each memory is mapped, if it is large enough.
  for (size_t first = 0; first < pieces_.size();) {
    size_t end = first, best_first = 0, best_end = 0;
    uint64_t best = 0;
    while (end < pieces_.size() && pieces_[end].memory == pieces_[first].memory) {
      const size_t group = end;
      uint64_t bytes = pieces_[end++].size;
      for (; end < pieces_.size() && pieces_[end].memory == pieces_[first].memory; ++end) {
        if (pieces_[end].address - (pieces_[end - 1].address + pieces_[end - 1].size) > kMapped) break;
        bytes += pieces_[end].size;
      }
      if (bytes > best) best = bytes, best_first = group, best_end = end;
    }
    const Piece& low = pieces_[best_first];
    const Piece& high = pieces_[best_end - 1];
    const uint64_t begin = low.address & ~(kHostPage - 1);
    const uint64_t size = ((high.address + high.size + kHostPage - 1) & ~(kHostPage - 1)) - begin;
    if (best >= kMapped && size <= 4 * best && !module.memories[low.memory].shared) {
      Mapped mapped{{low.memory, begin, size, file_bytes_}, {}};
      for (size_t i = best_first; i < best_end; ++i) {
        Piece piece = pieces_[i];
        piece.at = file_bytes_ + (piece.address - begin);
        mapped.pieces.push_back(piece);
      }
      file_bytes_ += size;
      mapped_.push_back(std::move(mapped));
      pieces_.erase(pieces_.begin() + static_cast<ptrdiff_t>(best_first),
                    pieces_.begin() + static_cast<ptrdiff_t>(best_end));
      end -= best_end - best_first;
    }
    first = end;
  }
  uint64_t at = 0;
  for (Piece& piece : pieces_) {
    piece.at = at;
    at += piece.size;
  }
  bytes_.resize(at);
  return true;
}

void DataImage::fill(const Module& module, std::byte* file) {
  for (uint32_t i = 0; i < segments(); ++i) {
    const DataSegment& segment = module.datas[i];
    if (segment.mode != SegmentMode::active || segment.bytes.size() == 0) continue;
    const Place place = *certain_place(module, segment);
    const auto put = [&](const std::vector<Piece>& pieces, std::byte* to) {
      const auto after =
          std::ranges::upper_bound(pieces, std::pair(place.memory, place.begin), {},
                                   [](const Piece& piece) { return std::pair(piece.memory, piece.address); });
      if (after == pieces.begin()) return false;
      const Piece& piece = *std::prev(after);
      if (piece.memory != place.memory || place.end > piece.address + piece.size) return false;
      std::memcpy(to + piece.at + (place.begin - piece.address), bytes_of(module, segment), segment.bytes.size());
      return true;
    };
    bool done = put(pieces_, bytes_.data());
    for (size_t m = 0; m < mapped_.size() && !done; ++m) done = put(mapped_[m].pieces, file);
    VMRUN_ASSERT(done, "every segment lies in a piece");
  }
}

bool DataImage::fill_file(const Module& module) {
  if (mapped_.empty()) {
    fill(module, nullptr);
    return true;
  }
  file_ = make_memory_file(file_bytes_);
  if (file_ < 0) return false;
  void* const file = mmap(nullptr, file_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (file == MAP_FAILED) return false;
  fill(module, static_cast<std::byte*>(file));
  munmap(file, file_bytes_);
  if (!seal_memory_file(file_)) return false;
  void* const view = mmap(nullptr, file_bytes_, PROT_READ, MAP_SHARED, file_, 0);
  if (view == MAP_FAILED) return false;
  view_ = static_cast<const std::byte*>(view);
  return true;
}

std::shared_ptr<const DataImage> DataImage::make(const Module& module) try {
  const std::shared_ptr<DataImage> image(new DataImage);
  return image->plan(module) && image->fill_file(module) ? image : nullptr;
} catch (const std::bad_alloc&) {
  return nullptr;
}

DataImage::~DataImage() {
  if (view_ != nullptr) munmap(const_cast<std::byte*>(view_), file_bytes_);
  if (file_ >= 0) close(file_);
}

void DataImage::apply(Instance& instance) const {
  const auto copy = [&](const Piece& piece, const std::byte* from) {
    std::byte* const to = instance.memories[piece.memory]->base + piece.address;
    populate_pages(to, piece.size);
    std::memcpy(to, from + piece.at, piece.size);
  };
  for (const Piece& piece : pieces_) copy(piece, bytes_.data());
  for (const Mapped& mapped : mapped_) {
    const Piece& pages = mapped.pages;
    MemoryOwner& owner = *static_cast<MemoryOwner*>(instance.memories[pages.memory]->impl);
    if (map_file(owner.mapping, pages.address, pages.size, file_, pages.at)) continue;
    for (const Piece& piece : mapped.pieces) copy(piece, view_);
  }
  std::memcpy(instance.dropped_datas, dropped_.data(), dropped_.size());
}

namespace {

/// Asks for large pages where the first segments write at least a quarter of one.
void use_large_pages(Instance& instance) {
  constexpr uint64_t kWorthwhile = kLargePage / 4;
  const Module& module = *instance.module;
  uint64_t all = 0;
  for (const DataSegment& segment : module.datas) all += segment.bytes.size();
  if (all < kWorthwhile || module.memories.size() == module.imported_memories) return;
  // Most modules have one memory. What of others is large may be in small pages.
  const uint32_t memory = module.imported_memories;
  MemoryInst& inst = *instance.memories[memory];
  const auto base = reinterpret_cast<uintptr_t>(inst.base);
  const uint64_t size = inst.bytes.load(std::memory_order_relaxed);
  std::vector<std::pair<uintptr_t, uint64_t>>
      written;  // numbers of large pages, and bytes; segments are mostly in order
  for (const DataSegment& segment : module.datas) {
    if (segment.mode != SegmentMode::active || segment.memory != memory) continue;
    const std::optional<Place> place = certain_place(module, segment);
    if (!place) break;
    for (uint64_t at = place->begin; at < place->end;) {
      const uintptr_t page = (base + at) / kLargePage;
      const uint64_t stop = std::min(place->end, (page + 1) * kLargePage - base);
      if (written.empty() || written.back().first != page) written.emplace_back(page, 0);
      written.back().second += stop - at;
      at = stop;
    }
  }
  MemoryOwner& owner = *static_cast<MemoryOwner*>(inst.impl);
  std::ranges::sort(written);
  for (size_t i = 0; i < written.size();) {
    const uintptr_t page = written[i].first, begin = page * kLargePage, end = begin + kLargePage;
    uint64_t bytes = 0;
    for (; i < written.size() && written[i].first == page; ++i) bytes += written[i].second;
    if (bytes < kWorthwhile || begin < base || end - base > size) continue;
    vm::use_large_pages(owner.mapping, begin - base, end - base);
  }
}

/// The image of a module's segments: none for its first instance, and none if there is nothing to gain.
const DataImage* image_of(const Module& module) {
  if (const DataImage* image = module.data_image.load(std::memory_order_acquire)) return image;
  using State = Module::DataImageState;
  State state = module.data_image_state.load(std::memory_order_relaxed);
  if (state == State::done) return nullptr;
  const State next = state == State::unused ? State::used : State::done;
  if (!module.data_image_state.compare_exchange_strong(state, next, std::memory_order_relaxed)) return nullptr;
  if (next == State::used) return nullptr;
  module.data_image_owner = DataImage::make(module);
  module.data_image.store(module.data_image_owner.get(), std::memory_order_release);
  return module.data_image_owner.get();
}

}  // namespace

TrapCode copy_data(Instance& instance) {
  const Module& module = *instance.module;
  if (module.datas.empty()) return TrapCode::None;
  uint32_t i = 0;
  const DataImage* const image = image_of(module);
  if (image != nullptr) {
    image->apply(instance);
    i = image->segments();
  } else {
    use_large_pages(instance);
  }
  Slot offset[2];
  for (; i < module.datas.size(); ++i) {
    const DataSegment& segment = module.datas[i];
    if (segment.mode != SegmentMode::active) continue;
    if (segment.is_constant) {
      offset[0].bits = segment.constant;
    } else if (TrapCode trap = eval_const(instance, segment.offset, offset); trap != TrapCode::None) {
      return trap;
    }
    const TrapCode trap =
        memory_init(nullptr, instance, i, *instance.memories[segment.memory], offset[0].bits, 0, segment.bytes.size());
    if (trap != TrapCode::None) return trap;
    data_drop(instance, i);
  }
  // Most modules of a process have one instance, or the next one has what is copied here from elsewhere.
  if (i != 0 && (image == nullptr || image->segments() != i)) {
    module.image->rest_data({module.datas.front().bytes.begin, module.datas.back().bytes.end});
  }
  return TrapCode::None;
}

}  // namespace vmrun::vm
