// The bytes of an image: memory of our own, or a mapping of a file of our own, since code is decoded long after it was
// validated, and whoever can write the image's file, a guest for one, must not be able to change it in between.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vm/base/file_stamp.h"
#include "vm/base/mapped_files.h"
#include "vm/wasm/module.h"
#include "vmrun/base/result.h"

namespace vmrun::vm {

/// Immutable bytes, but for large custom sections that nobody has asked for yet; shared by the modules and views that
/// refer to them. Any thread may use it.
class Image {
 public:
  /// Reads a file, or anything else that can be read (a pipe, say). Of a regular file, custom sections of kLargeCustom
  /// bytes and more are left out: debug information is often half of an image and hardly ever looked at. The file stays
  /// open for them. Errors: Io, Limit (kMaxImageBytes).
  static Result<std::shared_ptr<const Image>> open(const std::filesystem::path& path);

  /// Copies `bytes`. `name` stands for a file's base name. Errors: Limit.
  static Result<std::shared_ptr<const Image>> copy(std::span<const uint8_t> bytes, std::string_view name = {});

  /// `size` bytes of memory of its own that `fill` writes; when that returns false, they could not be had: an error of
  /// kind Io. Errors besides: Limit.
  static Result<std::shared_ptr<const Image>> fill(uint64_t size, std::string_view name,
                                                   const std::function<bool(std::span<uint8_t>)>& fill);

  /// An image that somebody has kept in a file which nobody else writes: `memory` has its bytes, with zeros for what
  /// was left out. Of each kPiece bytes a checksum, which is compared when they are first needed. `original` is the
  /// image's own file, open, from which comes what was left out, and what turns out to be damaged; it is taken.
  struct Kept {
    MappedFile memory;  // writable
    std::vector<uint64_t> checksums;
    std::vector<ByteRange> left_out;
    std::string name;
    int original = -1;
  };
  static std::shared_ptr<const Image> map(Kept kept);
  static constexpr uint32_t kPiece = 64 << 10;

  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  /// Custom sections from this size are read on demand, all but "name".
  static constexpr uint32_t kLargeCustom = 64 << 10;

  /// All bytes; those of custom sections that were left out are zero until they have been asked for. Those of a mapped
  /// image may be read after need(), which decoders of bodies call, and module decoding for all else.
  std::span<const uint8_t> bytes() const { return bytes_; }
  /// Before [begin, end) is read. From here on the pages of these bytes are this process's own: nothing that becomes of the
  /// file changes what was checked. Ends the process if they are damaged and cannot be had from elsewhere.
  void need(uint32_t begin, uint32_t end) const {
    if (pieces_ != nullptr) [[unlikely]]
      check(begin, end, Wanted::own);
  }
  /// The same for the contents of the data section: they are checked, and stay the file's, which nobody writes but its
  /// owner.
  void need_data(const ByteRange& range) const {
    if (pieces_ != nullptr) [[unlikely]]
      check(range.begin, range.end, Wanted::checked);
  }
  void need(const ByteRange& range) const { need(range.begin, range.end); }
  /// What need_data() was called for is not needed for now: pages of the file that are this process's, too, count as its
  /// memory. Whoever reads them again has them back.
  void rest_data(const ByteRange& range) const {
    if (pieces_ != nullptr) [[unlikely]]
      give_back(range);
  }
  /// need() of all of the piece that the byte lies in.
  void need_piece(uint32_t at) const {
    const uint32_t begin = at / kPiece * kPiece;
    need(begin, static_cast<uint32_t>(std::min<uint64_t>(uint64_t{begin} + kPiece, bytes_.size())));
  }
  /// Reads what was left out of [begin, end), the contents of a custom section, and of nothing else: what the file says
  /// by then was never validated. What it no longer has is zero.
  std::span<const uint8_t> custom(uint32_t begin, uint32_t end) const;
  /// The file's base name, or the name given to `copy`.
  const std::string& name() const { return name_; }
  /// What the file was known by while it was read; nothing if that changed meanwhile, or it is no regular file.
  const std::optional<FileStamp>& stamp() const { return stamp_; }
  /// When reading it began, by the clock of file times; nanoseconds since 1970. 0: as stamp().
  int64_t read_at() const { return read_at_; }
  /// Whether it is one that somebody has kept.
  bool is_mapped() const { return pieces_ != nullptr; }
  /// Fills `to` with what the image's own file has now from byte `at` on; false where it cannot. For mapped images.
  bool read_original(uint64_t at, std::span<std::byte> to) const;
  std::optional<FileStamp> original_stamp() const { return stamp_of(fd_); }
  /// What was left out, in order; asked for since or not.
  std::span<const ByteRange> left_out() const { return left_out_; }

 private:
  Image() = default;
  /// Of a piece's pages those that are this process's own, a bit for each; of the whole piece, that it was checked as data.
  using PieceState = uint32_t;
  static constexpr uint32_t kPage = 4096;
  static constexpr PieceState kAllOwn = (1u << kPiece / kPage) - 1, kChecked = 1u << kPiece / kPage;
  struct Piece {
    uint64_t checksum = 0;
    std::atomic<PieceState> state{0};
  };
  enum class Wanted : uint8_t { checked, own };
  void check(uint32_t begin, uint32_t end, Wanted wanted) const;
  void check_piece(size_t number, PieceState wanted) const;
  void give_back(const ByteRange& range) const;
  void hide_others(size_t number, PieceState state) const;
  bool read_piece(size_t number, std::span<std::byte> to) const;
  std::optional<Error> read_file(const std::filesystem::path& path, int fd, uint64_t size);

  std::span<const uint8_t> bytes_;
  std::vector<uint8_t> owned_;  // a copy, or what came out of a pipe
  uint8_t* memory_ = nullptr;   // a file's
  std::string name_;
  int fd_ = -1;  // the image's file: open while there are holes, or the image is mapped
  std::optional<FileStamp> stamp_;
  int64_t read_at_ = 0;
  std::vector<ByteRange> left_out_;
  mutable std::mutex holes_mutex_;        // guards what is written into the bytes
  mutable std::vector<ByteRange> holes_;  // what of left_out_ nobody has asked for, in order

  // Of a mapped image:
  MappedFile mapped_;
  std::unique_ptr<Piece[]> pieces_;
};

/// Before bytes of a module's image are read that lie in a body or a custom section (Image::need).
inline void need_bytes(const Module& module, const ByteRange& range) { module.image->need(range); }

}  // namespace vmrun::vm
