// HMAC-SHA-256 (RFC 2104, FIPS 198-1): a hash that only who knows a key can compute.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "vm/base/sha256.h"

namespace vmrun::vm {

/// Bytes in any number of pieces, under a key of any length.
class HmacSha256 {
 public:
  explicit HmacSha256(std::span<const uint8_t> key);
  HmacSha256(const HmacSha256&) = delete;
  HmacSha256& operator=(const HmacSha256&) = delete;
  ~HmacSha256();
  HmacSha256& add(std::span<const std::byte> bytes);
  HmacSha256& add(std::string_view text) { return add(std::as_bytes(std::span(text))); }
  HmacSha256& add_number(uint64_t number);
  /// Ends it: nothing may be added afterwards.
  Digest finish();

 private:
  Sha256 inner_;
  std::array<std::byte, 64> outer_key_;
};

/// Whether two digests are the same, in a time that does not tell where they differ.
bool equal_in_constant_time(const Digest& a, const Digest& b);

}  // namespace vmrun::vm
