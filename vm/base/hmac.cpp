// See hmac.h.
#include "vm/base/hmac.h"

#include <algorithm>
#include <cstring>

namespace vmrun::vm {

HmacSha256::HmacSha256(std::span<const uint8_t> key) {
  std::array<std::byte, 64> block = {};
  const auto bytes = std::as_bytes(key);
  if (bytes.size() <= block.size()) {
    std::ranges::copy(bytes, block.begin());
  } else {
    const Digest shorter = sha256(bytes);
    std::ranges::copy(std::as_bytes(std::span(shorter.bytes)), block.begin());
  }
  std::ranges::transform(block, outer_key_.begin(), [](std::byte b) { return b ^ std::byte{0x5c}; });
  for (std::byte& b : block) b ^= std::byte{0x36};
  inner_.add(block);
  explicit_bzero(block.data(), block.size());
}

HmacSha256::~HmacSha256() {
  explicit_bzero(outer_key_.data(), outer_key_.size());
  explicit_bzero(&inner_, sizeof inner_);
}

HmacSha256& HmacSha256::add(std::span<const std::byte> bytes) {
  inner_.add(bytes);
  return *this;
}

HmacSha256& HmacSha256::add_number(uint64_t number) {
  inner_.add_number(number);
  return *this;
}

Digest HmacSha256::finish() {
  const Digest inside = inner_.finish();
  return Sha256().add(outer_key_).add(std::as_bytes(std::span(inside.bytes))).finish();
}

bool equal_in_constant_time(const Digest& a, const Digest& b) {
  uint8_t differs = 0;
  for (size_t i = 0; i < a.bytes.size(); ++i) differs |= a.bytes[i] ^ b.bytes[i];
  return differs == 0;
}

}  // namespace vmrun::vm
