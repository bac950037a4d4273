// SHA-256; see sha256.h.
#include "vm/base/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vmrun::vm {
namespace {

constexpr size_t kBlock = 64;

Sha256Blocks blocks_function() {
  static const Sha256Blocks best = [] {
    const Sha256Blocks own = sha256_blocks_of_processor();
    return own != nullptr ? own : &sha256_blocks_portable;
  }();
  return best;
}

uint32_t big_endian(const std::byte* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return __builtin_bswap32(word);
}

}  // namespace

constexpr std::array<uint32_t, 64> kSha256Rounds = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void sha256_blocks_portable(std::array<uint32_t, 8>& state, const std::byte* blocks, size_t count) {
  for (; count != 0; --count, blocks += kBlock) {
    std::array<uint32_t, 64> w;
    for (size_t i = 0; i < 16; ++i) w[i] = big_endian(blocks + 4 * i);
    for (size_t i = 16; i < 64; ++i) {
      const uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (size_t i = 0; i < 64; ++i) {
      const uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kSha256Rounds[i] + w[i];
      const uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const std::array<uint32_t, 8> after = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < after.size(); ++i) state[i] += after[i];
  }
}

Sha256& Sha256::add(std::span<const std::byte> bytes) {
  const size_t had = length_ % kBlock;
  length_ += bytes.size();
  if (had != 0) {
    const size_t more = std::min(kBlock - had, bytes.size());
    if (more != 0) std::memcpy(block_.data() + had, bytes.data(), more);
    bytes = bytes.subspan(more);
    if (had + more < kBlock) return *this;
    blocks_function()(state_, block_.data(), 1);
  }
  const size_t whole = bytes.size() / kBlock;
  if (whole != 0) blocks_function()(state_, bytes.data(), whole);
  bytes = bytes.subspan(whole * kBlock);
  if (!bytes.empty()) std::memcpy(block_.data(), bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::add_number(uint64_t number) { return add(std::as_bytes(std::span(&number, 1))); }

Digest Sha256::finish() {
  const uint64_t bits = length_ * 8;
  static constexpr std::array<std::byte, kBlock> kPadding = {std::byte{0x80}};
  const size_t had = length_ % kBlock;
  add(std::span(kPadding).first(had < kBlock - 8 ? kBlock - 8 - had : 2 * kBlock - 8 - had));
  add_number(__builtin_bswap64(bits));
  Digest digest;
  for (size_t i = 0; i < state_.size(); ++i) {
    const uint32_t word = __builtin_bswap32(state_[i]);
    std::memcpy(digest.bytes.data() + 4 * i, &word, sizeof word);
  }
  return digest;
}

std::string Digest::hex(size_t count) const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < std::min(count, bytes.size()); ++i) {
    out += kDigits[bytes[i] >> 4];
    out += kDigits[bytes[i] & 15];
  }
  return out;
}

}  // namespace vmrun::vm
