// The tables of the fused handlers (fused.h): their dimensions, and the operations that they are for.
#pragma once

#include "interp/fused.h"
#include "interp/handler_table.h"

namespace vmrun::interp::ir {

// ---- pairs of integer operations ---------------------------------------------------------------------------------------

struct OpPair {
  vm::Op o1, o2;
};
inline constexpr OpPair kImmThenReg[] = {
    {vm::Op::i32_shl, vm::Op::i32_add},   {vm::Op::i32_shl, vm::Op::i32_xor},   {vm::Op::i32_shl, vm::Op::i32_or},
    {vm::Op::i32_shr_u, vm::Op::i32_xor}, {vm::Op::i32_shr_u, vm::Op::i32_add}, {vm::Op::i32_shr_u, vm::Op::i32_and},
    {vm::Op::i32_shr_u, vm::Op::i32_or},  {vm::Op::i32_shr_s, vm::Op::i32_add}, {vm::Op::i32_rotl, vm::Op::i32_xor},
    {vm::Op::i32_rotl, vm::Op::i32_add},  {vm::Op::i32_and, vm::Op::i32_add},   {vm::Op::i32_and, vm::Op::i32_or},
    {vm::Op::i32_and, vm::Op::i32_xor},   {vm::Op::i32_add, vm::Op::i32_add},   {vm::Op::i32_add, vm::Op::i32_and},
    {vm::Op::i32_mul, vm::Op::i32_add},   {vm::Op::i32_xor, vm::Op::i32_and},   {vm::Op::i64_shl, vm::Op::i64_add},
    {vm::Op::i64_shl, vm::Op::i64_xor},   {vm::Op::i64_shl, vm::Op::i64_or},    {vm::Op::i64_shr_u, vm::Op::i64_xor},
    {vm::Op::i64_shr_u, vm::Op::i64_add}, {vm::Op::i64_rotl, vm::Op::i64_xor},  {vm::Op::i64_rotl, vm::Op::i64_add},
    {vm::Op::i64_and, vm::Op::i64_add},   {vm::Op::i64_and, vm::Op::i64_or},    {vm::Op::i64_mul, vm::Op::i64_add},
};
inline constexpr OpPair kRegThenImm[] = {
    {vm::Op::i32_add, vm::Op::i32_add},   {vm::Op::i32_add, vm::Op::i32_and},   {vm::Op::i32_xor, vm::Op::i32_and},
    {vm::Op::i32_and, vm::Op::i32_shl},   {vm::Op::i32_add, vm::Op::i32_shl},   {vm::Op::i32_sub, vm::Op::i32_add},
    {vm::Op::i32_xor, vm::Op::i32_rotl},  {vm::Op::i32_sub, vm::Op::i32_shr_s}, {vm::Op::i32_mul, vm::Op::i32_add},
    {vm::Op::i32_or, vm::Op::i32_and},    {vm::Op::i32_shr_u, vm::Op::i32_and}, {vm::Op::i32_add, vm::Op::i32_rotl},
    {vm::Op::i64_add, vm::Op::i64_add},   {vm::Op::i64_xor, vm::Op::i64_rotl},  {vm::Op::i64_add, vm::Op::i64_and},
    {vm::Op::i64_shr_u, vm::Op::i64_and}, {vm::Op::i64_mul, vm::Op::i64_add},   {vm::Op::i64_add, vm::Op::i64_rotl},
};
inline constexpr OpPair kRegThenReg[] = {
    {vm::Op::i32_add, vm::Op::i32_add}, {vm::Op::i32_xor, vm::Op::i32_and}, {vm::Op::i32_xor, vm::Op::i32_xor},
    {vm::Op::i32_and, vm::Op::i32_xor}, {vm::Op::i32_and, vm::Op::i32_or},  {vm::Op::i32_and, vm::Op::i32_add},
    {vm::Op::i32_xor, vm::Op::i32_add}, {vm::Op::i32_mul, vm::Op::i32_add}, {vm::Op::i32_add, vm::Op::i32_xor},
    {vm::Op::i32_or, vm::Op::i32_or},   {vm::Op::i32_or, vm::Op::i32_and},  {vm::Op::i32_sub, vm::Op::i32_add},
    {vm::Op::i64_add, vm::Op::i64_add}, {vm::Op::i64_mul, vm::Op::i64_add}, {vm::Op::i64_xor, vm::Op::i64_xor},
    {vm::Op::i64_xor, vm::Op::i64_add}, {vm::Op::i64_add, vm::Op::i64_xor}, {vm::Op::i64_and, vm::Op::i64_or},
    {vm::Op::i64_and, vm::Op::i64_xor},
};
inline constexpr OpPair kImmThenImm[] = {
    {vm::Op::i32_shr_u, vm::Op::i32_and}, {vm::Op::i32_and, vm::Op::i32_shl},   {vm::Op::i32_shl, vm::Op::i32_add},
    {vm::Op::i32_shl, vm::Op::i32_and},   {vm::Op::i32_and, vm::Op::i32_shr_u}, {vm::Op::i32_and, vm::Op::i32_add},
    {vm::Op::i32_add, vm::Op::i32_and},   {vm::Op::i32_mul, vm::Op::i32_add},   {vm::Op::i32_add, vm::Op::i32_shl},
    {vm::Op::i32_add, vm::Op::i32_shr_u}, {vm::Op::i32_rotl, vm::Op::i32_and},  {vm::Op::i32_and, vm::Op::i32_rotl},
    {vm::Op::i32_and, vm::Op::i32_or},    {vm::Op::i32_shr_s, vm::Op::i32_and}, {vm::Op::i32_shr_u, vm::Op::i32_mul},
    {vm::Op::i32_shl, vm::Op::i32_shr_s}, {vm::Op::i32_and, vm::Op::i32_eq},    {vm::Op::i32_and, vm::Op::i32_ne},
    {vm::Op::i32_and, vm::Op::i32_lt_u},  {vm::Op::i32_add, vm::Op::i32_lt_u},  {vm::Op::i32_add, vm::Op::i32_gt_u},
    {vm::Op::i32_shl, vm::Op::i32_or},    {vm::Op::i32_mul, vm::Op::i32_shr_u}, {vm::Op::i64_shr_u, vm::Op::i64_and},
    {vm::Op::i64_and, vm::Op::i64_shl},   {vm::Op::i64_shl, vm::Op::i64_add},   {vm::Op::i64_and, vm::Op::i64_shr_u},
    {vm::Op::i64_mul, vm::Op::i64_add},   {vm::Op::i64_and, vm::Op::i64_eq},    {vm::Op::i64_add, vm::Op::i64_and},
};
inline constexpr OpPair kXorPair[] = {
    {vm::Op::i32_rotl, vm::Op::i32_rotl},  {vm::Op::i32_rotr, vm::Op::i32_rotr},
    {vm::Op::i32_rotl, vm::Op::i32_shr_u}, {vm::Op::i32_shr_u, vm::Op::i32_shr_u},
    {vm::Op::i32_shl, vm::Op::i32_shr_u},  {vm::Op::i32_rotr, vm::Op::i32_shr_u},
    {vm::Op::i64_rotl, vm::Op::i64_rotl},  {vm::Op::i64_rotl, vm::Op::i64_shr_u},
    {vm::Op::i64_shl, vm::Op::i64_shr_u},  {vm::Op::i64_rotr, vm::Op::i64_rotr},
    {vm::Op::i64_rotr, vm::Op::i64_shr_u},
};

VMRUN_TABLE(vmrun_imm_then_reg, ImmThenRegTable, Operation<kImmThenReg>, Dest, OperandA, OperandC)
VMRUN_TABLE(vmrun_reg_then_imm, RegThenImmTable, Operation<kRegThenImm>, Dest, OperandA, OperandB)
VMRUN_TABLE(vmrun_reg_then_reg, RegThenRegTable, Operation<kRegThenReg>, Dest, OperandA, OperandB, OperandC)
VMRUN_TABLE(vmrun_imm_then_imm, ImmThenImmTable, Operation<kImmThenImm>, Dest, OperandA)
VMRUN_TABLE(vmrun_xor_pair, XorPairTable, Operation<kXorPair>, Dest, OperandA)

inline constexpr vm::Op kMinMaxOps[] = {vm::Op::i32_lt_s, vm::Op::i32_lt_u, vm::Op::i32_gt_s,
                                        vm::Op::i32_gt_u, vm::Op::i64_lt_s, vm::Op::i64_gt_s};
VMRUN_TABLE(vmrun_min_max, MinMaxTable, Operation<kMinMaxOps>, Dest, OperandA, OperandB)

// ---- pairs of float operations -----------------------------------------------------------------------------------------

// The forms; the inner operation commutes in all but kDifferencePlus and kDifferenceTimes.
enum FloatForm : int {
  kProductPlus,      // a * b + c
  kProductMinus,     // a * b - c
  kMinusProduct,     // c - a * b
  kSumTimes,         // (a + b) * c
  kProductTimes,     // (a * b) * c
  kSumPlus,          // (a + b) + c
  kDifferencePlus,   // (a - b) + c
  kDifferenceTimes,  // (a - b) * c
  kFloatForms,
};

using FloatFormPlace = Dim<FloatForm, kFloatForms>;
VMRUN_TABLE(vmrun_float_pair32, FloatPair32Table, FloatFormPlace, Dest, OperandA, OperandB, OperandC)
VMRUN_TABLE(vmrun_float_pair64, FloatPair64Table, FloatFormPlace, Dest, OperandA, OperandB, OperandC)

// ---- operations on memory and globals ----------------------------------------------------------------------------------

/// A load and the operation that takes its result; with `reverse` as the left operand.
struct LoadOpName {
  vm::Op load, op;
  bool reverse;
};
inline constexpr LoadOpName kOnLoads[] = {
    {vm::Op::i32_load, vm::Op::i32_add, false}, {vm::Op::i32_load, vm::Op::i32_sub, false},
    {vm::Op::i32_load, vm::Op::i32_sub, true},  {vm::Op::i32_load, vm::Op::i32_and, false},
    {vm::Op::i32_load, vm::Op::i32_or, false},  {vm::Op::i32_load, vm::Op::i32_xor, false},
    {vm::Op::i32_load, vm::Op::i32_mul, false}, {vm::Op::i64_load, vm::Op::i64_add, false},
    {vm::Op::i64_load, vm::Op::i64_xor, false}, {vm::Op::i64_load, vm::Op::i64_mul, false},
    {vm::Op::f64_load, vm::Op::f64_add, false}, {vm::Op::f64_load, vm::Op::f64_sub, false},
    {vm::Op::f64_load, vm::Op::f64_sub, true},  {vm::Op::f64_load, vm::Op::f64_mul, false},
    {vm::Op::f32_load, vm::Op::f32_add, false}, {vm::Op::f32_load, vm::Op::f32_sub, false},
    {vm::Op::f32_load, vm::Op::f32_sub, true},  {vm::Op::f32_load, vm::Op::f32_mul, false},
};

using OnLoadAddresses = Addresses<Address::base_offset, Address::wrapped, Address::indexed>;
VMRUN_TABLE(vmrun_load_op, LoadOpTable, Operation<kOnLoads>, OnLoadAddresses::Place, Dest, OperandC)

struct ReadModifyName {
  vm::Op store, load, op;
};
inline constexpr ReadModifyName kReadModify[] = {
    {vm::Op::i32_store, vm::Op::i32_load, vm::Op::i32_add}, {vm::Op::i32_store, vm::Op::i32_load, vm::Op::i32_sub},
    {vm::Op::i32_store, vm::Op::i32_load, vm::Op::i32_and}, {vm::Op::i32_store, vm::Op::i32_load, vm::Op::i32_or},
    {vm::Op::i32_store, vm::Op::i32_load, vm::Op::i32_xor}, {vm::Op::i64_store, vm::Op::i64_load, vm::Op::i64_add},
    {vm::Op::i64_store, vm::Op::i64_load, vm::Op::i64_or},  {vm::Op::i64_store, vm::Op::i64_load, vm::Op::i64_xor},
    {vm::Op::f64_store, vm::Op::f64_load, vm::Op::f64_add}, {vm::Op::f64_store, vm::Op::f64_load, vm::Op::f64_sub},
    {vm::Op::f64_store, vm::Op::f64_load, vm::Op::f64_mul}, {vm::Op::f32_store, vm::Op::f32_load, vm::Op::f32_add},
    {vm::Op::f32_store, vm::Op::f32_load, vm::Op::f32_sub}, {vm::Op::f32_store, vm::Op::f32_load, vm::Op::f32_mul},
};

using ReadModifyAddresses = Addresses<Address::base_offset, Address::wrapped, Address::indexed, Address::absolute>;
VMRUN_TABLE(vmrun_read_modify, ReadModifyTable, Operation<kReadModify>, ReadModifyAddresses::Place, OperandCOrImm)

/// Whether the global gets what an operand and the constant are together, not what itself and the constant are.
using SetsGlobal = Dim<struct SetsGlobalName, 2>;
VMRUN_TABLE(vmrun_global_adjust, GlobalAdjustTable, SetsGlobal, OperandA)

// ---- branches, moves, returns --------------------------------------------------------------------------------------------

/// Whether the branch is taken if the bits are zero.
using IfZero = Dim<struct IfZeroName, 2>;
VMRUN_TABLE(vmrun_branch_test, BranchTestTable, IfZero, Back, OperandA, OperandBOrImm)

inline constexpr const auto& kCountOps = kOpsOf<vm::Family::int_compare>;
VMRUN_TABLE(vmrun_count_branch, CountBranchTable, Operation<kCountOps>, OperandA, OperandBOrImm)

/// Of the second of two neighbours.
using SecondDest = Dim<struct SecondDestName, kLocs>;
using SecondDestRegister = Dim<struct SecondDestName, kIntRegs, 1>;
using SecondA = Dim<struct SecondAName, kLocs>;
using SecondAOrImm = Dim<struct SecondAName, kLocsOrImm>;
VMRUN_TABLE(vmrun_move_move, MoveMoveTable, Dest, OperandAOrImm, SecondDest, SecondAOrImm)

inline constexpr vm::Op kReturnOps[] = {vm::Op::i32_add, vm::Op::i32_sub, vm::Op::i32_mul, vm::Op::i32_and,
                                        vm::Op::i32_or,  vm::Op::i32_xor, vm::Op::i32_shl, vm::Op::i32_shr_u,
                                        vm::Op::i64_add, vm::Op::i64_sub, vm::Op::i64_mul, vm::Op::i64_and,
                                        vm::Op::i64_or,  vm::Op::i64_xor};
VMRUN_TABLE(vmrun_binary_return, BinaryReturnTable, Operation<kReturnOps>, OperandA, OperandBOrImm)

// ---- neighbours --------------------------------------------------------------------------------------------------------

using ArgumentPlace = Dim<Argument, 4>;
/// Where an argument goes: a slot, r0 or r1.
using ArgumentDest = Dim<struct ArgumentDestName, 3>;
VMRUN_TABLE(vmrun_argument_call, ArgumentCallTable, ArgumentPlace, ArgumentDest, OperandA)

inline constexpr vm::Op kBranchLoads[] = {vm::Op::i32_load, vm::Op::i32_load8_u};
inline constexpr vm::Op kBranchCompares[] = {vm::Op::i32_eq,   vm::Op::i32_ne,   vm::Op::i32_lt_s, vm::Op::i32_lt_u,
                                             vm::Op::i32_le_s, vm::Op::i32_le_u, vm::Op::i32_gt_s, vm::Op::i32_gt_u,
                                             vm::Op::i32_ge_s, vm::Op::i32_ge_u};
VMRUN_TABLE(vmrun_load_branch, LoadBranchTable, Operation<kBranchLoads>, Operation<kBranchCompares>, DestRegister,
            OperandA, OperandBOrImm)

/// A load8_u is base_offset, a load is indexed. Equal handlers are dealt out in turn, as for select_br_table.
using LoadTableCopy = Dim<struct LoadTableCopyName, 4>;
using LoadTableAddresses = Addresses<Address::base_offset, Address::indexed>;
VMRUN_TABLE(vmrun_load_table, LoadTableTable, LoadTableCopy, DestRegister, LoadTableAddresses::Place)

inline constexpr vm::Op kPairLoads[] = {vm::Op::i32_load, vm::Op::f64_load};
VMRUN_TABLE(vmrun_load_load, LoadLoadTable, Operation<kPairLoads>, DestRegister, OperandA, SecondDestRegister, SecondA)

VMRUN_TABLE(vmrun_load_store, LoadStoreTable, Wide, DestRegister, OperandA, OperandB)

inline constexpr vm::Op kIncrementStores[] = {vm::Op::i32_store, vm::Op::i64_store, vm::Op::f64_store,
                                              vm::Op::f32_store, vm::Op::i32_store8};
VMRUN_TABLE(vmrun_store_increment, StoreIncrementTable, Operation<kIncrementStores>, OperandA, OperandB, Dest)

VMRUN_TABLE(vmrun_add_branch, AddBranchTable, Wide, Back, Dest, OperandA)
VMRUN_TABLE(vmrun_add_add, AddAddTable, Dest, OperandA, SecondDest, SecondA)
VMRUN_TABLE(vmrun_move_branch, MoveBranchTable, Back, Dest, OperandAOrImm)

inline constexpr vm::Op kWideOps[] = {vm::Op::i64_add, vm::Op::i64_mul, vm::Op::i64_and, vm::Op::i64_or,
                                      vm::Op::i64_xor};
VMRUN_TABLE(vmrun_wide_constant, WideConstantTable, Operation<kWideOps>, Dest, OperandA)

}  // namespace vmrun::interp::ir
