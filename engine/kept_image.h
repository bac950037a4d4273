// Copies of large images in the cache, from which a start takes the bytes that it needs without reading the image's file:
//
//   header      one page: the image's hash, what follows
//   tables      what the image leaves out, where the bodies of its functions lie, a checksum of each 64 KiB of it
//   image       its bytes; what it leaves out is a hole in the file
//
// Header and tables are checked when the file is opened, and the image when it is used (vm::Image::map). The file is mapped:
// it is the cache's, and nobody changes it in its place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cache_files.h"
#include "vm/base/sha256.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"

namespace vmrun::engine {

/// What is in such a file.
struct KeptImage {
  vm::Image::Kept bytes;  // without name and original
  std::vector<vm::ByteRange> bodies;
};

/// Opens one. `descriptor` is that of a cache's file of `bytes` bytes, and is not taken. Nothing: it is damaged, or of
/// another image.
std::optional<KeptImage> open_kept_image(int descriptor, uint64_t bytes, const vm::Digest& content);

/// Makes one, bit by bit.
class ImageKeeper {
 public:
  /// `file` is new. Module and image outlive this.
  ImageKeeper(NewFile& file, const vm::Module& module, const vm::Digest& content);
  /// Does up to half a millisecond's work. False: it is done; see written().
  bool step();
  /// Whether the file is complete, but for its name.
  bool written() const { return written_; }

 private:
  bool has_hole(uint32_t from, uint32_t to) const;
  /// A piece with a hole in it.
  bool write_piece(uint32_t from, uint32_t to);
  bool write_tables();

  NewFile& file_;
  const vm::Module& module_;
  const vm::Digest content_;
  const uint32_t size_;
  std::vector<uint64_t> checksums_;
  std::optional<uint64_t> zeros_;  // checksum of a piece that is left out
  std::vector<std::byte> buffer_;
  uint32_t at_ = 0;
  uint64_t image_at_ = 0;
  bool failed_ = false, written_ = false;
};

}  // namespace vmrun::engine
