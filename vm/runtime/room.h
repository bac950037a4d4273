// Room beside a fiber's stack, for the VM stack and a memory of the store whose guest runs there. What an idle guest
// touches of all three then lies in a few pages next to each other, and within one page of the page tables if the stacks
// are small.
//
//   native stack, growing down | VM stack, growing up | red zone | area of the vCPU | guard | memory
//                            base                                                   a page
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "vm/runtime/instance.h"
#include "vm/runtime/native_stack.h"

namespace vmrun::vm {

/// How a room is divided. Offsets are from the first page boundary in it, behind its `shared` first bytes.
struct RoomShape {
  size_t shared = 0;  // that lie in the highest page of the native stack
  size_t guard = 0;   // where a page lies that nobody may touch
  size_t size = 0;    // where it ends

  /// The page size that all of this goes by.
  static constexpr size_t kPage = 4096;
  /// What dense memories are by default; a larger one lies elsewhere.
  static constexpr size_t kMemory = size_t{64} << 20;
  /// A guest on a small native stack has no use for a larger VM stack: what is left on one is all that is left on the
  /// other.
  static constexpr size_t kMostStack = size_t{8} << 20;

  /// For native stacks of so many bytes.
  static constexpr RoomShape beside(size_t native_bytes) {
    const size_t left = native_bytes - host_reserve(native_bytes);
    const size_t stack = std::clamp((left + kPage - 1) & ~(kPage - 1), kPage, kMostStack);
    const size_t guard = stack + kStackRedZone + kAreaBytes;
    return {.shared = 1024, .guard = guard, .size = guard + kPage + kMemory};
  }
  constexpr size_t stack_bytes() const { return guard - kStackRedZone - kAreaBytes; }
  constexpr size_t memory_bytes() const { return size - guard - kPage; }
};

/// A room that somebody has lent, and that goes back with this.
class Room {
 public:
  Room() = default;
  /// `give_back(handle)` may be called on any thread. Whatever lies in `base` is of no interest, but that the memory is
  /// zero; it is zero again when the room goes back.
  Room(std::byte* base, const RoomShape& shape, void (*give_back)(void*) noexcept, void* handle)
      : base_(base), shape_(shape), give_back_(give_back), handle_(handle) {}
  ~Room() {
    if (base_ != nullptr) give_back_(handle_);
  }
  Room(Room&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)),
        shape_(other.shape_),
        give_back_(other.give_back_),
        handle_(other.handle_) {}
  Room& operator=(Room&& other) noexcept {
    Room old(std::move(*this));
    base_ = std::exchange(other.base_, nullptr);
    shape_ = other.shape_;
    give_back_ = other.give_back_;
    handle_ = other.handle_;
    return *this;
  }

  explicit operator bool() const { return base_ != nullptr; }
  const RoomShape& shape() const { return shape_; }
  std::byte* stack() const { return base_; }
  std::byte* pages() const { return base_ + shape_.shared; }
  std::byte* memory() const { return pages() + shape_.guard + RoomShape::kPage; }

 private:
  std::byte* base_ = nullptr;
  RoomShape shape_;
  void (*give_back_)(void*) noexcept = nullptr;
  void* handle_ = nullptr;
};

}  // namespace vmrun::vm
