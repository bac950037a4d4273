// How a range of known length is cut into accesses: what both compilers make of memory.copy and memory.fill.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace vmrun::jit {

/// An access of `bytes` bytes, a power of two, at a distance from the range's begin.
struct Piece {
  uint32_t at, bytes;
};

class Pieces {
 public:
  static constexpr size_t kMost = 8;
  /// Of `size` bytes (not 0), by accesses of at most `widest` (a power of two); there are at most kMost * widest bytes.
  /// They cover the range and nothing else, in the order of their ends. The last may begin within the one before it.
  constexpr Pieces(uint32_t size, uint32_t widest) {
    const uint32_t width = std::min(widest, std::bit_floor(size));
    uint32_t at = 0;
    for (; size - at >= width; at += width) pieces_[count_++] = {at, width};
    if (at == size) return;
    const uint32_t rest = std::bit_ceil(size - at);
    pieces_[count_++] = {size - rest, rest};
  }
  constexpr const Piece* begin() const { return pieces_.data(); }
  constexpr const Piece* end() const { return pieces_.data() + count_; }
  constexpr size_t size() const { return count_; }
  constexpr const Piece& operator[](size_t i) const { return pieces_[i]; }

 private:
  std::array<Piece, kMost> pieces_{};
  size_t count_ = 0;
};

}  // namespace vmrun::jit
