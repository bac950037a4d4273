// Lookups in the tables of code: see compiled.h.
#include "jit/code/compiled.h"

#include <algorithm>

namespace vmrun::jit {

uint32_t CodeTables::place_at(uint32_t pc, bool is_return) const {
  if (is_return) {
    auto exact =
        std::lower_bound(marks.begin(), marks.end(), pc, [](const SourceMark& m, uint32_t p) { return m.pc < p; });
    if (exact != marks.end() && exact->pc == pc) return exact->place;
    if (exact == marks.begin()) return 0;
    return (exact - 1)->place;
  }
  auto after =
      std::upper_bound(marks.begin(), marks.end(), pc, [](uint32_t p, const SourceMark& m) { return p < m.pc; });
  return after == marks.begin() ? 0 : (after - 1)->place;
}

}  // namespace vmrun::jit
