// The bytes of an image: a mapped file or a buffer of our own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vmrun/result.h"

namespace vmrun::vm {

/// Immutable bytes; shared by the modules and views that refer to them. A mapped file must not be truncated or rewritten
/// in place while the image lives.
class Image {
 public:
  /// Images above this are refused (the JavaScript interface's limit): offsets fit 32 bits everywhere.
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

  /// Maps a regular file; reads anything else that can be read (a pipe, say). Errors: Io, Limit.
  static Result<std::shared_ptr<const Image>> open(const std::filesystem::path& path);

  /// Copies `bytes`. `name` stands for a file's base name. Errors: Limit.
  static Result<std::shared_ptr<const Image>> copy(std::span<const uint8_t> bytes, std::string_view name = {});

  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  std::span<const uint8_t> bytes() const { return bytes_; }
  /// The file's base name, or the name given to `copy`.
  const std::string& name() const { return name_; }

 private:
  Image() = default;
  std::span<const uint8_t> bytes_;
  std::vector<uint8_t> owned_;
  void* mapping_ = nullptr;
  std::string name_;
};

}  // namespace vmrun::vm
