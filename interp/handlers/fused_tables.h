// The tables of the fused handlers (fused.h): their dimensions, and the operations that they are for. Each handler takes
// 4 to 5 ms of compile time, and a table has some for each row and each combination of locations:
// docs/decisions/0045-which-fused-handlers-stay.md says what earns a table and a row in it.
#pragma once

#include "interp/fused.h"
#include "interp/handlers/handler_table.h"

namespace vmrun::interp::ir {

// ---- pairs of integer operations ---------------------------------------------------------------------------------------

struct OpPair {
  vm::Op o1, o2;
};
/// Addresses take up (i32.shl, i32.add) and (i32.add, i32.add): fusion_mem.cpp.
inline constexpr OpPair kImmThenReg[] = {
    {vm::Op::i32_shl, vm::Op::i32_add},   {vm::Op::i32_shl, vm::Op::i32_or},    {vm::Op::i32_shr_u, vm::Op::i32_xor},
    {vm::Op::i32_shr_u, vm::Op::i32_add}, {vm::Op::i32_shr_s, vm::Op::i32_add}, {vm::Op::i32_rotl, vm::Op::i32_xor},
    {vm::Op::i32_and, vm::Op::i32_add},   {vm::Op::i32_add, vm::Op::i32_add},   {vm::Op::i32_mul, vm::Op::i32_add},
    {vm::Op::i32_xor, vm::Op::i32_and},   {vm::Op::i64_shl, vm::Op::i64_xor},   {vm::Op::i64_shr_u, vm::Op::i64_xor},
    {vm::Op::i64_rotl, vm::Op::i64_xor},  {vm::Op::i64_rotl, vm::Op::i64_add},
};
inline constexpr OpPair kRegThenReg[] = {
    {vm::Op::i32_add, vm::Op::i32_add}, {vm::Op::i32_xor, vm::Op::i32_and}, {vm::Op::i32_and, vm::Op::i32_xor},
    {vm::Op::i32_or, vm::Op::i32_or},   {vm::Op::i64_add, vm::Op::i64_add}, {vm::Op::i64_add, vm::Op::i64_xor},
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
VMRUN_TABLE(vmrun_reg_then_reg, RegThenRegTable, Operation<kRegThenReg>, Dest, OperandA, OperandB, OperandC)
VMRUN_TABLE(vmrun_imm_then_imm, ImmThenImmTable, Operation<kImmThenImm>, Dest, OperandA)
VMRUN_TABLE(vmrun_xor_pair, XorPairTable, Operation<kXorPair>, Dest, OperandA)

inline constexpr vm::Op kMinMaxOps[] = {vm::Op::i32_lt_s, vm::Op::i32_lt_u, vm::Op::i32_gt_s,
                                        vm::Op::i32_gt_u, vm::Op::i64_lt_s, vm::Op::i64_gt_s};
VMRUN_TABLE(vmrun_min_max, MinMaxTable, Operation<kMinMaxOps>, Dest, OperandA, OperandB)

// ---- pairs of float operations -----------------------------------------------------------------------------------------

/// Two float operations: the form of their operands, and their type. The inner operation commutes in all forms but
/// difference_plus.
enum class FloatForm : uint8_t {
  product_plus,     // a * b + c
  product_minus,    // a * b - c
  minus_product,    // c - a * b
  sum_times,        // (a + b) * c
  product_times,    // (a * b) * c
  sum_plus,         // (a + b) + c
  difference_plus,  // (a - b) + c
};
struct FloatPair {
  FloatForm form;
  bool is_double;
};
inline constexpr FloatPair kFloatPairs[] = {
    {FloatForm::product_plus, true},  {FloatForm::product_minus, true},  {FloatForm::sum_times, true},
    {FloatForm::product_times, true}, {FloatForm::sum_plus, true},       {FloatForm::difference_plus, true},
    {FloatForm::product_plus, false}, {FloatForm::minus_product, false}, {FloatForm::sum_plus, false},
};
VMRUN_TABLE(vmrun_float_pair, FloatPairTable, Operation<kFloatPairs>, Dest, OperandA, OperandB, OperandC)

// ---- operations on memory and globals ----------------------------------------------------------------------------------

/// A load and the operation that takes its result; with `reverse` as the left operand.
struct LoadOpName {
  vm::Op load, op;
  bool reverse;
};
inline constexpr LoadOpName kOnLoads[] = {
    {vm::Op::i32_load, vm::Op::i32_add, false}, {vm::Op::i32_load, vm::Op::i32_xor, false},
    {vm::Op::f64_load, vm::Op::f64_add, false}, {vm::Op::f64_load, vm::Op::f64_sub, false},
    {vm::Op::f64_load, vm::Op::f64_sub, true},  {vm::Op::f64_load, vm::Op::f64_mul, false},
    {vm::Op::f32_load, vm::Op::f32_add, false}, {vm::Op::f32_load, vm::Op::f32_sub, false},
    {vm::Op::f32_load, vm::Op::f32_sub, true},  {vm::Op::f32_load, vm::Op::f32_mul, false},
};
using OnLoadAddresses = Addresses<Address::base_offset, Address::wrapped>;
VMRUN_TABLE(vmrun_load_op, LoadOpTable, Operation<kOnLoads>, OnLoadAddresses::Place, Dest, OperandC)

struct ReadModifyName {
  vm::Op store, load, op;
};
inline constexpr ReadModifyName kReadModify[] = {
    {vm::Op::i32_store, vm::Op::i32_load, vm::Op::i32_add}, {vm::Op::i32_store, vm::Op::i32_load, vm::Op::i32_and},
    {vm::Op::i64_store, vm::Op::i64_load, vm::Op::i64_add}, {vm::Op::f64_store, vm::Op::f64_load, vm::Op::f64_add},
    {vm::Op::f64_store, vm::Op::f64_load, vm::Op::f64_sub},
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

/// A load8_u is base_offset, a load is indexed. Equal handlers are dealt out in turn, as for select_br_table.
using LoadTableCopy = Dim<struct LoadTableCopyName, 4>;
using LoadTableAddresses = Addresses<Address::base_offset, Address::indexed>;
VMRUN_TABLE(vmrun_load_table, LoadTableTable, LoadTableCopy, DestRegister, LoadTableAddresses::Place)

VMRUN_TABLE(vmrun_add_branch, AddBranchTable, Wide, Back, Dest, OperandA)
VMRUN_TABLE(vmrun_move_branch, MoveBranchTable, Back, Dest, OperandAOrImm)

inline constexpr vm::Op kWideOps[] = {vm::Op::i64_add, vm::Op::i64_mul, vm::Op::i64_and, vm::Op::i64_or,
                                      vm::Op::i64_xor};
VMRUN_TABLE(vmrun_wide_constant, WideConstantTable, Operation<kWideOps>, Dest, OperandA)

}  // namespace vmrun::interp::ir
