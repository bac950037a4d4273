// Compiled code as text, for people and tests.
#pragma once

#include <string>

#include "jit/compiler.h"
#include "jit/plugin.h"

namespace vmrun::jit {

/// One line per instruction: its distance from the code's begin, the instruction, and behind ';' the byte offset in the
/// image where that changes, and where calls land when an exception comes out of them. Targets of direct jumps are such
/// distances too. The disassembler is the optimising tier's library's.
std::string listing(const Plugin& plugin, const CompiledCode& code);

/// The listing of what `compiler` makes of a unit, or why it makes nothing. Nothing is installed.
struct Listed {
  bool done = false;
  std::string text;  // or the reason
};
Listed compile_listing(Compiler& compiler, const CompileRequest& request);

}  // namespace vmrun::jit
