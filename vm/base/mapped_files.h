// Files of our own that are mapped, so that a fault in one of them can be told from others: somebody has cut the file
// short, or the disk cannot be read. Nothing can go on then, but the message can say what it was.
//
// Threads: any. The table is a fixed array of atomics, because a signal handler reads it.
#pragma once

#include <cstddef>
#include <span>

namespace vmrun::vm {

/// A private mapping of a file, from its first byte on. Empty: it could not be had.
class MappedFile {
 public:
  MappedFile() = default;
  /// `size` bytes from byte `at` on, a multiple of a page; `writable`: what is written stays in this process.
  MappedFile(int file, size_t at, size_t size, bool writable);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Whether an address lies in one of them. Async-signal-safe; one that came when there were too many is not known.
bool is_in_mapped_file(const void* address);

/// Ends the process: a stored file became unreadable while it was in use. Async-signal-safe.
[[noreturn]] void mapped_file_is_gone();

}  // namespace vmrun::vm
