// DWARF that we write: the guest's source lines in machine code, for debuggers.
#pragma once

#include <string>
#include <vector>

#include "jit/code/code.h"

namespace vmrun::jit {

/// Contents of the sections of these names. Empty: nothing is known of the code's source.
struct DebugLines {
  std::vector<char> info, abbrev, line;
};

/// A unit with one function, called `name`, a table of lines, and the calls that the guest's compiler has inlined, or ours: the
/// line is that of the innermost. Reads the image's debug information.
DebugLines debug_lines(const CodeObject& code, const std::string& name);

}  // namespace vmrun::jit
