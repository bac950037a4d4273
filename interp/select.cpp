// Picks handlers of the plain tables by operation and operand locations.
#include "interp/select.h"

#include <atomic>

#include "interp/handlers/tables.h"
#include "vm/wasm/op_relations.h"

namespace vmrun::interp {

using vm::Op;

namespace {

constexpr auto kIntBinaryIndex = make_op_index(kIntBinaryOps);
constexpr auto kIntDivisionIndex = make_op_index(kIntDivisionOps);
constexpr auto kIntLeftIndex = make_op_index(kIntLeftOps);
constexpr auto kFloatBinaryIndex = make_op_index(kFloatBinaryOps);
constexpr auto kUnaryIndex = make_op_index(kUnaryOps);
constexpr auto kIntCompareIndex = make_op_index(kIntCompareOps);
constexpr auto kFloatCompareIndex = make_op_index(kFloatCompareOps);
constexpr auto kLoadIndex = [] {
  auto index = make_op_index(kLoadOps);
  auto same = [&](Op op, Op as) { index[static_cast<size_t>(op)] = index[static_cast<size_t>(as)]; };
  // Loads that zero-extend to 64 bits are those of 32 bits: registers keep i32 values zero-extended.
  same(Op::i64_load8_u, Op::i32_load8_u);
  same(Op::i64_load16_u, Op::i32_load16_u);
  same(Op::i64_load32_u, Op::i32_load);
  return index;
}();
constexpr auto kStoreIndex = [] {
  auto index = make_op_index(kStoreOps);
  auto same = [&](Op op, Op as) { index[static_cast<size_t>(op)] = index[static_cast<size_t>(as)]; };
  same(Op::i64_store8, Op::i32_store8);
  same(Op::i64_store16, Op::i32_store16);
  same(Op::i64_store32, Op::i32_store);
  return index;
}();

int place_of(Op op, const std::array<int16_t, vm::kOpCount>& index) { return index[static_cast<size_t>(op)]; }

}  // namespace

// ---- integers --------------------------------------------------------------------------------------------------------

Normal normal_int(Op op, int a, int b) {
  if (vm::commutes(op)) return {op, a > b};
  if (vm::is_greater(op) && b != kImm) return {vm::mirrored(op), true};
  return {op, false};
}

Handler select_int(Op op, int d, int a, int b) {
  if (a == kImm) return nullptr;
  if (int i = place_of(op, kIntBinaryIndex); i >= 0) {
    return IntBinaryTable::find(Operation<kIntBinaryOps>{i}, Dest{d}, OperandA{a}, OperandBOrImm{b});
  }
  if (int i = place_of(op, kIntDivisionIndex); i >= 0) {
    return IntDivisionTable::find(Operation<kIntDivisionOps>{i}, Dest{d}, OperandA{a}, OperandBOrImm{b});
  }
  return nullptr;
}

Handler select_int_left(Op op, int d, int b) {
  int i = place_of(op, kIntLeftIndex);
  return i < 0 ? nullptr : IntLeftTable::find(Operation<kIntLeftOps>{i}, Dest{d}, OperandB{b});
}

Handler select_move(int d, int a) { return MoveTable::find(Dest{d}, MoveSource{a}); }

Handler select_select(int d, int a, int b, int c) {
  return SelectTable::find(Dest{d}, OperandA{a}, OperandB{b}, OperandC{c});
}

// ---- floats ----------------------------------------------------------------------------------------------------------

Handler select_float(Op op, int d, int a, int b) {
  int i = place_of(op, kFloatBinaryIndex);
  if (i < 0) return nullptr;
  return FloatBinaryTable::find(Operation<kFloatBinaryOps>{i}, Dest{d}, OperandAOrImm{a}, OperandBOrImm{b});
}

Handler select_float_compare(Op op, int d, int a, int b) { return select_float(op, d, a, b); }

Handler select_float_move(int d, int a) { return FloatMoveTable::find(Dest{d}, OperandAOrImm{a == kWide ? kImm : a}); }

Handler select_float_select(int d, int a, int b, int c) {
  return FloatSelectTable::find(Dest{d}, OperandA{a}, OperandB{b}, OperandC{c});
}

// ---- one operand -------------------------------------------------------------------------------------------------------

Handler select_unary(Op op, int d, int a) {
  int i = place_of(op, kUnaryIndex);
  return i < 0 ? nullptr : UnaryTable::find(Operation<kUnaryOps>{i}, Dest{d}, OperandA{a});
}

// ---- guarded memory 0 and globals ----------------------------------------------------------------------------------------

Handler select_load(Op op, Address mode, int d, int base, int index) {
  int i = place_of(op, kLoadIndex);
  if (i < 0) return nullptr;
  return LoadTable::find(Operation<kLoadOps>{i}, Dest{d}, AllAddresses::Place{AllAddresses::place(mode, base, index)});
}

Handler select_store(Op op, Address mode, int base, int index, int value) {
  int i = place_of(op, kStoreIndex);
  if (i < 0) return nullptr;
  return StoreTable::find(Operation<kStoreOps>{i}, OperandCOrImm{value},
                          AllAddresses::Place{AllAddresses::place(mode, base, index)});
}

Handler select_global_get(bool is_float, bool own, int d) {
  return GlobalTable::find(IsSet{false}, IsFloat{is_float}, IsOwn{own}, OperandA{d});
}
Handler select_global_set(bool is_float, bool own, int a) {
  return GlobalTable::find(IsSet{true}, IsFloat{is_float}, IsOwn{own}, OperandA{a});
}

// ---- branches ----------------------------------------------------------------------------------------------------------

Handler select_branch_if(Op op, bool back, int a, int b) {
  int i = place_of(op, kIntCompareIndex);
  if (i < 0) return nullptr;
  return BranchIfTable::find(Operation<kIntCompareOps>{i}, Back{back}, OperandA{a}, Comparand{b});
}

Handler select_branch_float(Op op, bool negate, bool back, int a, int b) {
  int i = place_of(op, kFloatCompareIndex);
  if (i < 0) return nullptr;
  return BranchFloatTable::find(Operation<kFloatCompareOps>{i}, Negate{negate}, Back{back}, OperandA{a},
                                OperandBOrImm{b});
}

Handler select_br_table(int a) {
  // Racing translations may get the same copy; that costs nothing but a shared predictor entry.
  static std::atomic<unsigned> next{0};
  const unsigned copy = next.fetch_add(1, std::memory_order_relaxed) % TableCopy::kExtent;
  return BranchTableTable::find(TableCopy{static_cast<int>(copy)}, OperandA{a});
}

}  // namespace vmrun::interp
