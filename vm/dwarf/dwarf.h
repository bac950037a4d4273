// Debug information of guests in the form of DWARF, versions 2 to 5, in a reader of our own: from an address of the
// guest's code to the source lines that it was made of. Sources: the DWARF 5 standard, and DWARF for WebAssembly
// (addresses count from the first byte of the code section's contents).
//
// The image may be hostile, and the reader runs in the process that keeps the guest in. So it is small, and:
// - all bytes are read through a Cursor, which stays in its section;
// - nothing recurses: trees are walked with a depth of their own, references are followed a few steps;
// - all work counts against one Budget, and so does what is kept in memory. Behind its end the answer is "unknown";
// - what is wrong makes an answer wrong or empty, never more than that.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vmrun/base/error.h"

namespace vmrun::vm::dwarf {

/// Sections by their names without ".debug_". Empty: not there.
struct Sections {
  std::span<const uint8_t> info, abbrev, line, str, line_str, ranges, rnglists, addr, str_offsets;
};

/// What reading may cost in all. A step is an attribute, an opcode of a line program, a range.
struct Budget {
  uint64_t steps = uint64_t{1} << 27;
  uint64_t records = uint64_t{1} << 22;  // of up to 64 bytes each
  bool take(uint64_t count = 1) {
    if (steps < count) {
      steps = 0;
      return false;
    }
    steps -= count;
    return true;
  }
  bool keep(uint64_t count = 1) {
    if (records < count) {
      records = 0;
      return false;
    }
    records -= count;
    return take(count);
  }
  bool spent() const { return steps == 0 || records == 0; }
};

inline constexpr uint32_t kMaxNesting = 256;       // of entries, whatever they are
inline constexpr uint32_t kMaxInlined = 64;        // calls at one address
inline constexpr uint32_t kMaxLookedAt = 1 << 20;  // ranges of a function's inlined calls, for each question
inline constexpr uint32_t kMaxReferences = 16;     // from an inlined call to the declaration that has its name
inline constexpr size_t kMaxName = 1024;           // of a function, with its scopes
inline constexpr size_t kMaxPath = 1024;           // of a file
inline constexpr uint32_t kMaxAttributes = 1024;   // of an entry
inline constexpr uint32_t kMaxFormats = 64;        // of columns in a table of files

/// Code addresses in the image; none is 0, where a code section has its count.
struct Range {
  uint64_t begin, end;
};

}  // namespace vmrun::vm::dwarf
