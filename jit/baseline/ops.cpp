// From instructions to their emitters: the table, and the emitters of constants and select.
//
// Each ops_*.cpp has the rows of its instructions and the emitters that these name. Instructions on the
// object heap have no row and are unsupported, by name. Where any other is missing, an assertion says so at once.
#include "jit/baseline/compiler.h"
#include "vm/base/assert.h"

namespace vmrun::jit::baseline {

namespace {

/// Whether the decoder hands the instruction over by an event of its own, or it is left to the interpreter.
bool has_no_row(vm::Op op) {
  const vm::Family family = vm::family(op);
  return family == vm::Family::control || family == vm::Family::local || family == vm::Family::object ||
         op == vm::Op::drop;
}

}  // namespace

struct FunctionCompiler::Table {
  const Row* rows[vm::kOpCount] = {};

  Table() {
    for (std::span<const Row> part :
         {value_rows(), int_rows(), float_rows(), memory_rows(), atomic_rows(), other_rows(), vector_int_rows(),
          vector_shift_rows(), vector_float_rows(), vector_lane_rows(), vector_memory_rows()}) {
      for (const Row& row : part) {
        VMRUN_ASSERT(rows[static_cast<size_t>(row.op)] == nullptr, vm::op_info(row.op).mnemonic);
        rows[static_cast<size_t>(row.op)] = &row;
      }
    }
    for (size_t i = 0; i < vm::kOpCount; ++i) {
      VMRUN_ASSERT(has_no_row(static_cast<Op>(i)) == (rows[i] == nullptr), vm::kOpInfo[i].mnemonic);
    }
  }
};

const FunctionCompiler::Table& FunctionCompiler::table() {
  static const Table table;
  return table;
}

void FunctionCompiler::op(D& d, Op op, const Imm& imm, Operands operands, Results outputs) {
  const V* const args = operands.data();
  V* const results = outputs.data();
  const size_t count = operands.size();
  const Row* const row = table_.rows[static_cast<size_t>(op)];
  if (row == nullptr) return unsupported(d, op);
  pushes(d.stack().size() - count);
  if (!outputs.empty()) results->slot = count != 0 ? args->slot : top(d);
  begin_op(d, args, count);
  (this->*row->emit)(d, *row, imm, args, results);
  finish_op();
}

std::span<const FunctionCompiler::Row> FunctionCompiler::value_rows() {
  using F = FunctionCompiler;
  static constexpr Row kRows[] = {
      {Op::nop, &F::nothing},         {Op::i32_const, &F::const_i32}, {Op::i64_const, &F::const_i64},
      {Op::f32_const, &F::const_f32}, {Op::f64_const, &F::const_f64}, {Op::ref_null, &F::null},
      {Op::select, &F::select},       {Op::select_t, &F::select},
  };
  return kRows;
}

void FunctionCompiler::nothing(D&, const Row&, const Imm&, const V*, V*) {}

void FunctionCompiler::const_i32(D&, const Row&, const Imm& imm, const V*, V* result) {
  set_const(*result, static_cast<uint32_t>(imm.i32), result->slot);
}
void FunctionCompiler::const_i64(D&, const Row&, const Imm& imm, const V*, V* result) {
  set_const(*result, static_cast<uint64_t>(imm.i64), result->slot);
}
void FunctionCompiler::const_f32(D&, const Row&, const Imm& imm, const V*, V* result) {
  set_const(*result, imm.f32bits, result->slot);
}
void FunctionCompiler::const_f64(D&, const Row&, const Imm& imm, const V*, V* result) {
  set_const(*result, imm.f64bits, result->slot);
}
void FunctionCompiler::null(D&, const Row&, const Imm&, const V*, V* result) { set_const(*result, 0, result->slot); }

void FunctionCompiler::select(D& d, const Row&, const Imm& imm, const V* args, V* result) {
  const V &a = args[0], &b = args[1];
  if (!is_vec(imm.type)) {
    bool wide = is_wide(imm.type);
    const V* c = &args[2];
    // Operands first: they need no flags, but fetching may load homes (no flags either).
    asmjit::Operand other = source_int(b, wide);
    if (other.isImm()) other = gp(fetch_int(b), wide);
    uint8_t other_reg = other.isReg() ? static_cast<uint8_t>(other.as<Gp>().id()) : kNoHome;
    Cond cond = test(*c);
    uint8_t to = target(d, false, 3, &a, nullptr, other_reg);
    move_to_int(to, a);
    a_.cmov(asmjit::x86::negateCond(cond), gp(to, wide), other);
    return result_reg(*result, to);
  }
  uint8_t other = fetch_vec(b);
  Cond cond = test(args[2]);
  uint8_t to = target(d, true, 3, &a, nullptr, other);
  move_to_vec(to, a);
  Label done = a_.new_label();
  a_.j(cond, done);
  move_vec(to, other);
  a_.bind(done);
  result_reg(*result, to);
}

}  // namespace vmrun::jit::baseline
