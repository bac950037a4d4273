// Where guests were when Ctrl-C ended them: told by place, because thousands mostly are at a few.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vmrun/base/error.h"

namespace vmrun::tools {

/// Guest number `number` of the program `name`: its state ("waits for input on descriptor 5") and the frames it had.
struct Place {
  uint32_t number = 0;
  std::string name;
  std::string state;
  std::vector<FrameInfo> backtrace;
};

/// "vmrun: guests 1 to 9,999 (a.wasm) wait for ..." and the backtrace, for each place at which guests were, the most guests
/// first. `places` by number.
std::string places_text(const std::vector<Place>& places);

/// Numbers in ascending order: "1", "1 and 2", "1 to 5, 7, 9 and 200 more".
std::string numbers_text(const std::vector<uint32_t>& numbers);

}  // namespace vmrun::tools
