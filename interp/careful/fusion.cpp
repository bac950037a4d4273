// The builder's computing instructions, and the fusions made while building: a single-use definition moves into its user.
#include <algorithm>
#include <array>

#include "interp/careful/build.h"
#include "interp/fused.h"
#include "interp/rules.h"
#include "vm/numeric/numeric.h"
#include "vm/wasm/op_relations.h"
#include "vm/wasm/signature.h"

namespace vmrun::interp::ir {

using vm::Family;
using vm::Op;
namespace ops = vm::ops;

namespace {

/// Definitions further away than this stay where they are: moving them would lengthen their operands' lives.
constexpr int32_t kSinkDistance = 40;

constexpr bool is_wide(Op op) { return vm::takes(op, vm::kI64); }

}  // namespace

// ---- moving definitions ------------------------------------------------------------------------------------------------

Inst* Builder::sinkable_reg(uint32_t reg) {
  int32_t def = f_.regs[reg].def;
  if (def < block_begin_ || def < last_call_ || size() - def > kSinkDistance) return nullptr;
  if (reg < f_.locals || f_.regs[reg].place != Place::any) return nullptr;
  Inst& x = f_.code[static_cast<size_t>(def)];
  if (x.d != reg) return nullptr;
  // No operand may have been given another value since.
  if (x.a != kNoReg && f_.regs[x.a].def > def) return nullptr;
  if (x.b != kNoReg && f_.regs[x.b].def > def) return nullptr;
  if (x.c != kNoReg && f_.regs[x.c].def > def) return nullptr;
  return &x;
}

Inst* Builder::sinkable(const V& v) { return v.source == Source::reg ? sinkable_reg(v.reg) : nullptr; }

Inst* Builder::sinkable_load(uint32_t reg) {
  Inst* x = sinkable_reg(reg);
  if (x == nullptr || x->kind != Kind::load || f_.regs[reg].def < last_access_) return nullptr;
  return x;
}

void Builder::kill(Inst* x) {
  x->kind = Kind::nop;
  x->d = x->a = x->b = x->c = kNoReg;
}

/// Rule::read_low_half: what i32.wrap_i64 would narrow is read in part instead.
Use Builder::low_use(const V& v) {
  if (v.is_const()) return Use::constant(static_cast<uint32_t>(v.bits));
  uint32_t reg = v.reg;
  if (Inst* x = sinkable(v); x != nullptr && x->kind == Kind::unary && x->op == Op::i32_wrap_i64) {
    reg = x->a;
    kill(x);
  }
  return Use::low(f_, reg);
}

Use Builder::in_reg(const Use& use, Content content) {
  if (!use.is_const()) return use;
  Inst x = make(Kind::move);
  x.flags = kConstA;
  x.imm = use.bits();
  return Use::whole(emit_to_new(x, content));
}

void Builder::value_of(V* result, const Use& use) {
  if (!use.is_low()) return set_reg(result, use.reg());
  Inst x = make(Kind::unary, Op::i32_wrap_i64);
  x.a = use.reg();
  emit_result(result, x);
}

// ---- instructions ------------------------------------------------------------------------------------------------------

void Builder::op(D& d, Op op, const vm::Immediate& imm, Operands operands, Results outputs) {
  const V* const args = operands.data();
  V* const results = outputs.data();
  where_ = static_cast<uint32_t>(d.offset());
  const Family family = vm::family(op);
  if (vm::is_binary(family)) return binary(op, args, results);
  if (vm::is_unary(family)) return unary(op, args, results);
  if (family == Family::load) return load(d, op, imm, args, results);
  if (family == Family::store) return store(d, op, imm, args);
  switch (op) {
    case Op::nop: return;
    case Op::i32_const: return set_const(results, static_cast<uint32_t>(imm.i32));
    case Op::i64_const: return set_const(results, static_cast<uint64_t>(imm.i64));
    case Op::f32_const: return set_const(results, imm.f32bits);
    case Op::f64_const: return set_const(results, imm.f64bits);
    case Op::ref_null: return set_const(results, 0);
    case Op::v128_const: {
      Inst x = make(Kind::move);
      x.flags = kConstA;
      x.imm = imm.v128.lo;
      x.list = static_cast<uint32_t>(f_.extra.size());  // the high half
      f_.extra.push_back(static_cast<uint32_t>(imm.v128.hi));
      f_.extra.push_back(static_cast<uint32_t>(imm.v128.hi >> 32));
      x.count = 2;
      return emit_result(results, x);
    }
    case Op::select:
    case Op::select_t: return select(args, results);
    case Op::global_get: {
      if (results[0].type.kind() == vm::ValType::Kind::v128) return generic(op, imm, args, results);
      Inst x = make(Kind::global_get);
      bool own = imm.index >= module_.imported_globals;
      x.flags = own ? kOwn : 0;
      x.imm = own ? uint64_t{imm.index - module_.imported_globals} * sizeof(vm::GlobalInst) : imm.index;
      return emit_result(results, x);
    }
    case Op::global_set:
      if (args[0].type.kind() == vm::ValType::Kind::v128) return generic(op, imm, args, results);
      return global_set(imm.index, args[0]);
    case Op::ref_is_null: {  // Rule::test_zero
      Inst x = make(Kind::binary, Op::i64_eq);
      x.a = reg_of(args[0]);
      x.flags = kConstB;
      return emit_result(results, x);
    }
    default: return generic(op, imm, args, results);
  }
}

namespace {
struct Arity {
  uint8_t operands, results;
};
Arity arity(Op op) {
  switch (op) {
    case Op::global_get: return {0, 1};
    case Op::global_set: return {1, 0};
    case Op::table_get: return {1, 1};
    case Op::table_set: return {2, 0};
    case Op::table_size: return {0, 1};
    case Op::table_grow: return {2, 1};
    case Op::table_fill:
    case Op::table_copy:
    case Op::table_init:
    case Op::memory_init:
    case Op::memory_copy: return {3, 0};
    case Op::data_drop:
    case Op::elem_drop: return {0, 0};
    case Op::ref_func: return {0, 1};
    case Op::ref_eq: return {2, 1};
    case Op::ref_as_non_null:
    case Op::any_convert_extern:
    case Op::extern_convert_any: return {1, 1};
    case Op::ref_test:
    case Op::ref_test_null:
    case Op::ref_cast:
    case Op::ref_cast_null: return {1, 1};
    default: break;
  }
  if (vm::has_own_rule(op)) return {255, 0};
  return {vm::signature(op).params, vm::signature(op).results};
}
}  // namespace

void Builder::generic(Op op, const vm::Immediate& imm, const V* args, V* results) {
  Arity n = arity(op);
  if (n.operands == 255 || n.results > 1 || !has_generic_form(op)) {
    decline();
    return;
  }
  Inst x = make(Kind::generic, op);
  std::array<uint32_t, 8> regs;
  for (unsigned i = 0; i < n.operands; i++) regs[i] = reg_of(args[i]);
  for (unsigned i = 0; i < n.operands; i++) f_.regs[regs[i]].use = size();
  x.list = static_cast<uint32_t>(f_.extra.size());
  x.count = n.operands;
  f_.extra.insert(f_.extra.end(), regs.begin(), regs.begin() + n.operands);
  x.imm = f_.immediates.size();
  f_.immediates.push_back(imm);
  if (n.results == 1) {
    emit_result(results, x);
  } else {
    emit(x);
  }
}

void Builder::unary(Op op, const V* args, V* results) {
  if (vm::family(op) == Family::int_test) return eqz(op, args, results);
  if (op == Op::i64_extend_i32_u) {  // Rule::extend_is_free
    VMRUN_ASSERT(args[0].is_const() || f_.regs[args[0].reg].i32, "an i32 without an upper half");
    results[0].source = args[0].source;
    results[0].reg = args[0].reg;
    results[0].bits = static_cast<uint32_t>(args[0].bits);
    return;
  }
  if (args[0].is_const()) {
    if (op == Op::i32_wrap_i64) return set_const(results, static_cast<uint32_t>(args[0].bits));
    if (op == Op::i64_extend_i32_s) {
      return set_const(results, ops::i64_extend_i32_s(static_cast<uint32_t>(args[0].bits)));
    }
  }
  Use a = reads_i32(op) ? in_reg(low_use(args[0]), kI32Content) : Use::whole(reg_of(args[0]));
  Inst x = make(Kind::unary, op);
  read(x, &Inst::a, a);
  return emit_result(results, x);
}

void Builder::eqz(Op op, const V* args, V* result) {
  bool wide = op == Op::i64_eqz;
  if (args[0].is_const()) {
    return set_const(result, (wide ? args[0].bits : static_cast<uint32_t>(args[0].bits)) == 0);
  }
  if (!wide) {
    if (Inst* x = sinkable(args[0]); x != nullptr && x->kind == Kind::binary) {
      if (vm::family(x->op) == Family::int_compare) {  // Rule::test_comparison
        x->op = vm::inverted(x->op);
        return set_reg(result, args[0].reg);
      }
      if (vm::family(x->op) == Family::float_compare) {
        x->flags ^= kNegate;
        return set_reg(result, args[0].reg);
      }
    }
  }
  Use a = wide ? whole_use(args[0]) : low_use(args[0]);
  Inst x = make(Kind::binary, wide ? Op::i64_eq : Op::i32_eq);  // Rule::test_zero
  read(x, &Inst::a, a);
  x.flags = kConstB;
  emit_result(result, x);
}

void Builder::float_binary(Op op, const V& a, const V& b, V* result) {
  if (vm::family(op) != Family::float_compare) {
    if (float_pair(op, a, b, result)) return;
    if (load_pair(op, whole_use(a), whole_use(b), result)) return;
  }
  Inst x = make(Kind::binary, op);
  if (a.is_const() && !b.is_const()) {
    x.flags = kConstA;
    x.imm = a.bits;
    x.b = b.reg;
  } else {
    x.a = reg_of(a);
    if (b.is_const()) {
      x.flags = kConstB;
      x.imm = b.bits;
    } else {
      x.b = b.reg;
    }
  }
  emit_result(result, x);
}

void Builder::binary(Op op, const V* args, V* result) {
  if (vm::takes(op, vm::kF32) || vm::takes(op, vm::kF64)) return float_binary(op, args[0], args[1], result);

  bool wide = is_wide(op);
  uint64_t folded;
  if (args[0].is_const() && args[1].is_const() && rules::fold(op, args[0].bits, args[1].bits, folded)) {
    return set_const(result, folded);
  }
  Use a = wide ? whole_use(args[0]) : low_use(args[0]);
  Use b = wide ? whole_use(args[1]) : low_use(args[1]);
  if (a.is_const() && vm::exchangeable(op)) {  // Rule::commute, Rule::mirror
    std::swap(a, b);
    op = vm::mirrored(op);
  }
  if ((op == Op::i32_sub || op == Op::i64_sub) && b.is_const()) {
    op = wide ? Op::i64_add : Op::i32_add;
    b.set_bits(rules::negated(b.bits(), wide));
  }
  if (b.is_const() && (op == Op::i32_add || op == Op::i64_add)) {
    // (x + c) + b
    if (Inst* x = sinkable(a); x != nullptr && x->kind == Kind::binary && x->op == op && (x->flags & kConstB) != 0) {
      b.set_bits(rules::joined(x->imm, b.bits(), wide));
      a = operand_of(f_, *x, &Inst::a);
      kill(x);
    }
    if (b.bits() == 0 && !a.is_const() && a.reg() >= f_.locals) return value_of(result, a);  // Rule::add_zero
  }
  if (binary_pair(op, a, b, result)) return;
  if (load_pair(op, a, b, result)) return;
  const Content content = wide ? kI64Content : kI32Content;
  if (a.is_const()) {
    const bool left = select_int_left(op, kSlot, kSlot) != nullptr;  // there are handlers with the constant there
    b = in_reg(b, content);
    if (left && rules::fits(a.bits(), 32, wide)) {
      Inst x = make(Kind::binary, op);
      x.flags = kConstA;
      x.imm = a.bits();
      read(x, &Inst::b, b);
      return emit_result(result, x);
    }
    a = in_reg(a, content);
  }
  bool constant = false;
  if (b.is_const()) {
    constant = rules::fits(b.bits(), 32, wide) || select_wide_constant(op, kSlot, kSlot) != nullptr;
    if (vm::family(op) == Family::int_divide && rules::may_trap_as_divisor(b.bits(), wide)) constant = false;
    if (!constant) b = in_reg(b, content);
  }
  Inst x = make(Kind::binary, op);
  read(x, &Inst::a, a);
  if (constant) {
    x.flags = kConstB;
    x.imm = b.bits();
  } else {
    read(x, &Inst::b, b);
  }
  emit_result(result, x);
}

/// Rule::xor_pair: (x o1 k1) ^ (x o2 k2).
bool Builder::xor_pair(Op op, Inst* x, Inst* y, V* result) {
  if (x == nullptr || y == nullptr || (x->flags & kConstB) == 0 || (y->flags & kConstB) == 0 || x->a != y->a) {
    return false;
  }
  if (fused_pair(Form::xor_pair, x->op, y->op) < 0) std::swap(x, y);
  if (fused_pair(Form::xor_pair, x->op, y->op) < 0) return false;
  const uint64_t width = is_wide(op) ? 64 : 32;
  Inst z = make(Kind::binary2, x->op);
  z.op2 = y->op;
  z.shift = static_cast<uint8_t>(Form::xor_pair);
  read(z, &Inst::a, operand_of(f_, *x, &Inst::a));
  z.imm = rules::distance(x->imm, width) | rules::distance(y->imm, width) << 32;
  kill(x);
  kill(y);
  emit_result(result, z);
  return true;
}

/// Two integer operations in one, where such a handler exists. Rule::imm_then_reg and so on.
bool Builder::binary_pair(Op op, const Use& a, const Use& b, V* result) {
  if (a.is_const() || !is_fusible_outer(op)) return false;
  bool wide = is_wide(op);
  auto inner = [&](const Use& use) -> Inst* {
    Inst* x = sinkable(use);
    if (x == nullptr || x->kind != Kind::binary || (x->flags & kConstA) != 0 || is_wide(x->op) != wide) return nullptr;
    return x;
  };
  if ((op == Op::i32_xor || op == Op::i64_xor) && !b.is_const() && xor_pair(op, inner(a), inner(b), result))
    return true;
  for (int side = 0; side < 2; side++) {
    if (side == 1 && (b.is_const() || !vm::commutes(op))) break;
    const Use& in = side == 0 ? a : b;
    const Use& other = side == 0 ? b : a;
    Inst* x = inner(in);
    if (x == nullptr) continue;
    bool inner_const = (x->flags & kConstB) != 0;
    Form form;
    if (other.is_const()) {
      if (!inner_const || !rules::fits(other.bits(), 32, wide) || !rules::fits(x->imm, 32, wide)) continue;
      form = Form::imm_then_imm;
    } else {
      form = inner_const ? Form::imm_then_reg : Form::reg_then_reg;
      if (form == Form::imm_then_reg && !rules::fits(x->imm, 16, wide)) continue;
    }
    if (fused_pair(form, x->op, op) < 0) continue;
    Inst z = make(Kind::binary2, x->op);
    z.op2 = op;
    z.shift = static_cast<uint8_t>(form);
    read(z, &Inst::a, operand_of(f_, *x, &Inst::a));
    if (!inner_const) read(z, &Inst::b, operand_of(f_, *x, &Inst::b));
    if (!other.is_const()) read(z, &Inst::c, other);
    z.imm = static_cast<uint32_t>(x->imm) | (other.is_const() ? other.bits() << 32 : 0);
    kill(x);
    emit_result(result, z);
    return true;
  }
  return false;
}

/// a * b + c and the like, each operation rounded by itself.
bool Builder::float_pair(Op op, const V& a, const V& b, V* result) {
  for (int side = 0; side < 2; side++) {
    const V& in = side == 0 ? a : b;
    const V& other = side == 0 ? b : a;
    if (other.is_const()) continue;
    Inst* x = sinkable(in);
    if (x == nullptr || x->kind != Kind::binary || (x->flags & (kConstA | kConstB)) != 0) continue;
    int pair = fused_float(x->op, op, side == 1);
    if (pair < 0) continue;
    Inst z = make(Kind::float2, op);
    z.shift = static_cast<uint8_t>(pair);
    z.a = x->a;
    z.b = x->b;
    z.c = other.reg;
    kill(x);
    emit_result(result, z);
    return true;
  }
  return false;
}

/// x op memory[...]. Rule::operate_on_memory.
bool Builder::load_pair(Op op, const Use& a, const Use& b, V* result) {
  for (int side = 1; side >= 0; side--) {
    const Use& in = side == 0 ? a : b;
    const Use& other = side == 0 ? b : a;
    if (in.is_const() || other.is_const()) continue;
    Inst* x = sinkable_load(in.reg());
    if (x == nullptr || (x->mode != Address::base_offset && x->mode != Address::wrapped)) continue;
    bool reverse = side == 0;
    int index = fused_load_op(x->op, op, reverse);
    if (index < 0) continue;
    Inst z = make(Kind::load_op, x->op);
    z.op2 = op;
    z.flags = reverse ? kReverse : 0;
    z.mode = x->mode;
    z.offset = x->offset;
    z.a = x->a;
    read(z, &Inst::c, other);
    z.where = x->where;
    kill(x);
    emit_result(result, z);
    return true;
  }
  return false;
}

void Builder::select(const V* args, V* result) {
  Use cond = low_use(args[2]);
  if (cond.is_const()) {
    const V& chosen = cond.bits() != 0 ? args[0] : args[1];
    if (chosen.is_const()) return set_const(result, chosen.bits);
    Inst x = make(Kind::move);
    x.a = chosen.reg;
    return emit_result(result, x);
  }
  // Smaller or larger of two integers.
  if (content_of(result->type).cls == Class::integer && !args[0].is_const() && !args[1].is_const()) {
    if (Inst* x = sinkable(cond); x != nullptr && x->kind == Kind::binary && vm::family(x->op) == Family::int_compare &&
                                  (x->flags & (kConstA | kConstB)) == 0) {
      Op op = x->op;
      bool same = x->a == args[0].reg && x->b == args[1].reg;
      bool crossed = x->b == args[0].reg && x->a == args[1].reg;
      if (crossed) op = vm::mirrored(op);  // Rule::mirror
      // The handler reads no more of the two than the comparison, and chooses what it has read.
      const bool i32 = f_.regs[args[0].reg].i32 && f_.regs[args[1].reg].i32;
      if ((same || crossed) && fused_min_max(op) >= 0 && rules::may_choose(is_wide(op), i32)) {
        Inst z = make(Kind::min_max, op);
        z.a = args[0].reg;
        z.b = args[1].reg;
        kill(x);
        return emit_result(result, z);
      }
    }
  }
  uint32_t a = reg_of(args[0]), b = reg_of(args[1]);
  Inst x = make(Kind::select);
  x.a = a;
  x.b = b;
  read(x, &Inst::c, cond);
  emit_result(result, x);
}

// ---- branches ----------------------------------------------------------------------------------------------------------

Inst Builder::condition(const V& value, bool invert, uint32_t label) {
  Use v = low_use(value);
  if (Inst* y = sinkable(v); y != nullptr && y->kind == Kind::binary) {
    if (vm::family(y->op) == Family::int_compare) {  // Rule::branch_on_comparison
      Inst x = make(Kind::branch_if, invert ? vm::inverted(y->op) : y->op);
      x.flags = y->flags & kConstB;
      x.a = y->a;
      x.b = y->b;
      x.imm = y->imm;
      x.target = label;
      kill(y);
      // (a & b) compared with zero: Rule::branch_on_bits
      if ((x.op == Op::i32_eq || x.op == Op::i32_ne) && x.flags == kConstB && x.imm == 0) {
        if (Inst* t = sinkable_reg(x.a);
            t != nullptr && t->kind == Kind::binary && t->op == Op::i32_and && (t->flags & kConstA) == 0) {
          return test_bits(x.op, t, label);
        }
      }
      return x;
    }
    if (vm::family(y->op) == Family::float_compare) {
      Inst x = make(Kind::branch_float, y->op);
      x.flags = static_cast<uint8_t>(y->flags ^ (invert ? kNegate : 0));
      x.a = y->a;
      x.b = y->b;
      x.imm = y->imm;
      x.target = label;
      kill(y);
      return x;
    }
    if (y->op == Op::i32_and && (y->flags & kConstA) == 0) return test_bits(invert ? Op::i32_eq : Op::i32_ne, y, label);
  }
  v = in_reg(v, kI32Content);
  Inst x = make(Kind::branch_if, invert ? Op::i32_eq : Op::i32_ne);  // Rule::branch_on_value
  read(x, &Inst::a, v);
  x.flags = kConstB;
  x.target = label;
  return x;
}

/// Rule::branch_on_bits: the branch if what `y`, an i32.and, computes is (i32.eq) or is not (i32.ne) zero.
Inst Builder::test_bits(Op op, Inst* y, uint32_t label) {
  Inst x = make(Kind::branch_test, op);
  x.flags = y->flags & kConstB;
  x.a = y->a;
  x.b = y->b;
  x.imm = y->imm;
  x.target = label;
  kill(y);
  return x;
}

}  // namespace vmrun::interp::ir
