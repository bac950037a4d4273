// The hash by which the cache knows an image again: of all its bytes but those that its reader leaves out (large custom
// sections), of which it says where they are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "vm/base/content_hash.h"
#include "vm/wasm/image.h"

namespace vmrun::engine {

/// Of an image without such sections it is content_hash of its bytes.
vm::Digest image_content(const vm::Image& image, unsigned threads);

/// The same, piece by piece.
class ImageHasher {
 public:
  ImageHasher(uint64_t size, std::span<const vm::ByteRange> left_out);
  /// The range whose bytes add() wants next; nothing: finish().
  std::optional<vm::ByteRange> next() const;
  void add(std::span<const std::byte> bytes);
  vm::Digest finish();

 private:
  void begin_range();

  const uint64_t size_;
  std::vector<vm::ByteRange> ranges_;  // what is not left out
  size_t range_ = 0;
  uint32_t at_ = 0;
  std::optional<vm::ContentHasher> hasher_;  // of the range
  std::vector<vm::Digest> digests_;          // of those before
};

}  // namespace vmrun::engine
