// Loops that are compiled alone, where a function is large and a small part of it is hot. Baseline code of the function, made
// anew, calls such a unit in the loop's place (jit/crossing/abi.h: loop unit) and goes on behind it. See module_tiers.h.
//
// A unit grows by its heat: what is hot around it charges the loop around it, which becomes a unit when that pays, or the
// function.
#include <algorithm>

#include "tiering/manager.h"
#include "tiering/module_tiers.h"
#include "tiering/policy.h"
#include "vm/wasm/loops.h"

namespace vmrun::tiering {

using vm::BlockState;
using vm::FuncCode;
using vm::LoopCode;
using vm::LoopTable;
using vm::Tier;

bool ModuleTiers::consider_alone(FuncCode& code, LoopCode& loop) {
  const uint32_t whole = module_.funcs[code.func_index].body.size();
  if (whole < policy::kLargeFunction) return false;
  const LoopTable& table = *code.loops.load(std::memory_order_acquire);
  const LoopNest::Around around = nest(code, table).around(static_cast<uint32_t>(&loop - table.loops));
  const bool idle = manager_.is_idle();
  const auto net = [&](uint32_t heat, double saved, uint32_t size) {
    return gain(heat, Tier::baseline, Tier::opt, saved) - manager_.cost(size, Tier::opt, false, idle);
  };
  const LoopCode* best = nullptr;
  double most = 0;
  for (const uint32_t* index = around.end(); index != around.begin();) {
    LoopCode& candidate = table.loops[*--index];
    const BlockState state = candidate.alone.load(std::memory_order_acquire);
    if (state == BlockState::failed) continue;
    const uint32_t unit = jit::kAlone | candidate.offset, size = size_of(code, unit);
    if (size > whole / policy::kAlonePart) break;
    if (state == BlockState::ready) {
      // A frame of older code may not reach the entry around for long.
      if (&candidate == &loop || heat_of(loop) < policy::kInnerAfterTicks * policy::kTickHeat) return true;
      continue;
    }
    if (state != BlockState::cold) return true;
    const double its =
        net(heat_of(candidate) / policy::kAloneFactor, work_of(code, unit).saved, std::max(size, policy::kAloneBytes));
    if (best != nullptr && its < most) continue;
    best = &candidate;
    most = its;
  }
  if (best == nullptr) return false;
  const LoopCode& outermost = table.loops[around.outermost()];
  const double entered = net(heat_of(outermost), work_of(code, loop.offset).saved, size_of(code, loop.offset));
  if (entered > most && entered > 0) return false;
  const uint32_t at = jit::kAlone | best->offset;
  request(code, {at, size_of(code, at), work_of(code, at), best == &loop ? "the hot loop" : "around the hot loop"},
          Tier::baseline, Tier::opt, heat_of(*best) / policy::kAloneFactor);
  return true;
}

void ModuleTiers::pay_around(FuncCode& code, uint32_t unit) {
  const LoopTable& table = *code.loops.load(std::memory_order_acquire);
  const LoopCode* loop = table.find(jit::loop_of(unit));
  const uint32_t heat = heat_of(*loop);
  for (const uint32_t index : nest(code, table).around(static_cast<uint32_t>(loop - table.loops))) {
    LoopCode& outer = table.loops[index];
    if (&outer != loop) outer.paid.fetch_add(std::min(heat, heat_of(outer)), std::memory_order_relaxed);
  }
}

std::vector<jit::CalledUnit> ModuleTiers::called_units(const FuncCode& code) const {
  std::vector<jit::CalledUnit> units;
  const LoopTable* table = code.loops.load(std::memory_order_acquire);
  for (uint32_t i = 0; table != nullptr && i < table->count; ++i) {
    const LoopCode& loop = table->loops[i];
    if (loop.unit.load(std::memory_order_acquire) != nullptr) units.push_back({loop.offset, i});
  }
  return units;
}

void ModuleTiers::renew_baseline(FuncCode& code) {
  const Key key{code.func_index, jit::kWholeFunction, Tier::baseline};
  std::atomic<BlockState>& state = code.state[static_cast<unsigned>(Tier::baseline)];
  for (;;) {
    BlockState now = state.load(std::memory_order_acquire);
    // Who takes it from the queue will find the units.
    if (now == BlockState::queued || now == BlockState::failed || code.tier.load() == Tier::opt) return;
    if (now == BlockState::compiling) {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(1));
      if (dying_.load(std::memory_order_relaxed)) return;
      continue;
    }
    if (!state.compare_exchange_strong(now, BlockState::compiling, std::memory_order_acq_rel)) continue;
    if (compile(key, state).empty() || now == BlockState::cold) return;
    // What was there stays in force.
    std::lock_guard lock(mutex_);
    failures_.erase(key);
    const bool there = code.tier.load(std::memory_order_relaxed) == Tier::baseline;
    state.store(there ? BlockState::ready : BlockState::cold, std::memory_order_release);
    return;
  }
}

void ModuleTiers::unlink_unit(LoopCode& loop, const jit::CodeObject& object) {
  if (!object.contains(loop.unit.load(std::memory_order_relaxed))) return;
  loop.unit.store(nullptr, std::memory_order_release);
  const bool entered =
      loop.state[static_cast<unsigned>(Tier::opt)].load(std::memory_order_relaxed) == BlockState::ready;
  if (!entered && loop.entry.load(std::memory_order_relaxed) != nullptr) {
    loop.entry_tier.store(Tier::baseline, std::memory_order_relaxed);
  }
}

}  // namespace vmrun::tiering
