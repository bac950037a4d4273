// Traps and outcomes (public: vmrun/base/trap.h), and the raw form of a backtrace.
#pragma once

#include <cstdint>

#include "vmrun/base/trap.h"

namespace vmrun::vm {

class Module;
struct Instance;
using vmrun::Outcome;
using vmrun::trap_message;
using vmrun::TrapCode;

/// One guest frame of a backtrace, innermost first.
struct Frame {
  const Module* module = nullptr;
  uint32_t func_index = 0;
  uint32_t offset = 0;           // byte offset of the instruction in the image
  Instance* instance = nullptr;  // null: not known
};

}  // namespace vmrun::vm
