// What to compile and when: the hooks that guests call, heat against cost, forced schedules. See policy.h for the rule.
//
// Which unit of a hot loop: baseline code has an entry at every loop. Optimised code is compiled for the entry at the
// outermost loop around the hot one, because there all of the nest is in reach of the optimiser; when that entry is
// there and the inner loop still runs on, the next one inward gets its turn.
#include <algorithm>
#include <bit>
#include <new>

#include "interp/interp.h"
#include "interp/policy.h"
#include "jit/sample.h"
#include "tiering/manager.h"
#include "tiering/module_tiers.h"
#include "tiering/policy.h"
#include "vm/func_decoder_base.h"
#include "vm/loops.h"
#include "vm/opcode.h"

namespace vmrun::tiering {

using vm::BlockState;
using vm::FuncCode;
using vm::LoopCode;
using vm::Tier;

namespace {

bool has_loops(FuncCode& code) {
  const vm::LoopTable* loops = vm::loops_of(code);
  return loops != nullptr && loops->count != 0;
}

}  // namespace

std::vector<uint32_t> loop_nest(const vm::Module& module, uint32_t func_index, uint32_t offset) {
  constexpr uint32_t kOther = 0;  // an open block that is no loop; no loop stands at offset 0
  std::vector<uint32_t> open;
  const vm::ByteRange body = module.funcs[func_index].body;
  const uint8_t* p = vm::skip_locals(module.bytes() + body.begin);
  const uint8_t* end = module.bytes() + body.end;
  while (p < end) {
    const auto at = static_cast<uint32_t>(p - module.bytes());
    switch (vm::skip_instruction(p)) {
      case vm::Op::loop:
        open.push_back(at);
        if (at == offset) {
          std::erase(open, kOther);
          return open;
        }
        break;
      case vm::Op::block:
      case vm::Op::if_:
      case vm::Op::try_:
      case vm::Op::try_table: open.push_back(kOther); break;
      case vm::Op::end:
      case vm::Op::delegate:
        if (!open.empty()) open.pop_back();
        break;
      default: break;
    }
  }
  return {};
}

std::pair<uint32_t, uint32_t> ModuleTiers::charge(const FuncCode& code, uint32_t heat) {
  std::atomic<uint32_t>& sum = heat_[code.func_index - module_.imported_funcs];
  const uint32_t before = sum.load(std::memory_order_relaxed);
  const uint32_t after = before > UINT32_MAX - heat ? UINT32_MAX : before + heat;
  sum.store(after, std::memory_order_relaxed);  // a lost charge does not matter
  return {before, after};
}

void ModuleTiers::on_hot_function(TierHooks* hooks, FuncCode& code) try {
  ModuleTiers& tiers = self(hooks);
  if (tiers.heat_ == nullptr) return;
  if (!tiers.schedule_.empty()) return tiers.follow_schedule(code);
  const Tier from = code.tier.load(std::memory_order_relaxed);
  if (tiers.manager_.options().mode == Mode::steps) return tiers.step(code, jit::kWholeFunction, from);
  // Both report after a fixed number of entries, the interpreter's slices counted in.
  const uint32_t heat = from == Tier::interp ? static_cast<uint32_t>(interp::kHotEntries) : kMachineEntriesHeat;
  const std::pair<uint32_t, uint32_t> sums = tiers.charge(code, heat);
  tiers.consider(code, from, sums);
  if (from == Tier::interp) tiers.consider_careful(code);
} catch (const std::bad_alloc&) {  // then it stays in its tier
}

void ModuleTiers::on_hot_loop(TierHooks* hooks, FuncCode& code, LoopCode& loop, Tier tier) try {
  ModuleTiers& tiers = self(hooks);
  if (tiers.heat_ == nullptr) return;
  if (!tiers.schedule_.empty()) return tiers.follow_schedule(code, loop, tier);
  if (tiers.manager_.options().mode == Mode::steps) return tiers.step(code, loop.offset, tier);
  const bool sampled = tiers.sampling_ && tier == Tier::baseline;
  const uint32_t slice = tier == Tier::interp ? static_cast<uint32_t>(interp::kSliceHeat)
                         : sampled            ? kTickHeat
                                              : kMachineSliceHeat;
  loop.heat.fetch_add(slice, std::memory_order_relaxed);
  // The interpreter counts its slices among the function's entries, and ticks have been charged.
  const std::pair<uint32_t, uint32_t> heat = tiers.charge(code, tier == Tier::interp || sampled ? 0 : slice);
  if (!sampled) {
    tiers.consider(code, tier, heat);
    return tiers.consider_loop(code, loop, tier, tiers.unpaid(code, heat));
  }
  // An entry at a loop helps for as long as the loop, with those in it, goes on: it pays with the time of its own.
  for (uint32_t offset : tiers.nest_of(code.func_index, loop.offset)) {
    if (offset == loop.offset) continue;
    code.loops.load(std::memory_order_acquire)->find(offset)->heat.fetch_add(kTickHeat, std::memory_order_relaxed);
  }
  tiers.consider_loop(code, loop, tier, {});
} catch (const std::bad_alloc&) {  // then it stays in its tier
}

ModuleTiers* ModuleTiers::sampled(const FuncCode& code) {
  TierHooks* hooks = code.module->tiers;
  if (hooks == nullptr || hooks->hot_function != &on_hot_function) return nullptr;
  ModuleTiers& tiers = self(hooks);
  return tiers.sampling_ && tiers.heat_ != nullptr ? &tiers : nullptr;
}

bool ModuleTiers::charge_sample(FuncCode& code, uint32_t ticks) {
  ModuleTiers* tiers = sampled(code);
  if (tiers == nullptr) return false;
  tiers->charge(code, ticks * kTickHeat);
  const uint32_t number = code.func_index + 1;
  for (std::atomic<uint32_t>& place : tiers->sampled_) {
    const uint32_t there = place.load(std::memory_order_relaxed);
    if (there == number) break;
    if (there != 0) continue;  // all full: it will be found again
    place.store(number, std::memory_order_relaxed);
    break;
  }
  return true;
}

bool ModuleTiers::decide_sample(FuncCode& code, bool at_entry) try {
  ModuleTiers* tiers = sampled(code);
  if (tiers == nullptr) return false;
  bool itself = false;
  for (std::atomic<uint32_t>& place : tiers->sampled_) {
    const uint32_t number = place.exchange(0, std::memory_order_relaxed);
    if (number == 0) continue;
    FuncCode& hot = tiers->module_.code(number - 1);
    itself |= &hot == &code;
    tiers->consider_sampled(hot, at_entry && &hot == &code);
  }
  return itself;
} catch (const std::bad_alloc&) {
  return false;
}

void ModuleTiers::consider_sampled(FuncCode& code, bool entered) {
  if (code.tier.load(std::memory_order_relaxed) != Tier::baseline) return;
  uint32_t heat = heat_[code.func_index - module_.imported_funcs].load(std::memory_order_relaxed);
  heat = unpaid(code, {heat, heat}).second;
  // A function that is in one of its loops, and may never be called again, is helped by an entry at the loop
  // (consider_loop): when such a function is compiled as a whole, it is for its callers.
  const uint32_t certain = !entered && has_loops(code) ? heat / kLoopingFactor : heat;
  request(code, jit::kWholeFunction, Tier::baseline, Tier::opt, {certain - std::min(certain, kTickHeat), certain});
}

void ModuleTiers::on_first_call(TierHooks* hooks, FuncCode& code) try {
  ModuleTiers& tiers = self(hooks);
  if (!tiers.schedule_.empty()) {
    for (const Promotion& p : tiers.schedule_) {
      if (p.func_index != code.func_index || p.unit != jit::kWholeFunction) continue;
      if (p.at == 0) {
        tiers.promote(p.func_index, p.unit, p.tier);
      } else if (p.at < static_cast<uint32_t>(interp::kHotEntries)) {
        tiers.hot_at_entry(code, p.at);
      }
    }
    return;
  }
  const Mode mode = tiers.manager_.options().mode;
  if (mode == Mode::steps) {
    tiers.hot_at_entry(code, 1);
    return;
  }
  const bool by_heat = mode == Mode::automatic || mode == Mode::interp_baseline;
  if (by_heat && tiers.first_calls_.load(std::memory_order_relaxed) < kQuietCalls) {
    tiers.first_calls_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  tiers.sample_this_thread();
  tiers.promote(code.func_index, jit::kWholeFunction, mode == Mode::opt ? Tier::opt : Tier::baseline);
} catch (const std::bad_alloc&) {  // then the interpreter has it
}

void ModuleTiers::sample_this_thread() {
  if (!sampling_) return;
  jit::CodeSpace::get();  // there is nothing to sample without
  jit::sample_this_thread();
}

void ModuleTiers::hot_at_entry(FuncCode& code, uint32_t entry) {
  const uint32_t heat = static_cast<uint32_t>(interp::kHotEntries) - entry;
  code.heat.store(heat, std::memory_order_relaxed);
  // The interpreter's runs are what it reports of its heat, and these are none.
  if (vm::TierCounts* counts = vm::counts_of(code); counts != nullptr && module_.count_runs) {
    counts[0].runs.fetch_sub(heat, std::memory_order_relaxed);
  }
}

void ModuleTiers::step(const FuncCode& code, uint32_t unit, Tier from) {
  for (const Tier to : {Tier::baseline, Tier::opt}) {
    if (to > from && promote(code.func_index, unit, to).empty()) return;
  }
}

void ModuleTiers::follow_schedule(FuncCode& code) {
  for (const Promotion& p : schedule_) {
    if (p.func_index == code.func_index && p.unit == jit::kWholeFunction && p.at != 0) {
      promote(p.func_index, p.unit, p.tier);
    }
  }
}

void ModuleTiers::follow_schedule(FuncCode& code, const LoopCode& loop, Tier tier) {
  for (size_t i = 0; i < schedule_.size(); ++i) {
    const Promotion& p = schedule_[i];
    if (p.func_index != code.func_index || p.unit != loop.offset || tier >= p.tier) continue;
    if (++schedule_counts_[i] == p.at) promote(p.func_index, p.unit, p.tier);
  }
}

void ModuleTiers::consider(FuncCode& code, Tier from, std::pair<uint32_t, uint32_t> heat) {
  const Mode mode = manager_.options().mode;
  const bool baseline = mode != Mode::interp && mode != Mode::opt;
  const bool opt = mode == Mode::automatic;
  if (baseline && from == Tier::interp) request(code, jit::kWholeFunction, from, Tier::baseline, heat);
  if (!opt || from == Tier::opt) return;
  // What the optimiser adds is what it gains over baseline code, where there can be some.
  const bool hopeless = !baseline || code.state[static_cast<unsigned>(Tier::baseline)].load(
                                         std::memory_order_relaxed) == BlockState::failed;
  request(code, jit::kWholeFunction, hopeless ? from : Tier::baseline, Tier::opt, unpaid(code, heat));
}

void ModuleTiers::consider_careful(FuncCode& code) {
  if (module_.effort != vm::Effort::automatic) return;
  // A frame in careful code does not move over to machine code in mid-loop, so what may get machine code soon stays in
  // quick code until then.
  for (const Tier tier : {Tier::baseline, Tier::opt}) {
    const BlockState state = code.state[static_cast<unsigned>(tier)].load(std::memory_order_acquire);
    if (state == BlockState::queued || state == BlockState::compiling || state == BlockState::ready) return;
  }
  const Mode mode = manager_.options().mode;
  const bool later =
      (mode == Mode::automatic || mode == Mode::interp_baseline) &&
      code.state[static_cast<unsigned>(Tier::baseline)].load(std::memory_order_relaxed) == BlockState::cold;
  if (!later) interp::promote_careful(code);
}

std::pair<uint32_t, uint32_t> ModuleTiers::unpaid(const FuncCode& code, std::pair<uint32_t, uint32_t> heat) const {
  const uint32_t paid = paid_[code.func_index - module_.imported_funcs].load(std::memory_order_relaxed);
  return {heat.first - std::min(heat.first, paid), heat.second - std::min(heat.second, paid)};
}

const std::vector<uint32_t>& ModuleTiers::nest_of(uint32_t func_index, uint32_t offset) {
  std::lock_guard lock(mutex_);
  auto [nest, fresh] = nests_.try_emplace(offset);
  if (fresh) nest->second = loop_nest(module_, func_index, offset);
  return nest->second;
}

void ModuleTiers::consider_loop(FuncCode& code, LoopCode& loop, Tier from, std::pair<uint32_t, uint32_t> heat) {
  if (manager_.options().mode != Mode::automatic || from == Tier::opt) return;
  const bool sampled = sampling_ && from == Tier::baseline;
  const uint32_t size = module_.funcs[code.func_index].body.size();
  const auto waiting = manager_.waiting();
  const double costs = cost(size, Tier::opt, !manager_.has_code(Tier::opt));
  if (!sampled && !pays(gain(heat.second, Tier::baseline, Tier::opt), costs, waiting)) return;
  const uint32_t patience = from == Tier::interp ? kInnerAfterSlices * static_cast<uint32_t>(interp::kSliceHeat)
                            : sampled            ? kInnerAfterTicks * kTickHeat
                                                 : kInnerAfterSlices * kMachineSliceHeat;
  for (uint32_t offset : nest_of(code.func_index, loop.offset)) {
    LoopCode* candidate = code.loops.load(std::memory_order_acquire)->find(offset);
    const BlockState state = candidate->state[static_cast<unsigned>(Tier::opt)].load(std::memory_order_acquire);
    if (state == BlockState::failed) continue;
    if (state == BlockState::ready && loop.heat.load(std::memory_order_relaxed) >= patience) continue;
    if (state != BlockState::cold && state != BlockState::queued) return;
    if (sampled) {
      const uint32_t its = candidate->heat.load(std::memory_order_relaxed);
      heat = {its - std::min(its, kTickHeat), its};
    }
    // From the interpreter there is baseline code to go to first: what the optimiser adds is what it gains over that.
    return request(code, offset, Tier::baseline, Tier::opt, heat);
  }
}

void ModuleTiers::request(FuncCode& code, uint32_t unit, Tier from, Tier to, std::pair<uint32_t, uint32_t> heat) {
  const Key key{code.func_index, unit, to};
  std::atomic<BlockState>* state = state_of(key);
  if (state == nullptr) return;
  BlockState now = state->load(std::memory_order_acquire);
  if (now == BlockState::failed && may_retry_.load(std::memory_order_relaxed)) {
    std::lock_guard lock(mutex_);
    auto failure = failures_.find(key);
    if (failure != failures_.end() && heat.second >= failure->second.retry_heat &&
        failure->second.retry_heat != UINT32_MAX) {
      failures_.erase(failure);
      state->store(now = BlockState::cold, std::memory_order_release);
    }
  }
  const uint32_t size = module_.funcs[code.func_index].body.size();
  const bool tiny = size < kTinyBody && unit == jit::kWholeFunction && to == Tier::opt && !has_loops(code);
  const double gains = gain(heat.second, from, to, tiny);
  if (now == BlockState::cold) {
    const bool here = to == Tier::baseline && size <= kCompileHere;
    if (!pays(gains, cost(size, to, !manager_.has_code(to)), here ? 0 : manager_.waiting())) return;
    sample_this_thread();
    if (here) {
      promote(code.func_index, unit, to);
      return;
    }
    if (!state->compare_exchange_strong(now, BlockState::queued, std::memory_order_acq_rel)) return;
    if (to == Tier::opt) {
      const uint32_t index = code.func_index - module_.imported_funcs;
      paid_[index].store(heat_[index].load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
  } else if (now != BlockState::queued || std::bit_width(heat.first) == std::bit_width(heat.second)) {
    return;  // nothing to do, or nothing new: a waiting job moves up each time its heat has doubled
  }
  manager_.enqueue({gains / cost(size, to, false), shared_from_this(), code.func_index, unit, to, size});
}

}  // namespace vmrun::tiering
