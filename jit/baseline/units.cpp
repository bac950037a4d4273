// Loops in whose place optimised code of the loop alone is called where there is any (jit/crossing/abi.h: loop unit). Baseline
// code of the loop is there too: until there is a unit, and when it has been given up.
//
// A unit is called with the homes that are newer than their slots stored, and changes slots. Where it leaves to, homes are
// loaded as the label wants them. The labels that it may leave to are those that the loop's code here branches to, and the
// loop's end, which becomes a label.
#include <algorithm>
#include <bit>

#include "jit/baseline/compiler.h"
#include "vm/base/assert.h"

namespace vmrun::jit::baseline {

/// The header of a loop follows, with its state.
void FunctionCompiler::begin_unit(D& d, uint32_t loop) {
  LoopSite& site = loops_[loop];
  const auto called = std::ranges::lower_bound(request_.calls_units, site.offset, {}, &CalledUnit::offset);
  if (called == request_.calls_units.end() || called->offset != site.offset) return;
  site.unit = static_cast<uint32_t>(units_.size());
  open_units_.push_back(site.unit);
  UnitSite& unit = units_.emplace_back();
  unit.loop = loop;
  unit.record = called->record;
  unit.number = d.control_depth() - 1;
  unit.region = region_;
  unit.look = a_.new_label();
  unit.enter = a_.new_label();
  a_.bind(unit.look);
  own_record(rcx);
  a_.mov(q(rcx), at(rcx, layout::func_code::loops));
  a_.mov(q(rcx), at(rcx, layout::loop_table::loops));
  a_.mov(q(rax), at(rcx, offset_of(unit.record, layout::loop_code::bytes) + layout::loop_code::unit));
  a_.test(q(rax), q(rax));
  a_.jnz(unit.enter);
}

/// The end of a loop that may have been a unit. Its results, if any, go to their slots.
void FunctionCompiler::end_unit(D& d, C& c) {
  UnitSite& unit = units_[loops_[c.loop].unit];
  open_units_.pop_back();
  if (!d.reachable()) return;
  std::span<V> stack = d.stack();
  for (V& result : stack.last(c.results.size())) to_slot(result);
  UnitExit& exit = unit.exits.emplace_back();
  exit.number = unit.number;
  exit.label = a_.new_label();
  exit.state = state_;
  a_.bind(exit.label);
  check_merge(d);
}

void FunctionCompiler::add_exit(D& d, uint32_t depth) {
  if (failed_) return;
  C& c = d.control(depth);
  const uint32_t number = d.control_depth() - 1 - depth;
  // The loops that are left by it are the innermost ones.
  for (size_t i = open_units_.size(); i-- > 0;) {
    UnitSite& unit = units_[open_units_[i]];
    if (number >= unit.number || c.left_to == open_units_.back() + 1) break;
    if (std::ranges::find(unit.exits, number, &UnitExit::number) != unit.exits.end()) continue;
    UnitExit& exit = unit.exits.emplace_back();
    exit.number = number;
    exit.slot = c.base;
    uint64_t slots = c.base;
    for (ValType type : c.br_types()) slots += type.slots();
    if (!has_slots(slots)) return;
    if (c.kind == vm::ControlKind::func) continue;
    exit.in_register = in_register(c);
    if (exit.in_register) exit.type = c.br_types()[0];
    if (c.kind == vm::ControlKind::loop) exit.loop = c.loop;
    exit.label = c.target.label;
    exit.state = c.target.state;
  }
  c.left_to = open_units_.back() + 1;
}

void FunctionCompiler::emit_unit_calls() {
  for (UnitSite& unit : units_) {
    const LoopSite& site = loops_[unit.loop];
    a_.bind(unit.enter);
    if (request_.sample_heat) {
      Mem calls = at(rcx, offset_of(unit.record, layout::loop_code::bytes) + layout::loop_code::polls);
      calls.setSize(4);
      a_.inc(calls);
    }
    for (uint32_t bits = site.state.dirty; bits != 0; bits &= bits - 1) {
      store_home(static_cast<uint8_t>(std::countr_zero(bits)));
    }
    a_.lea(q(r15), at(rbp, kBaselineSlots));
    a_.call(q(rax));
    made_.marks.push_back({here(), site.offset});
    if (unit.region != kNone) call_in_region(unit.region);
    reload_context();
    // Numbers of exits are told apart one by one: there are few. The last one is looked at too, for the compilers have to agree on
    // what exits there are.
    std::vector<Label> leave;
    for (const UnitExit& exit : unit.exits) {
      leave.push_back(a_.new_label());
      a_.cmp(w(rax), exit.number);
      a_.je(leave.back());
    }
    a_.ud2();
    for (size_t i = 0; i < unit.exits.size(); ++i) {
      const UnitExit& exit = unit.exits[i];
      a_.bind(leave[i]);
      if (!exit.label.valid()) {
        std::vector<V> values(type_->results.size());
        uint32_t slot = exit.slot;
        for (size_t k = 0; k < values.size(); ++k) {
          values[k].type = type_->results[k];
          set_slot(values[k], slot);
          slot += values[k].type.slots();
        }
        return_values(values.data());
        preempt_off();
        continue;
      }
      if (exit.in_register && is_vec(exit.type)) load_vec(0, slot_mem(exit.slot, exit.type), exit.type);
      if (exit.in_register && !is_vec(exit.type)) load_int(rax, slot_mem(exit.slot, exit.type), exit.type);
      conform({}, {exit.state.loaded, 0});
      if (exit.loop != kNone) {
        back_edge(loops_[exit.loop]);
      } else {
        a_.jmp(exit.label);
      }
    }
  }
}

}  // namespace vmrun::jit::baseline
