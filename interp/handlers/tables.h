// The tables of the plain handlers (select.h): their dimensions, and the operations that they are for.
#pragma once

#include "interp/handlers/handler_table.h"

namespace vmrun::interp {

// ---- integers --------------------------------------------------------------------------------------------------------

inline constexpr const auto& kIntBinaryOps = kOpsOf<vm::Family::int_binary, vm::Family::int_compare>;
VMRUN_TABLE(vmrun_int_binary, IntBinaryTable, Operation<kIntBinaryOps>, Dest, OperandA, OperandBOrImm)

inline constexpr const auto& kIntDivisionOps = kOpsOf<vm::Family::int_divide>;
VMRUN_TABLE(vmrun_int_division, IntDivisionTable, Operation<kIntDivisionOps>, Dest, OperandA, OperandBOrImm)

/// Those with a constant on the left.
inline constexpr vm::Op kIntLeftOps[] = {vm::Op::i32_sub, vm::Op::i32_shl, vm::Op::i64_sub, vm::Op::i64_shl};
VMRUN_TABLE(vmrun_int_left, IntLeftTable, Operation<kIntLeftOps>, Dest, OperandB)

/// What a move takes: a location, a constant in its cell (kImm), or one in the next cell (kWide).
using MoveSource = Dim<struct MoveSourceName, kLocsOrImm + 1>;
static_assert(kWide == kLocsOrImm);
VMRUN_TABLE(vmrun_move, MoveTable, Dest, MoveSource)

VMRUN_TABLE(vmrun_select, SelectTable, Dest, OperandA, OperandB, OperandC)

// ---- floats ----------------------------------------------------------------------------------------------------------

inline constexpr const auto& kFloatBinaryOps = kOpsOf<vm::Family::float_binary, vm::Family::float_compare>;
VMRUN_TABLE(vmrun_float_binary, FloatBinaryTable, Operation<kFloatBinaryOps>, Dest, OperandAOrImm, OperandBOrImm)

VMRUN_TABLE(vmrun_float_move, FloatMoveTable, Dest, OperandAOrImm)

VMRUN_TABLE(vmrun_float_select, FloatSelectTable, Dest, OperandA, OperandB, OperandC)

// ---- one operand -------------------------------------------------------------------------------------------------------

inline constexpr const auto& kUnaryOps =
    kOpsOf<vm::Family::int_test, vm::Family::int_unary, vm::Family::float_unary, vm::Family::convert>;
VMRUN_TABLE(vmrun_unary, UnaryTable, Operation<kUnaryOps>, Dest, OperandA)

// ---- guarded memory 0 and globals ----------------------------------------------------------------------------------------

using AllAddresses =
    Addresses<Address::base_offset, Address::wrapped, Address::indexed, Address::absolute, Address::indexed_wrapped>;

/// One operation of each kind of load and of store. The others are one of these on what a register holds (Rule
/// load_zero_extended, Rule::store_low_part).
inline constexpr vm::Op kLoadOps[] = {
    vm::Op::i32_load,    vm::Op::i64_load,     vm::Op::f32_load,     vm::Op::f64_load,
    vm::Op::i32_load8_s, vm::Op::i32_load8_u,  vm::Op::i32_load16_s, vm::Op::i32_load16_u,
    vm::Op::i64_load8_s, vm::Op::i64_load16_s, vm::Op::i64_load32_s,
};
VMRUN_TABLE(vmrun_load, LoadTable, Operation<kLoadOps>, Dest, AllAddresses::Place)

inline constexpr vm::Op kStoreOps[] = {vm::Op::i32_store, vm::Op::i64_store,  vm::Op::f32_store,
                                       vm::Op::f64_store, vm::Op::i32_store8, vm::Op::i32_store16};
VMRUN_TABLE(vmrun_store, StoreTable, Operation<kStoreOps>, OperandCOrImm, AllAddresses::Place)

/// Whether a global is written, whether it holds a float, whether it is the instance's own.
using IsSet = Dim<struct IsSetName, 2>;
using IsFloat = Dim<struct IsFloatName, 2>;
using IsOwn = Dim<struct IsOwnName, 2>;
VMRUN_TABLE(vmrun_global, GlobalTable, IsSet, IsFloat, IsOwn, OperandA)

// ---- branches ----------------------------------------------------------------------------------------------------------

inline constexpr const auto& kIntCompareOps = kOpsOf<vm::Family::int_compare>;
/// What a branch compares with: a location, a constant in its cell (kImm), or one in the next cell (kWide).
using Comparand = Dim<struct ComparandName, kLocsOrImm + 1>;
VMRUN_TABLE(vmrun_branch_if, BranchIfTable, Operation<kIntCompareOps>, Back, OperandA, Comparand)

inline constexpr const auto& kFloatCompareOps = kOpsOf<vm::Family::float_compare>;
VMRUN_TABLE(vmrun_branch_float, BranchFloatTable, Operation<kFloatCompareOps>, Negate, Back, OperandA, OperandBOrImm)

/// Equal handlers, dealt out in turn so that the processor's predictor can tell sites apart.
using TableCopy = Dim<struct TableCopyName, 16>;
VMRUN_TABLE(vmrun_branch_table, BranchTableTable, TableCopy, OperandA)

}  // namespace vmrun::interp
