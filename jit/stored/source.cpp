// See source.h.
#include "jit/stored/source.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "vm/base/mapped_files.h"

namespace vmrun::jit::stored {
namespace {

class MemorySource final : public Source {
 public:
  explicit MemorySource(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  bool read(uint64_t at, std::span<std::byte> to) const override {
    if (at > bytes_.size() || to.size() > bytes_.size() - at) return false;
    if (!to.empty()) std::memcpy(to.data(), bytes_.data() + at, to.size());
    return true;
  }
  std::span<const std::byte> view() const override { return bytes_; }

 private:
  const std::vector<std::byte> bytes_;
};

class MappedSource final : public Source {
 public:
  explicit MappedSource(vm::MappedFile file) : file_(std::move(file)) {}
  uint64_t size() const override { return file_.size(); }
  bool read(uint64_t at, std::span<std::byte> to) const override {
    if (at > file_.size() || to.size() > file_.size() - at) return false;
    if (!to.empty()) std::memcpy(to.data(), file_.data() + at, to.size());
    return true;
  }
  /// Called for each piece, which is copied at once, and hardly ever needed again.
  std::span<const std::byte> view() const override {
    // The pages stay in the system's memory for files; as this process's they would count twice, here and where they were
    // copied to. Whoever still reads them has them back.
    constexpr size_t kPieces = 256;
    if (views_.fetch_add(1, std::memory_order_relaxed) % kPieces == kPieces - 1) {
      ::madvise(file_.data(), file_.size(), MADV_DONTNEED);
    }
    return file_.bytes();
  }

 private:
  const vm::MappedFile file_;  // not written to
  mutable std::atomic<size_t> views_{0};
};

class FileSource final : public Source {
 public:
  FileSource(int descriptor, uint64_t size) : descriptor_(descriptor), size_(size) {}
  ~FileSource() override { ::close(descriptor_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  uint64_t size() const override { return size_; }
  bool read(uint64_t at, std::span<std::byte> to) const override {
    if (at > size_ || to.size() > size_ - at) return false;
    while (!to.empty()) {
      const ssize_t n = ::pread(descriptor_, to.data(), to.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      at += static_cast<uint64_t>(n);
      to = to.subspan(static_cast<size_t>(n));
    }
    return true;
  }

 private:
  const int descriptor_;
  const uint64_t size_;
};

}  // namespace

std::unique_ptr<Source> source_of(std::vector<std::byte> bytes) {
  return std::make_unique<MemorySource>(std::move(bytes));
}
std::unique_ptr<Source> source_of(int descriptor, uint64_t size) {
  return std::make_unique<FileSource>(descriptor, size);
}
std::unique_ptr<Source> mapped_source_of(int descriptor, uint64_t size) {
  vm::MappedFile file(descriptor, 0, size, false);
  if (!file) return source_of(descriptor, size);
  ::close(descriptor);
  return std::make_unique<MappedSource>(std::move(file));
}

}  // namespace vmrun::jit::stored
