// What a file of stored code looks like: `.cwasm` files and the entries of a cache alike. Numbers are little-endian.
//
//   header   one page: which build, processor and settings the code is for, the image's hash, where the sections lie
//   image    the module's bytes; a cache's entries have none
//   index    a record for each unit (a function, or an entry at a loop) of each tier, by rising function
//   code     a unit's tables and its code, one piece each; pieces that are likely wanted together lie together
//
// The index of a file that came into being while its code did lies behind the code (stream.h). Sections begin at pages.
// The header, the index and the image have hashes, and each piece of code a checksum: what is used is checked, and what is
// not used is not even read. Code is kept as it lay in code memory (compiled.h); nothing in it depends on where it lies,
// but types stand in it by numbers that the loading engine may have to replace.
//
// Hashes and checksums find damage. They prove nothing about who wrote the file: that is trusted by whoever opens it.
#pragma once

#include <array>
#include <cstdint>

#include "vm/base/checksum.h"
#include "vm/base/content_hash.h"
#include "vm/base/sha256.h"

namespace vmrun::jit::stored {

inline constexpr std::array<char, 8> kMagic = {'v', 'm', 'r', 'u', 'n', '\0', 'c', 'w'};
/// Of this layout. Another one is not read.
inline constexpr uint32_t kFormat = 1;
inline constexpr uint64_t kPage = 4096;
/// Larger files are neither written nor read. A gigabyte of image and what may be compiled of it fits.
inline constexpr uint64_t kMaxBytes = uint64_t{8} << 30;
/// Units of a file: two tiers of a million functions, and entries at loops.
inline constexpr uint32_t kMaxUnits = 4'000'000;
/// Bytes of a unit with its tables.
inline constexpr uint32_t kMaxPiece = 64 << 20;

/// What the instructions of this processor and its system are, as bits of the cpuid leaves that compilers ask.
using ProcessorBits = std::array<uint32_t, 8>;

/// What of a compile request code depends on, by tier: code is used where all bits are the same.
struct Settings {
  uint32_t baseline = 0, opt = 0;
  bool operator==(const Settings&) const = default;
};

struct Range {
  uint64_t at = 0, size = 0;  // in the file
};

struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t format = kFormat;
  uint32_t unit_count = 0;
  std::array<char, 64> build = {};
  ProcessorBits processor = {};
  Settings settings;
  uint64_t features = 0;    // vm::Features: what the image uses
  uint32_t validated = 0;   // 1: the image is valid, all features allowed
  uint32_t func_count = 0;  // of the image, imports included: a first check that the two belong together
  vm::Digest content;       // content_hash of the image
  Range image, index, code;
  uint64_t file_bytes = 0;
  vm::Digest index_hash;
  vm::Digest header_hash;  // of all before
};
static_assert(sizeof(Header) == 288 && sizeof(Header) <= kPage);

/// A record of the index; they are sorted by function, tier and unit.
struct UnitRecord {
  uint32_t func_index;
  uint32_t unit;       // CodeTables::unit
  uint32_t tier;       // vm::Tier
  uint32_t idle;       // writes of the file since a run last used it
  uint64_t at;         // from the begin of the section of code
  uint32_t size;       // of the piece
  uint32_t code_size;  // of the code in it
  uint64_t checksum;   // of the piece
};
static_assert(sizeof(UnitRecord) == 40);

/// A piece: this, the tables in this order, then the code to the piece's end.
struct PieceHead {
  uint32_t text, entry;
  uint32_t osr, marks, pads, preempt, inlined, types, profile;  // numbers of entries
  uint32_t profile_words;
  uint32_t counts_runs;
  uint32_t code_size;
};
static_assert(sizeof(PieceHead) == 48);

/// A TypeUse in a file: by the type's index in the module.
struct StoredType {
  uint32_t at, type_index, as;
};
/// A vm::ProfileSite in a file.
struct StoredSite {
  uint32_t offset, kind, word;
};

/// This processor's bits.
ProcessorBits this_processor();
/// Whether code for `wanted` runs where there is `present`.
bool runs_on(const ProcessorBits& wanted, const ProcessorBits& present);

}  // namespace vmrun::jit::stored
