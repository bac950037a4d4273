// See checksum.h. Each lane multiplies what it has, mixed with the next sixteen bytes, and folds the product's halves.
#include "vm/base/checksum.h"

#include <array>
#include <cstring>

namespace vmrun::vm {
namespace {

// Odd numbers without pattern: the hexadecimal digits of pi.
constexpr std::array<uint64_t, 4> kKeys = {0x243f6a8885a308d3, 0x13198a2e03707345, 0xa4093822299f31d1,
                                           0x082efa98ec4e6c89};

uint64_t word(const std::byte* p) {
  uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

uint64_t fold(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

uint64_t checksum(std::span<const std::byte> bytes) {
  constexpr size_t kBlock = 64;
  std::array<uint64_t, 4> lanes = kKeys;
  const auto take = [&](const std::byte* p) {
    for (size_t i = 0; i < lanes.size(); ++i) {
      // Each word decides alone: a product with a zero would hide the other one.
      const uint64_t a = word(p + 16 * i), b = word(p + 16 * i + 8);
      lanes[i] = fold(lanes[i] ^ a ^ kKeys[i], b ^ kKeys[3 - i]) + (a << 32 | a >> 32) + b;
    }
  };
  size_t at = 0;
  for (; bytes.size() - at >= kBlock; at += kBlock) take(bytes.data() + at);
  std::array<std::byte, kBlock> last = {};
  if (at != bytes.size()) std::memcpy(last.data(), bytes.data() + at, bytes.size() - at);
  take(last.data());
  uint64_t sum = bytes.size() ^ kKeys[0];
  for (const uint64_t lane : lanes) sum = fold(sum ^ lane, kKeys[1]) + lane;
  return fold(sum, kKeys[2]) ^ sum;
}

}  // namespace vmrun::vm
