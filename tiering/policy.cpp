// What guests report is charged here, and asked whether a compile pays for it: heat against what the compile gains and
// costs (policy.h).
//
// Which unit: a function that will be called again is compiled as a whole. One that is in a loop for long is compiled for
// an entry at the loop around the one that is hot, where that one ends often enough for the entry to be reached, else at
// the hot loop itself. Baseline code has an entry at every loop.
#include "tiering/policy.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "interp/interp.h"
#include "tiering/log.h"
#include "tiering/manager.h"
#include "tiering/module_tiers.h"
#include "vm/runtime/activation.h"
#include "vm/wasm/loops.h"

namespace vmrun::tiering {

using policy::Work;
using vm::BlockState;
using vm::FuncCode;
using vm::LoopCode;
using vm::LoopTable;
using vm::Tier;

namespace {

bool has_loops(FuncCode& code) {
  const LoopTable* loops = vm::loops_of(code);
  return loops != nullptr && loops->count != 0;
}

}  // namespace

bool ModuleTiers::is_quiet_call() {
  if (!mode().facts.starts_quiet || first_calls_.load(std::memory_order_relaxed) >= policy::kQuietCalls) return false;
  first_calls_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void ModuleTiers::compile_at_first_call(const FuncCode& code, Tier tier) {
  sample_this_thread();
  promote(code.func_index, jit::kWholeFunction, tier);
}

void ModuleTiers::report_at_entry(FuncCode& code, uint32_t entry) {
  const uint32_t heat = policy::kHotEntries - entry;
  code.heat.store(heat, std::memory_order_relaxed);
  // The interpreter's runs are what it reports of its heat, and these are none.
  if (vm::TierCounts* counts = vm::counts_of(code); counts != nullptr && module_.count_runs) {
    counts[0].runs.fetch_sub(heat, std::memory_order_relaxed);
  }
}

// ---- charging -------------------------------------------------------------------------------------------------------

uint32_t ModuleTiers::charge_entries(const FuncCode& code, Tier tier) {
  // Both report after a fixed number of entries, the interpreter's slices counted in.
  return heat_.charge(own(code), tier == Tier::interp ? policy::kHotEntries : policy::kMachineEntriesHeat);
}

uint32_t ModuleTiers::charge_loop(const FuncCode& code, LoopCode& loop, Tier tier) {
  const bool sampled = is_sampled(tier);
  const uint32_t slice = tier == Tier::interp ? policy::kSliceHeat
                         : sampled            ? policy::kTickHeat
                                              : policy::kMachineSliceHeat;
  loop.heat.fetch_add(slice, std::memory_order_relaxed);
  if (sampled) {
    // An entry at a loop helps for as long as the loop, with those in it, goes on: it pays with the time of its own.
    const LoopTable& table = *code.loops.load(std::memory_order_acquire);
    for (uint32_t index : nest(code, table).around(static_cast<uint32_t>(&loop - table.loops))) {
      LoopCode& outer = table.loops[index];
      if (&outer != &loop) outer.heat.fetch_add(slice, std::memory_order_relaxed);
    }
  }
  // The interpreter counts its slices among the function's entries, and ticks have been charged.
  return heat_.charge(own(code), tier == Tier::interp || sampled ? 0 : slice);
}

const LoopNest& ModuleTiers::nest(const FuncCode& code, const LoopTable& table) {
  {
    std::lock_guard lock(mutex_);
    if (auto nest = nests_.find(code.func_index); nest != nests_.end()) return nest->second;
  }
  LoopNest fresh(module_, code.func_index, table);  // without the lock: bodies may be megabytes
  std::lock_guard lock(mutex_);
  return nests_.try_emplace(code.func_index, std::move(fresh)).first->second;
}

// ---- considering ----------------------------------------------------------------------------------------------------

ModuleTiers::HotWork ModuleTiers::work_of(FuncCode& code, uint32_t unit) {
  const auto saved = [](Work work) { return policy::kSaved[static_cast<unsigned>(work)]; };
  const LoopTable* table = vm::loops_of(code);
  if (table == nullptr) return {};
  const LoopNest& loops = nest(code, *table);
  const vm::ByteRange range = loops.range(*table, unit);
  double heat = 0, gained = 0;
  uint32_t hottest = LoopNest::kNone;
  // More loops are not compiled anyway.
  for (uint32_t i = 0; i < std::min(table->count, LoopNest::kMost); ++i) {
    const LoopCode& loop = table->loops[i];
    if (!loops.is_innermost(i) || loop.offset < range.begin || loop.offset >= range.end) continue;
    const uint32_t own = heat_of(loop);
    if (own == 0) continue;
    heat += own;
    gained += own * saved(loops.work(i));
    if (hottest == LoopNest::kNone || own > heat_of(table->loops[hottest])) hottest = i;
  }
  if (hottest == LoopNest::kNone) return {loops.work_outside(), saved(loops.work_outside())};
  return {loops.work(hottest), gained / heat};
}

uint32_t ModuleTiers::size_of(FuncCode& code, uint32_t unit) {
  const vm::ByteRange& body = module_.funcs[code.func_index].body;
  const LoopTable* table = vm::loops_of(code);
  if (table == nullptr) return body.size();
  const LoopNest& loops = nest(code, *table);
  if (jit::is_alone(unit)) {
    const vm::ByteRange range = loops.range(*table, unit);
    return range.end - range.begin +
           loops.inlined(static_cast<uint32_t>(table->find(jit::loop_of(unit)) - table->loops));
  }
  return body.end - std::max(body.begin, loops.range(*table, unit).begin) + loops.inlined();
}

bool ModuleTiers::is_inlined(FuncCode& code) {
  return module_.funcs[code.func_index].body.size() <= policy::kInlinedBytes && !has_loops(code);
}

FuncCode* ModuleTiers::charge_caller(FuncCode& polling, bool at_entry) {
  if (vm::running_vcpu == nullptr) return nullptr;
  vm::FrameWalk walk(vm::running_vcpu->activation);
  if (at_entry && walk.valid()) walk.next();  // what only begins has taken no time
  for (unsigned left = policy::kCallers; walk.valid() && left != 0; walk.next(), --left) {
    vm::FrameInfo frame;
    if (!walk.describe(frame) || frame.code->module != &module_) return nullptr;
    if (is_inlined(*frame.code)) continue;
    if (frame.tier != Tier::baseline) return nullptr;  // no caller's code would be better
    FuncCode& caller = *frame.code;
    heat_.charge(own(caller), policy::kTickHeat);
    if (&caller == &polling && !at_entry) return &caller;  // the poll charges the loop
    const LoopTable* table = vm::loops_of(caller);
    if (table == nullptr) return &caller;
    const uint32_t loop = nest(caller, *table).loop_at(frame.offset);
    if (loop != LoopNest::kNone) {
      charge_loop(caller, table->loops[loop], Tier::baseline);
      consider_loop(caller, table->loops[loop], Tier::baseline);
    }
    return &caller;
  }
  return nullptr;
}

bool ModuleTiers::is_called_again(const FuncCode& code) {
  const vm::TierCounts* counts = code.counts.load(std::memory_order_acquire);
  // A frame that has moved into optimised code stays there: what is in baseline code now was called later.
  if (counts != nullptr && counts[static_cast<unsigned>(Tier::opt)].osr_entries.load(std::memory_order_relaxed) != 0) {
    return true;
  }
  if (vm::running_vcpu == nullptr) return false;
  bool above = false;
  unsigned left = policy::kCallers;
  for (vm::FrameWalk walk(vm::running_vcpu->activation); walk.valid() && left != 0; walk.next(), --left) {
    vm::FrameInfo frame;
    if (!walk.describe(frame) || frame.code->module != &module_) continue;
    if (frame.code == &code) {
      if (above) return true;  // it calls itself
      above = true;
    }
    if (!above || frame.code == &code) continue;
    const LoopTable* table = vm::loops_of(*frame.code);
    if (table != nullptr && table->count != 0 && nest(*frame.code, *table).in_loop(frame.offset)) return true;
  }
  // It has returned to a function that polls at a back-edge, or is called by nobody's loop.
  return !above;
}

void ModuleTiers::consider(FuncCode& code, Tier from, uint32_t heat) {
  const Mode::Facts& facts = mode().facts;
  Unit whole{jit::kWholeFunction, module_.funcs[code.func_index].body.size(), {}, "entered often"};
  if (facts.baseline && from == Tier::interp) request(code, whole, from, Tier::baseline, heat);
  if (!facts.optimises || from == Tier::opt) return;
  whole.work = work_of(code, jit::kWholeFunction);
  whole.size = size_of(code, jit::kWholeFunction);
  // What the optimiser adds is what it gains over baseline code, where there can be some.
  const bool hopeless = !facts.baseline || code.state[static_cast<unsigned>(Tier::baseline)].load(
                                               std::memory_order_relaxed) == BlockState::failed;
  request(code, whole, hopeless ? from : Tier::baseline, Tier::opt, heat_.unpaid(own(code)));
}

void ModuleTiers::consider_careful(FuncCode& code) {
  if (module_.effort != Effort::Auto) return;
  // A frame in careful code does not move over to machine code in mid-loop, so what may get machine code soon stays in
  // quick code until then.
  for (const Tier tier : {Tier::baseline, Tier::opt}) {
    const BlockState state = code.state[static_cast<unsigned>(tier)].load(std::memory_order_acquire);
    if (state == BlockState::queued || state == BlockState::compiling || state == BlockState::ready) return;
  }
  const bool later = mode().facts.starts_quiet && code.state[static_cast<unsigned>(Tier::baseline)].load(
                                                      std::memory_order_relaxed) == BlockState::cold;
  if (!later) interp::promote_careful(code);
}

void ModuleTiers::consider_sampled(FuncCode& code, bool entered, uint32_t factor) {
  if (code.tier.load(std::memory_order_relaxed) != Tier::baseline) return;
  uint32_t heat = heat_.unpaid(own(code)) / factor;
  // Whatever its loops are: what follows walks over the body, which costs more than a tick where few ticks are all there is.
  const double most = gain(heat, Tier::baseline, Tier::opt, *std::ranges::max_element(policy::kSaved));
  const double least = manager_.cost(module_.funcs[code.func_index].body.size(), Tier::opt, false, true);
  if (most <= least * policy::kAheadShare) return;
  const char* reason = "entered";
  if (!entered && has_loops(code)) {
    // When a function that is in one of its loops is compiled as a whole, it is for its callers.
    const bool again = is_called_again(code);
    if (!again) heat /= policy::kLoopingFactor;
    reason = again ? "called again" : "hot for long";
  }
  const Unit unit{jit::kWholeFunction, size_of(code, jit::kWholeFunction), work_of(code, jit::kWholeFunction), reason};
  request(code, unit, Tier::baseline, Tier::opt, heat);
}

void ModuleTiers::consider_loop(FuncCode& code, LoopCode& loop, Tier from) {
  if (!mode().facts.optimises || from == Tier::opt) return;
  const bool sampled = is_sampled(from);
  if (sampled && consider_alone(code, loop)) return;
  const LoopTable& table = *code.loops.load(std::memory_order_acquire);
  const LoopNest& loops = nest(code, table);
  const auto index = static_cast<uint32_t>(&loop - table.loops);
  const LoopNest::Around around = loops.around(index);
  if (sampled) {
    // Calls to come have the function's own code: soon, or it is there and this frame goes on without it.
    const BlockState whole = code.state[static_cast<unsigned>(Tier::opt)].load(std::memory_order_acquire);
    if (whole == BlockState::queued || whole == BlockState::compiling) return;
    if (whole == BlockState::cold && is_called_again(code)) return;
  }
  // One entry of a function at a time: when it is there, the frame that it was made for is often gone from this code.
  for (uint32_t i = 0; i < std::min(table.count, LoopNest::kMost); ++i) {
    const BlockState state = table.loops[i].state[static_cast<unsigned>(Tier::opt)].load(std::memory_order_acquire);
    if (state == BlockState::queued || state == BlockState::compiling) return;
  }
  const uint32_t patience = from == Tier::interp ? policy::kInnerAfterSlices * policy::kSliceHeat
                            : sampled            ? policy::kInnerAfterTicks * policy::kTickHeat
                                                 : policy::kInnerAfterSlices * policy::kMachineSliceHeat;
  // A loop with loops in it that polls is its own best entry. Of an innermost one it is the loop around it.
  LoopCode* best = loops.is_innermost(index) ? &table.loops[around.parent()] : &loop;
  if (sampled && best != &loop) {
    const uint64_t ticks = loop.heat.load(std::memory_order_relaxed) / policy::kTickHeat;
    const uint64_t reached = best->polls.load(std::memory_order_relaxed);
    if (reached * policy::kReachTicks < ticks) best = &loop;
  }
  // The unit contains the loops around its entry, and what is beside it in them: whoever enters stays for as long as the
  // outermost one goes on, so all the time of that one pays.
  const LoopCode& outermost = table.loops[around.outermost()];
  for (LoopCode* candidate : {best, &loop}) {
    const BlockState state = candidate->state[static_cast<unsigned>(Tier::opt)].load(std::memory_order_acquire);
    if (state == BlockState::failed) continue;
    if (state == BlockState::ready && candidate != &loop && heat_of(loop) >= patience) continue;
    if (state != BlockState::cold) return;
    const Unit unit{candidate->offset, size_of(code, candidate->offset), work_of(code, candidate->offset),
                    candidate == &loop ? "the hot loop" : "around the hot loop"};
    // From the interpreter there is baseline code to go to first: what the optimiser adds is what it gains over that.
    return request(code, unit, Tier::baseline, Tier::opt, sampled ? heat_of(outermost) : heat_.unpaid(own(code)));
  }
}

void ModuleTiers::pay(FuncCode& code, uint32_t unit, uint32_t heat) {
  heat_.pay(own(code), heat);
  if (jit::is_alone(unit)) pay_around(code, unit);
  start_again(code, unit);
}

void ModuleTiers::start_again(FuncCode& code, uint32_t unit) {
  const LoopTable* table = code.loops.load(std::memory_order_acquire);
  if (table == nullptr || table->count == 0) return;
  const vm::ByteRange range = nest(code, *table).range(*table, unit);
  for (uint32_t i = 0; i < table->count; ++i) {
    LoopCode& loop = table->loops[i];
    if (loop.offset < range.begin || loop.offset >= range.end) continue;
    loop.paid.store(loop.heat.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
}

void ModuleTiers::request(FuncCode& code, const Unit& unit, Tier from, Tier to, uint32_t heat) {
  const Key key{code.func_index, unit.at, to};
  std::atomic<BlockState>* state = state_of(key);
  if (state == nullptr) return;
  BlockState now = state->load(std::memory_order_acquire);
  if (now == BlockState::failed && may_retry_.load(std::memory_order_relaxed)) {
    std::lock_guard lock(mutex_);
    auto failure = failures_.find(key);
    if (failure != failures_.end() && heat >= failure->second.retry_heat && failure->second.retry_heat != UINT32_MAX) {
      failures_.erase(failure);
      state->store(now = BlockState::cold, std::memory_order_release);
    }
  }
  if (now != BlockState::cold || (to == Tier::opt && heat < policy::kLeastTicks * policy::kTickHeat)) return;
  const double gains = gain(heat, from, to, unit.work.saved);
  const bool idle = to == Tier::opt && manager_.is_idle();
  const bool here = to == Tier::baseline && unit.size <= policy::kCompileHere;
  const double costs = manager_.cost(unit.size, to, manager_.is_first(to), idle);
  if (!pays(gains, costs, here ? 0 : manager_.waiting())) {
    if (unit.ahead && idle && manager_.is_first(to) && gains > policy::kAheadShare * costs) manager_.load_ahead();
    return;
  }
  sample_this_thread();
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  const int64_t now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  const CompileWhy why{.reason = unit.reason,
                       .work = policy::kWorkNames[static_cast<unsigned>(unit.work.most)],
                       .from = from,
                       .heat = heat * policy::kHeatNanoseconds,
                       .gain = gains,
                       .cost = costs,
                       .waiting = static_cast<uint32_t>(manager_.waiting()),
                       .idle = idle,
                       .asked = here ? 0 : now_ns};
  if (here) {
    const BecauseOf because(why);
    promote(code.func_index, unit.at, to);
    return;
  }
  if (!state->compare_exchange_strong(now, BlockState::queued, std::memory_order_acq_rel)) return;
  if (to == Tier::opt) pay(code, unit.at, heat);
  VMRUN_LOG_AT(
      log(), debug,
      "{}: {} code wanted of {}: {}, {}; {:.1f} ms in {} code would have saved {:.1f} ms, {} bytes cost {:.1f} ms "
      "({} processor is idle); {} compiles wait",
      module_.display_name(), to_string(to), unit_name(module_, code.func_index, unit.at), unit.reason,
      policy::kWorkNames[static_cast<unsigned>(unit.work.most)], heat * policy::kHeatNanoseconds / 1e6, to_string(from),
      gains / 1e6, unit.size, costs / 1e6, idle ? "a" : "no", manager_.waiting());
  manager_.enqueue({priority(gains, manager_.cost(unit.size, to, false, idle), static_cast<double>(now_ns)),
                    shared_from_this(), code.func_index, unit.at, to, unit.size, why});
}

}  // namespace vmrun::tiering
