// The builder's loads, stores and globals: addresses take up the sums they are made of, and an operation between a load
// and a store of the same place becomes one instruction.
#include "interp/careful/build.h"
#include "interp/fused.h"
#include "interp/rules.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {
/// (a << s) + c with a shift that an address can take up.
bool is_shifted_sum(const Inst& y) {
  return y.kind == Kind::binary2 && y.shift == static_cast<uint8_t>(Form::imm_then_reg) && y.op == Op::i32_shl &&
         y.op2 == Op::i32_add && rules::distance<uint64_t>(static_cast<uint32_t>(y.imm), 32) < rules::kShiftLimit;
}
}  // namespace

// ---- memory ------------------------------------------------------------------------------------------------------------

void Builder::address(Inst& x, const V& value, uint64_t offset) {
  Use base = low_use(value);
  if (base.is_const()) {
    uint64_t at = base.bits() + offset;
    if (rules::fits_unsigned(at)) {  // Rule::address_absolute
      x.mode = Address::absolute;
      x.offset = static_cast<uint32_t>(at);
      return;
    }
  }
  if (Inst* y = sinkable(base)) {
    if (offset == 0 && wrapped_address(x, y)) return;
    if (y->kind == Kind::binary && y->op == Op::i32_add) {
      if ((y->flags & kConstB) != 0) {
        if (offset == 0) {  // Rule::address_wrapped
          x.mode = Address::wrapped;
          read(x, &Inst::a, operand_of(f_, *y, &Inst::a));
          x.offset = static_cast<uint32_t>(y->imm);
          kill(y);
          return;
        }
      } else if (y->flags == 0 && rules::fits_indexed(offset)) {  // Rule::address_indexed
        x.mode = Address::indexed;
        read(x, &Inst::a, operand_of(f_, *y, &Inst::a));
        read(x, &Inst::b, operand_of(f_, *y, &Inst::b));
        x.offset = static_cast<uint32_t>(offset);
        kill(y);
        return;
      }
    }
    if (is_shifted_sum(*y) && rules::fits_indexed(offset)) {  // Rule::address_shifted
      x.mode = Address::indexed;
      read(x, &Inst::a, operand_of(f_, *y, &Inst::c));
      read(x, &Inst::b, operand_of(f_, *y, &Inst::a));
      x.shift = static_cast<uint8_t>(rules::distance<uint64_t>(y->imm, 32));
      x.offset = static_cast<uint32_t>(offset);
      kill(y);
      return;
    }
  }
  x.mode = Address::base_offset;
  read(x, &Inst::a, in_reg(base, kI32Content));
  x.offset = static_cast<uint32_t>(offset);
}

/// The address that `y` defines as (base + (index << shift) + k) mod 2^32, where it is such a sum. Rule::address_sum and
/// Rule::address_shifted_sum.
bool Builder::wrapped_address(Inst& x, Inst* y) {
  OperandField base = &Inst::a, index;
  uint32_t k, shift = 0;
  Inst* of_base = y;
  Inst* of_index = y;
  Inst* inner = nullptr;
  if (y->kind == Kind::binary2 && y->op == Op::i32_add && y->op2 == Op::i32_add) {
    if (static_cast<Form>(y->shift) != Form::imm_then_reg) return false;
    k = static_cast<uint32_t>(y->imm);  // (a + k) + c
    index = &Inst::c;
    if (!rules::fits_indexed_wrapped(k)) return false;
    inner = sinkable_reg(y->*index);
    if (inner != nullptr && inner->kind == Kind::binary && inner->op == Op::i32_shl && inner->flags == kConstB &&
        rules::distance<uint64_t>(inner->imm, 32) < rules::kShiftLimit) {
      of_index = inner;
      index = &Inst::a;
      shift = static_cast<uint32_t>(rules::distance<uint64_t>(inner->imm, 32));
    } else {
      inner = nullptr;
    }
  } else if (y->kind == Kind::binary && y->op == Op::i32_add && y->flags == kConstB &&
             rules::fits_indexed_wrapped(static_cast<uint32_t>(y->imm))) {
    inner = sinkable_reg(y->a);
    if (inner == nullptr) return false;
    if (is_shifted_sum(*inner)) {  // ((a << s) + c) + k
      base = &Inst::c;
      index = &Inst::a;
      shift = static_cast<uint32_t>(rules::distance<uint64_t>(inner->imm, 32));
    } else if (inner->kind == Kind::binary && inner->op == Op::i32_add && inner->flags == 0) {  // (a + b) + k
      index = &Inst::b;
    } else {
      return false;
    }
    k = static_cast<uint32_t>(y->imm);
    of_base = of_index = inner;
  } else {
    return false;
  }
  x.mode = Address::indexed_wrapped;
  read(x, &Inst::a, operand_of(f_, *of_base, base));
  read(x, &Inst::b, operand_of(f_, *of_index, index));
  x.shift = static_cast<uint8_t>(shift);
  x.offset = k;
  if (inner != nullptr) kill(inner);
  kill(y);
  return true;
}

void Builder::load(D& d, Op op, const vm::Immediate& imm, const V* args, V* result) {
  (void)d;
  if (imm.mem.memory != 0 || memory0_ == MemoryMode::checked) return generic(op, imm, args, result);
  Inst x = make(Kind::load, op);
  address(x, args[0], imm.mem.offset);
  emit_result(result, x);
}

void Builder::store(D& d, Op op, const vm::Immediate& imm, const V* args) {
  (void)d;
  if (imm.mem.memory != 0 || memory0_ == MemoryMode::checked) return generic(op, imm, args, nullptr);
  Inst x = make(Kind::store, op);
  Use value = stores_low_half(op) ? low_use(args[1]) : whole_use(args[1]);
  address(x, args[0], imm.mem.offset);
  if (fuse_read_modify(x, value)) return;
  if (value.is_const() && x.mode != Address::indexed && x.mode != Address::indexed_wrapped) {
    x.flags = kConstC;
    x.imm = value.bits();
  } else {
    read(x, &Inst::c, in_reg(value, content_of(args[1].type)));
  }
  emit(x);
}

/// memory[m] = memory[m] op x, for a load of the same address with no effect and no other access between. It traps where the
/// load does.
/// Rule::operate_on_memory.
bool Builder::fuse_read_modify(Inst& st, const Use& value) {
  if (st.mode == Address::indexed_wrapped) return false;
  Inst* y = sinkable(value);
  if (y == nullptr) return false;
  auto same_address = [&](const Inst& l) {
    return l.mode == st.mode && l.a == st.a && l.b == st.b && l.offset == st.offset && l.shift == st.shift;
  };
  Inst z = st;
  z.kind = Kind::read_modify;
  if (y->kind == Kind::load_op) {
    if (f_.regs[value.reg()].def < last_access_ || !same_address(*y)) return false;
    if ((y->flags & kReverse) == 0 && !vm::commutes(y->op2)) return false;
    if (fused_read_modify(st.op, y->op, y->op2) < 0) return false;
    z.op2 = y->op2;
    z.where = y->where;
    read(z, &Inst::c, operand_of(f_, *y, &Inst::c));
    kill(y);
    emit(z);
    return true;
  }
  if (y->kind != Kind::binary || (y->flags & kConstA) != 0) return false;
  bool constant = (y->flags & kConstB) != 0;
  for (int side = 0; side < 2; side++) {
    if (side == 1 && (constant || !vm::commutes(y->op))) break;
    uint32_t loaded = side == 0 ? y->a : y->b;
    Inst* l = sinkable_reg(loaded);
    if (l == nullptr || l->kind != Kind::load || f_.regs[loaded].def < last_access_ || !same_address(*l)) continue;
    if (fused_read_modify(st.op, l->op, y->op) < 0) continue;
    z.op2 = y->op;
    z.where = l->where;
    if (constant) {
      if (st.mode == Address::indexed) return false;
      z.flags = kConstC;
      z.imm = y->imm;
    } else {
      read(z, &Inst::c, operand_of(f_, *y, side == 0 ? &Inst::b : &Inst::a));
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
        read(z, &Inst::a, operand_of(f_, y, &Inst::a));
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
