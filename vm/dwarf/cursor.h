// Reading bytes that nobody has vouched for: a position in a span that never leaves it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace vmrun::vm::dwarf {

/// Reads forward. What lies beyond the end reads as zero, and `ok` is false from then on.
class Cursor {
 public:
  explicit Cursor(std::span<const uint8_t> bytes, uint64_t at = 0) : bytes_(bytes), at_(at) {
    if (at > bytes.size()) fail();
  }

  bool ok() const { return ok_; }
  uint64_t at() const { return at_; }
  bool at_end() const { return at_ >= bytes_.size(); }
  void fail() {
    ok_ = false;
    at_ = bytes_.size();
  }
  void skip(uint64_t count) {
    if (count > bytes_.size() - at_) return fail();
    at_ += count;
  }

  /// `size` bytes, at most eight, little end first.
  uint64_t fixed(uint32_t size) {
    if (size > 8 || size > bytes_.size() - at_) {
      fail();
      return 0;
    }
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + at_, size);
    at_ += size;
    return value;
  }
  uint8_t u8() { return static_cast<uint8_t>(fixed(1)); }
  uint16_t u16() { return static_cast<uint16_t>(fixed(2)); }
  uint32_t u32() { return static_cast<uint32_t>(fixed(4)); }
  uint64_t u64() { return fixed(8); }

  /// LEB128 of up to 64 bits; bits beyond are dropped.
  uint64_t uleb() { return leb(nullptr); }
  int64_t sleb() {
    uint32_t bits = 0;
    uint64_t value = leb(&bits);
    if (bits < 64 && bits != 0 && (value >> (bits - 1) & 1) != 0) value |= ~uint64_t{0} << bits;
    return static_cast<int64_t>(value);
  }

  /// Up to the NUL, which is skipped.
  std::string_view string() {
    const auto* from = bytes_.data() + at_;
    const void* end = at_end() ? nullptr : std::memchr(from, 0, bytes_.size() - at_);
    if (end == nullptr) {
      fail();
      return {};
    }
    const auto size = static_cast<size_t>(static_cast<const uint8_t*>(end) - from);
    at_ += size + 1;
    return {reinterpret_cast<const char*>(from), size};
  }

 private:
  uint64_t leb(uint32_t* bits) {
    uint64_t value = 0;
    for (uint32_t shift = 0;; shift += 7) {
      if (at_end()) {
        fail();
        return 0;
      }
      const uint8_t byte = bytes_[at_++];
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) {
        if (bits != nullptr) *bits = std::min<uint32_t>(shift + 7, 64);
        return value;
      }
      if (shift > 1024) {
        fail();
        return 0;
      }
    }
  }

  std::span<const uint8_t> bytes_;
  uint64_t at_;
  bool ok_ = true;
};

/// The string that begins at `at`, up to its NUL; empty where there is none. No longer than `limit`.
inline std::string_view string_at(std::span<const uint8_t> bytes, uint64_t at, size_t limit) {
  if (at >= bytes.size()) return {};
  const size_t most = std::min<uint64_t>(limit, bytes.size() - at);
  const auto* from = reinterpret_cast<const char*>(bytes.data() + at);
  const void* end = std::memchr(from, 0, most);
  return {from, end == nullptr ? most : static_cast<size_t>(static_cast<const char*>(end) - from)};
}

}  // namespace vmrun::vm::dwarf
