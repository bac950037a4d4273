// Hashes: what standards give as examples, pieces, and the processor's instructions against plain arithmetic.
#include "vm/base/sha256.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "vm/base/build.h"
#include "vm/base/checksum.h"
#include "vm/base/content_hash_lanes.h"

using namespace vmrun::vm;

namespace {

std::string hash(std::string_view text) { return Sha256().add(text).finish().hex(); }

std::vector<std::byte> random_bytes(size_t count) {
  std::mt19937_64 random(count);
  std::vector<std::byte> out(count);
  for (std::byte& byte : out) byte = static_cast<std::byte>(random());
  return out;
}

}  // namespace

TEST_CASE("sha256: the examples of FIPS 180-4") {
  CHECK(hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hash(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(Sha256().add("abc").finish().hex(4) == "ba7816bf");
}

TEST_CASE("sha256: pieces of any size make the same hash") {
  const std::vector<std::byte> bytes = random_bytes(1000);
  for (size_t size = 0; size < 200; ++size) {
    const auto all = std::span(bytes).first(size);
    for (size_t step : {1, 7, 63, 64, 65, 129}) {
      Sha256 pieces;
      for (size_t at = 0; at < size; at += step) pieces.add(all.subspan(at, std::min(step, size - at)));
      CAPTURE(size);
      CAPTURE(step);
      CHECK(pieces.finish() == sha256(all));
    }
  }
}

TEST_CASE("sha256: the processor's instructions compute what plain ones do") {
  const Sha256Blocks own = sha256_blocks_of_processor();
  if (own == nullptr) {
    MESSAGE("this processor has none");
    return;
  }
  const std::vector<std::byte> bytes = random_bytes(64 * 100);
  std::array<uint32_t, 8> a = {1, 2, 3, 4, 5, 6, 7, 8}, b = a;
  for (size_t count = 0; count < 14; ++count) {
    own(a, bytes.data() + 64 * count, count);
    sha256_blocks_portable(b, bytes.data() + 64 * count, count);
    CHECK(a == b);
  }
}

TEST_CASE("content hash: chunks are hashed as BLAKE3 does, by each kind of vectors") {
  std::vector<std::byte> bytes(8 * kHashChunk);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i % 251);
  ChainingValues values;
  hash_chunks_portable(bytes.data(), 0, values);
  // The published hash of the first two chunks is that of their parent, at the root.
  constexpr uint32_t kIv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  constexpr uint32_t kParent = 4, kRoot = 8;
  Lanes v[16], m[16];
  for (size_t i = 0; i < 16; ++i) {
    v[i] = Lanes{} + (i < 12 ? kIv[i % 8] : i == 14 ? 64 : i == 15 ? kParent | kRoot : 0);
    m[i] = Lanes{} + values[i / 8][i % 8];
  }
  mix_all<0>(v, m), mix_all<1>(v, m), mix_all<2>(v, m), mix_all<3>(v, m);
  mix_all<4>(v, m), mix_all<5>(v, m), mix_all<6>(v, m);
  Digest root;
  for (size_t i = 0; i < 8; ++i) {
    const uint32_t word = v[i][0] ^ v[i + 8][0];
    std::memcpy(root.bytes.data() + 4 * i, &word, sizeof word);
  }
  CHECK(root.hex() == "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a");
  // Each lane does what the first one does, and the wider vectors what the plain ones do.
  for (const uint64_t counter : {uint64_t{0}, uint64_t{3}, ~uint64_t{0} >> 32}) {
    hash_chunks_portable(bytes.data(), counter, values);
    for (size_t lane = 0; lane < 8; ++lane) {
      std::vector<std::byte> moved(bytes.size());
      std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(lane * kHashChunk), kHashChunk, moved.begin());
      ChainingValues first;
      hash_chunks_portable(moved.data(), counter + lane, first);
      CHECK(first[0] == values[lane]);
    }
    if (const HashChunks own = hash_chunks_of_processor()) {
      ChainingValues wide;
      own(bytes.data(), counter, wide);
      CHECK(wide == values);
    }
  }
}

TEST_CASE("content hash: it depends on each byte and on their number, and not on the threads") {
  std::vector<std::byte> bytes = random_bytes(3 << 20);
  bytes.resize(bytes.size() - 77);
  const Digest one = content_hash(bytes, 1);
  for (unsigned threads : {0, 2, 3, 16}) CHECK(content_hash(bytes, threads) == one);
  for (size_t at : {size_t{0}, size_t{5000}, size_t{512} << 10, bytes.size() - 100, bytes.size() - 1}) {
    bytes[at] ^= std::byte{1};
    CHECK(content_hash(bytes) != one);
    bytes[at] ^= std::byte{1};
  }
  std::swap_ranges(bytes.begin(), bytes.begin() + 1024, bytes.begin() + 8192);
  CHECK(content_hash(bytes) != one);
  CHECK(content_hash(std::span(bytes).first(bytes.size() - 1)) != content_hash(bytes));
  CHECK(content_hash({}) != content_hash(std::span(bytes).first(1)));
}

TEST_CASE("checksum: each bit and each length counts, whatever the bytes are") {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{7}, size_t{16}, size_t{63}, size_t{64}, size_t{65}, size_t{300}}) {
    for (const bool zeros : {false, true}) {
      std::vector<std::byte> bytes = zeros ? std::vector<std::byte>(size) : random_bytes(size);
      std::vector<uint64_t> sums{checksum(bytes)};
      for (size_t bit = 0; bit < 8 * size; ++bit) {
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
        sums.push_back(checksum(bytes));
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      }
      CHECK(checksum(bytes) == sums[0]);
      bytes.push_back(std::byte{0});
      sums.push_back(checksum(bytes));
      std::ranges::sort(sums);
      CHECK(std::ranges::adjacent_find(sums) == sums.end());
    }
  }
}

TEST_CASE("build_id: 64 digits") {
  CHECK(build_id().size() == 64);
  CHECK(build_id().find_first_not_of("0123456789abcdef") == std::string_view::npos);
}
