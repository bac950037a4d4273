// How code memory is shared out: free ranges, and who has which. CodeSpace (code.h) has one lock for all of it; nothing
// here is for anybody else, except that whoever compiles for a module has a CodeArena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace vmrun::jit {

/// A run of granules of a code space.
struct Extent {
  uint32_t first = 0, count = 0;
  uint32_t end() const { return first + count; }
};

/// Free extents, joined with their neighbours.
class FreeRanges {
 public:
  /// The smallest range that fits, and of those the lowest; what it has too much stays.
  std::optional<Extent> take(uint32_t count);
  /// Joins with neighbours inside `bounds` only. May throw std::bad_alloc, and then changes nothing.
  void insert(Extent extent, Extent bounds);
  /// A range that is there as a whole.
  void erase(Extent extent);

 private:
  std::map<uint32_t, uint32_t> by_first_;             // never adjacent inside the same bounds
  std::set<std::pair<uint32_t, uint32_t>> by_count_;  // the same as (count, first)
};

/// The code memory of one module: chunks of whole pages that nobody else's code lies in, so that a module's code is
/// close together and all of its memory goes back to the system when it dies. Chunks grow with what the module has
/// already; a page that was never written takes no memory. Small modules share their chunks instead: by the thousand,
/// they would leave half a page each.
///
/// Costs nothing until something is allocated. To be given to CodeSpace::drop() before it dies.
class CodeArena {
 public:
  explicit CodeArena(bool shared) : shared_(shared) {}
  ~CodeArena();
  CodeArena(const CodeArena&) = delete;
  CodeArena& operator=(const CodeArena&) = delete;

 private:
  friend class CodeSpace;
  struct Chunk {
    uint32_t count = 0;  // granules
    uint32_t live = 0;   // of them in use
  };
  /// Takes memory from the chunks that are there.
  std::optional<Extent> take(uint32_t count);
  void add_chunk(Extent chunk);
  /// Gives memory back. An extent that is not empty is a chunk that the arena does not have any more: a second one
  /// became empty, and one is kept so that a lone function can come and go.
  Extent release(Extent extent);
  /// The chunk that is kept although it is empty, if any; the arena does not have it afterwards.
  std::optional<Extent> take_empty();
  /// The granules that the next chunk should have.
  uint32_t next_chunk() const;

  // With the space's lock:
  const bool shared_;
  std::map<uint32_t, Chunk> chunks_;  // by first granule
  FreeRanges free_;
  uint32_t total_ = 0;         // granules of all chunks
  uint32_t empty_chunks_ = 0;  // 0 or 1
  uint32_t first_object_ = 0;  // ids of its objects, as a list; 0: none
  uint32_t blocks_ = 0;        // allocated and not freed
};

}  // namespace vmrun::jit
