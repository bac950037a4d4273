// What a translator hands over: code and its tables before they find their place in a module's code store.
#pragma once

#include <cstdint>

#include "interp/abi.h"
#include "interp/cell.h"
#include "interp/code_room.h"

namespace vmrun::interp {

/// The instruction at byte `offset` of the image begins at `cell`.
struct SourceMark {
  uint32_t cell;
  uint32_t offset;
};

/// Interpreter code of one function in the making. Buffers are reused from one function to the next.
struct Draft {
  CodeVector<Cell> cells;
  CodeVector<TrySpan> spans;  // sorted by cell
  CodeVector<TryRegion> regions;
  CodeVector<Catch> catches;
  CodeVector<LoopMark> loops;       // sorted by offset
  CodeVector<SourceMark> marks;     // sorted by cell; one for each cell that can trap, call or throw
  CodeVector<uint32_t> call_cells;  // data cells whose `q` is to become the address of the Translation

  void clear() {
    cells.clear();
    spans.clear();
    regions.clear();
    catches.clear();
    loops.clear();
    marks.clear();
    call_cells.clear();
  }
};

}  // namespace vmrun::interp
