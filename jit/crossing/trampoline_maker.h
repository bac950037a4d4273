// Generates the trampolines of one shape. One implementation per target.
#pragma once

#include <memory>

#include "jit/crossing/shape.h"
#include "jit/crossing/trampoline.h"

namespace vmrun::jit {

/// Null when there is no code memory.
std::unique_ptr<const Trampolines> make_trampolines(const Shape& shape);

}  // namespace vmrun::jit
