// GuestMemory: checked access to the guest's linear memory. Every pointer a guest passes goes through here; arithmetic
// is in 64 bits, so nothing can wrap. Values are copied byte by byte: guests owe no alignment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace vmrun::wasi {

class GuestMemory {
 public:
  explicit GuestMemory(std::span<std::byte> bytes) : base_(bytes.data()), size_(bytes.size()) {}

  /// The `length` bytes at `address`, or null when they are not all inside.
  std::byte* at(uint32_t address, uint64_t length) const {
    return contains(address, length) ? base_ + address : nullptr;
  }
  bool contains(uint32_t address, uint64_t length) const { return address <= size_ && length <= size_ - address; }
  /// `count` elements of `element` bytes; the product cannot overflow because both are below 2^32.
  std::byte* array_at(uint32_t address, uint32_t count, uint32_t element) const {
    return at(address, static_cast<uint64_t>(count) * element);
  }

  /// Copies a T in or out; false when it is not all inside.
  template <class T>
  [[nodiscard]] bool read(uint32_t address, T& value) const {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::byte* p = at(address, sizeof(T));
    if (p == nullptr) return false;
    std::memcpy(&value, p, sizeof(T));
    return true;
  }
  template <class T>
  [[nodiscard]] bool write(uint32_t address, const T& value) const {
    static_assert(std::is_trivially_copyable_v<T>);
    std::byte* p = at(address, sizeof(T));
    if (p == nullptr) return false;
    std::memcpy(p, &value, sizeof(T));
    return true;
  }

 private:
  std::byte* base_;
  uint64_t size_;
};

}  // namespace vmrun::wasi
