// How ranges are cut into accesses: what the compilers make of memory.copy and memory.fill. The last access to a range ends
// where the range ends, and none lies outside of it: so a range lies in a memory if that access does.
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

/// How a range is cut whose length is known when code runs: by lengths, from `least` to the one before. Pieces of `bytes`
/// bytes, `each` from either end, side by side; they meet in the middle or overlap there. Of less than the last of these, a
/// range has its first byte, the one at half its length, and its last one.
struct Ends {
  uint32_t least, bytes, each;
};
inline constexpr Ends kEnds[] = {{65, 32, 2}, {33, 32, 1}, {16, 16, 1}, {8, 8, 1}, {4, 4, 1}};
/// The longest such range.
inline constexpr uint32_t kMostByEnds = 128;

}  // namespace vmrun::jit
