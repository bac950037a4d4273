// Handlers of calls, returns, frames and exceptions, for both translators. The cells are those of abi.h.
#pragma once

#include "interp/cell.h"

namespace vmrun::interp {

/// First cells of a function in quick code: stores the parameters that came in registers and clears the other locals.
/// Cells: [0] a, b, c, d = slots of r0, r1, f0, f1 (as many as `ints` and `floats` say)
///        [1] w = FuncCode* (whose heat each entry raises), a = first slot to clear, b = how many
Handler select_enter(unsigned ints, unsigned floats);
inline constexpr unsigned kEnterCells = 2;

enum class CallKind : uint8_t { direct, import, indirect, ref };
/// kCallCells cells. `loc` is where the index or the reference of indirect and ref is: kSlot or an integer register;
/// argument registers in use are not available for it.
Handler select_call(CallKind kind, int loc = 0);
/// Tail calls; the same cells with imm == 0.
Handler select_tail_call(CallKind kind, int loc = 0);

/// Returns; results are in place already.
Handler select_return();
/// Moves the first result to r0 (f0) from cell field a (slot) or a register, then returns.
Handler select_return_int(int loc);
Handler select_return_float(int loc);

Handler select_throw();      // two cells
Handler select_throw_ref();  // two cells
Handler select_unreachable();
/// The cell's imm: units of fuel.
Handler select_charge();
Handler select_unsupported();
/// All that there is of a function whose frame is beyond the reach of slot numbers.
Handler select_stack_overflow();

/// Vector moves between slots. move: a = dest, b = source. constant: a = dest, the next cell holds the 16 bytes.
/// select: a = dest, b, c = values, d = condition.
Handler select_move_vector();
Handler select_const_vector();
Handler select_select_vector();
/// Copies slots upwards in index order: a = first dest, b = first source, imm = how many slots.
Handler select_move_slots();

}  // namespace vmrun::interp
