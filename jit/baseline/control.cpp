// Blocks, branches and traps.
#include <algorithm>
#include <array>

#include "jit/baseline/compiler.h"
#include "jit/baseline/machine_x86_64.h"
#include "vm/base/assert.h"

namespace vmrun::jit::baseline {

using asmjit::x86::ptr;
using vm::ControlKind;

/// The frame of `c` is on top; the operands it can see, and all beneath, become constants or slots.
void FunctionCompiler::enter_frame(D& d, C& c) {
  std::span<V> stack = d.stack();
  const C& outer = d.control(1);
  // Many constants are put into their slots here, once for all loops inside.
  flush_frame(d, stack.size() - std::min(filled_, stack.size()) > kUnsettled);
  c.filled = filled_;
  carry(stack.size() - c.height);
  for (size_t i = c.height; i < stack.size(); ++i) to_slot(stack[i]);  // parameters, constants too
  if (stack.size() > c.height) {
    c.base = stack[c.height].slot;
  } else if (stack.size() > outer.height) {
    c.base = stack.back().slot + stack.back().type.slots();
  } else {
    c.base = outer.body_base;
  }
  c.body_base = c.base;
  c.region = region_;
}

/// The code here branches to `target`: the first to do so fixes the state.
void FunctionCompiler::branch_state(Target& target) {
  if (target.used) return;
  target.used = true;
  target.state = state_.only(target.live);
  target.label = a_.new_label();
}

void FunctionCompiler::block(D& d, C& c) {
  enter_frame(d, c);
  if (const LivePoint* point = scan_.live(static_cast<uint32_t>(d.offset()))) c.target.live = point->live;
}

void FunctionCompiler::loop(D& d, C& c) {
  enter_frame(d, c);
  flush_frame(d, true);
  c.filled = filled_;
  std::span<V> stack = d.stack();
  for (size_t i = c.height; i < stack.size(); ++i) stack[i].kind = Kind::slot;

  auto offset = static_cast<uint32_t>(d.offset());
  while (scan_.loops()[next_loop_].offset < offset) ++next_loop_;
  HomeState state = loop_homes_[next_loop_];
  if (!scan_.loops()[next_loop_].calls) {  // what is loaded already stays
    state.loaded |= state_.loaded;
    state.dirty |= state_.dirty;
  }
  const LivePoint* const point = scan_.live(offset);
  c.target.live = point != nullptr ? point->live : kAllHomes;
  state = state.only(c.target.live);
  conform(state_.only(c.target.live), state);
  state_ = state;

  c.loop = static_cast<uint32_t>(loops_.size());
  LoopSite& site = loops_.emplace_back();
  site.offset = offset;
  site.state = state;
  site.slots = top(d);
  vector_copies_ += local_vectors_.size() + settled_vectors_.size();
  if (vector_copies_ > kMaxVectorCopies) return unsupported("more vectors at loops than are worth copying");
  site.first_vector = static_cast<uint32_t>(loop_vectors_.size());
  for (size_t i : settled_vectors_) loop_vectors_.push_back(stack[i].slot);
  site.last_vector = static_cast<uint32_t>(loop_vectors_.size());
  if (!has_slots(site.slots)) return;
  site.header = a_.new_label();
  site.slow = a_.new_label();
  c.target = {site.header, state, c.target.live, true};
  if (!request_.calls_units.empty()) [[unlikely]]
    begin_unit(d, c.loop);
  a_.bind(site.header);
  check_merge(d, true);
}

// --- conditions -------------------------------------------------------------------------------------------------------

asmjit::x86::CondCode FunctionCompiler::test(const V& condition) {
  bool wide = is_wide(condition.type);
  switch (condition.kind) {
    case Kind::flags: return static_cast<Cond>(condition.reg);
    case Kind::slot: {
      Mem mem = slot_mem(condition.slot, condition.type);
      mem.setSize(wide ? 8 : 4);
      a_.cmp(mem, 0);
      return Cond::kNE;
    }
    case Kind::constant:
      load_const(kScratch, condition.bits);
      a_.test(q(kScratch), q(kScratch));
      return Cond::kNE;
    default: {
      uint8_t reg = fetch_int(condition);
      a_.test(gp(reg, wide), gp(reg, wide));
      return Cond::kNE;
    }
  }
}

void FunctionCompiler::if_(D& d, C& c, const V& condition) {
  own(condition);
  enter_frame(d, c);
  Cond cond = test(condition);
  finish_op();
  if (const LivePoint* point = scan_.live(static_cast<uint32_t>(d.offset()))) {
    c.target.live = point->live;
    c.else_.live = point->otherwise;
  }
  branch_state(c.else_);
  a_.j(asmjit::x86::negateCond(cond), c.else_.label);
  count(static_cast<uint32_t>(d.offset()), vm::ProfileKind::then);
}

// --- edges ------------------------------------------------------------------------------------------------------------

void FunctionCompiler::move_results(D& d, const C& target) {
  std::span<const ValType> types = target.br_types();
  if (types.empty()) return;
  carry(types.size());
  std::span<V> stack = d.stack();
  if (in_register(target)) {
    move_to(rax, stack.back());  // rax or xmm0
    return;
  }
  // In order: the slots of the label lie at or below the operands' own, so none is overwritten before it is read.
  uint32_t slot = target.base;
  for (size_t i = stack.size() - types.size(); i < stack.size(); ++i) {
    if (stack[i].kind != Kind::slot || stack[i].slot != slot) store_to(slot_mem(slot, stack[i].type), stack[i]);
    slot += stack[i].type.slots();
  }
}

/// Whether a branch is nothing but a jump.
bool FunctionCompiler::is_plain_edge(D&, C& c) {
  if (c.kind == ControlKind::loop && has_slow_back_edges()) return false;
  return c.kind != ControlKind::func && c.br_types().empty() && (!c.target.used || conforms(state_, c.target));
}

/// Emits the moves and the jump to `depth`. Nothing that is known about operands and homes changes: the code may lie on
/// a conditional edge.
void FunctionCompiler::take_edge(D& d, uint32_t depth) {
  C& c = d.control(depth);
  if (c.kind == ControlKind::func) return emit_return(d);
  move_results(d, c);
  branch_state(c.target);
  conform(state_, c.target);
  if (c.kind != ControlKind::loop) {
    a_.jmp(c.target.label);
    return;
  }
  back_edge(loops_[c.loop]);
}

/// The homes are as the header wants them.
void FunctionCompiler::back_edge(const LoopSite& site) {
  Mem budget = at(r12, layout::vcpu::budget);
  budget.setSize(8);
  // Polls of an inner loop must not be all that there are: the optimised entry may be at the outer one.
  const bool outer = static_cast<size_t>(&site - loops_.data()) + 1 < loops_.size();
  if (request_.sample_heat && outer) {
    a_.cmp(budget, 0);
    a_.jge(site.header);
    a_.jmp(site.slow);
    return;
  }
  if (request_.polls || request_.sample_heat) {
    a_.cmp(q(rsp), at(r12, layout::vcpu::native_limit));
    if (!request_.count_heat) {
      a_.jae(site.header);
      a_.jmp(site.slow);
      return;
    }
    a_.jb(site.slow);
  }
  if (!request_.count_heat) {
    a_.jmp(site.header);
    return;
  }
  a_.dec(budget);
  a_.jns(site.header);
  a_.jmp(site.slow);
}

void FunctionCompiler::branch_if(D& d, Cond cond, uint32_t depth) {
  C& c = d.control(depth);
  if (is_plain_edge(d, c)) {
    branch_state(c.target);
    a_.j(cond, c.target.label);
    return;
  }
  Label skip = a_.new_label();
  a_.j(asmjit::x86::negateCond(cond), skip);
  take_edge(d, depth);
  a_.bind(skip);
}

void FunctionCompiler::br(D& d, uint32_t depth) {
  take_edge(d, depth);
  note_exit(d, depth);
}

void FunctionCompiler::br_if(D& d, const V& condition, uint32_t depth) {
  own(condition);
  Cond cond = test(condition);
  finish_op();
  branch_if(d, cond, depth);
  note_exit(d, depth);
  count(static_cast<uint32_t>(d.offset()), vm::ProfileKind::passed);
}

/// The targets are told apart by compares, two by each.
void FunctionCompiler::short_br_table(D& d, const V& index, std::span<const uint32_t> depths, uint32_t otherwise) {
  a_.mov(w(kScratch), w(fetch_int(index)));
  finish_op();
  struct Edge {
    uint32_t depth;
    Label label;
    bool plain;
  };
  std::array<Edge, kMostCompared> edges;
  size_t used = 0;
  const auto label = [&](size_t place) {
    const uint32_t depth = depths[place];
    for (size_t i = 0; i < used; ++i) {
      if (edges[i].depth == depth) return edges[i].label;
    }
    C& c = d.control(depth);
    const bool plain = is_plain_edge(d, c);
    if (plain) branch_state(c.target);
    edges[used++] = {depth, plain ? c.target.label : a_.new_label(), plain};
    return edges[used - 1].label;
  };
  // Indices below i have jumped already.
  for (uint32_t i = 0; i < depths.size(); i += 2) {
    if (i + 1 < depths.size()) {
      a_.cmp(w(kScratch), i + 1);
      a_.jb(label(i));
      a_.je(label(i + 1));
    } else if (i == 0) {
      a_.test(w(kScratch), w(kScratch));
      a_.je(label(i));
    } else {
      a_.cmp(w(kScratch), i);
      a_.je(label(i));
    }
  }
  take_edge(d, otherwise);
  for (size_t i = 0; i < used && !failed_; ++i) {
    if (edges[i].plain) continue;
    a_.bind(edges[i].label);
    take_edge(d, edges[i].depth);
  }
}

void FunctionCompiler::br_table(D& d, const V& index, std::span<const uint32_t> depths) {
  switch_to(d, index, depths);
  if (!failed_) {
    for (const uint32_t depth : depths) note_exit(d, depth);
  }
}

void FunctionCompiler::switch_to(D& d, const V& index, std::span<const uint32_t> depths) {
  own(index);
  auto count = static_cast<uint32_t>(depths.size() - 1);
  while (count != 0 && count <= kMostCompared && depths[count - 1] == depths.back()) --count;
  if (count == 0) {
    finish_op();
    return take_edge(d, depths.back());
  }
  if (count <= kMostCompared) return short_br_table(d, index, depths.first(count), depths.back());
  uint8_t reg = fetch_int(index);
  uint8_t base = take_int();
  BrTable table{a_.new_label(), {}};
  Machine machine(a_);
  rules::branch_index(machine, kScratch, reg, count);
  a_.lea(q(base), a_.at(table.at));
  a_.movsxd(q(kScratch), asmjit::x86::dword_ptr(q(base), q(kScratch), 2));
  a_.add(q(kScratch), q(base));
  finish_op();
  a_.jmp(q(kScratch));
  std::vector<std::pair<uint32_t, size_t>> edges;  // with code of their own: depth and place in the table
  for (uint32_t depth : depths) {
    C& c = d.control(depth);
    if (is_plain_edge(d, c)) {
      branch_state(c.target);
    } else {
      edges.emplace_back(depth, table.targets.size());
    }
    table.targets.push_back(c.target.label);
  }
  // One piece of code for all places with the same depth. Sorted, because there may be tens of thousands.
  std::ranges::sort(edges);
  for (size_t i = 0; i < edges.size();) {
    const uint32_t depth = edges[i].first;
    const Label label = a_.new_label();
    for (; i < edges.size() && edges[i].first == depth; ++i) table.targets[edges[i].second] = label;
    a_.bind(label);
    take_edge(d, depth);
    if (failed_) return;
  }
  tables_.push_back(std::move(table));
}

void FunctionCompiler::br_on_null(D& d, const V& ref, uint32_t depth, V* result) {
  pushes(d.stack().size());
  static_cast<BaselineValue&>(*result) = ref;
  if (ref.kind == Kind::local && d.stack().size() < lazy_) lazy_ = static_cast<uint32_t>(d.stack().size());
  Cond cond = test(ref);
  finish_op();  // a register that holds the reference goes on holding it
  branch_if(d, asmjit::x86::negateCond(cond), depth);
  note_exit(d, depth);
}

void FunctionCompiler::br_on_non_null(D& d, const V& ref, uint32_t depth) {
  Cond cond = test(ref);
  branch_if(d, cond, depth);
  note_exit(d, depth);
  own(ref);
  finish_op();
}

void FunctionCompiler::br_on_cast(D& d, Op op, const Imm&, const V&, uint32_t, V*) { unsupported(d, op); }

// --- returns ----------------------------------------------------------------------------------------------------------

void FunctionCompiler::emit_return(D& d) { return_values(d.stack().data() + d.stack().size() - type_->results.size()); }

void FunctionCompiler::return_values(const V* values) {
  std::span<const ValType> types = type_->results;
  PlaceWalk walk = PlaceWalk::results();
  const V *in_rax = nullptr, *in_xmm0 = nullptr;
  bool area = false;
  for (size_t i = 0; i < types.size(); ++i) {
    const V& value = values[i];
    Place place = walk.next(types[i]);
    if (place.in == Place::In::integer) {
      in_rax = &value;
    } else if (place.in == Place::In::vector) {
      in_xmm0 = &value;
    } else {
      if (!area) {
        preempt_off();
        a_.mov(q(kScratch), at(r12, layout::vcpu::area));
        area = true;
      }
      store_to_area(at(kScratch, static_cast<int32_t>(kAreaSlot * place.index)), value);
    }
  }
  if (in_rax != nullptr) {
    if (in_rax->kind != Kind::reg || in_rax->reg != rax) move_to_int(rax, *in_rax);
    check_upper(rax, in_rax->type);
  }
  if (in_xmm0 != nullptr) move_to_vec(0, *in_xmm0);
  epilogue();
  preempt_on();
}

void FunctionCompiler::epilogue() {
  preempt_off();
  if (module_->metered) a_.mov(q(rdx), at(r12, layout::vcpu::fuel));
  emit_frame_end();
  a_.ret();
}

void FunctionCompiler::return_(D& d) {
  emit_return(d);
  note_exit(d, d.control_depth() - 1);
}

// --- ends -------------------------------------------------------------------------------------------------------------

/// The results of a label that has been bound: in the register or the slots that all branches to it use.
void FunctionCompiler::begin_results(const C& c, Results results) {
  free_int_ = all_int_;
  free_vec_ = all_vec_;
  uint32_t slot = c.base;
  for (size_t i = 0; i < c.results.size(); ++i) {
    set_slot(results[i], slot);
    slot += c.results[i].slots();
  }
  if (slot > kMaxFrameSlots) has_slots(slot);
  if (c.results.size() == 1) {
    set_reg(results[0], rax, results[0].slot);
    if (is_vec(results[0].type)) {
      free_vec_ &= ~1u;
    } else {
      free_int_ &= ~1u;
    }
  }
}

void FunctionCompiler::else_(D& d, C& c, Results params) {
  carry(params.size());
  pushes(c.height);
  forget_filled(c);
  if (d.reachable()) {
    move_results(d, c);
    branch_state(c.target);
    conform(state_, c.target);
    a_.jmp(c.target.label);
  }
  a_.bind(c.else_.label);
  state_ = c.else_.state;
  check_merge(d);
  c.else_.used = false;
  free_int_ = all_int_;
  free_vec_ = all_vec_;
  lazy_ = kNone;
  uint32_t slot = c.base;
  for (size_t i = 0; i < c.params.size(); ++i) {
    set_slot(params[i], slot);
    slot += c.params[i].slots();
  }
}

void FunctionCompiler::finish_block(D& d, C& c, Results results) {
  bool falls = d.reachable();
  bool in_place = c.body_base == c.base;
  if (!c.target.used && !c.else_.used && in_place) {
    // Nobody branches here: operands stay where they are.
    if (falls) {
      std::span<V> stack = d.stack();
      size_t first = stack.size() - c.results.size();
      for (size_t i = 0; i < c.results.size(); ++i) static_cast<BaselineValue&>(results[i]) = stack[first + i];
    } else {
      begin_results(c, results);
    }
    return;
  }
  forget_filled(c);
  if (falls) move_results(d, c);
  if (c.else_.used) {  // an if without else: its parameters are its results
    if (!c.target.used) {
      c.target.used = true;
      c.target.state = c.else_.state.only(c.target.live);
      c.target.label = a_.new_label();
    }
    if (falls) conform(state_, c.target);
    bool plain = c.results.empty() && conforms(c.else_.state, c.target);
    if (falls && !plain) a_.jmp(c.target.label);
    a_.bind(c.else_.label);
    if (!plain) {
      state_ = c.else_.state;
      if (c.results.size() == 1) {
        ValType type = c.results[0];
        if (is_vec(type)) {
          load_vec(0, slot_mem(c.base, type), type);
        } else {
          load_int(rax, slot_mem(c.base, type), type);
        }
      }
      conform(c.else_.state, c.target);
    }
  } else if (falls && c.target.used) {
    conform(state_, c.target);
  }
  if (c.target.used) {
    a_.bind(c.target.label);
    state_ = c.target.state;
    check_merge(d);
  }
  lazy_ = kNone;
  begin_results(c, results);
}

void FunctionCompiler::end(D& d, C& c, Results results) {
  carry(results.size());
  pushes(c.height);
  switch (c.kind) {
    case ControlKind::func:
      if (d.reachable()) emit_return(d);
      return;
    case ControlKind::loop: {
      // Nothing branches to the end of a loop.
      std::span<V> stack = d.stack();
      if (loops_[c.loop].unit != kNone) [[unlikely]]
        end_unit(d, c);
      if (d.reachable()) {
        size_t first = stack.size() - c.results.size();
        for (size_t i = 0; i < c.results.size(); ++i) static_cast<BaselineValue&>(results[i]) = stack[first + i];
      } else {
        begin_results(c, results);
      }
      return;
    }
    case ControlKind::try_table:
    case ControlKind::try_:
      region_ = regions_[c.own_region].outer;
      finish_block(d, c, results);
      return;
    default: finish_block(d, c, results); return;
  }
}

// --- traps ------------------------------------------------------------------------------------------------------------

Label FunctionCompiler::trap_label(D& d, TrapCode code) {
  auto offset = static_cast<uint32_t>(d.offset());
  if (!traps_.empty() && traps_.back().offset == offset && traps_.back().code == code) return traps_.back().label;
  traps_.push_back({a_.new_label(), code, offset});
  return traps_.back().label;
}

void FunctionCompiler::charge(D& d, uint32_t units) {
  // What is left is written when it is known to be enough: the guest may be stopped at any instruction.
  Mem fuel = at(r12, layout::vcpu::fuel);
  fuel.setSize(8);
  a_.mov(q(kScratch), fuel);
  a_.sub(q(kScratch), units);
  trap_if(d, Cond::kB, TrapCode::OutOfFuel);
  a_.mov(fuel, q(kScratch));
}

void FunctionCompiler::trap_if(D& d, Cond cond, TrapCode code) { a_.j(cond, trap_label(d, code)); }
void FunctionCompiler::trap(D& d, TrapCode code) { a_.jmp(trap_label(d, code)); }
void FunctionCompiler::unreachable(D& d) { trap(d, TrapCode::Unreachable); }

}  // namespace vmrun::jit::baseline
