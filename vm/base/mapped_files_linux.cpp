// See mapped_files.h.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include "vm/base/assert.h"
#include "vm/base/mapped_files.h"

namespace vmrun::vm {
namespace {

struct Range {
  std::atomic<uintptr_t> begin{0}, end{0};  // begin 1: taken, not yet valid
};
std::array<Range, 256> ranges;

void enter(const std::byte* data, size_t size) {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  for (Range& range : ranges) {
    uintptr_t none = 0;
    if (!range.begin.compare_exchange_strong(none, 1, std::memory_order_relaxed)) continue;
    range.end.store(begin + size, std::memory_order_relaxed);
    range.begin.store(begin, std::memory_order_release);
    return;
  }
}

void remove(const std::byte* data) {
  for (Range& range : ranges) {
    if (range.begin.load(std::memory_order_relaxed) != reinterpret_cast<uintptr_t>(data)) continue;
    range.end.store(0, std::memory_order_relaxed);
    range.begin.store(0, std::memory_order_release);
    return;
  }
}

}  // namespace

MappedFile::MappedFile(int file, size_t at, size_t size, bool writable) {
  if (size == 0) return;
  const int access = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* data = mmap(nullptr, size, access, MAP_PRIVATE | MAP_NORESERVE, file, static_cast<off_t>(at));
  if (data == MAP_FAILED) return;
  data_ = static_cast<std::byte*>(data);
  size_ = size;
  enter(data_, size_);
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  remove(data_);
  munmap(data_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

bool is_in_mapped_file(const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (const Range& range : ranges) {
    const uintptr_t begin = range.begin.load(std::memory_order_acquire);
    if (begin > 1 && at >= begin && at < range.end.load(std::memory_order_relaxed)) return true;
  }
  return false;
}

void mapped_file_is_gone() {
  constexpr std::string_view kMessage =
      "vmrun: error: a file of the cache of code was cut short, or cannot be read any more, while it was in use; "
      "run again, with 'vmrun cache clear' before it if that does not help\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage.data(), kMessage.size());
  _exit(kInternalErrorStatus);
}

}  // namespace vmrun::vm
