// Where the fields of the interpreter's cells and frames lie, in bytes, for the trampolines between it and machine code.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interp/abi.h"
#include "interp/cell.h"

namespace vmrun::interp::layout {

namespace cell {
inline constexpr int32_t imm = offsetof(Cell, imm);
inline constexpr int32_t bytes = sizeof(Cell);
}  // namespace cell

/// From the frame, which lies right above its link.
namespace link {
constexpr int32_t of_frame(size_t member) { return static_cast<int32_t>(member) - static_cast<int32_t>(sizeof(Link)); }
inline constexpr int32_t pc = of_frame(offsetof(Link, pc));
inline constexpr int32_t inst = of_frame(offsetof(Link, inst));
inline constexpr int32_t outer = of_frame(offsetof(Link, outer));
}  // namespace link

}  // namespace vmrun::interp::layout
