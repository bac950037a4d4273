// How ranges are cut into accesses.
#include "jit/pieces.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace vmrun::jit {
namespace {

TEST_CASE("pieces cover a range of any length and nothing else, and the last one ends it") {
  for (const uint32_t widest : {1u, 8u, 16u, 32u}) {
    for (uint32_t size = 1; size <= Pieces::kMost * widest; ++size) {
      CAPTURE(widest);
      CAPTURE(size);
      const Pieces pieces(size, widest);
      REQUIRE(pieces.size() >= 1);
      REQUIRE(pieces.size() <= Pieces::kMost);
      uint32_t end = 0;
      for (const Piece& piece : pieces) {
        CHECK(std::has_single_bit(piece.bytes));
        CHECK(piece.bytes <= widest);
        CHECK(piece.at <= end);               // no byte is left out
        CHECK(piece.at + piece.bytes > end);  // and no piece is superfluous
        CHECK(piece.at + piece.bytes <= size);
        end = piece.at + piece.bytes;
      }
      CHECK(end == size);
      // Another piece would be wider than what is left.
      CHECK(pieces.size() <= size / std::min(widest, std::bit_floor(size)) + 1);
    }
  }
}

TEST_CASE("pieces from both ends cover a range of any length and nothing else, and the last one ends it") {
  for (uint32_t size = 1; size <= kMostByEnds; ++size) {
    CAPTURE(size);
    std::vector<Piece> pieces;
    const auto* ends = std::ranges::find_if(kEnds, [&](const Ends& e) { return size >= e.least; });
    if (ends == std::end(kEnds)) {
      pieces = {{0, 1}, {size / 2, 1}, {size - 1, 1}};
    } else {
      for (uint32_t i = 0; i < ends->each; ++i) pieces.push_back({i * ends->bytes, ends->bytes});
      for (uint32_t i = ends->each; i != 0; --i) pieces.push_back({size - i * ends->bytes, ends->bytes});
    }
    uint32_t end = 0;
    for (const Piece& piece : pieces) {
      CHECK(piece.at <= end);
      CHECK(piece.at < size);  // it has not wrapped
      CHECK(piece.at + piece.bytes <= size);
      end = std::max(end, piece.at + piece.bytes);
    }
    CHECK(end == size);
    CHECK(pieces.back().at + pieces.back().bytes == size);
  }
}

}  // namespace
}  // namespace vmrun::jit
