#include "interp/careful/writer.h"

#include <algorithm>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "interp/careful/ir_reads.h"
#include "interp/fused.h"
#include "interp/handlers/calls.h"
#include "interp/rules.h"
#include "vm/base/assert.h"

namespace vmrun::interp::ir {

using vm::Op;

namespace {

/// The load of the same type as a store.
Op load_like(Op store) {
  switch (store) {
    case Op::i32_store: return Op::i32_load;
    case Op::i64_store: return Op::i64_load;
    case Op::f32_store: return Op::f32_load;
    default: return Op::f64_load;
  }
}

}  // namespace

bool Writer::is_next(uint32_t target) const {
  if (target <= block_) return false;
  for (uint32_t b = block_ + 1; b < target; b++) {
    if (!places_.reachable(b)) continue;
    for (uint32_t i = f_.blocks[b].begin; i < f_.blocks[b + 1].begin; i++) {
      if (f_.code[i].kind != Kind::nop) return false;
    }
  }
  return true;
}

constexpr uint32_t kMostNops = 64;

/// The first instruction of a block, if it has any and not very many of its instructions have moved away in front of it:
/// every branch to the block asks.
const Inst* Writer::first_of(uint32_t block) const {
  uint32_t end = block + 1 < f_.blocks.size() ? f_.blocks[block + 1].begin : static_cast<uint32_t>(f_.code.size());
  end = std::min(end, f_.blocks[block].begin + kMostNops);
  for (uint32_t i = f_.blocks[block].begin; i < end; i++) {
    if (f_.code[i].kind != Kind::nop) return &f_.code[i];
  }
  return nullptr;
}

void Writer::mark(const Inst& x) {
  if (!draft_.marks.empty() && draft_.marks.back().offset == x.where) return;
  draft_.marks.push_back({static_cast<uint32_t>(out_.here()), x.where});
}

void Writer::write() {
  size_t blocks = f_.blocks.size();
  block_cell_.assign(blocks, 0);
  for (uint32_t b = 0; b < blocks; b++) {
    if (!places_.reachable(b)) continue;
    block_ = b;
    block_cell_[b] = static_cast<uint32_t>(out_.here());
    write_block(f_.blocks[b].begin, b + 1 < blocks ? f_.blocks[b + 1].begin : static_cast<uint32_t>(f_.code.size()));
  }
  block_ = static_cast<uint32_t>(blocks);
  write_entries();
  for (const Fixup& fix : fixups_) {
    draft_.cells[fix.site].imm = static_cast<int32_t>(block_cell_[fix.block]) - static_cast<int32_t>(fix.base);
  }
}

/// Where code is checked: the i32 operands of `x`, but for what is in the place of segment `except`, which is not there
/// yet.
void Writer::check_operands(const Inst& x, uint32_t except) {
  auto check = [&](uint32_t segment, bool i32) {
    if (segment == kNoReg || !(i32 || places_.i32(segment))) return;
    if (except == kNoReg || at(segment) != at(except)) out_.check_i32(at(segment));
  };
  check(x.a, false);
  check(x.b, false);
  if (x.kind != Kind::call) check(x.c, false);  // a call's is its number
  const bool list = x.kind == Kind::tail_call || x.kind == Kind::ret || x.kind == Kind::generic || x.kind == Kind::call;
  for (uint32_t i = 0; list && i < x.count; i++) {
    check(f_.extra[x.list + i], x.kind == Kind::generic && generic_takes_i32(module_, f_, x, i));
  }
}

void Writer::write_block(uint32_t begin, uint32_t end) {
  for (uint32_t i = begin; i < end; i++) {
    const Inst& x = f_.code[i];
    if (x.kind == Kind::nop) continue;
    uint32_t j = i + 1;
    while (j < end && f_.code[j].kind == Kind::nop) j++;
    uint32_t k = j + 1;
    while (k < end && f_.code[k].kind == Kind::nop) k++;
    if constexpr (kChecksUpperHalves) {
      check_operands(x, kNoReg);
      if (j < end && x.kind != Kind::call) check_operands(f_.code[j], x.d);
    }
    if (j < end && !is_saved(x) && write_pair(x, f_.code[j], k < end ? &f_.code[k] : nullptr)) {
      save(f_.code[j]);
      i = j;
      continue;
    }
    write_inst(x);
    save(x);
  }
}

void Writer::write_inst(const Inst& x) {
  switch (x.kind) {
    case Kind::nop: break;
    case Kind::binary: write_binary(x); break;
    case Kind::unary:
      if (vm::op_info(x.op).can_trap()) mark(x);
      out_.unary(x.op, at(x.d), at(x.a));
      break;
    case Kind::move: write_move(x); break;
    case Kind::select:
      if (places_.cls(x.d) == Class::vector) {
        Operand cond = at(x.c);
        if (!cond.is_slot()) {
          out_.move(false, scratch(4), cond);
          cond = scratch(4);
        }
        Cell& c = out_.cell(select_select_vector());
        c.a = slot(x.d);
        c.b = slot(x.a);
        c.c = slot(x.b);
        c.d = cond.slot;
      } else {
        out_.select(is_float(x.d), at(x.d), at(x.a), at(x.b), at(x.c));
      }
      break;
    case Kind::load:
      mark(x);
      switch (x.mode) {
        case Address::base_offset: out_.load(x.op, at(x.d), at(x.a), x.offset); break;
        case Address::wrapped: out_.load_wrapped(x.op, at(x.d), at(x.a), static_cast<int32_t>(x.offset)); break;
        case Address::indexed: out_.load_indexed(x.op, at(x.d), at(x.a), at(x.b), x.shift, x.offset); break;
        case Address::absolute: out_.load(x.op, at(x.d), Operand::constant(x.offset), 0); break;
        case Address::indexed_wrapped:
          out_.load_indexed(x.op, at(x.d), at(x.a), at(x.b), x.shift, x.offset, true);
          break;
      }
      break;
    case Kind::store:
      mark(x);
      switch (x.mode) {
        case Address::base_offset: out_.store(x.op, at(x.a), x.offset, c_of(x)); break;
        case Address::wrapped: out_.store_wrapped(x.op, at(x.a), static_cast<int32_t>(x.offset), c_of(x)); break;
        case Address::indexed: out_.store_indexed(x.op, at(x.a), at(x.b), x.shift, x.offset, c_of(x)); break;
        case Address::absolute: out_.store(x.op, Operand::constant(x.offset), 0, c_of(x)); break;
        case Address::indexed_wrapped:
          out_.store_indexed(x.op, at(x.a), at(x.b), x.shift, x.offset, c_of(x), true);
          break;
      }
      break;
    case Kind::branch:
      if (is_next(f_.label_block[x.target])) break;
      if (const Inst* target = first_of(f_.label_block[x.target]); target != nullptr && target->kind == Kind::ret) {
        write_inst(*target);
        break;
      }
      jump_to(out_.branch(goes_back(x.target)), x.target);
      break;
    case Kind::branch_if: jump_to(out_.branch_compare(x.op, at(x.a), b_of(x), goes_back(x.target)), x.target); break;
    case Kind::branch_float:
      jump_to(out_.branch_float(x.op, (x.flags & kNegate) != 0, a_of(x), b_of(x), goes_back(x.target)), x.target);
      break;
    case Kind::branch_test: {
      Operand a = at(x.a), b = b_of(x);
      Emitter::Site site = out_.here();
      Cell& c = out_.cell(select_branch_test(x.op, goes_back(x.target), a.loc, b.loc));
      c.a = a.slot;
      c.b = b.slot;
      if (b.is_imm()) out_.cell(nullptr).u = b.imm;
      jump_to(site, x.target);
      break;
    }
    case Kind::br_table: write_table(x); break;
    case Kind::call:
    case Kind::tail_call: write_call(x, x.kind == Kind::call); break;
    case Kind::ret: {
      Handler handler = x.a == kNoReg   ? select_return()
                        : is_float(x.a) ? select_return_float(loc(x.a))
                                        : select_return_int(loc(x.a));
      out_.cell(handler).a = slot(x.a);
      break;
    }
    case Kind::unreachable:
      mark(x);
      out_.cell(select_unreachable());
      break;
    case Kind::charge:
      mark(x);
      out_.cell(select_charge()).imm = static_cast<int32_t>(x.imm);
      break;
    case Kind::global_get:
      out_.global_get(is_float(x.d), (x.flags & kOwn) != 0, static_cast<uint32_t>(x.imm), at(x.d));
      break;
    case Kind::global_set:
      out_.global_set(is_float(x.a), (x.flags & kOwn) != 0, static_cast<uint32_t>(x.imm), at(x.a));
      break;
    case Kind::generic: write_generic(x); break;
    case Kind::binary2:
    case Kind::float2: write_pair_op(x); break;
    case Kind::load_op: write_load_op(x); break;
    case Kind::read_modify: {
      mark(x);
      Operand value = c_of(x);
      int index = fused_read_modify(x.op, load_like(x.op), x.op2);
      Cell& c = out_.cell(select_read_modify(index, x.mode, loc(x.a), loc(x.b), value.loc));
      c.a = slot(x.a);
      c.b = value.slot;
      if (x.mode == Address::indexed) {
        c.c = slot(x.b);
        c.d = rules::pack_index(x.shift, x.offset);
      } else {
        c.imm = static_cast<int32_t>(x.offset);
      }
      if (value.is_imm()) out_.cell(nullptr).u = value.imm;
      break;
    }
    case Kind::global_adjust:
    case Kind::global_set_add: {
      uint32_t operand = x.kind == Kind::global_adjust ? x.d : x.a;
      Cell& c = out_.cell(x.kind == Kind::global_adjust ? select_global_adjust(loc(operand))
                                                        : select_global_set_add(loc(operand)));
      c.a = slot(operand);
      c.imm = static_cast<int32_t>(x.imm);
      out_.cell(nullptr).u = x.imm >> 32;
      break;
    }
    case Kind::min_max: {
      Cell& c = out_.cell(select_min_max(fused_min_max(x.op), loc(x.d), loc(x.a), loc(x.b)));
      c.a = slot(x.d);
      c.b = slot(x.a);
      c.c = slot(x.b);
      break;
    }
  }
}

void Writer::write_binary(const Inst& x) {
  if (vm::op_info(x.op).can_trap()) mark(x);
  Operand d = at(x.d);
  out_.binary(x.op, d, a_of(x), b_of(x));
  if ((x.flags & kNegate) != 0) out_.unary(Op::i32_eqz, d, d);
}

void Writer::write_pair_op(const Inst& x) {
  Operand d = at(x.d), a = at(x.a), b = x.b == kNoReg ? Operand{} : at(x.b), c = x.c == kNoReg ? Operand{} : at(x.c);
  if (x.kind == Kind::float2) {
    Handler handler = select_float_pair(x.shift, d.loc, a.loc, b.loc, c.loc);
    if (handler == nullptr) {
      std::swap(a, b);
      handler = select_float_pair(x.shift, d.loc, a.loc, b.loc, c.loc);
    }
    Cell& cell = out_.cell(handler);
    cell.a = d.slot;
    cell.b = a.slot;
    cell.c = b.slot;
    cell.d = c.slot;
    return;
  }
  Form form = static_cast<Form>(x.shift);
  int pair = fused_pair(form, x.op, x.op2);
  Handler handler = select_pair(form, pair, d.loc, a.loc, b.loc, c.loc);
  if (handler == nullptr) {
    std::swap(a, b);
    handler = select_pair(form, pair, d.loc, a.loc, b.loc, c.loc);
  }
  Cell& cell = out_.cell(handler);
  cell.a = d.slot;
  cell.b = a.slot;
  int32_t k1 = static_cast<int32_t>(x.imm), k2 = static_cast<int32_t>(x.imm >> 32);
  switch (form) {
    case Form::imm_then_reg:
      cell.c = c.slot;
      cell.d = static_cast<uint16_t>(k1);
      break;
    case Form::reg_then_reg:
      cell.c = b.slot;
      cell.d = c.slot;
      break;
    case Form::imm_then_imm: {
      Cell& second = out_.cell(nullptr);
      second.w = static_cast<uint64_t>(int64_t{k1});
      second.u = static_cast<uint64_t>(int64_t{k2});
      break;
    }
    case Form::xor_pair:
      cell.c = static_cast<uint16_t>(k1);
      cell.d = static_cast<uint16_t>(k2);
      break;
  }
}

void Writer::write_load_op(const Inst& x) {
  mark(x);
  const bool reverse = (x.flags & kReverse) != 0;
  Cell& c = out_.cell(select_load_op(fused_load_op(x.op, x.op2, reverse), x.mode, loc(x.d), loc(x.a), loc(x.c)));
  c.a = slot(x.d);
  c.b = slot(x.a);
  c.imm = static_cast<int32_t>(x.offset);
  out_.cell(nullptr).a = slot(x.c);
}

/// Registers that live across a call and whose slots are not up to date go there.
void Writer::save_crossings(const Inst& call) {
  for (const Allocator::Crossing& crossing : places_.crossings(call.c)) {
    if (crossing.save) out_.move(crossing.cls == Class::floating, crossing.slot, crossing.reg);
  }
}

void Writer::write_call(const Inst& x, bool save_first) {
  bool tail = x.kind == Kind::tail_call;
  if (save_first) save_crossings(x);
  mark(x);
  Cell& c = out_.cell(tail ? select_tail_call(x.call, loc(x.b)) : select_call(x.call, loc(x.b)));
  c.a = slot(x.b);
  c.imm = tail ? 0 : static_cast<int32_t>(8 * (places_.frame_slots() + kLinkSlots));
  draft_.call_cells.push_back(static_cast<uint32_t>(out_.here()));
  Cell& target = out_.cell(nullptr);
  switch (x.call) {
    case CallKind::direct: target.p = &module_.code(static_cast<uint32_t>(x.imm)); break;
    case CallKind::import:
    case CallKind::indirect: target.u = x.imm; break;
    case CallKind::ref: break;
  }
  if (!tail && x.d != kNoReg && places_.used(x.d)) out_.move(is_float(x.d), at(x.d), Operand::reg(1));
  if (tail) return;
  for (const Allocator::Crossing& crossing : places_.crossings(x.c)) {
    out_.move(crossing.cls == Class::floating, crossing.reg, crossing.slot);
  }
}

void Writer::write_generic(const Inst& x) {
  mark(x);
  uint16_t src[4] = {}, dst[2] = {};
  for (uint32_t i = 0; i < x.count; i++) {
    uint32_t segment = f_.extra[x.list + i];
    Operand o = at(segment);
    if (!o.is_slot()) {
      out_.move(is_float(segment), scratch(4 + i), o);
      o = scratch(4 + i);
    }
    src[i] = o.slot;
  }
  Operand d = x.d == kNoReg ? scratch(8) : at(x.d);
  dst[0] = d.is_slot() ? d.slot : scratch(8).slot;
  Cell cells[kMaxGenericCells];
  uint32_t n = emit_generic(cells, env_, x.op, f_.immediates[x.imm], dst, src);
  VMRUN_ASSERT(n > 0, "every instruction here has a generic form");
  draft_.cells.insert(draft_.cells.end(), cells, cells + n);
  if (!d.is_slot()) out_.move(is_float(x.d), d, scratch(8));
}

void Writer::write_table(const Inst& x) {
  Emitter::Site site = out_.br_table(at(x.a), x.count - 1u);
  uint32_t base = static_cast<uint32_t>(site);
  // Entries that go back poll on their way.
  std::unordered_map<uint32_t, uint32_t> stubs;  // by block: its cell
  for (uint32_t i = 0; i < x.count; i++) {
    uint32_t block = f_.label_block[f_.extra[x.list + i]];
    if (block > block_) {
      fixups_.push_back({base + 1 + i, base, block});
      continue;
    }
    auto [stub, fresh] = stubs.try_emplace(block, 0);
    if (fresh) {
      stub->second = static_cast<uint32_t>(out_.branch(true));
      fixups_.push_back({stub->second, stub->second, block});
    }
    out_.patch_table(site, i, stub->second);
  }
}

void Writer::write_move(const Inst& x) {
  if (places_.cls(x.d) != Class::vector) {
    out_.move(is_float(x.d), at(x.d), a_of(x));
    return;
  }
  if ((x.flags & kConstA) != 0) {
    out_.cell(select_const_vector()).a = slot(x.d);
    Cell& value = out_.cell(nullptr);
    value.w = x.imm;
    value.u = x.count == 0 ? 0 : f_.extra[x.list] | uint64_t{f_.extra[x.list + 1]} << 32;
  } else if (at(x.d) != at(x.a)) {
    Cell& c = out_.cell(select_move_vector());
    c.a = slot(x.d);
    c.b = slot(x.a);
  }
}

/// An OSR entry per loop: loads what is live at the header from the canonical slots.
void Writer::write_entries() {
  std::vector<uint32_t> canonical_slot(f_.headers.empty() ? 0 : f_.regs.size(), kNone);  // at the header
  for (const Header& header : f_.headers) {
    uint32_t block = f_.label_block[header.label];
    if (!places_.reachable(block)) continue;
    uint32_t begin = static_cast<uint32_t>(out_.here());
    bool complete = true;
    const std::span values(f_.canonical.data() + header.list, header.count);
    for (const CanonicalOperand& value : values) canonical_slot[value.reg] = value.slot;
    for (const Allocator::Live& live : places_.live_in(block)) {
      const uint32_t from = live.reg < f_.locals ? f_.regs[live.reg].slot : canonical_slot[live.reg];
      if (from == kNone) {
        complete = false;
        break;
      }
      Operand to = at(live.segment);
      if (places_.cls(live.segment) == Class::vector) {
        if (to.slot == from) continue;
        Cell& c = out_.cell(select_move_vector());
        c.a = to.slot;
        c.b = static_cast<uint16_t>(from);
      } else {
        out_.move(is_float(live.segment), to, Operand::at_slot(from));
        if (places_.saved_at_definition(live.segment)) {
          out_.move(is_float(live.segment), places_.slot_of(live.segment), to);
        }
      }
    }
    for (const CanonicalOperand& value : values) canonical_slot[value.reg] = kNone;
    if (!complete) {
      draft_.cells.resize(begin);
      continue;
    }
    draft_.loops.push_back({header.offset, begin});
    jump_to(out_.branch(false), header.label);
  }
}

}  // namespace vmrun::interp::ir
