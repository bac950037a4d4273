// Block records: see block.h.
#include "vm/blocks/block.h"

#include <algorithm>

namespace vmrun::vm {

const char* to_string(Tier tier) {
  switch (tier) {
    case Tier::interp: return "interp";
    case Tier::baseline: return "baseline";
    case Tier::opt: return "opt";
  }
  return "";
}

LoopCode* LoopTable::find(uint32_t offset) const {
  LoopCode* end = loops + count;
  LoopCode* at = std::lower_bound(loops, end, offset, [](const LoopCode& l, uint32_t o) { return l.offset < o; });
  return at != end && at->offset == offset ? at : nullptr;
}

}  // namespace vmrun::vm
