// Throws, tries of both kinds and landing pads. A call inside a try has a pad behind the function's code; from the pad,
// tags are compared clause by clause, from the innermost region outwards, until one takes the exception or it goes on.
//
// At a pad no register holds anything: calls have stored every dirty home, and operands beneath a try are in slots.
#include "jit/baseline/compiler.h"

namespace vmrun::jit::baseline {

using asmjit::x86::ptr;
using vm::ControlKind;

uint32_t FunctionCompiler::open_region(D& d, C& c) {
  enter_frame(d, c);
  if (const LivePoint* point = scan_.live(static_cast<uint32_t>(d.offset()))) c.target.live = point->live;
  c.own_region = static_cast<uint32_t>(regions_.size());
  regions_.push_back({.outer = region_, .next = region_, .offset = static_cast<uint32_t>(d.offset())});
  region_ = c.region = c.own_region;
  return c.own_region;
}

void FunctionCompiler::try_table(D& d, C& c, std::span<const vm::CatchClause> clauses) {
  Region& region = regions_[open_region(d, c)];
  for (const vm::CatchClause& clause : clauses) {
    C& target = d.control(clause.depth + 1);
    Clause& out = region.clauses.emplace_back();
    bool tagged = clause.kind == vm::CatchKind::catch_ || clause.kind == vm::CatchKind::catch_ref;
    if (tagged) out.tag = clause.tag;
    out.with_ref = clause.kind == vm::CatchKind::catch_ref || clause.kind == vm::CatchKind::catch_all_ref;
    out.slot = target.base;
    if (target.kind == ControlKind::func) {
      out.returns = true;
      out.slot = top(d);
    } else if (target.kind == ControlKind::loop) {
      out.loop = target.loop;
      out.label = target.target.label;
      out.state = target.target.state;
    } else {
      branch_state(target.target);
      out.in_register = in_register(target);
      out.label = target.target.label;
      out.state = target.target.state;
    }
    note_exit(d, clause.depth + 1);
  }
}

void FunctionCompiler::try_(D& d, C& c) { open_region(d, c); }

/// The try body or a catch part ends and another one follows.
void FunctionCompiler::end_try_part(D& d, C& c) {
  if (d.reachable()) {
    move_results(d, c);
    branch_state(c.target);
    conform(state_, c.target);
    a_.jmp(c.target.label);
  }
  if (c.kind == ControlKind::try_) region_ = c.region = regions_[c.own_region].outer;
}

void FunctionCompiler::begin_catch(D&, C& c, uint32_t tag, Results params) {
  carry(params.size());
  pushes(c.height);
  forget_filled(c);
  c.body_base = c.base + 1;
  Clause& clause = regions_[c.own_region].clauses.emplace_back();
  clause.tag = tag;
  clause.legacy = true;
  clause.slot = c.base;
  clause.label = a_.new_label();
  a_.bind(clause.label);
  has_slots(c.body_base);
  state_ = {};
  free_int_ = all_int_;
  free_vec_ = all_vec_;
  lazy_ = kNone;
  uint32_t slot = c.body_base;
  for (V& param : params) {
    set_slot(param, slot);
    slot += param.type.slots();
  }
}

void FunctionCompiler::catch_(D& d, C& c, uint32_t tag, Results params) {
  end_try_part(d, c);
  begin_catch(d, c, tag, params);
}

void FunctionCompiler::catch_all(D& d, C& c) {
  end_try_part(d, c);
  begin_catch(d, c, kNone, {});
}

void FunctionCompiler::delegate(D& d, C& c, uint32_t depth, Results results) {
  Region& region = regions_[c.own_region];
  region.next = d.control(depth + 1).region;
  region_ = region.outer;
  carry(results.size());
  pushes(c.height);
  finish_block(d, c, results);
}

void FunctionCompiler::rethrow(D& d, uint32_t depth) {
  C& target = d.control(depth);
  regions_[target.own_region].rethrown = true;
  store_dirty();
  load_int(rsi, slot_mem(target.base, vm::kExnRef), vm::kExnRef);
  call_helper(Helper::throw_ref);
  call_site(d);
}

void FunctionCompiler::throw_(D& d, uint32_t tag, Operands args) {
  const FuncType& type = module_->registry->get(module_->tags[tag].type).func;
  store_dirty();
  preempt_off();
  if (!type.params.empty()) a_.mov(q(kScratch), at(r12, layout::vcpu::area));
  int32_t offset = 0;
  for (size_t i = 0; i < type.params.size(); ++i) {
    store_to_area(at(kScratch, offset), args[i]);
    offset += 8 * static_cast<int32_t>(type.params[i].slots());
  }
  a_.mov(q(rsi), q(r13));
  a_.mov(w(rdx), tag);
  call_helper(Helper::throw_);
  call_site(d);
  preempt_on();
}

void FunctionCompiler::throw_ref(D& d, const V& exn) {
  store_dirty();
  move_to_int(rsi, exn);
  call_helper(Helper::throw_ref);
  call_site(d);
}

// --- pads -------------------------------------------------------------------------------------------------------------

void FunctionCompiler::emit_pads(D& d) {
  // Whatever no clause of a region takes is compared by the clauses of the next one, which are there once.
  for (size_t i = regions_.size(); i-- > 0;) {
    Region& region = regions_[i];
    region.searched |= region.used;
    if (!region.searched) continue;
    region.match = a_.new_label();
    if (region.next != kNone && !region.catches_all()) regions_[region.next].searched = true;
  }
  Label resume;
  for (Region& region : regions_) {
    if (!region.searched) continue;
    if (region.used) {
      region.pad_pc = here();
      a_.bind(region.pad);
      a_.mov(q(r12), q(rax));
      a_.mov(q(r13), at(rbp, -16));
      a_.mov(q(r14), at(rbp, -24));
      a_.mov(q(rcx), at(r12, layout::vcpu::exception));
      a_.mov(q(rcx), at(rcx, layout::exn::tag));
      a_.mov(q(rdx), at(r13, layout::instance::tags));
    }
    a_.bind(region.match);
    for (Clause& clause : region.clauses) {
      if (!clause.has_stub) {
        clause.has_stub = true;
        clause.stub = a_.new_label();
      }
      if (clause.tag == kNone) {
        a_.jmp(clause.stub);
        break;
      }
      a_.cmp(q(rcx), entry_at(rdx, clause.tag, 8));
      a_.je(clause.stub);
    }
    if (region.catches_all()) continue;
    if (region.next == kNone && !resume.valid()) resume = a_.new_label();
    a_.jmp(region.next == kNone ? resume : regions_[region.next].match);
  }
  if (resume.valid()) {
    a_.bind(resume);
    call_helper(Helper::resume_throw);
    made_.marks.push_back({here(), module_->funcs[request_.func_index].body.begin});
  }
  for (const Region& region : regions_) {
    for (const Clause& clause : region.clauses) {
      if (clause.has_stub) emit_clause(d, region, clause);
    }
  }
  for (PadMark& mark : made_.pads) mark.pad = regions_[mark.pad].pad_pc;
}

void FunctionCompiler::emit_clause(D&, const Region& region, const Clause& clause) {
  a_.bind(clause.stub);
  const bool wants_ref = clause.with_ref || (clause.legacy && region.rethrown);
  a_.mov(w(rsi), wants_ref ? 1 : 0);
  call_helper(Helper::take_exception);
  made_.marks.push_back({here(), region.offset});
  std::span<const ValType> payload;
  if (clause.tag != kNone) payload = module_->registry->get(module_->tags[clause.tag].type).func.params;
  // rax has a cell with the payload, and no signal stops the guest here, whereupon another could get it.
  if (clause.in_register) {
    if (!clause.with_ref) {
      if (is_vec(payload[0])) {
        load_vec(0, at(rax, layout::exn::payload), payload[0]);
      } else {
        load_int(rax, at(rax, layout::exn::payload), payload[0]);
      }
    }
  } else {
    uint32_t slot = clause.slot;
    std::vector<V> values;
    if (clause.legacy) {
      if (wants_ref) store_int(slot_mem(slot, vm::kExnRef), rax);
      ++slot;
    }
    int32_t offset = layout::exn::payload;
    for (ValType type : payload) {
      copy_from_area(slot, at(rax, offset), type);
      V& value = values.emplace_back();
      value.type = type;
      set_slot(value, slot);
      slot += type.slots();
      offset += 8 * static_cast<int32_t>(type.slots());
    }
    if (clause.with_ref) {
      store_int(slot_mem(slot, vm::kExnRef), rax);
      V& value = values.emplace_back();
      value.type = vm::kExnRef;
      set_slot(value, slot);
    }
    if (clause.returns) {
      return_values(values.data());
      return preempt_off();
    }
  }
  conform({}, clause.state);
  if (clause.loop != kNone) return back_edge(loops_[clause.loop]);
  a_.jmp(clause.label);
}

}  // namespace vmrun::jit::baseline
