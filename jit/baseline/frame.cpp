// The frame of a function: homes of locals, prologue, entries at loop headers, and what lies behind the body.
#include <algorithm>
#include <array>
#include <bit>

#include "jit/baseline/compiler.h"
#include "vm/base/assert.h"

namespace vmrun::jit::baseline {

using asmjit::x86::ptr;

namespace {

// Registers of homes, those that no parameter arrives in first.
constexpr uint8_t kIntHomes[] = {rbx, r9, r8, rsi, rdi, r15};
constexpr uint8_t kVectorHomes[] = {8, 9, 10, 11, 12, 13, 14, 15};
constexpr uint32_t kIntTemps = 1u << rax | 1u << rcx | 1u << rdx | 1u << r10;
constexpr uint32_t kVectorTemps = 0x7f;

constexpr uint32_t bits_of(std::span<const uint8_t> registers) {
  uint32_t bits = 0;
  for (uint8_t r : registers) bits |= 1u << r;
  return bits;
}

/// The heaviest few, in falling order.
template <size_t N>
struct Heaviest {
  std::array<std::pair<uint64_t, uint32_t>, N> entries;  // weight, local
  size_t count = 0;
  void add(uint64_t weight, uint32_t local) {
    if (count == N && weight <= entries[N - 1].first) return;
    size_t i = count < N ? count++ : N - 1;
    for (; i > 0 && entries[i - 1].first < weight; --i) entries[i] = entries[i - 1];
    entries[i] = {weight, local};
  }
};

}  // namespace

/// Gives the most used locals their registers; a parameter keeps the one it arrives in where it can.
void FunctionCompiler::choose_homes(D& d) {
  std::span<const ValType> types = d.locals();
  Heaviest<std::size(kIntHomes)> ints;
  Heaviest<std::size(kVectorHomes)> vectors;
  for (uint32_t i = 0; i < types.size(); ++i) {
    const uint64_t weight = scan_.weight(i);
    if (weight == 0) continue;
    if (is_vec(types[i])) {
      vectors.add(weight, i);
    } else {
      ints.add(weight, i);
    }
  }
  homes_.clear();
  home_of_.assign(types.size(), kNoHome);
  uint32_t free = bits_of(kIntHomes);
  uint8_t arrives[std::size(kIntHomes)];
  for (size_t k = 0; k < ints.count; ++k) {
    uint32_t local = ints.entries[k].second;
    arrives[k] = kNoHome;
    if (local >= type_->params.size()) continue;
    PlaceWalk walk = PlaceWalk::params();
    Place place{};
    for (uint32_t i = 0; i <= local; ++i) place = walk.next(types[i]);
    if (place.in != Place::In::integer) continue;
    uint8_t reg = kIntArgs[place.index];
    if ((free >> reg & 1) != 0) arrives[k] = reg, free &= ~(1u << reg);
  }
  auto add = [&](uint32_t local, uint8_t reg, bool vec) {
    home_of_[local] = static_cast<uint8_t>(homes_.size());
    homes_.push_back({reg, vec, local, local_slot_[local], types[local]});
  };
  for (size_t k = 0; k < ints.count; ++k) {
    uint8_t reg = arrives[k];
    for (size_t i = 0; reg == kNoHome; ++i) {
      if ((free >> kIntHomes[i] & 1) != 0) reg = kIntHomes[i], free &= ~(1u << reg);
    }
    add(ints.entries[k].second, reg, false);
  }
  for (size_t k = 0; k < vectors.count; ++k) add(vectors.entries[k].second, kVectorHomes[k], true);
  all_int_ = kIntTemps | free;
  all_vec_ = kVectorTemps;
  for (size_t k = vectors.count; k < std::size(kVectorHomes); ++k) all_vec_ |= 1u << kVectorHomes[k];
}

/// In one walk over all accesses, however deep loops are nested.
void FunctionCompiler::find_loop_homes() {
  std::span<const LoopScan> loops = scan_.loops();
  const std::span<const BodyScan::Access> accesses = scan_.touched();
  loop_homes_.assign(loops.size(), {});
  loop_uses_.assign(loops.size(), {});
  std::vector<uint32_t>& open = open_loops_;
  open.clear();
  size_t next = 0;
  // Accesses are charged to the innermost loop, and a loop's to the one around it where it ends.
  auto close = [&](uint32_t at) {
    while (!open.empty() && loops[open.back()].last <= at) {
      const HomeState inner = loop_homes_[open.back()];
      open.pop_back();
      if (open.empty()) return;
      HomeState& outer = loop_homes_[open.back()];
      outer.loaded |= inner.loaded;
      outer.dirty |= inner.dirty;
    }
  };
  for (uint32_t i = 0; i < accesses.size(); ++i) {
    for (; next < loops.size() && loops[next].first <= i; ++next) {
      close(i);
      open.push_back(static_cast<uint32_t>(next));
    }
    close(i);  // among them loops without an access
    const BodyScan::Access access = accesses[i];
    const uint8_t h = home_of_[access.local()];
    if (h == kNoHome) continue;
    const HomeMask bit = HomeMask{1} << h;
    HomeState& state = loop_homes_[open.back()];
    const bool is_first = (state.loaded & bit) == 0;
    if (is_first && access.is_write() && access.is_outermost()) loop_uses_[open.back()].writes_first |= bit;
    state.loaded |= bit;
    if (access.is_write()) state.dirty |= bit;
  }
  close(UINT32_MAX);
  for (size_t i = 0; i < loops.size(); ++i) loop_uses_[i].uses = loop_homes_[i].loaded;
  scan_.find_live(home_of_, kNoHome, loop_uses_);
}

void FunctionCompiler::emit_frame_setup() {
  auto subtract_frame = [&](uint8_t reg) {
    a_.sub(q(reg), 0x7ffffff0);
    frame_size_fixups_.push_back(here() - 4);
  };
  if (request_.check_merges) check_record();
  a_.push(q(rbp));
  a_.mov(q(rbp), q(rsp));
  Poll& poll = polls_.emplace_back(Poll{a_.new_label(), a_.new_label(), Helper::prologue_poll});
  if (large_frame_) {
    // The poll is called above the frame, whose room is looked at again afterwards.
    a_.bind(poll.back);
    a_.mov(q(r10), q(rsp));
    subtract_frame(r10);
    a_.cmp(q(r10), at(r12, layout::vcpu::native_limit));
    a_.jb(poll.label);
    a_.mov(q(rsp), q(r10));
  } else {
    subtract_frame(rsp);
    a_.cmp(q(rsp), at(r12, layout::vcpu::native_limit));
    a_.jb(poll.label);
    a_.bind(poll.back);
  }
  a_.mov(at(rbp, -8), q(r12));
  a_.mov(at(rbp, kBaselineInstance), q(r13));
  a_.mov(at(rbp, -24), q(r14));
}

/// Not by `leave`: it takes rsp from rbp, which comes from memory when the function has called others, so that each return
/// would wait for the one before.
void FunctionCompiler::emit_frame_end() {
  a_.add(q(rsp), 0x7ffffff0);
  frame_size_fixups_.push_back(here() - 4);
  a_.pop(q(rbp));
}

/// The address of this function's block record.
void FunctionCompiler::own_record(uint8_t reg) { own_code(reg, request_.func_index); }

void FunctionCompiler::count_run(int32_t counter) {
  own_record(rax);
  a_.mov(q(rax), at(rax, layout::func_code::counts));
  a_.inc(asmjit::x86::qword_ptr(q(rax), counter));
}

/// Parameters go to their homes or slots. Unused ones go nowhere.
void FunctionCompiler::emit_params(D& d) {
  std::span<const ValType> types = d.locals().first(type_->params.size());
  check_params(*type_, rax);
  // Those without a home first: a home may be the register that another parameter arrives in.
  PlaceWalk stored = PlaceWalk::params();
  for (uint32_t i = 0; i < types.size(); ++i) {
    Place place = stored.next(types[i]);
    if (home_of(i) != kNoHome || scan_.weight(i) == 0) continue;
    if (place.in == Place::In::integer) store_int(slot_mem(local_slot_[i], types[i]), kIntArgs[place.index]);
    if (place.in == Place::In::vector) {
      store_vec(slot_mem(local_slot_[i], types[i]), static_cast<uint8_t>(place.index), types[i]);
    }
  }
  PlaceWalk moved = PlaceWalk::params();
  for (uint32_t i = 0; i < types.size(); ++i) {
    Place place = moved.next(types[i]);
    uint8_t h = home_of(i);
    if (h == kNoHome) continue;
    state_.loaded |= 1u << h;
    state_.dirty |= 1u << h;
    if (place.in == Place::In::integer) {
      const uint8_t reg = kIntArgs[place.index];
      if (types[i] != vm::kI32) {
        move_int(homes_[h].reg, reg);
      } else if (homes_[h].reg == reg) {
        state_.raw |= 1u << h;
      } else {
        move_clean(homes_[h].reg, reg);
      }
    }
    if (place.in == Place::In::vector) move_vec(homes_[h].reg, static_cast<uint8_t>(place.index));
  }
  if (stored.area_slots() == 0) return;
  PlaceWalk loaded = PlaceWalk::params();
  a_.mov(q(kScratch), at(r12, layout::vcpu::area));
  for (uint32_t i = 0; i < types.size(); ++i) {
    Place place = loaded.next(types[i]);
    if (place.in != Place::In::area || scan_.weight(i) == 0) continue;
    Mem from = at(kScratch, static_cast<int32_t>(kAreaSlot * place.index));
    uint8_t h = home_of(i);
    if (h == kNoHome) {
      copy_from_area(local_slot_[i], from, types[i]);
    } else if (homes_[h].vec) {
      load_vec(homes_[h].reg, from, types[i]);
    } else {
      load_int(homes_[h].reg, from, types[i]);
    }
  }
}

void FunctionCompiler::emit_zeros(D& d) {
  std::span<const ValType> types = d.locals();
  const size_t params = type_->params.size();
  size_t in_slots = 0;
  for (uint32_t i = static_cast<uint32_t>(params); i < types.size(); ++i) {
    uint8_t h = home_of(i);
    if (h == kNoHome) {
      in_slots += scan_.weight(i) != 0;
      continue;
    }
    state_.loaded |= 1u << h;
    state_.dirty |= 1u << h;
    uint8_t reg = homes_[h].reg;
    if (homes_[h].vec) {
      a_.vxorps(x(reg), x(reg), x(reg));
    } else {
      a_.xor_(w(reg), w(reg));
    }
  }
  if (in_slots == 0) return;
  a_.vxorps(x(kVectorScratch), x(kVectorScratch), x(kVectorScratch));
  if (in_slots <= 8) {
    for (uint32_t i = static_cast<uint32_t>(params); i < types.size(); ++i) {
      if (home_of(i) != kNoHome || scan_.weight(i) == 0) continue;
      ValType whole = types[i] == vm::kV128 ? vm::kV128 : vm::kF64;
      store_vec(slot_mem(local_slot_[i], types[i]), kVectorScratch, whole);
    }
    return;
  }
  // All of them, from the lowest address up; homes' slots too.
  const uint32_t first = local_slot_[params], count = operand_base_ - first;
  auto lowest = static_cast<int32_t>(slot_offset(int64_t{operand_base_} - 1));
  const uint32_t pairs = count / 2;
  if (count % 2 != 0) {
    a_.vmovsd(at(rbp, lowest), x(kVectorScratch));
    lowest += 8;
  }
  if (pairs <= 32) {
    for (uint32_t i = 0; i < pairs; ++i) a_.vmovups(at(rbp, lowest + 16 * static_cast<int32_t>(i)), x(kVectorScratch));
    return;
  }
  Label again = a_.new_label();
  a_.lea(q(r10), at(rbp, lowest));
  a_.mov(w(rax), pairs);
  a_.bind(again);
  a_.vmovups(at(r10, 0), x(kVectorScratch));
  a_.add(q(r10), 16);
  a_.dec(w(rax));
  a_.jnz(again);
}

void FunctionCompiler::begin(D& d) {
  std::span<const ValType> types = d.locals();
  local_slot_.resize(types.size());
  uint32_t slot = 0;
  local_vectors_.clear();
  for (size_t i = 0; i < types.size(); ++i) {
    local_slot_[i] = slot;
    if (types[i] == vm::kV128) local_vectors_.push_back(slot);
    slot += types[i].slots();
  }
  operand_base_ = slot;
  max_slot_ = 0;
  if (!has_slots(slot)) return;
  scan_.run(*module_, request_.func_index, types.size());
  choose_homes(d);
  find_loop_homes();
  free_int_ = all_int_;
  free_vec_ = all_vec_;
  d.control(0).base = d.control(0).body_base = operand_base_;
  made_.entry = here();
  emit_frame_setup();
  if (request_.count_runs) count_run(layout::counts::runs(vm::Tier::baseline));
  if (request_.count_heat) {
    Mem budget = at(r12, layout::vcpu::budget);
    budget.setSize(8);
    a_.dec(budget);
    Poll& poll = polls_.emplace_back(Poll{a_.new_label(), a_.new_label(), Helper::hot_entry});
    a_.js(poll.label);
    a_.bind(poll.back);
  }
  count(module_->funcs[request_.func_index].body.begin, vm::ProfileKind::entry, rax);
  emit_params(d);
  emit_zeros(d);
  began_ = true;
  preempt_on();
}

// --- behind the body --------------------------------------------------------------------------------------------------

/// The halves of a v128 lie the other way round in the frame than in consecutive memory at `area`: copies of the slots
/// have them wrong.
void FunctionCompiler::copy_vectors(uint8_t area, const LoopSite& loop, bool out) {
  for (uint32_t slot : local_vectors_) copy_vector(area, slot, out);
  for (size_t i = loop.first_vector; i < loop.last_vector; ++i) copy_vector(area, loop_vectors_[i], out);
}

void FunctionCompiler::copy_vector(uint8_t area, uint32_t slot, bool out) {
  Mem in_frame = slot_mem(slot, vm::kV128), in_area = entry_at(area, slot, 8);
  a_.vmovups(x(kVectorScratch), out ? in_frame : in_area);
  a_.vmovups(out ? in_area : in_frame, x(kVectorScratch));
}

/// Where back-edges lead when the budget is used up: heat is charged, and a better tier's code entered if there is any.
void FunctionCompiler::emit_loop_stubs() {
  if (!has_slow_back_edges()) return;
  for (LoopSite& site : loops_) {
    a_.bind(site.slow);
    for (uint32_t bits = site.state.dirty; bits != 0; bits &= bits - 1) {
      store_home(static_cast<uint8_t>(std::countr_zero(bits)));
    }
    Label reload = a_.new_label(), better = a_.new_label();
    Mem budget = at(r12, layout::vcpu::budget);
    budget.setSize(8);
    if (request_.polls || request_.sample_heat) {
      Label no_poll = a_.new_label();
      a_.cmp(q(rsp), at(r12, layout::vcpu::native_limit));
      a_.jae(no_poll);
      call_helper(Helper::stack_poll);
      made_.marks.push_back({here(), site.offset});
      a_.bind(no_poll);
      if (!request_.count_heat && !request_.sample_heat) {
        conform({}, {site.state.loaded, 0});
        a_.jmp(site.header);
        continue;
      }
      if (request_.count_heat) {
        a_.cmp(budget, 0);
        a_.jge(reload);
      }
    }
    own_record(rsi);
    const uint64_t which = site.offset | static_cast<uint64_t>(site.slots) << 32;
    a_.mov(q(rdx), static_cast<int64_t>(request_.sample_heat ? which | kSampledLoop : which));
    call_helper(Helper::hot_loop);
    made_.marks.push_back({here(), site.offset});
    if (site.slots <= kMaxOsrSlots) {
      a_.test(q(rax), q(rax));
      a_.jnz(better);
    }
    a_.bind(reload);
    conform({}, {site.state.loaded, 0});
    a_.jmp(site.unit == kNone ? site.header : units_[site.unit].look);
    a_.bind(better);
    if (site.slots > kMaxOsrSlots) continue;
    a_.mov(q(r15), at(r12, layout::vcpu::area));
    copy_vectors(r15, site, true);
    own_record(r9);  // it may be other baseline code
    emit_frame_end();
    a_.jmp(q(rax));
  }
}

void FunctionCompiler::emit_osr_entries() {
  for (LoopSite& site : loops_) {
    a_.align(asmjit::AlignMode::kCode, 16);
    made_.osr.push_back({site.offset, here()});
    emit_frame_setup();
    if (request_.count_runs) count_run(layout::counts::osr_entries(vm::Tier::baseline));
    if (site.slots != 0) {
      a_.mov(q(rsi), q(r15));
      a_.mov(w(rdx), site.slots);
      call_helper(Helper::enter_loop);
      copy_vectors(r15, site, false);
    }
    conform({}, {site.state.loaded, 0});
    for (uint32_t bits = site.state.loaded; bits != 0; bits &= bits - 1) {
      const Home& home = homes_[std::countr_zero(bits)];
      if (!home.vec) check_upper(home.reg, home.type);
    }
    a_.jmp(site.unit == kNone ? site.header : units_[site.unit].look);
  }
}

/// What prologues call when there is no room, or the budget is used up: all parameters survive.
void FunctionCompiler::emit_polls() {
  for (const Poll& poll : polls_) {
    a_.bind(poll.label);
    a_.mov(q(rax), at(r12, layout::vcpu::helpers));
    Mem entry = at(rax, 8 * static_cast<int32_t>(poll.helper));
    entry.setSize(8);
    a_.call(entry);
    made_.marks.push_back({here(), module_->funcs[request_.func_index].body.begin});
    a_.jmp(poll.back);
  }
}

void FunctionCompiler::emit_traps() {
  constexpr size_t kCodes = static_cast<size_t>(TrapCode::OutOfFuel) + 1;
  Label common[kCodes];
  for (TrapSite& site : traps_) {
    Label& shared = common[static_cast<size_t>(site.code)];
    if (!shared.valid()) shared = a_.new_label();
    a_.bind(site.label);
    if (request_.every_mark) made_.marks.push_back({here(), site.offset});
    a_.call(shared);
    made_.marks.push_back({here(), site.offset});
  }
  for (size_t code = 0; code < kCodes; ++code) {
    if (!common[code].valid()) continue;
    a_.bind(common[code]);
    // As if the helper had been called from the site.
    a_.mov(w(rsi), static_cast<uint32_t>(code));
    a_.mov(q(rdi), q(r12));
    a_.mov(q(rax), at(r12, layout::vcpu::helpers));
    Mem entry = at(rax, 8 * static_cast<int32_t>(Helper::trap));
    entry.setSize(8);
    a_.jmp(entry);
  }
}

void FunctionCompiler::emit_pool() {
  if (!pool_.empty() || !tables_.empty()) a_.align(asmjit::AlignMode::kZero, 16);
  for (unsigned size : {16u, 8u}) {
    for (const PoolEntry& entry : pool_) {
      if (entry.size != size) continue;
      a_.bind(entry.label);
      a_.put(entry.lo);
      if (size == 16) a_.put(entry.hi);
    }
  }
  for (BrTable& table : tables_) {
    a_.bind(table.at);
    const uint32_t base = a_.place(table.at);
    for (Label target : table.targets) a_.put(a_.place(target) - base);
  }
}

void FunctionCompiler::end_function(D& d) {
  preempt_off();
  began_ = false;
  emit_loop_stubs();
  emit_unit_calls();
  emit_pads(d);
  emit_traps();
  emit_osr_entries();
  emit_polls();
  emit_check_failure();
  made_.text = here();
  emit_pool();
}

}  // namespace vmrun::jit::baseline
