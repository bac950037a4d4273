// The builder's loads, stores and globals: addresses take up the sums they are made of, and an operation between a load
// and a store of the same place becomes one instruction.
#include "interp/careful_build.h"
#include "interp/fused.h"
#include "interp/op_traits.h"

namespace vmrun::interp::ir {

using vm::Op;

// ---- memory ------------------------------------------------------------------------------------------------------------

void Builder::address(Inst& x, V base, uint64_t offset) {
  base = peel_wrap(base);
  if (base.is_const()) {
    uint64_t at = static_cast<uint32_t>(base.bits) + offset;
    if (at <= UINT32_MAX) {
      x.mode = Address::absolute;
      x.offset = static_cast<uint32_t>(at);
      return;
    }
  }
  if (Inst* y = sinkable(base)) {
    if (offset == 0 && wrapped_address(x, y)) return;
    if (y->kind == Kind::binary && y->op == Op::i32_add) {
      if ((y->flags & kConstB) != 0) {
        if (offset == 0) {
          x.mode = Address::wrapped;
          x.a = y->a;
          x.offset = static_cast<uint32_t>(y->imm);
          kill(y);
          return;
        }
      } else if (y->flags == 0 && offset < 8192) {
        x.mode = Address::indexed;
        x.a = y->a;
        x.b = y->b;
        x.offset = static_cast<uint32_t>(offset);
        kill(y);
        return;
      }
    }
    if (y->kind == Kind::binary2 && y->shift == static_cast<uint8_t>(Form::imm_then_reg) && y->op == Op::i32_shl &&
        y->op2 == Op::i32_add && (y->imm & 31) < 8 && offset < 8192) {
      x.mode = Address::indexed;
      x.a = y->c;
      x.b = y->a;
      x.shift = static_cast<uint8_t>(y->imm & 31);
      x.offset = static_cast<uint32_t>(offset);
      kill(y);
      return;
    }
  }
  x.mode = Address::base_offset;
  x.a = reg_of(base);
  x.offset = static_cast<uint32_t>(offset);
}

/// The address that `y` defines as (base + (index << shift) + k) mod 2^32, where it is such a sum.
bool Builder::wrapped_address(Inst& x, Inst* y) {
  auto fits = [](uint64_t k) { return static_cast<int32_t>(k) >= -4096 && static_cast<int32_t>(k) < 4096; };
  uint32_t base, index, k, shift = 0;
  Inst* inner = nullptr;
  if (y->kind == Kind::binary2 && y->op == Op::i32_add && y->op2 == Op::i32_add) {
    Form form = static_cast<Form>(y->shift);
    if (form == Form::imm_then_reg) {  // (a + k) + c
      k = static_cast<uint32_t>(y->imm);
      base = y->a;
      index = y->c;
    } else if (form == Form::reg_then_imm) {  // (a + b) + k
      k = static_cast<uint32_t>(y->imm >> 32);
      base = y->a;
      index = y->b;
    } else {
      return false;
    }
    if (!fits(k)) return false;
    inner = sinkable_reg(index);
    bool shifted = inner != nullptr && inner->kind == Kind::binary && inner->op == Op::i32_shl &&
                   inner->flags == kConstB && (inner->imm & 31) < 8;
    if (!shifted) {
      inner = nullptr;
    } else {
      index = inner->a;
      shift = static_cast<uint32_t>(inner->imm & 31);
    }
  } else if (y->kind == Kind::binary && y->op == Op::i32_add && y->flags == kConstB && fits(y->imm)) {
    inner = sinkable_reg(y->a);  // ((a << s) + c) + k
    if (inner == nullptr || inner->kind != Kind::binary2 || inner->op != Op::i32_shl || inner->op2 != Op::i32_add ||
        inner->shift != static_cast<uint8_t>(Form::imm_then_reg) || (inner->imm & 31) >= 8) {
      return false;
    }
    k = static_cast<uint32_t>(y->imm);
    base = inner->c;
    index = inner->a;
    shift = static_cast<uint32_t>(inner->imm & 31);
  } else {
    return false;
  }
  x.mode = Address::indexed_wrapped;
  x.a = base;
  x.b = index;
  x.shift = static_cast<uint8_t>(shift);
  x.offset = k;
  if (inner != nullptr) kill(inner);
  kill(y);
  return true;
}

void Builder::load(Decoder& d, Op op, const vm::Immediate& imm, const V* args, V* result) {
  (void)d;
  if (imm.mem.memory != 0 || memory0_ == MemoryMode::checked) return generic(op, imm, args, result);
  Inst x = make(Kind::load, op);
  address(x, args[0], imm.mem.offset);
  set_reg(result, emit_to_new(x, class_of(result->type)));
}

void Builder::store(Decoder& d, Op op, const vm::Immediate& imm, const V* args) {
  (void)d;
  if (imm.mem.memory != 0 || memory0_ == MemoryMode::checked) return generic(op, imm, args, nullptr);
  Inst x = make(Kind::store, op);
  V value = args[1];
  bool narrow = op != Op::i64_store && op != Op::f32_store && op != Op::f64_store;
  if (narrow) value = peel_wrap(value);
  address(x, args[0], imm.mem.offset);
  if (fuse_read_modify(x, value)) return;
  if (value.is_const() && x.mode != Address::indexed && x.mode != Address::indexed_wrapped) {
    x.flags = kConstC;
    x.imm = value.bits;
  } else {
    x.c = reg_of(value);
  }
  emit(x);
}

/// memory[m] = memory[m] op x, for a load of the same address with no effect between.
bool Builder::fuse_read_modify(Inst& st, const V& value) {
  if (st.mode == Address::indexed_wrapped) return false;
  Inst* y = sinkable(value);
  if (y == nullptr) return false;
  auto same_address = [&](const Inst& l) {
    return l.mode == st.mode && l.a == st.a && l.b == st.b && l.offset == st.offset && l.shift == st.shift;
  };
  auto commutative = [](Op op) { return commutes(op) || float_commutes(op); };
  Inst z = st;
  z.kind = Kind::read_modify;
  if (y->kind == Kind::load_op) {
    if (f_.regs[value.reg].def < last_effect_ || !same_address(*y)) return false;
    if ((y->flags & kReverse) == 0 && !commutative(y->op2)) return false;
    if (fused_read_modify(st.op, y->op, y->op2) < 0) return false;
    z.op2 = y->op2;
    z.c = y->c;
    kill(y);
    emit(z);
    return true;
  }
  if (y->kind != Kind::binary || (y->flags & kConstA) != 0) return false;
  bool constant = (y->flags & kConstB) != 0;
  for (int side = 0; side < 2; side++) {
    if (side == 1 && (constant || !commutative(y->op))) break;
    uint32_t loaded = side == 0 ? y->a : y->b;
    Inst* l = sinkable_reg(loaded);
    if (l == nullptr || l->kind != Kind::load || f_.regs[loaded].def < last_effect_ || !same_address(*l)) continue;
    if (fused_read_modify(st.op, l->op, y->op) < 0) continue;
    z.op2 = y->op;
    if (constant) {
      if (st.mode == Address::indexed) return false;
      z.flags = kConstC;
      z.imm = y->imm;
    } else {
      z.c = side == 0 ? y->b : y->a;
    }
    kill(l);
    kill(y);
    emit(z);
    return true;
  }
  return false;
}

void Builder::global_set(uint32_t index, const V& v) {
  Inst x = make(Kind::global_set);
  bool own = index >= module_.imported_globals;
  x.flags = own ? kOwn : 0;
  x.imm = own ? uint64_t{index - module_.imported_globals} * sizeof(vm::GlobalInst) : index;
  // global = local = global + constant (a stack frame is made), and global = x + constant (one is dropped).
  if (own && !v.is_const() && v.type == vm::kI32 && size() > block_begin_) {
    Inst& y = f_.code.back();
    if (y.kind == Kind::binary && y.op == Op::i32_add && y.flags == kConstB && y.d == v.reg) {
      Inst* g = y.a == kNoReg || y.a < f_.locals   ? nullptr
                : f_.regs[y.a].def >= block_begin_ ? &f_.code[static_cast<size_t>(f_.regs[y.a].def)]
                                                   : nullptr;
      if (g != nullptr && g->kind == Kind::global_get && g->flags == x.flags && g->imm == x.imm && g->d == y.a &&
          f_.regs[y.a].def >= last_effect_) {
        Inst z = make(Kind::global_adjust);
        z.flags = x.flags;
        z.d = y.d;
        z.imm = x.imm << 32 | static_cast<uint32_t>(y.imm);
        kill(g);
        f_.code.pop_back();
        emit(z);
        return;
      }
      if (v.source == Source::reg && y.a != kNoReg) {
        Inst z = make(Kind::global_set_add);
        z.flags = x.flags;
        z.a = y.a;
        z.imm = x.imm << 32 | static_cast<uint32_t>(y.imm);
        f_.code.pop_back();
        emit(z);
        return;
      }
    }
  }
  x.a = reg_of(v);
  emit(x);
}

}  // namespace vmrun::interp::ir
