// What guests report is charged here, and asked whether a compile pays for it: heat against what the compile gains and
// costs (policy.h).
//
// Which unit of a hot loop: baseline code has an entry at every loop. Optimised code is compiled for the entry at the
// outermost loop around the hot one (of LoopNest::kMost), because there all of the nest is in reach of the optimiser;
// when that entry is there and the inner loop still runs on, the next one inward gets its turn.
#include "tiering/policy.h"

#include <algorithm>
#include <utility>

#include "interp/interp.h"
#include "tiering/manager.h"
#include "tiering/module_tiers.h"
#include "vm/wasm/loops.h"

namespace vmrun::tiering {

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

/// The last tick as the last charge.
Heat with_tick(uint32_t sum) { return {sum - std::min(sum, policy::kTickHeat), sum}; }

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

Heat ModuleTiers::charge_entries(const FuncCode& code, Tier tier) {
  // Both report after a fixed number of entries, the interpreter's slices counted in.
  return heat_.charge(own(code), tier == Tier::interp ? policy::kHotEntries : policy::kMachineEntriesHeat);
}

Heat ModuleTiers::charge_loop(const FuncCode& code, LoopCode& loop, Tier tier) {
  const bool sampled = is_sampled(tier);
  const uint32_t slice = tier == Tier::interp ? policy::kSliceHeat
                         : sampled            ? policy::kTickHeat
                                              : policy::kMachineSliceHeat;
  loop.heat.fetch_add(slice, std::memory_order_relaxed);
  if (sampled) {
    // An entry at a loop helps for as long as the loop, with those in it, goes on: it pays with the time of its own.
    const LoopTable& table = *code.loops.load(std::memory_order_acquire);
    for (uint32_t index : around(code, loop)) {
      LoopCode& outer = table.loops[index];
      if (&outer != &loop) outer.heat.fetch_add(slice, std::memory_order_relaxed);
    }
  }
  // The interpreter counts its slices among the function's entries, and ticks have been charged.
  return heat_.charge(own(code), tier == Tier::interp || sampled ? 0 : slice);
}

LoopNest::Around ModuleTiers::around(const FuncCode& code, const LoopCode& loop) {
  const LoopTable& table = *code.loops.load(std::memory_order_acquire);
  const auto index = static_cast<uint32_t>(&loop - table.loops);
  {
    std::lock_guard lock(mutex_);
    if (auto nest = nests_.find(code.func_index); nest != nests_.end()) return nest->second.around(index);
  }
  LoopNest fresh(module_, code.func_index, table);  // without the lock: bodies may be megabytes
  const LoopNest::Around result = fresh.around(index);
  std::lock_guard lock(mutex_);
  nests_.try_emplace(code.func_index, std::move(fresh));
  return result;
}

// ---- considering ----------------------------------------------------------------------------------------------------

void ModuleTiers::consider(FuncCode& code, Tier from, Heat heat) {
  const Mode::Facts& facts = mode().facts;
  if (facts.baseline && from == Tier::interp) request(code, jit::kWholeFunction, from, Tier::baseline, heat);
  if (!facts.optimises || from == Tier::opt) return;
  // What the optimiser adds is what it gains over baseline code, where there can be some.
  const bool hopeless = !facts.baseline || code.state[static_cast<unsigned>(Tier::baseline)].load(
                                               std::memory_order_relaxed) == BlockState::failed;
  request(code, jit::kWholeFunction, hopeless ? from : Tier::baseline, Tier::opt, heat_.unpaid(own(code), heat));
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

void ModuleTiers::consider_sampled(FuncCode& code, bool entered) {
  if (code.tier.load(std::memory_order_relaxed) != Tier::baseline) return;
  const uint32_t sum = heat_.sum(own(code));
  const uint32_t heat = heat_.unpaid(own(code), {sum, sum}).after;
  // A function that is in one of its loops, and may never be called again, is helped by an entry at the loop
  // (consider_loop): when such a function is compiled as a whole, it is for its callers.
  const uint32_t certain = !entered && has_loops(code) ? heat / policy::kLoopingFactor : heat;
  request(code, jit::kWholeFunction, Tier::baseline, Tier::opt, with_tick(certain));
}

void ModuleTiers::consider_loop(FuncCode& code, LoopCode& loop, Tier from, Heat heat) {
  if (!mode().facts.optimises || from == Tier::opt) return;
  const bool sampled = is_sampled(from);
  heat = heat_.unpaid(own(code), heat);
  const uint32_t size = module_.funcs[code.func_index].body.size();
  const auto waiting = manager_.waiting();
  const double costs = cost(size, Tier::opt, !manager_.has_code(Tier::opt));
  if (!sampled && !pays(gain(heat.after, Tier::baseline, Tier::opt), costs, waiting)) return;
  const uint32_t patience = from == Tier::interp ? policy::kInnerAfterSlices * policy::kSliceHeat
                            : sampled            ? policy::kInnerAfterTicks * policy::kTickHeat
                                                 : policy::kInnerAfterSlices * policy::kMachineSliceHeat;
  const LoopTable& table = *code.loops.load(std::memory_order_acquire);
  for (uint32_t index : around(code, loop)) {
    const LoopCode& candidate = table.loops[index];
    const BlockState state = candidate.state[static_cast<unsigned>(Tier::opt)].load(std::memory_order_acquire);
    if (state == BlockState::failed) continue;
    if (state == BlockState::ready && loop.heat.load(std::memory_order_relaxed) >= patience) continue;
    if (state != BlockState::cold && state != BlockState::queued) return;
    if (sampled) heat = with_tick(candidate.heat.load(std::memory_order_relaxed));
    // From the interpreter there is baseline code to go to first: what the optimiser adds is what it gains over that.
    return request(code, candidate.offset, Tier::baseline, Tier::opt, heat);
  }
}

void ModuleTiers::request(FuncCode& code, uint32_t unit, Tier from, Tier to, Heat heat) {
  const Key key{code.func_index, unit, to};
  std::atomic<BlockState>* state = state_of(key);
  if (state == nullptr) return;
  BlockState now = state->load(std::memory_order_acquire);
  if (now == BlockState::failed && may_retry_.load(std::memory_order_relaxed)) {
    std::lock_guard lock(mutex_);
    auto failure = failures_.find(key);
    if (failure != failures_.end() && heat.after >= failure->second.retry_heat &&
        failure->second.retry_heat != UINT32_MAX) {
      failures_.erase(failure);
      state->store(now = BlockState::cold, std::memory_order_release);
    }
  }
  const uint32_t size = module_.funcs[code.func_index].body.size();
  const bool tiny = size < policy::kTinyBody && unit == jit::kWholeFunction && to == Tier::opt && !has_loops(code);
  const double gains = gain(heat.after, from, to, tiny);
  if (now == BlockState::cold) {
    const bool here = to == Tier::baseline && size <= policy::kCompileHere;
    if (!pays(gains, cost(size, to, !manager_.has_code(to)), here ? 0 : manager_.waiting())) return;
    sample_this_thread();
    if (here) {
      promote(code.func_index, unit, to);
      return;
    }
    if (!state->compare_exchange_strong(now, BlockState::queued, std::memory_order_acq_rel)) return;
    if (to == Tier::opt) heat_.pay(own(code));
  } else if (now != BlockState::queued || !heat.has_doubled()) {
    return;  // nothing to do, or nothing new: a waiting job moves up each time its heat has doubled
  }
  manager_.enqueue({gains / cost(size, to, false), shared_from_this(), code.func_index, unit, to, size});
}

}  // namespace vmrun::tiering
