// Picks handlers of the fused tables by operations and operand locations.
#include "interp/fused.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include "interp/handlers/fused_tables.h"
#include "vm/wasm/op_relations.h"
#include "vm/wasm/signature.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {

constexpr auto kCountIndex = make_op_index(kCountOps);
constexpr auto kMinMaxIndex = make_op_index(kMinMaxOps);
constexpr auto kReturnIndex = make_op_index(kReturnOps);
constexpr auto kWideIndex = make_op_index(kWideOps);
int place_of(Op op, const std::array<int16_t, vm::kOpCount>& index) { return index[static_cast<size_t>(op)]; }

template <size_t N>
int find_pair(const OpPair (&list)[N], Op o1, Op o2) {
  for (size_t i = 0; i < N; i++) {
    if (list[i].o1 == o1 && list[i].o2 == o2) return static_cast<int>(i);
  }
  return -1;
}

constexpr auto kOuter = [] {
  std::array<bool, vm::kOpCount> outer{};
  for (const OpPair& p : kImmThenReg) outer[static_cast<size_t>(p.o2)] = true;
  for (const OpPair& p : kRegThenReg) outer[static_cast<size_t>(p.o2)] = true;
  for (const OpPair& p : kImmThenImm) outer[static_cast<size_t>(p.o2)] = true;
  outer[static_cast<size_t>(Op::i32_xor)] = outer[static_cast<size_t>(Op::i64_xor)] = true;
  return outer;
}();

}  // namespace

// ---- pairs of operations -----------------------------------------------------------------------------------------------

bool is_fusible_outer(Op outer) { return kOuter[static_cast<size_t>(outer)]; }

int fused_pair(Form form, Op o1, Op o2) {
  switch (form) {
    case Form::imm_then_reg: return find_pair(kImmThenReg, o1, o2);
    case Form::reg_then_reg: return find_pair(kRegThenReg, o1, o2);
    case Form::imm_then_imm: return find_pair(kImmThenImm, o1, o2);
    case Form::xor_pair: return find_pair(kXorPair, o1, o2);
  }
  return -1;
}

Handler select_pair(Form form, int pair, int d, int a, int b, int c) {
  switch (form) {
    case Form::imm_then_reg:
      return ImmThenRegTable::find(Operation<kImmThenReg>{pair}, Dest{d}, OperandA{a}, OperandC{c});
    case Form::reg_then_reg:
      return RegThenRegTable::find(Operation<kRegThenReg>{pair}, Dest{d}, OperandA{a}, OperandB{b}, OperandC{c});
    case Form::imm_then_imm: return ImmThenImmTable::find(Operation<kImmThenImm>{pair}, Dest{d}, OperandA{a});
    case Form::xor_pair: return XorPairTable::find(Operation<kXorPair>{pair}, Dest{d}, OperandA{a});
  }
  return nullptr;
}

int fused_min_max(Op compare) { return place_of(compare, kMinMaxIndex); }
Handler select_min_max(int index, int d, int a, int b) {
  return MinMaxTable::find(Operation<kMinMaxOps>{index}, Dest{d}, OperandA{a}, OperandB{b});
}

namespace {
Op as_double(Op op) {
  switch (op) {
    case Op::f32_add: return Op::f64_add;
    case Op::f32_sub: return Op::f64_sub;
    case Op::f32_mul: return Op::f64_mul;
    default: return op;
  }
}
std::optional<FloatForm> float_form(Op inner, Op outer, bool crossed) {
  inner = as_double(inner);
  switch (as_double(outer)) {
    case Op::f64_add:
      if (inner == Op::f64_mul) return FloatForm::product_plus;
      if (inner == Op::f64_add) return FloatForm::sum_plus;
      if (inner == Op::f64_sub) return FloatForm::difference_plus;
      return std::nullopt;
    case Op::f64_sub:
      if (inner == Op::f64_mul) return crossed ? FloatForm::minus_product : FloatForm::product_minus;
      return std::nullopt;
    case Op::f64_mul:
      if (inner == Op::f64_mul) return FloatForm::product_times;
      if (inner == Op::f64_add) return FloatForm::sum_times;
      return std::nullopt;
    default: return std::nullopt;
  }
}
}  // namespace

int fused_float(Op inner, Op outer, bool crossed) {
  const std::optional<FloatForm> form = float_form(inner, outer, crossed);
  if (!form) return -1;
  const FloatPair* pair = std::ranges::find_if(
      kFloatPairs, [&](const FloatPair& p) { return p.form == *form && p.is_double == vm::takes(outer, vm::kF64); });
  return pair == std::end(kFloatPairs) ? -1 : static_cast<int>(pair - kFloatPairs);
}

Handler select_float_pair(int pair, int d, int a, int b, int c) {
  return FloatPairTable::find(Operation<kFloatPairs>{pair}, Dest{d}, OperandA{a}, OperandB{b}, OperandC{c});
}

// ---- operations on memory and globals ----------------------------------------------------------------------------------

int fused_load_op(Op load, Op op, bool reverse) {
  for (int i = 0; i < static_cast<int>(std::size(kOnLoads)); i++) {
    if (kOnLoads[i].load != load || kOnLoads[i].op != op) continue;
    // Operations that commute have one entry.
    if (kOnLoads[i].reverse == reverse || vm::commutes(op)) return i;
  }
  return -1;
}
Handler select_load_op(int index, Address mode, int d, int base, int x) {
  return LoadOpTable::find(Operation<kOnLoads>{index}, OnLoadAddresses::Place{OnLoadAddresses::place(mode, base, 0)},
                           Dest{d}, OperandC{x});
}

int fused_read_modify(Op store, Op load, Op op) {
  for (int i = 0; i < static_cast<int>(std::size(kReadModify)); i++) {
    if (kReadModify[i].store == store && kReadModify[i].load == load && kReadModify[i].op == op) return i;
  }
  return -1;
}
Handler select_read_modify(int index, Address mode, int base, int index_loc, int x) {
  return ReadModifyTable::find(Operation<kReadModify>{index},
                               ReadModifyAddresses::Place{ReadModifyAddresses::place(mode, base, index_loc)},
                               OperandCOrImm{x});
}

Handler select_global_adjust(int d) { return GlobalAdjustTable::find(SetsGlobal{false}, OperandA{d}); }
Handler select_global_set_add(int a) { return GlobalAdjustTable::find(SetsGlobal{true}, OperandA{a}); }

// ---- branches, moves, returns --------------------------------------------------------------------------------------------

Handler select_branch_test(Op op, bool back, int a, int b) {
  return BranchTestTable::find(IfZero{op == Op::i32_eq}, Back{back}, OperandA{a}, OperandBOrImm{b});
}

Handler select_count_branch(Op compare, int a, int x) {
  const int i = place_of(compare, kCountIndex);
  return i < 0 ? nullptr : CountBranchTable::find(Operation<kCountOps>{i}, OperandA{a}, OperandBOrImm{x});
}

Handler select_move_move(int d1, int a1, int d2, int a2) {
  return MoveMoveTable::find(Dest{d1}, OperandAOrImm{a1}, SecondDest{d2}, SecondAOrImm{a2});
}

Handler select_binary_return(Op op, int a, int b) {
  const int i = place_of(op, kReturnIndex);
  return i < 0 ? nullptr : BinaryReturnTable::find(Operation<kReturnOps>{i}, OperandA{a}, OperandBOrImm{b});
}

// ---- neighbours --------------------------------------------------------------------------------------------------------

Handler select_argument_call(Argument what, int d, int a) {
  if (d >= ArgumentDest::kExtent) return nullptr;
  return ArgumentCallTable::find(ArgumentPlace{static_cast<int>(what)}, ArgumentDest{d}, OperandA{a});
}

Handler select_load_table(Op load, Address mode, int d, int base, int index) {
  static std::atomic<unsigned> next{0};
  const bool exists =
      (load == Op::i32_load8_u && mode == Address::base_offset) || (load == Op::i32_load && mode == Address::indexed);
  if (!exists || d == kSlot) return nullptr;
  const unsigned copy = next.fetch_add(1, std::memory_order_relaxed) % LoadTableCopy::kExtent;
  return LoadTableTable::find(LoadTableCopy{static_cast<int>(copy)}, DestRegister{d},
                              LoadTableAddresses::Place{LoadTableAddresses::place(mode, base, index)});
}

Handler select_add_branch(bool wide, bool back, int d, int a) {
  return AddBranchTable::find(Wide{wide}, Back{back}, Dest{d}, OperandA{a});
}
Handler select_move_branch(bool back, int d, int a) {
  return MoveBranchTable::find(Back{back}, Dest{d}, OperandAOrImm{a});
}

Handler select_wide_constant(Op op, int d, int a) {
  const int i = place_of(op, kWideIndex);
  return i < 0 ? nullptr : WideConstantTable::find(Operation<kWideOps>{i}, Dest{d}, OperandA{a});
}

}  // namespace vmrun::interp::ir
