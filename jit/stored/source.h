// Where a stored file's bytes come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace vmrun::jit::stored {

class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t size() const = 0;
  /// Fills `to` from byte `at` on; false when it cannot be read. Within size(). Any thread.
  virtual bool read(uint64_t at, std::span<std::byte> to) const = 0;
  /// All bytes, where they lie in memory for as long as this does; else nothing.
  virtual std::span<const std::byte> view() const { return {}; }
};

/// Bytes in memory.
std::unique_ptr<Source> source_of(std::vector<std::byte> bytes);
/// A file that is open for reading, with its size now; takes the descriptor. What is written into the file later may be
/// read, and is found out by the hashes.
std::unique_ptr<Source> source_of(int descriptor, uint64_t size);
/// The same of a file that nobody changes in its place: it is mapped. Where somebody cuts it short nevertheless, the process
/// ends, and says why (vm/base/mapped_files.h).
std::unique_ptr<Source> mapped_source_of(int descriptor, uint64_t size);

}  // namespace vmrun::jit::stored
