// The builder's computing instructions, and the fusions made while building: a single-use definition moves into its user.
#include <algorithm>
#include <array>

#include "interp/careful_build.h"
#include "interp/fused.h"
#include "interp/op_traits.h"
#include "vm/numeric.h"

namespace vmrun::interp::ir {

using vm::Op;
namespace ops = vm::ops;

namespace {

/// Definitions further away than this stay where they are: moving them would lengthen their operands' lives.
constexpr int32_t kSinkDistance = 40;

enum class Shape : uint8_t { other, binary, unary, load, store };

constexpr auto kShapes = [] {
  std::array<Shape, vm::kOpCount> shapes{};
  for (size_t i = 0; i < vm::kOpCount; i++) {
    const vm::OpInfo& info = vm::kOpInfo[i];
    bool scalar = info.prefix == 0 && info.code >= 0x45 && info.code <= 0xc4;
    bool saturating = info.prefix == 0xfc && info.code <= 7;
    if (scalar || saturating) shapes[i] = info.signature[1] == ':' ? Shape::unary : Shape::binary;
    if (info.prefix == 0 && info.code >= 0x28 && info.code <= 0x35) shapes[i] = Shape::load;
    if (info.prefix == 0 && info.code >= 0x36 && info.code <= 0x3e) shapes[i] = Shape::store;
  }
  return shapes;
}();

constexpr bool is_wide(Op op) {  // 64-bit integer operands
  return vm::kOpInfo[static_cast<size_t>(op)].signature[0] == 'l';
}

bool fold(Op op, uint64_t a, uint64_t b, uint64_t& out) {
  uint32_t x = static_cast<uint32_t>(a), y = static_cast<uint32_t>(b);
  switch (op) {
#define VMRUN_FOLD(name)                                         \
  case Op::i32_##name: out = ops::i32_##name(x, y); return true; \
  case Op::i64_##name: out = ops::i64_##name(a, b); return true;
    // clang-format off
    VMRUN_FOLD(add) VMRUN_FOLD(sub) VMRUN_FOLD(mul) VMRUN_FOLD(and) VMRUN_FOLD(or) VMRUN_FOLD(xor) VMRUN_FOLD(shl)
    VMRUN_FOLD(shr_s) VMRUN_FOLD(shr_u) VMRUN_FOLD(rotl) VMRUN_FOLD(rotr) VMRUN_FOLD(eq) VMRUN_FOLD(ne)
    VMRUN_FOLD(lt_s) VMRUN_FOLD(lt_u) VMRUN_FOLD(gt_s) VMRUN_FOLD(gt_u) VMRUN_FOLD(le_s) VMRUN_FOLD(le_u)
    VMRUN_FOLD(ge_s) VMRUN_FOLD(ge_u)
    default: return false;
    // clang-format on
  }
}

bool fits16(uint64_t v, bool wide) {
  int64_t value = wide ? static_cast<int64_t>(v) : static_cast<int32_t>(v);
  return value == static_cast<int16_t>(value);
}
bool fits32(uint64_t v, bool wide) { return !wide || static_cast<int64_t>(v) == static_cast<int32_t>(v); }

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

Inst* Builder::sinkable_load(const V& v) {
  Inst* x = sinkable(v);
  if (x == nullptr || x->kind != Kind::load || f_.regs[v.reg].def < last_effect_) return nullptr;
  return x;
}

void Builder::kill(Inst* x) {
  x->kind = Kind::nop;
  x->d = x->a = x->b = x->c = kNoReg;
}

/// A 32-bit use of i32.wrap_i64 may read the 64-bit value itself.
Builder::V Builder::peel_wrap(V v) {
  if (Inst* x = sinkable(v); x != nullptr && x->kind == Kind::unary && x->op == Op::i32_wrap_i64) {
    set_reg(&v, x->a);
    if (x->a < f_.locals) v.source = Source::local;
    kill(x);
  }
  return v;
}

// ---- instructions ------------------------------------------------------------------------------------------------------

void Builder::op(Decoder& d, Op op, const vm::Immediate& imm, const V* args, V* results) {
  where_ = static_cast<uint32_t>(d.offset());
  switch (kShapes[static_cast<size_t>(op)]) {
    case Shape::binary: return binary(op, args, results);
    case Shape::unary: {
      if (op == Op::i32_eqz || op == Op::i64_eqz) return eqz(op, args, results);
      if (op == Op::i64_extend_i32_u) {  // i32 values are zero-extended
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
      Inst x = make(Kind::unary, op);
      bool narrow = vm::op_info(op).signature[0] == 'i';
      x.a = reg_of(narrow ? peel_wrap(args[0]) : args[0]);
      return set_reg(results, emit_to_new(x, class_of(results[0].type)));
    }
    case Shape::load: return load(d, op, imm, args, results);
    case Shape::store: return store(d, op, imm, args);
    case Shape::other: break;
  }
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
      return set_reg(results, emit_to_new(x, Class::vector));
    }
    case Op::select:
    case Op::select_t: return select(args, results);
    case Op::global_get: {
      if (results[0].type.kind() == vm::ValType::Kind::v128) return generic(op, imm, args, results);
      Inst x = make(Kind::global_get);
      bool own = imm.index >= module_.imported_globals;
      x.flags = own ? kOwn : 0;
      x.imm = own ? uint64_t{imm.index - module_.imported_globals} * sizeof(vm::GlobalInst) : imm.index;
      return set_reg(results, emit_to_new(x, class_of(results[0].type)));
    }
    case Op::global_set:
      if (args[0].type.kind() == vm::ValType::Kind::v128) return generic(op, imm, args, results);
      return global_set(imm.index, args[0]);
    case Op::ref_is_null: {
      Inst x = make(Kind::binary, Op::i64_eq);
      x.a = reg_of(args[0]);
      x.flags = kConstB;
      return set_reg(results, emit_to_new(x, Class::integer));
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
  const char* s = vm::op_info(op).signature;
  if (*s == '*') return {255, 0};
  Arity n{};
  while (*s != ':') n.operands++, s++;
  while (*++s != 0) n.results++;
  return n;
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
    set_reg(results, emit_to_new(x, class_of(results[0].type)));
  } else {
    emit(x);
  }
}

void Builder::eqz(Op op, const V* args, V* result) {
  bool wide = op == Op::i64_eqz;
  if (args[0].is_const()) {
    return set_const(result, (wide ? args[0].bits : static_cast<uint32_t>(args[0].bits)) == 0);
  }
  if (!wide) {
    if (Inst* x = sinkable(args[0]); x != nullptr && x->kind == Kind::binary) {
      if (is_int_compare(x->op)) {
        x->op = inverted(x->op);
        return set_reg(result, args[0].reg);
      }
      if (is_float_compare(x->op)) {
        x->flags ^= kNegate;
        return set_reg(result, args[0].reg);
      }
    }
  }
  Inst x = make(Kind::binary, wide ? Op::i64_eq : Op::i32_eq);
  x.a = reg_of(wide ? args[0] : peel_wrap(args[0]));
  x.flags = kConstB;
  set_reg(result, emit_to_new(x, Class::integer));
}

void Builder::binary(Op op, const V* args, V* result) {
  V a = args[0], b = args[1];
  char kind = vm::op_info(op).signature[0];
  if (kind == 'f' || kind == 'd') {
    if (!is_float_compare(op)) {
      if (float_pair(op, a, b, result)) return;
      if (load_pair(op, a, b, result)) return;
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
    return set_reg(result, emit_to_new(x, is_float_compare(op) ? Class::integer : Class::floating));
  }

  bool wide = is_wide(op);
  uint64_t folded;
  if (a.is_const() && b.is_const() && fold(op, a.bits, b.bits, folded)) return set_const(result, folded);
  if (a.is_const() && (commutes(op) || mirrored(op) != op)) {
    std::swap(a, b);
    op = mirrored(op);
  }
  if ((op == Op::i32_sub || op == Op::i64_sub) && b.is_const()) {
    op = wide ? Op::i64_add : Op::i32_add;
    b.bits = wide ? uint64_t{0} - b.bits : static_cast<uint32_t>(0 - static_cast<uint32_t>(b.bits));
  }
  if (!wide) {
    a = peel_wrap(a);
    b = peel_wrap(b);
  }
  if (b.is_const() && (op == Op::i32_add || op == Op::i64_add)) {
    // (x + c) + b
    if (Inst* x = sinkable(a); x != nullptr && x->kind == Kind::binary && x->op == op && (x->flags & kConstB) != 0) {
      b.bits = wide ? b.bits + x->imm : static_cast<uint32_t>(b.bits + x->imm);
      set_reg(&a, x->a);
      kill(x);
    }
    if (b.bits == 0 && a.source == Source::reg && a.reg >= f_.locals) return set_reg(result, a.reg);
  }
  if (binary_pair(op, a, b, result)) return;
  if (load_pair(op, a, b, result)) return;
  Inst x = make(Kind::binary, op);
  if (a.is_const()) {
    x.flags = kConstA;
    x.imm = a.bits;
    x.b = reg_of(b);
    if (!fits32(a.bits, wide) || (op != Op::i32_sub && op != Op::i64_sub && op != Op::i32_shl && op != Op::i64_shl)) {
      x.flags = 0;
      x.a = reg_of(a);
    }
  } else {
    x.a = a.reg;
    bool division = vm::op_info(op).can_trap();
    int64_t value = wide ? static_cast<int64_t>(b.bits) : static_cast<int32_t>(b.bits);
    bool wide_constant =
        wide && (op == Op::i64_add || op == Op::i64_mul || op == Op::i64_and || op == Op::i64_or || op == Op::i64_xor);
    if (b.is_const() && (fits32(b.bits, wide) || wide_constant) && !(division && (value == 0 || value == -1))) {
      x.flags = kConstB;
      x.imm = b.bits;
    } else {
      x.b = reg_of(b);
    }
  }
  set_reg(result, emit_to_new(x, Class::integer));
}

/// Two integer operations in one, where such a handler exists.
bool Builder::binary_pair(Op op, const V& a, const V& b, V* result) {
  if (a.is_const() || !is_fusible_outer(op)) return false;
  bool wide = is_wide(op);
  auto inner = [&](const V& v) -> Inst* {
    Inst* x = sinkable(v);
    if (x == nullptr || x->kind != Kind::binary || (x->flags & kConstA) != 0 || is_wide(x->op) != wide) return nullptr;
    return x;
  };
  // (x o1 k1) ^ (x o2 k2)
  if ((op == Op::i32_xor || op == Op::i64_xor) && !b.is_const()) {
    Inst *x = inner(a), *y = inner(b);
    if (x != nullptr && y != nullptr && (x->flags & kConstB) != 0 && (y->flags & kConstB) != 0 && x->a == y->a) {
      uint64_t mask = wide ? 63 : 31;
      if (fused_pair(Form::xor_pair, x->op, y->op) < 0) std::swap(x, y);
      if (fused_pair(Form::xor_pair, x->op, y->op) >= 0) {
        Inst z = make(Kind::binary2, x->op);
        z.op2 = y->op;
        z.shift = static_cast<uint8_t>(Form::xor_pair);
        z.a = x->a;
        z.imm = (x->imm & mask) | (y->imm & mask) << 32;
        kill(x);
        kill(y);
        set_reg(result, emit_to_new(z, Class::integer));
        return true;
      }
    }
  }
  for (int side = 0; side < 2; side++) {
    if (side == 1 && (b.is_const() || !commutes(op))) break;
    const V& in = side == 0 ? a : b;
    const V& other = side == 0 ? b : a;
    Inst* x = inner(in);
    if (x == nullptr) continue;
    bool inner_const = (x->flags & kConstB) != 0;
    Form form;
    if (other.is_const()) {
      if (!fits32(other.bits, wide)) continue;
      form = inner_const ? Form::imm_then_imm : Form::reg_then_imm;
      if (form == Form::reg_then_imm && !fits16(other.bits, wide)) continue;
    } else {
      form = inner_const ? Form::imm_then_reg : Form::reg_then_reg;
      if (form == Form::imm_then_reg && !fits16(x->imm, wide)) continue;
    }
    if (fused_pair(form, x->op, op) < 0) continue;
    Inst z = make(Kind::binary2, x->op);
    z.op2 = op;
    z.shift = static_cast<uint8_t>(form);
    z.a = x->a;
    z.b = x->b;
    if (!other.is_const()) z.c = other.reg;
    z.imm = static_cast<uint32_t>(x->imm) | (other.is_const() ? other.bits << 32 : 0);
    if (wide && form == Form::imm_then_imm && (!fits32(x->imm, true))) continue;
    kill(x);
    set_reg(result, emit_to_new(z, Class::integer));
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
    int form = fused_float(x->op, op, side == 1);
    if (form < 0) continue;
    Inst z = make(Kind::float2, op);
    z.shift = static_cast<uint8_t>(form);
    z.a = x->a;
    z.b = x->b;
    z.c = other.reg;
    kill(x);
    set_reg(result, emit_to_new(z, Class::floating));
    return true;
  }
  return false;
}

/// x op memory[...].
bool Builder::load_pair(Op op, const V& a, const V& b, V* result) {
  for (int side = 1; side >= 0; side--) {
    const V& in = side == 0 ? a : b;
    const V& other = side == 0 ? b : a;
    if (other.is_const()) continue;
    Inst* x = sinkable_load(in);
    if (x == nullptr || x->mode == Address::absolute || x->mode == Address::indexed_wrapped) continue;
    bool reverse = side == 0;
    int index = fused_load_op(x->op, op, reverse);
    if (index < 0) continue;
    Inst z = make(Kind::load_op, x->op);
    z.op2 = op;
    z.flags = reverse ? kReverse : 0;
    z.mode = x->mode;
    z.shift = x->shift;
    z.offset = x->offset;
    z.a = x->a;
    z.b = x->b;
    z.c = other.reg;
    z.where = x->where;
    kill(x);
    set_reg(result, emit_to_new(z, class_of(result->type)));
    return true;
  }
  return false;
}

void Builder::select(const V* args, V* result) {
  Class cls = class_of(result->type);
  V cond = peel_wrap(args[2]);
  if (cond.is_const()) {
    const V& chosen = static_cast<uint32_t>(cond.bits) != 0 ? args[0] : args[1];
    if (chosen.is_const()) return set_const(result, chosen.bits);
    Inst x = make(Kind::move);
    x.a = chosen.reg;
    return set_reg(result, emit_to_new(x, cls));
  }
  // Smaller or larger of two integers.
  if (cls == Class::integer && !args[0].is_const() && !args[1].is_const()) {
    if (Inst* x = sinkable(cond);
        x != nullptr && x->kind == Kind::binary && is_int_compare(x->op) && (x->flags & (kConstA | kConstB)) == 0) {
      Op op = x->op;
      bool same = x->a == args[0].reg && x->b == args[1].reg;
      bool crossed = x->b == args[0].reg && x->a == args[1].reg;
      if (crossed) op = mirrored(op);
      if ((same || crossed) && fused_min_max(op) >= 0) {
        Inst z = make(Kind::min_max, op);
        z.a = args[0].reg;
        z.b = args[1].reg;
        kill(x);
        return set_reg(result, emit_to_new(z, cls));
      }
    }
  }
  Inst x = make(Kind::select);
  x.a = reg_of(args[0]);
  x.b = reg_of(args[1]);
  x.c = reg_of(cond);
  set_reg(result, emit_to_new(x, cls));
}

// ---- branches ----------------------------------------------------------------------------------------------------------

Inst Builder::condition(V v, bool invert, uint32_t label) {
  v = peel_wrap(v);
  if (Inst* y = sinkable(v); y != nullptr && y->kind == Kind::binary) {
    if (is_int_compare(y->op)) {
      Inst x = make(Kind::branch_if, invert ? inverted(y->op) : y->op);
      x.flags = y->flags & kConstB;
      x.a = y->a;
      x.b = y->b;
      x.imm = y->imm;
      x.target = label;
      kill(y);
      // (a & b) compared with zero
      if ((x.op == Op::i32_eq || x.op == Op::i32_ne) && x.flags == kConstB && x.imm == 0) {
        if (Inst* t = sinkable_reg(x.a);
            t != nullptr && t->kind == Kind::binary && t->op == Op::i32_and && (t->flags & kConstA) == 0) {
          Inst z = make(Kind::branch_test, x.op);
          z.flags = t->flags & kConstB;
          z.a = t->a;
          z.b = t->b;
          z.imm = t->imm;
          z.target = label;
          kill(t);
          return z;
        }
      }
      return x;
    }
    if (is_float_compare(y->op)) {
      Inst x = make(Kind::branch_float, y->op);
      x.flags = static_cast<uint8_t>(y->flags ^ (invert ? kNegate : 0));
      x.a = y->a;
      x.b = y->b;
      x.imm = y->imm;
      x.target = label;
      kill(y);
      return x;
    }
    if (y->op == Op::i32_and && (y->flags & kConstA) == 0) {
      Inst x = make(Kind::branch_test, invert ? Op::i32_eq : Op::i32_ne);
      x.flags = y->flags & kConstB;
      x.a = y->a;
      x.b = y->b;
      x.imm = y->imm;
      x.target = label;
      kill(y);
      return x;
    }
  }
  Inst x = make(Kind::branch_if, invert ? Op::i32_eq : Op::i32_ne);
  x.a = reg_of(v);
  x.flags = kConstB;
  x.target = label;
  return x;
}

}  // namespace vmrun::interp::ir
