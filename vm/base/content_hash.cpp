// See content_hash.h.
#include "vm/base/content_hash.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "vm/base/content_hash_lanes.h"

namespace vmrun::vm {
namespace {

/// What a thread takes at a time: some 0.1 ms.
constexpr size_t kPiece = ContentHasher::kPiece;
constexpr size_t kGroup = 8 * kHashChunk;

Digest hash_of_piece(std::span<const std::byte> piece) {
  static const HashChunks best = [] {
    const HashChunks own = hash_chunks_of_processor();
    return own != nullptr ? own : &hash_chunks_portable;
  }();
  Sha256 all;
  size_t at = 0;
  for (; piece.size() - at >= kGroup; at += kGroup) {
    ChainingValues values;
    best(piece.data() + at, at / kHashChunk, values);
    all.add(std::as_bytes(std::span(values)));
  }
  return all.add(piece.subspan(at)).finish();
}

}  // namespace

void hash_chunks_portable(const std::byte* chunks, uint64_t counter, ChainingValues& out) {
  hash_chunks(chunks, counter, out);
}

void ContentHasher::add(std::span<const std::byte> piece) {
  const Digest digest = hash_of_piece(piece);
  all_.add(std::as_bytes(std::span(digest.bytes)));
}

Digest content_hash(std::span<const std::byte> bytes, unsigned threads) {
  const size_t count = (bytes.size() + kPiece - 1) / kPiece;
  std::vector<Digest> digests(count);
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
      digests[i] = hash_of_piece(bytes.subspan(i * kPiece, std::min(kPiece, bytes.size() - i * kPiece)));
    }
  };
  if (threads == 0) threads = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
  {
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < std::min<size_t>(threads, count / 2); ++i) {
      try {
        helpers.emplace_back(work);
      } catch (const std::system_error&) {
        break;  // the others take its share
      }
    }
    work();
  }
  Sha256 all;
  all.add_number(bytes.size());
  for (const Digest& digest : digests) all.add(std::as_bytes(std::span(digest.bytes)));
  return all.finish();
}

}  // namespace vmrun::vm
