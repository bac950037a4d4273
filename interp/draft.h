// What a translator hands over: code and its tables before they find their place in a module's code store.
#pragma once

#include <cstdint>
#include <vector>

#include "interp/abi.h"
#include "interp/cell.h"

namespace vmrun::interp {

/// The instruction at byte `offset` of the image begins at `cell`.
struct SourceMark {
  uint32_t cell;
  uint32_t offset;
};

/// Interpreter code of one function in the making. Buffers are reused from one function to the next.
struct Draft {
  std::vector<Cell> cells;
  std::vector<TryRegion> regions;  // sorted by begin
  std::vector<Catch> catches;
  std::vector<LoopMark> loops;       // sorted by offset
  std::vector<SourceMark> marks;     // sorted by cell; one for each cell that can trap, call or throw
  std::vector<uint32_t> call_cells;  // data cells whose `q` is to become the address of the Translation

  void clear() {
    cells.clear();
    regions.clear();
    catches.clear();
    loops.clear();
    marks.clear();
    call_cells.clear();
  }
};

}  // namespace vmrun::interp
