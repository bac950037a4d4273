// From instructions to the code generators of their kinds.
#include "jit/baseline/compiler.h"
#include "jit/baseline/machine_x86_64.h"

namespace vmrun::jit::baseline {

namespace Inst = asmjit::x86::Inst;

void FunctionCompiler::op(D& d, Op op, const Imm& imm, Operands operands, Results outputs) {
  const V* const args = operands.data();
  V* const results = outputs.data();
  const size_t count = operands.size();
  pushes(d.stack().size() - count);
  if (!outputs.empty()) results->slot = count != 0 ? args->slot : top(d);
  switch (op) {
    case Op::i32_const: set_const(*results, static_cast<uint32_t>(imm.i32), results->slot); return;
    case Op::i64_const: set_const(*results, static_cast<uint64_t>(imm.i64), results->slot); return;
    case Op::f32_const: set_const(*results, imm.f32bits, results->slot); return;
    case Op::f64_const: set_const(*results, imm.f64bits, results->slot); return;
    case Op::ref_null: set_const(*results, 0, results->slot); return;
    case Op::nop: return;
    default: break;
  }
  begin_op(d, args, count);
  switch (op) {
#define INT_PAIR(name, ...)                       \
  case Op::i32_##name: {                          \
    [[maybe_unused]] constexpr bool wide = false; \
    __VA_ARGS__;                                  \
    break;                                        \
  }                                               \
  case Op::i64_##name: {                          \
    [[maybe_unused]] constexpr bool wide = true;  \
    __VA_ARGS__;                                  \
    break;                                        \
  }
    INT_PAIR(add, add_sub(d, false, wide, args, results))
    INT_PAIR(sub, add_sub(d, true, wide, args, results))
    INT_PAIR(mul, binary(d, Inst::kIdImul, wide, rules::commutes(op), args, results))
    INT_PAIR(and, binary(d, Inst::kIdAnd, wide, rules::commutes(op), args, results))
    INT_PAIR(or, binary(d, Inst::kIdOr, wide, rules::commutes(op), args, results))
    INT_PAIR(xor, binary(d, Inst::kIdXor, wide, rules::commutes(op), args, results))
    INT_PAIR(div_s, divide(d, true, false, wide, args, results))
    INT_PAIR(div_u, divide(d, false, false, wide, args, results))
    INT_PAIR(rem_s, divide(d, true, true, wide, args, results))
    INT_PAIR(rem_u, divide(d, false, true, wide, args, results))
    INT_PAIR(shl, shift(d, op, wide, args, results))
    INT_PAIR(shr_s, shift(d, op, wide, args, results))
    INT_PAIR(shr_u, shift(d, op, wide, args, results))
    INT_PAIR(rotl, shift(d, op, wide, args, results))
    INT_PAIR(rotr, shift(d, op, wide, args, results))
    INT_PAIR(eqz, compare_zero(d, args, results))
    INT_PAIR(eq, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(ne, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(lt_s, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(lt_u, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(gt_s, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(gt_u, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(le_s, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(le_u, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(ge_s, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(ge_u, compare(d, Machine::code(rules::condition(op)), wide, args, results))
    INT_PAIR(clz, unary_int(d, Inst::kIdLzcnt, wide, args, results))
    INT_PAIR(ctz, unary_int(d, Inst::kIdTzcnt, wide, args, results))
    INT_PAIR(popcnt, unary_int(d, Inst::kIdPopcnt, wide, args, results))
    INT_PAIR(extend8_s, extend(d, 8, wide, args, results))
    INT_PAIR(extend16_s, extend(d, 16, wide, args, results))
#undef INT_PAIR
    case Op::i64_extend32_s:
    case Op::i64_extend_i32_s: extend(d, 32, true, args, results); break;
    case Op::i64_extend_i32_u:
    case Op::i32_wrap_i64: widen(d, op == Op::i32_wrap_i64, args, results); break;

#define FLOAT_PAIR(name, ...)   \
  case Op::f32_##name: {        \
    constexpr bool f64 = false; \
    __VA_ARGS__;                \
    break;                      \
  }                             \
  case Op::f64_##name: {        \
    constexpr bool f64 = true;  \
    __VA_ARGS__;                \
    break;                      \
  }
      FLOAT_PAIR(add, float_binary(d, f64 ? Inst::kIdVaddsd : Inst::kIdVaddss, args, results))
      FLOAT_PAIR(sub, float_binary(d, f64 ? Inst::kIdVsubsd : Inst::kIdVsubss, args, results))
      FLOAT_PAIR(mul, float_binary(d, f64 ? Inst::kIdVmulsd : Inst::kIdVmulss, args, results))
      FLOAT_PAIR(div, float_binary(d, f64 ? Inst::kIdVdivsd : Inst::kIdVdivss, args, results))
      FLOAT_PAIR(min, float_min_max(d, false, f64, args, results))
      FLOAT_PAIR(max, float_min_max(d, true, f64, args, results))
      FLOAT_PAIR(abs, float_sign(d, op, f64, args, results))
      FLOAT_PAIR(neg, float_sign(d, op, f64, args, results))
      FLOAT_PAIR(copysign, float_sign(d, op, f64, args, results))
      FLOAT_PAIR(nearest, float_round(d, 8, f64, args, results))
      FLOAT_PAIR(floor, float_round(d, 9, f64, args, results))
      FLOAT_PAIR(ceil, float_round(d, 10, f64, args, results))
      FLOAT_PAIR(trunc, float_round(d, 11, f64, args, results))
      FLOAT_PAIR(sqrt, float_round(d, 16, f64, args, results))
      FLOAT_PAIR(eq, float_compare(d, Comparison::eq, f64, args, results))
      FLOAT_PAIR(ne, float_compare(d, Comparison::ne, f64, args, results))
      FLOAT_PAIR(lt, float_compare(d, Comparison::lt, f64, args, results))
      FLOAT_PAIR(gt, float_compare(d, Comparison::gt, f64, args, results))
      FLOAT_PAIR(le, float_compare(d, Comparison::le, f64, args, results))
      FLOAT_PAIR(ge, float_compare(d, Comparison::ge, f64, args, results))
#undef FLOAT_PAIR
    case Op::f32_demote_f64: convert_float(d, Inst::kIdVcvtsd2ss, args, results); break;
    case Op::f64_promote_f32: convert_float(d, Inst::kIdVcvtss2sd, args, results); break;
    case Op::i32_reinterpret_f32:
    case Op::i64_reinterpret_f64:
    case Op::f32_reinterpret_i32:
    case Op::f64_reinterpret_i64: reinterpret(d, args, results); break;
#define TRUNCATE(to, from, wide, f64)                                                            \
  case Op::to##_trunc_##from##_s: truncate(d, f64, wide, true, false, args, results); break;     \
  case Op::to##_trunc_##from##_u: truncate(d, f64, wide, false, false, args, results); break;    \
  case Op::to##_trunc_sat_##from##_s: truncate(d, f64, wide, true, true, args, results); break;  \
  case Op::to##_trunc_sat_##from##_u: truncate(d, f64, wide, false, true, args, results); break; \
  case Op::from##_convert_##to##_s: int_to_float(d, wide, true, f64, args, results); break;      \
  case Op::from##_convert_##to##_u: int_to_float(d, wide, false, f64, args, results); break;
      TRUNCATE(i32, f32, false, false)
      TRUNCATE(i32, f64, false, true)
      TRUNCATE(i64, f32, true, false)
      TRUNCATE(i64, f64, true, true)
#undef TRUNCATE

    case Op::i32_load:
    case Op::i64_load:
    case Op::f32_load:
    case Op::f64_load:
    case Op::i32_load8_s:
    case Op::i32_load8_u:
    case Op::i32_load16_s:
    case Op::i32_load16_u:
    case Op::i64_load8_s:
    case Op::i64_load8_u:
    case Op::i64_load16_s:
    case Op::i64_load16_u:
    case Op::i64_load32_s:
    case Op::i64_load32_u:
    case Op::v128_load: load(d, op, imm, args, results); break;
    case Op::i32_store:
    case Op::i64_store:
    case Op::f32_store:
    case Op::f64_store:
    case Op::i32_store8:
    case Op::i32_store16:
    case Op::i64_store8:
    case Op::i64_store16:
    case Op::i64_store32:
    case Op::v128_store: store(d, op, imm, args); break;
    case Op::select:
    case Op::select_t: select(d, imm.type, args, results); break;
    case Op::global_get:
    case Op::global_set: global_access(d, op == Op::global_set, imm.index, args, results); break;
    default:
      if (!other_op(d, op, imm, args, count, results) && !vector_op(d, op, imm, args, results)) unsupported(d, op);
      break;
  }
  finish_op();
}

}  // namespace vmrun::jit::baseline
