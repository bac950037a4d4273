// The bytes of an image: always memory of our own, since code is decoded long after it was validated, and whoever can
// write the file, a guest for one, must not be able to change it in between.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

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

  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  /// Custom sections from this size are read on demand, all but "name".
  static constexpr uint32_t kLargeCustom = 64 << 10;

  /// All bytes; those of custom sections that were left out are zero until they have been asked for.
  std::span<const uint8_t> bytes() const { return bytes_; }
  /// Reads what was left out of [begin, end), the contents of a custom section, and of nothing else: what the file says
  /// by then was never validated. What it no longer has is zero.
  std::span<const uint8_t> custom(uint32_t begin, uint32_t end) const;
  /// The file's base name, or the name given to `copy`.
  const std::string& name() const { return name_; }

 private:
  struct Hole {
    uint32_t begin, end;
  };

  Image() = default;
  std::optional<Error> read_file(const std::filesystem::path& path, int fd, uint64_t size);

  std::span<const uint8_t> bytes_;
  std::vector<uint8_t> owned_;  // a copy, or what came out of a pipe
  uint8_t* memory_ = nullptr;   // a file's
  std::string name_;
  int fd_ = -1;  // open while there are holes
  mutable std::mutex holes_mutex_;
  mutable std::vector<Hole> holes_;  // in order
};

}  // namespace vmrun::vm
