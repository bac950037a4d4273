// What an image is known again by: a hash for large data, twice as fast as SHA-256 with the processor's instructions for
// that (13 and 7 ms for 26 MB on one processor, 2026-11-30), and more so without.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vm/base/sha256.h"

namespace vmrun::vm {

/// A hash of bytes of which nobody can make two with the same one. Chunks of 1 KiB are hashed by BLAKE3's chunk function,
/// eight at a time in the lanes of vectors; what comes out, and what is left at the end, by SHA-256. `threads` threads (0:
/// as many as there are processors, at most 8) take pieces of it; the hash does not depend on them.
Digest content_hash(std::span<const std::byte> bytes, unsigned threads = 0);

/// The same hash, piece by piece.
class ContentHasher {
 public:
  /// Of each piece but the last one, which may be shorter.
  static constexpr size_t kPiece = 512 << 10;
  /// Of `size` bytes in all.
  explicit ContentHasher(uint64_t size) { all_.add_number(size); }
  void add(std::span<const std::byte> piece);
  Digest finish() { return all_.finish(); }

 private:
  Sha256 all_;
};

/// The chaining values, as BLAKE3 defines them, of eight chunks that lie behind each other, the first one being number
/// `counter`. An implementation detail; two of them for a test to compare.
using ChainingValues = std::array<std::array<uint32_t, 8>, 8>;
using HashChunks = void (*)(const std::byte* chunks, uint64_t counter, ChainingValues& out);
void hash_chunks_portable(const std::byte* chunks, uint64_t counter, ChainingValues& out);
/// By wider vectors of this processor, or null where it has none.
HashChunks hash_chunks_of_processor();

inline constexpr size_t kHashChunk = 1024;

}  // namespace vmrun::vm
