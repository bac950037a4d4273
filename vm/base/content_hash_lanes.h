// BLAKE3's chunk function on eight chunks at a time, a chunk in each lane of a vector. A template of nothing: it is
// compiled into each caller, for that one's processor.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "vm/base/content_hash.h"

namespace vmrun::vm {

using Lanes = uint32_t __attribute__((vector_size(32)));

template <int kBits>
[[gnu::always_inline]] inline Lanes rotate_right(Lanes x) {
  return x >> kBits | x << (32 - kBits);
}

[[gnu::always_inline]] inline void mix(Lanes& a, Lanes& b, Lanes& c, Lanes& d, const Lanes& x, const Lanes& y) {
  a = a + b + x;
  d = rotate_right<16>(d ^ a);
  c = c + d;
  b = rotate_right<12>(b ^ c);
  a = a + b + y;
  d = rotate_right<8>(d ^ a);
  c = c + d;
  b = rotate_right<7>(b ^ c);
}

/// Where the message's words go in each round.
inline constexpr uint8_t kSchedule[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1}, {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4}, {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13}};

template <int kRound>
[[gnu::always_inline]] inline void mix_all(Lanes (&v)[16], const Lanes (&m)[16]) {
  constexpr auto& s = kSchedule[kRound];
  mix(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
  mix(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
  mix(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
  mix(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
  mix(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
  mix(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
  mix(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
  mix(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
}

/// Eight words of each of eight chunks, `at` bytes from their begins, turned so that each vector has one word of all.
[[gnu::always_inline]] inline void load_words(const std::byte* chunks, size_t at, Lanes* out) {
  Lanes r[8];
  for (size_t i = 0; i < 8; ++i) std::memcpy(&r[i], chunks + i * kHashChunk + at, sizeof(Lanes));
  Lanes t[8];
  for (size_t i = 0; i < 8; i += 2) {
    t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  Lanes u[8];
  for (size_t i = 0; i < 8; i += 4) {
    u[i] = __builtin_shufflevector(t[i], t[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    u[i + 1] = __builtin_shufflevector(t[i], t[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    u[i + 2] = __builtin_shufflevector(t[i + 1], t[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
    u[i + 3] = __builtin_shufflevector(t[i + 1], t[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (size_t i = 0; i < 4; ++i) {
    out[i] = __builtin_shufflevector(u[i], u[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    out[i + 4] = __builtin_shufflevector(u[i], u[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

[[gnu::always_inline]] inline void hash_chunks(const std::byte* chunks, uint64_t counter, ChainingValues& out) {
  constexpr uint32_t kIv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  constexpr uint32_t kBlock = 64, kFirst = 1, kLast = 2;
  Lanes h[8], low, high;
  for (size_t i = 0; i < 8; ++i) {
    h[i] = Lanes{} + kIv[i];
    low[i] = static_cast<uint32_t>(counter + i);
    high[i] = static_cast<uint32_t>((counter + i) >> 32);
  }
  for (size_t at = 0; at < kHashChunk; at += kBlock) {
    Lanes m[16];
    load_words(chunks, at, m);
    load_words(chunks, at + kBlock / 2, m + 8);
    const uint32_t flags = (at == 0 ? kFirst : 0) | (at + kBlock == kHashChunk ? kLast : 0);
    Lanes v[16] = {h[0],
                   h[1],
                   h[2],
                   h[3],
                   h[4],
                   h[5],
                   h[6],
                   h[7],
                   Lanes{} + kIv[0],
                   Lanes{} + kIv[1],
                   Lanes{} + kIv[2],
                   Lanes{} + kIv[3],
                   low,
                   high,
                   Lanes{} + kBlock,
                   Lanes{} + flags};
    mix_all<0>(v, m);
    mix_all<1>(v, m);
    mix_all<2>(v, m);
    mix_all<3>(v, m);
    mix_all<4>(v, m);
    mix_all<5>(v, m);
    mix_all<6>(v, m);
    for (size_t i = 0; i < 8; ++i) h[i] = v[i] ^ v[i + 8];
  }
  for (size_t lane = 0; lane < 8; ++lane) {
    for (size_t i = 0; i < 8; ++i) out[lane][i] = h[i][lane];
  }
}

}  // namespace vmrun::vm
