// SHA-256 (FIPS 180-4): by what hash a stored file's parts are known again. Nobody can make two inputs of one hash, so
// who writes an image cannot make it pass for another.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vmrun::vm {

struct Digest {
  std::array<uint8_t, 32> bytes = {};
  auto operator<=>(const Digest&) const = default;
  /// The first `count` bytes in hexadecimal digits.
  std::string hex(size_t count = 32) const;
};

/// Bytes in any number of pieces.
class Sha256 {
 public:
  Sha256& add(std::span<const std::byte> bytes);
  Sha256& add(std::string_view text) { return add(std::as_bytes(std::span(text))); }
  /// A number, as eight bytes.
  Sha256& add_number(uint64_t number);
  /// Ends it: nothing may be added afterwards.
  Digest finish();

 private:
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> block_ = {};  // the last, unfinished one
  uint64_t length_ = 0;                   // in bytes
};

inline Digest sha256(std::span<const std::byte> bytes) { return Sha256().add(bytes).finish(); }

/// Takes `count` blocks of 64 bytes into a state. An implementation detail; two of them for a test to compare.
using Sha256Blocks = void (*)(std::array<uint32_t, 8>& state, const std::byte* blocks, size_t count);
void sha256_blocks_portable(std::array<uint32_t, 8>& state, const std::byte* blocks, size_t count);
/// By instructions of this processor, or null where it has none for that.
Sha256Blocks sha256_blocks_of_processor();
/// The round constants.
extern const std::array<uint32_t, 64> kSha256Rounds;

}  // namespace vmrun::vm
