// Operands, registers and the homes of locals.
#include <algorithm>
#include <bit>

#include "jit/baseline/compiler.h"
#include "vm/base/assert.h"

namespace vmrun::jit::baseline {

using asmjit::x86::ptr;

// --- places -----------------------------------------------------------------------------------------------------------

asmjit::x86::Mem FunctionCompiler::pool(uint64_t lo, uint64_t hi, unsigned size) {
  // Only the latest are looked through, so that a function of nothing but constants takes no quadratic time.
  for (size_t i = pool_.size(), end = i > 64 ? i - 64 : 0; i-- > end;) {
    const PoolEntry& entry = pool_[i];
    if (entry.lo == lo && entry.hi == hi && entry.size == size) return a_.at(entry.label);
  }
  pool_.push_back({lo, hi, size, a_.new_label()});
  return a_.at(pool_.back().label);
}

bool FunctionCompiler::has_slots(uint64_t slots) {
  if (slots > kMaxFrameSlots) {
    unsupported("a frame of more than " + std::to_string(kMaxFrameSlots) + " slots");
    return false;
  }
  if (slots > max_slot_) max_slot_ = static_cast<uint32_t>(slots);
  return true;
}

int32_t FunctionCompiler::too_far(uint64_t index) {
  unsupported("index " + std::to_string(index) + " of a table is too far away");
  return 0;
}

void FunctionCompiler::preempt_off() {
  if (preempt_begin_ == kNone) return;
  if (here() > preempt_begin_) made_.preempt.push_back({preempt_begin_, here()});
  preempt_begin_ = kNone;
}
void FunctionCompiler::preempt_on() {
  if (preempt_begin_ == kNone) preempt_begin_ = here();
}

uint32_t FunctionCompiler::top(D& d) {
  std::span<V> stack = d.stack();
  const C& c = d.control(0);
  if (stack.size() <= c.height) return c.body_base;
  return stack.back().slot + stack.back().type.slots();
}

// --- temporaries ------------------------------------------------------------------------------------------------------

void FunctionCompiler::result_reg(V& result, uint8_t reg) {
  result.kind = Kind::reg;
  result.reg = reg;
  result.raw = false;
  if (is_vec(result.type)) {
    owned_vec_ &= ~(1u << reg);
  } else {
    owned_int_ &= ~(1u << reg);
  }
}

uint8_t FunctionCompiler::take(bool vec) {
  uint32_t& free = vec ? free_vec_ : free_int_;
  if (free == 0) [[unlikely]]
    spill_one(vec);
  auto reg = static_cast<uint8_t>(std::countr_zero(free));
  free &= free - 1;
  (vec ? owned_vec_ : owned_int_) |= 1u << reg;
  return reg;
}

void FunctionCompiler::spill_one(bool vec) {
  std::span<V> stack = decoder_->stack();
  uint32_t owned = vec ? owned_vec_ : owned_int_;
  for (V& value : stack.subspan(std::min(settled_, stack.size()))) {
    if (value.kind != Kind::reg || is_vec(value.type) != vec || (owned >> value.reg & 1) != 0) continue;
    to_slot(value);
    return;
  }
  VMRUN_ASSERT(false, "an instruction took more temporaries than there are");
}

void FunctionCompiler::take_fixed(uint8_t reg, std::span<V> args) {
  const uint32_t bit = 1u << reg;
  if ((owned_int_ & bit) != 0) {
    for (V& value : args) {
      if (value.kind != Kind::reg || value.reg != reg || is_vec(value.type)) continue;
      value.reg = take_int();
      a_.mov(q(value.reg), q(reg));
    }
    return;
  }
  if ((free_int_ & bit) == 0) {
    std::span<V> stack = decoder_->stack();
    for (V& value : stack.subspan(std::min(settled_, stack.size()))) {
      if (value.kind != Kind::reg || value.reg != reg || is_vec(value.type)) continue;
      if (free_int_ != 0) {
        auto other = static_cast<uint8_t>(std::countr_zero(free_int_));
        free_int_ &= free_int_ - 1;
        a_.mov(q(other), q(reg));
        value.reg = other;
        free_int_ |= bit;
      } else {
        to_slot(value);
      }
      break;
    }
  }
  VMRUN_ASSERT((free_int_ & bit) != 0, "a fixed register is taken before operands are fetched");
  free_int_ &= ~bit;
  owned_int_ |= bit;
}

void FunctionCompiler::to_slot(V& value) {
  if (value.kind == Kind::slot) return;
  store_to(slot_mem(value.slot, value.type), value);
  if (value.kind == Kind::reg) {
    if (is_vec(value.type)) {
      free_vec_ |= (1u << value.reg) & all_vec_;
    } else {
      free_int_ |= (1u << value.reg) & all_int_;
    }
  }
  value.kind = Kind::slot;
}

// --- moves ------------------------------------------------------------------------------------------------------------

void FunctionCompiler::load_vec(uint8_t reg, const Mem& from, ValType type) {
  switch (type.kind()) {
    case ValType::Kind::f32: a_.vmovss(x(reg), from); break;
    case ValType::Kind::f64: a_.vmovsd(x(reg), from); break;
    default: a_.vmovups(x(reg), from); break;
  }
}
void FunctionCompiler::store_vec(const Mem& to, uint8_t reg, ValType type) {
  switch (type.kind()) {
    case ValType::Kind::f32: a_.vmovss(to, x(reg)); break;
    case ValType::Kind::f64: a_.vmovsd(to, x(reg)); break;
    default: a_.vmovups(to, x(reg)); break;
  }
}

void FunctionCompiler::copy_from_area(uint32_t slot, const Mem& from, ValType type) {
  const ValType whole = type == vm::kV128 ? vm::kV128 : vm::kF64;
  load_vec(kVectorScratch, from, type == vm::kI32 ? vm::kF32 : whole);
  store_vec(slot_mem(slot, type), kVectorScratch, whole);
}

void FunctionCompiler::load_const(uint8_t reg, uint64_t bits) {
  if (bits <= 0xffffffffu) {
    a_.mov(w(reg), static_cast<uint32_t>(bits));
  } else {
    a_.mov(q(reg), static_cast<int64_t>(bits));
  }
}

void FunctionCompiler::load_home(uint8_t h) {
  const Home& home = homes_[h];
  if (home.vec) {
    load_vec(home.reg, slot_mem(home.slot, home.type), home.type);
  } else {
    load_int(home.reg, slot_mem(home.slot, home.type), home.type);
  }
}
void FunctionCompiler::store_home(uint8_t h) {
  const Home& home = homes_[h];
  if (home.vec) {
    store_vec(slot_mem(home.slot, home.type), home.reg, home.type);
  } else {
    store_int(slot_mem(home.slot, home.type), home.reg);
  }
}

void FunctionCompiler::move_to_int(uint8_t reg, const V& value) {
  const bool wide = is_wide(value.type);
  switch (value.kind) {
    case Kind::constant: load_const(reg, value.bits); break;
    case Kind::reg:
      if (reg != value.reg || value.raw) a_.mov(gp(reg, wide), gp(value.reg, wide));
      break;
    case Kind::slot: load_int(reg, slot_mem(value.slot, value.type), value.type); break;
    case Kind::local: {
      uint8_t h = home_of(static_cast<uint32_t>(value.bits));
      if (h != kNoHome && (state_.loaded >> h & 1) != 0) {
        if (reg != homes_[h].reg) a_.mov(gp(reg, wide), gp(homes_[h].reg, wide));
      } else {
        load_int(reg, slot_mem(local_slot_[value.bits], value.type), value.type);
      }
      break;
    }
    case Kind::flags:
      a_.set(static_cast<Cond>(value.reg), asmjit::x86::gpb_lo(reg));
      a_.movzx(w(reg), asmjit::x86::gpb_lo(reg));
      break;
  }
}

void FunctionCompiler::move_to_vec(uint8_t reg, const V& value) {
  switch (value.kind) {
    case Kind::constant:
      if (value.type == vm::kV128) {
        load_vector(reg, vector_of(value));
      } else if (value.bits == 0) {
        a_.vxorps(x(reg), x(reg), x(reg));
      } else {
        load_vec(reg, pool(value.bits), value.type);
      }
      break;
    case Kind::reg: move_vec(reg, value.reg); break;
    case Kind::slot: load_vec(reg, slot_mem(value.slot, value.type), value.type); break;
    case Kind::local: {
      uint8_t h = home_of(static_cast<uint32_t>(value.bits));
      if (h != kNoHome && (state_.loaded >> h & 1) != 0) {
        move_vec(reg, homes_[h].reg);
      } else {
        load_vec(reg, slot_mem(local_slot_[value.bits], value.type), value.type);
      }
      break;
    }
    case Kind::flags: break;
  }
}

void FunctionCompiler::store_to(const Mem& to, const V& value) {
  if (value.kind == Kind::constant && value.type != vm::kV128) {
    auto bits = static_cast<int64_t>(value.bits);
    if (bits == static_cast<int32_t>(bits)) {
      Mem wide = to;
      wide.setSize(8);
      a_.mov(wide, static_cast<int32_t>(bits));
    } else {
      load_const(kScratch, value.bits);
      store_int(to, kScratch);
    }
    return;
  }
  uint8_t reg = kNoHome;
  if (value.kind == Kind::reg) reg = value.reg;
  if (value.kind == Kind::local) {
    uint8_t h = home_of(static_cast<uint32_t>(value.bits));
    if (h != kNoHome && (state_.loaded >> h & 1) != 0) reg = homes_[h].reg;
  }
  if (is_vec(value.type)) {
    if (reg == kNoHome) move_to_vec(reg = kVectorScratch, value);
    store_vec(to, reg, value.type);
  } else {
    clean(value, reg);
    if (reg == kNoHome) move_to_int(reg = kScratch, value);
    store_int(to, reg);
  }
}

void FunctionCompiler::store_to_area(const Mem& to, const V& value) {
  bool in_memory = value.kind == Kind::slot;
  if (value.kind == Kind::local) {
    uint8_t h = home_of(static_cast<uint32_t>(value.bits));
    in_memory = h == kNoHome || (state_.loaded >> h & 1) == 0;
  }
  if (value.kind == Kind::constant && value.type != vm::kV128 &&
      static_cast<int64_t>(value.bits) != static_cast<int32_t>(value.bits)) {
    a_.vmovsd(x(kVectorScratch), pool(value.bits));
    a_.vmovsd(to, x(kVectorScratch));
  } else if (in_memory && !is_vec(value.type)) {
    uint32_t slot = value.kind == Kind::slot ? value.slot : local_slot_[value.bits];
    load_vec(kVectorScratch, slot_mem(slot, value.type), value.type == vm::kI32 ? vm::kF32 : vm::kF64);
    a_.vmovsd(to, x(kVectorScratch));
  } else {
    store_to(to, value);  // needs no r11
  }
}

// --- operands of an instruction ---------------------------------------------------------------------------------------

/// The register that holds a value or its local, a home being loaded first; kNoRegister when there is none.
uint8_t FunctionCompiler::register_of(const V& value) {
  if (value.kind == Kind::reg) return value.reg;
  if (value.kind == Kind::local) {
    uint8_t h = home_of(static_cast<uint32_t>(value.bits));
    if (h != kNoHome) {
      if ((state_.loaded >> h & 1) == 0) load_home(h), state_.loaded |= 1u << h;
      return homes_[h].reg;
    }
  }
  return kNoRegister;
}

uint8_t FunctionCompiler::fetch_int(const V& value) {
  uint8_t reg = register_of(value);
  if (reg != kNoRegister) return reg;
  reg = take_int();
  move_to_int(reg, value);
  return reg;
}

/// Into r11 where that may be: unlike a move of a register to itself, that takes no time. Else in place, and a home's once
/// for all.
Index FunctionCompiler::cleared_index(const V& value, uint8_t reg, bool in_scratch) {
  const uint8_t to = in_scratch ? kScratch : reg;
  move_clean(to, reg);
  if (to == reg && value.kind == Kind::local) state_.raw &= ~(1u << home_of(static_cast<uint32_t>(value.bits)));
  return Index(to);
}

uint8_t FunctionCompiler::fetch_vec(const V& value) {
  uint8_t reg = register_of(value);
  if (reg != kNoRegister) return reg;
  reg = take_vec();
  move_to_vec(reg, value);
  return reg;
}

asmjit::Operand FunctionCompiler::source_int(const V& value, bool wide) {
  if (value.kind == Kind::constant) {
    if (!wide) return asmjit::Imm(static_cast<int32_t>(value.bits));
    auto bits = static_cast<int64_t>(value.bits);
    if (bits == static_cast<int32_t>(bits)) return asmjit::Imm(bits);
  }
  Mem mem;
  if (value.kind == Kind::slot) {
    mem = slot_mem(value.slot, value.type);
  } else if (value.kind == Kind::local && home_of(static_cast<uint32_t>(value.bits)) == kNoHome) {
    mem = slot_mem(local_slot_[value.bits], value.type);
  } else {
    return gp(fetch_int(value), wide);
  }
  mem.setSize(wide ? 8 : 4);
  return mem;
}

asmjit::Operand FunctionCompiler::source_vec(const V& value) {
  if (value.kind == Kind::constant && value.bits != 0) {
    return value.type == vm::kV128 ? pool(vector_of(value)) : pool(value.bits);
  }
  Mem mem;
  if (value.kind == Kind::slot) {
    mem = slot_mem(value.slot, value.type);
  } else if (value.kind == Kind::local && home_of(static_cast<uint32_t>(value.bits)) == kNoHome) {
    mem = slot_mem(local_slot_[value.bits], value.type);
  } else {
    return x(fetch_vec(value));
  }
  if (value.type == vm::kV128) mem.setSize(16);
  return mem;
}

uint8_t FunctionCompiler::hint(D& d, bool vec, size_t args) {
  const uint8_t* p = image_ + d.next_offset();
  if (*p != 0x21 && *p != 0x22) return kNoHome;
  uint32_t local = *++p & 0x7f;
  for (unsigned shift = 7; (*p++ & 0x80) != 0; shift += 7) local |= static_cast<uint32_t>(*p & 0x7f) << shift;
  uint8_t h = home_of(local);
  if (h == kNoHome || homes_[h].vec != vec) return kNoHome;
  detach_local(d, local, args);
  return homes_[h].reg;
}

uint8_t FunctionCompiler::target(D& d, bool vec, size_t args, const V* a, const V* b, uint8_t not_this) {
  uint8_t home = hint(d, vec, args);
  if (home != kNoHome && home != not_this) return home;
  if (a != nullptr && a->kind == Kind::reg && is_vec(a->type) == vec && a->reg != not_this) return a->reg;
  if (b != nullptr && b->kind == Kind::reg && is_vec(b->type) == vec && b->reg != not_this) return b->reg;
  const uint8_t reg = take(vec);
  VMRUN_ASSERT(reg != not_this, "a register that holds something of the instruction's is not free");
  return reg;
}

// --- locals -----------------------------------------------------------------------------------------------------------

/// Before `local` changes: gives operands that name it, but the topmost `skip`, places of their own.
void FunctionCompiler::detach_local(D& d, uint32_t local, size_t skip) {
  std::span<V> stack = d.stack();
  size_t end = stack.size() - skip;
  if (lazy_ >= end) return;
  for (size_t i = std::max<size_t>(lazy_, settled_); i < end; ++i) {
    V& value = stack[i];
    if (value.kind != Kind::local || value.bits != local) continue;
    bool vec = is_vec(value.type);
    uint32_t& free = vec ? free_vec_ : free_int_;
    if (free == 0) {
      to_slot(value);
      continue;
    }
    auto reg = static_cast<uint8_t>(std::countr_zero(free));
    free &= free - 1;
    move_to(reg, value);
    set_reg(value, reg, value.slot);
  }
}

void FunctionCompiler::local_get(D& d, uint32_t index, V* result) {
  result->slot = top(d);
  result->kind = Kind::local;
  result->bits = index;
  auto at = static_cast<uint32_t>(d.stack().size());
  pushes(at);
  if (at < lazy_) lazy_ = at;
}

void FunctionCompiler::local_set(D& d, uint32_t index, const V& value) {
  if (value.kind == Kind::local && value.bits == index) return;
  detach_local(d, index, 1);
  begin_op(d, &value, 1);
  uint8_t h = home_of(index);
  if (h != kNoHome) {
    move_to(homes_[h].reg, value);
    state_.loaded |= 1u << h;
    state_.dirty |= 1u << h;
    state_.raw &= ~(1u << h);
  } else {
    store_to(slot_mem(local_slot_[index], value.type), value);
  }
  finish_op();
  if (lazy_ + 1 >= d.stack().size()) lazy_ = kNone;
}

void FunctionCompiler::local_tee(D& d, uint32_t index, const V& value, V* result) {
  pushes(d.stack().size() - 1);
  static_cast<BaselineValue&>(*result) = value;
  if (value.kind == Kind::local && value.bits == index) return;
  detach_local(d, index, 1);
  uint8_t h = home_of(index);
  if (h == kNoHome) {
    store_to(slot_mem(local_slot_[index], value.type), value);
    return;
  }
  begin_op(d, &value, 1);
  move_to(homes_[h].reg, value);
  finish_op();
  state_.loaded |= 1u << h;
  state_.dirty |= 1u << h;
  state_.raw &= ~(1u << h);
  result->kind = Kind::local;
  result->bits = index;
  auto at = static_cast<uint32_t>(d.stack().size() - 1);
  if (at < lazy_) lazy_ = at;
}

void FunctionCompiler::drop(D& d, const V& value) {
  begin_op(d, &value, 1);
  finish_op();
}

// --- flushing ---------------------------------------------------------------------------------------------------------

/// Empties the temporaries: operands in them, but the topmost `skip`, go to their slots.
void FunctionCompiler::flush_registers(D& d, size_t skip) {
  std::span<V> stack = d.stack();
  for (size_t i = std::max<size_t>(d.control(0).height, settled_); i + skip < stack.size(); ++i) {
    if (stack[i].kind == Kind::reg) to_slot(stack[i]);
  }
}

/// Before anything that clobbers registers but takes its operands from slots.
void FunctionCompiler::flush_all(D& d) {
  flush_registers(d, 0);
  store_dirty();
}

/// Operands go to their slots; constants stay constants, and have their slots filled if wanted.
void FunctionCompiler::flush_frame(D& d, bool constants) {
  std::span<V> stack = d.stack();
  settle(stack.size());
  lazy_ = kNone;
  if (!constants) return;
  for (size_t i = filled_; i < stack.size(); ++i) {
    if (stack[i].kind == Kind::constant) store_to(slot_mem(stack[i].slot, stack[i].type), stack[i]);
  }
  filled_ = stack.size();
}

void FunctionCompiler::settle(size_t end) {
  std::span<V> stack = decoder_->stack();
  for (; settled_ < end; ++settled_) {
    V& value = stack[settled_];
    if (value.kind != Kind::constant) to_slot(value);
    if (value.type == vm::kV128) settled_vectors_.push_back(settled_);
  }
}

void FunctionCompiler::move_settled(size_t index) {
  if (index > settled_) return settle(index - kUnsettled / 2);
  settled_ = index;
  filled_ = std::min(filled_, index);
  while (!settled_vectors_.empty() && settled_vectors_.back() >= index) settled_vectors_.pop_back();
}

void FunctionCompiler::store_dirty(HomeMask live) {
  for (HomeMask bits = state_.dirty & live; bits != 0; bits &= bits - 1) {
    store_home(static_cast<uint8_t>(std::countr_zero(bits)));
  }
  spoil_slots(state_.dirty & ~live);
  state_.dirty = 0;
}

void FunctionCompiler::conform(const HomeState& from, const Target& to) {
  conform(from.only(to.live), to.state);
  spoil_slots(from.dirty & ~to.live);
}

void FunctionCompiler::conform(const HomeState& from, const HomeState& to) {
  for (uint32_t bits = from.dirty & ~to.dirty; bits != 0; bits &= bits - 1) {
    store_home(static_cast<uint8_t>(std::countr_zero(bits)));
  }
  for (uint32_t bits = from.raw & to.loaded & ~to.raw; bits != 0; bits &= bits - 1) {
    const uint8_t reg = homes_[std::countr_zero(bits)].reg;
    move_clean(reg, reg);
  }
  for (uint32_t bits = to.loaded & ~from.loaded; bits != 0; bits &= bits - 1) {
    load_home(static_cast<uint8_t>(std::countr_zero(bits)));
  }
}

}  // namespace vmrun::jit::baseline
