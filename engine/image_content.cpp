// See image_content.h.
#include "engine/image_content.h"

#include <algorithm>

namespace vmrun::engine {
namespace {

std::vector<vm::ByteRange> kept_ranges(uint64_t size, std::span<const vm::ByteRange> left_out) {
  std::vector<vm::ByteRange> ranges;
  uint32_t at = 0;
  for (const vm::ByteRange& hole : left_out) {
    if (hole.begin > at) ranges.push_back({at, hole.begin});
    at = hole.end;
  }
  if (at < size || ranges.empty()) ranges.push_back({at, static_cast<uint32_t>(size)});
  return ranges;
}

vm::Digest combine_ranges(uint64_t size, std::span<const vm::ByteRange> ranges, std::span<const vm::Digest> digests) {
  if (ranges.size() == 1 && ranges[0].size() == size) return digests[0];
  vm::Sha256 all;
  all.add_number(size);
  for (size_t i = 0; i < ranges.size(); ++i) {
    all.add_number(ranges[i].begin).add_number(ranges[i].end).add(std::as_bytes(std::span(digests[i].bytes)));
  }
  return all.finish();
}

}  // namespace

vm::Digest image_content(const vm::Image& image, unsigned threads) {
  const auto bytes = std::as_bytes(image.bytes());
  const std::vector<vm::ByteRange> ranges = kept_ranges(bytes.size(), image.left_out());
  std::vector<vm::Digest> digests;
  digests.reserve(ranges.size());
  for (const vm::ByteRange& range : ranges) {
    digests.push_back(vm::content_hash(bytes.subspan(range.begin, range.size()), threads));
  }
  return combine_ranges(bytes.size(), ranges, digests);
}

ImageHasher::ImageHasher(uint64_t size, std::span<const vm::ByteRange> left_out)
    : size_(size), ranges_(kept_ranges(size, left_out)) {
  begin_range();
}

void ImageHasher::begin_range() {
  at_ = ranges_[range_].begin;
  hasher_.emplace(ranges_[range_].size());
}

std::optional<vm::ByteRange> ImageHasher::next() const {
  if (range_ == ranges_.size()) return std::nullopt;
  return vm::ByteRange{at_, std::min(ranges_[range_].end, at_ + static_cast<uint32_t>(vm::ContentHasher::kPiece))};
}

void ImageHasher::add(std::span<const std::byte> bytes) {
  if (!bytes.empty()) hasher_->add(bytes);
  at_ += static_cast<uint32_t>(bytes.size());
  if (at_ != ranges_[range_].end) return;
  digests_.push_back(hasher_->finish());
  if (++range_ != ranges_.size()) begin_range();
}

vm::Digest ImageHasher::finish() { return combine_ranges(size_, ranges_, digests_); }

}  // namespace vmrun::engine
