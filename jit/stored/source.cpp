// See source.h.
#include "jit/stored/source.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

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

 private:
  const std::vector<std::byte> bytes_;
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

}  // namespace vmrun::jit::stored
