// A module's tiers: compiling, publishing and giving up code. See module_tiers.h.
#include "tiering/module_tiers.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <new>

#include "jit/code/announce.h"
#include "jit/code/install.h"
#include "jit/code/reclaim.h"
#include "jit/crossing/publish.h"
#include "tiering/log.h"
#include "tiering/manager.h"
#include "vm/base/assert.h"
#include "vm/base/tally.h"
#include "vm/blocks/policy.h"
#include "vm/wasm/loops.h"

namespace vmrun::tiering {

using vm::BlockState;
using vm::FuncCode;
using vm::LoopCode;
using vm::LoopTable;
using vm::Tier;

namespace {

constexpr const char* kDying = "the module is being dropped";

constexpr CompileWhy kAhead{.reason = "compiled ahead"};

/// Processor time of the calling thread.
int64_t thread_nanoseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

/// A reason without the place, so that equal ones count together.
std::string without_offset(const std::string& reason) { return reason.substr(0, reason.find(" at ")); }

/// Whether a module's code is too little for pages of its own.
bool is_small(const vm::Module& module) {
  uint32_t bytes = 0;
  for (auto func = module.funcs.begin() + module.imported_funcs; func != module.funcs.end(); ++func) {
    if ((bytes += func->body.size()) > policy::kSmallModule) return false;
  }
  return true;
}

}  // namespace

ModuleTiers::ModuleTiers(Manager& manager, vm::Module& module, Schedule schedule, StoredCode stored)
    : manager_(manager),
      module_(module),
      arena_(is_small(module)),
      forced_(schedule.empty() ? nullptr : std::make_unique<Forced>(std::move(schedule))),
      sampling_(manager.samples() && forced_ == nullptr),
      heat_(module.funcs.size() - module.imported_funcs),
      stored_(std::move(stored)) {
  hot_function = &on_hot_function;
  hot_loop = &on_hot_loop;
  first_call = &on_first_call;
  slice = decisions().slice();
  if (stored_.file != nullptr && stored_.runs && stored_.file->header().func_count == module.funcs.size()) {
    const jit::stored::Settings here = settings(), there = stored_.file->header().settings;
    stored_fits_[static_cast<unsigned>(Tier::baseline)] = here.baseline == there.baseline;
    stored_fits_[static_cast<unsigned>(Tier::opt)] = here.opt == there.opt;
  }
  if (!stored_.hot.empty()) known_ = choose_known();
  if (module.count_runs) {
    const size_t own = module.funcs.size() - module.imported_funcs;
    for (size_t i = 0; i < own; ++i) vm::counts_of(module.codes[i]);
  }
}

const Mode& ModuleTiers::mode() const { return *manager_.options().mode; }

const Decisions& ModuleTiers::decisions() const {
  if (forced_ != nullptr) return *forced_;
  return mode();
}

std::atomic<BlockState>* ModuleTiers::state_of(const Key& key) {
  FuncCode& code = module_.code(key.func_index);
  if (key.unit == jit::kWholeFunction) return &code.state[static_cast<unsigned>(key.tier)];
  LoopCode* loop = loop_of(key);
  if (loop == nullptr || (jit::is_alone(key.unit) && key.tier != Tier::opt)) return nullptr;
  return jit::is_alone(key.unit) ? &loop->alone : &loop->state[static_cast<unsigned>(key.tier)];
}

uint32_t ModuleTiers::bytes_of(const Key& key) {
  FuncCode& code = module_.code(key.func_index);
  if (!jit::is_alone(key.unit)) return module_.funcs[key.func_index].body.size();
  const LoopTable& table = *code.loops.load(std::memory_order_acquire);
  const vm::ByteRange range = nest(code, table).range(table, key.unit);
  return range.end - range.begin;
}

LoopCode* ModuleTiers::loop_of(const Key& key) {
  LoopTable* table = vm::loops_of(module_.code(key.func_index));
  return table != nullptr ? table->find(jit::loop_of(key.unit)) : nullptr;
}

bool ModuleTiers::begin() {
  std::lock_guard lock(mutex_);
  if (dying_.load(std::memory_order_relaxed)) return false;
  ++running_;
  return true;
}

void ModuleTiers::end() {
  std::lock_guard lock(mutex_);
  --running_;
  changed_.notify_all();
}

void ModuleTiers::compile_all(unsigned helpers) {
  all_next_.store(module_.imported_funcs, std::memory_order_relaxed);
  for (unsigned i = 0; i < helpers; ++i) {
    manager_.enqueue({INFINITY, shared_from_this(), 0, kEveryFunction, Tier::baseline, 0, kAhead});
  }
  compile_share();
  // Helpers that have not begun will find nothing to do.
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return running_ == 0; });
}

void ModuleTiers::compile_share() {
  const BecauseOf because(kAhead);
  const auto count = static_cast<uint32_t>(module_.funcs.size());
  while (!dying_.load(std::memory_order_relaxed)) {
    uint32_t first = all_next_.load(std::memory_order_relaxed), last;
    do {
      if (first >= count) return;
      last = first;
      for (uint32_t bytes = 0; last < count && bytes < policy::kTaskBytes; ++last)
        bytes += module_.funcs[last].body.size();
    } while (!all_next_.compare_exchange_weak(first, last, std::memory_order_relaxed));
    for (uint32_t i = first; i < last; ++i) promote(i, jit::kWholeFunction, Tier::baseline);
    count_task(Tier::baseline, last - first);
  }
}

void ModuleTiers::run(const Task& jobs) {
  if (!begin()) return;
  const Running running{*this};
  if (jobs[0].unit == kEveryFunction) return compile_share();
  uint32_t units = 0;
  for (const Job& job : jobs) {
    if (dying_.load(std::memory_order_relaxed)) break;
    const Key key{job.func_index, job.unit, job.tier};
    std::atomic<BlockState>* state = state_of(key);
    BlockState expected = BlockState::queued;
    if (state == nullptr ||
        !state->compare_exchange_strong(expected, BlockState::compiling, std::memory_order_acq_rel)) {
      continue;
    }
    const BecauseOf because(job.why);
    compile(key, *state);
    ++units;
  }
  count_task(jobs[0].tier, units);
}

void ModuleTiers::count_task(Tier tier, uint32_t units) {
  if (units == 0) return;
  std::lock_guard lock(mutex_);
  TierStats& stats = stats_[static_cast<unsigned>(tier)];
  ++stats.tasks;
  stats.task_units += units;
}

std::string ModuleTiers::promote(uint32_t func_index, uint32_t unit, Tier tier) {
  if (!begin()) return kDying;
  const Running running{*this};
  const Key key{func_index, unit, tier};
  std::string reason;
  std::atomic<BlockState>* state = state_of(key);
  if (state == nullptr) reason = "the function has no loop there";
  while (state != nullptr) {
    BlockState now = state->load(std::memory_order_acquire);
    if (now == BlockState::ready) break;
    if (now == BlockState::failed) {
      std::lock_guard lock(mutex_);
      reason = failures_[key].reason;
      if (reason.empty()) reason = "given up: it was called too often for what it does";
      break;
    }
    if (now == BlockState::compiling) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return state->load(std::memory_order_acquire) != BlockState::compiling; });
      continue;
    }
    if (state->compare_exchange_strong(now, BlockState::compiling, std::memory_order_acq_rel)) {
      if (load_stored(key)) break;
      // The optimiser needs much stack, of which a guest's thread may have little left.
      const CompileWhy why = BecauseOf::current();  // on whatever thread
      auto work = [&] {
        const BecauseOf because(why);
        reason = compile(key, *state);
      };
      if (tier != Tier::opt) {
        work();
      } else if (!manager_.on_compile_thread(work)) {
        fail(key, reason = "no compile thread", UINT32_MAX);
      }
      break;
    }
  }
  return reason;
}

std::string ModuleTiers::compile(const Key& key, std::atomic<BlockState>& state) {
  try {
    return try_compile(key, state);
  } catch (const std::bad_alloc&) {
    BlockState unfinished = BlockState::compiling;
    state.compare_exchange_strong(unfinished, BlockState::cold, std::memory_order_acq_rel);
    return "no memory";
  }
}

std::string ModuleTiers::try_compile(const Key& key, std::atomic<BlockState>& state) {
  FuncCode& code = module_.code(key.func_index);
  // A loop of baseline code is entered in the middle of the function's only unit.
  const bool whole = key.unit == jit::kWholeFunction || key.tier == Tier::baseline;
  if (whole && key.unit != jit::kWholeFunction) {
    state.store(BlockState::cold, std::memory_order_release);
    std::string reason = promote(key.func_index, jit::kWholeFunction, key.tier);
    std::lock_guard lock(mutex_);
    if (reason.empty() && state.load(std::memory_order_relaxed) != BlockState::ready) reason = "no entry at this loop";
    if (!reason.empty()) {
      failures_[key] = {reason, UINT32_MAX};
      state.store(BlockState::failed, std::memory_order_release);
    }
    return reason;
  }
  std::vector<jit::CalledUnit> called;
  if (key.tier == Tier::baseline) called = called_units(code);
  if (called.empty() && load_stored(key)) return {};
  std::string reason;
  jit::Compiler* compiler = manager_.compiler(key.tier, &reason);
  if (compiler == nullptr) {
    fail(key, reason, UINT32_MAX);
    return reason;
  }
  if (module_.count_runs && vm::counts_of(code) == nullptr) {
    fail(key, "no memory for the block's counters", UINT32_MAX);
    return "no memory for the block's counters";
  }
  jit::CompileRequest request = request_of(key);
  request.calls_units = called;
  const auto start = std::chrono::steady_clock::now();
  const int64_t used = key.tier == Tier::opt ? thread_nanoseconds() : 0;
  auto compiled = start;
  jit::CompileResult result;
  const jit::CodeObject* object = nullptr;  // done: it is installed
  try {
    result = compiler->compile(request);
    compiled = std::chrono::steady_clock::now();
    if (result.status == jit::CompileResult::Status::done) {
      object = jit::install(jit::CodeSpace::get(), std::move(result.code), module_, &arena_);
      if (object == nullptr) result.status = jit::CompileResult::Status::no_memory;
    }
  } catch (const std::bad_alloc&) {
    result.status = jit::CompileResult::Status::no_memory;
  }
  const auto installed = std::chrono::steady_clock::now();
  const auto time = installed - start;
  {
    std::lock_guard lock(mutex_);
    stats_[static_cast<unsigned>(key.tier)].compile_time += time;
  }
  vm::Tally::OfTier& tally = vm::tally.tier(static_cast<size_t>(key.tier));
  vm::count(tally.nanoseconds, static_cast<uint64_t>(std::chrono::nanoseconds(time).count()));
  switch (result.status) {
    case jit::CompileResult::Status::done: {
      manager_.made_code(key.tier);
      vm::counts_of(code);                 // of entries in loops; without memory for it they go uncounted
      const uint32_t size = object->size;  // once published it may be replaced, and go, at any time
      if (key.tier == Tier::opt) manager_.optimised(size_of(code, key.unit), thread_nanoseconds() - used);
      vm::count(tally.done);
      vm::count(tally.wasm_bytes, bytes_of(key));
      vm::count(tally.code_bytes, size);
      publish(key, object);
      record(key, size, start, compiled, installed, {});
      if (jit::is_alone(key.unit)) renew_baseline(code);
      if (key.tier == Tier::opt) {
        start_again(code, key.unit);
        VMRUN_LOG_AT(log(), debug, "{}: {} has {} bytes of optimised code after {:.1f} ms", module_.display_name(),
                     unit_name(module_, key.func_index, key.unit), size,
                     std::chrono::duration<double, std::milli>(time).count());
      }
      manager_.make_room();
      jit::reclaim_code();
      return {};
    }
    case jit::CompileResult::Status::unsupported:
      record(key, 0, start, compiled, installed, result.reason);
      fail(key, result.reason, UINT32_MAX);
      return result.reason;
    case jit::CompileResult::Status::bug: {
      VMRUN_LOG_AT(log(), error, "a bug of vmrun, please report it: the {} compiler on function {}: {}",
                   key.tier == vm::Tier::opt ? "optimising" : "baseline", key.func_index, result.reason);
      {
        std::lock_guard lock(mutex_);
        ++stats_[static_cast<unsigned>(key.tier)].bugs;
      }
      vm::count(tally.bugs);
      record(key, 0, start, compiled, installed, result.reason);
      fail(key, result.reason, UINT32_MAX);
      return result.reason;
    }
    case jit::CompileResult::Status::cancelled: state.store(BlockState::cold, std::memory_order_release); return kDying;
    case jit::CompileResult::Status::no_memory: {
      record(key, 0, start, compiled, installed, "no memory for code");
      const uint32_t heat = heat_.sum(own(code));
      const bool far = heat >= UINT32_MAX / policy::kRetryFactor;
      fail(key, "no memory for code", far ? UINT32_MAX - 1 : std::max(heat, 1u) * policy::kRetryFactor);
      manager_.make_room();
      return "no memory for code";
    }
  }
  return {};
}

void ModuleTiers::record(const Key& key, uint32_t code_bytes, Time begin, Time compiled, Time installed,
                         const std::string& failure) {
  if (!CompileEvents::wanted()) return;
  const auto count = [](auto time) { return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count(); };
  CompileEvent event;
  event.why = BecauseOf::current();
  event.module = module_.number;
  event.module_name = module_.display_name();
  event.function = module_.func_label(key.func_index);
  event.func_index = key.func_index;
  event.unit = key.unit;
  event.tier = key.tier;
  event.wasm_bytes = bytes_of(key);
  event.code_bytes = code_bytes;
  event.begin = count(begin.time_since_epoch());
  event.compiling = count(compiled - begin);
  event.installing = count(installed - compiled);
  event.publishing = count(std::chrono::steady_clock::now() - installed);
  event.thread = static_cast<uint32_t>(syscall(SYS_gettid));
  event.background = is_compile_thread();
  event.failure = failure;
  CompileEvents::add(std::move(event));
}

FunctionHeat ModuleTiers::heat_of_function(uint32_t func_index) {
  const FuncCode& code = module_.code(func_index);
  FunctionHeat out;
  out.tier = code.tier.load(std::memory_order_relaxed);
  if (heat_.exists()) out.nanoseconds = heat_.sum(own(code)) * policy::kHeatNanoseconds;
  const LoopTable* table = code.loops.load(std::memory_order_acquire);
  for (uint32_t i = 0; table != nullptr && i < table->count; ++i) {
    const LoopCode& loop = table->loops[i];
    const uint32_t heat = loop.heat.load(std::memory_order_relaxed);
    const Tier tier = loop.entry_tier.load(std::memory_order_relaxed);
    if (heat != 0) out.loops.push_back({loop.offset, tier, heat * policy::kHeatNanoseconds});
  }
  return out;
}

void ModuleTiers::fail(const Key& key, std::string reason, uint32_t retry_heat) {
  std::lock_guard lock(mutex_);
  TierStats& stats = stats_[static_cast<unsigned>(key.tier)];
  ++stats.failed;
  vm::count(vm::tally.tier(static_cast<size_t>(key.tier)).failed);
  try {
    ++stats.reasons[without_offset(reason)];
    failures_[key] = {std::move(reason), retry_heat};
  } catch (const std::bad_alloc&) {  // then nobody learns why
  }
  if (retry_heat != UINT32_MAX) may_retry_.store(true, std::memory_order_relaxed);
  state_of(key)->store(BlockState::failed, std::memory_order_release);
}

jit::CompileRequest ModuleTiers::request_of(const Key& key) const {
  jit::CompileRequest request = manager_.request(sampling_, decisions().counts());
  request.module = &module_;
  request.func_index = key.func_index;
  request.unit = key.unit;
  request.count_runs = module_.count_runs;
  request.every_mark = jit::marking_all.load(std::memory_order_relaxed);
  request.cancelled = &dying_;
  return request;
}

void ModuleTiers::publish(const Key& key, const jit::CodeObject* object, bool loaded) {
  FuncCode& code = module_.code(key.func_index);
  const uint32_t bytes = bytes_of(key);
  std::lock_guard lock(mutex_);
  TierStats& stats = stats_[static_cast<unsigned>(key.tier)];
  const bool whole = key.unit == jit::kWholeFunction;
  ++(whole ? stats.functions : stats.osr_units);
  vm::Tally::OfTier& tally = vm::tally.tier(static_cast<size_t>(key.tier));
  vm::count(whole ? (loaded ? tally.stored_functions : tally.functions) : (loaded ? tally.stored_loops : tally.loops));
  stats.wasm_bytes += bytes;
  stats.code_bytes += object->size;
  stats.loaded += loaded;
  try {
    codes_.push_back({manager_.next_number(), key, object, loaded});
  } catch (const std::bad_alloc&) {
    jit::CodeSpace::get().retire(object);
    throw;
  }

  bool entered = false;  // whether any entry leads to the object
  LoopTable* table = nullptr;
  if (!object->osr.empty() && key.unit == jit::kWholeFunction) {
    // All loops that can be reached are in the code: no need to look for them again.
    std::vector<uint32_t> offsets;
    offsets.reserve(object->osr.size());
    for (const jit::OsrEntry& entry : object->osr) offsets.push_back(entry.loop_offset);
    std::sort(offsets.begin(), offsets.end());
    table = vm::loops_of(code, offsets);
  } else if (!object->osr.empty()) {
    table = vm::loops_of(code);
  }
  if (table != nullptr) {
    const bool may_enter = jit::prepare_loops(code);
    for (const jit::OsrEntry& entry : object->osr) {
      LoopCode* loop = table->find(entry.loop_offset);
      VMRUN_ASSERT(loop != nullptr, "an OSR entry belongs to a loop of the function");
      if (key.unit == jit::kWholeFunction || entry.loop_offset == key.unit) {
        loop->state[static_cast<unsigned>(key.tier)].store(BlockState::ready, std::memory_order_release);
      }
      // Who enters baseline code that calls the loop's unit goes on in that.
      const bool calls =
          loop->unit.load(std::memory_order_relaxed) != nullptr &&
          loop->state[static_cast<unsigned>(Tier::opt)].load(std::memory_order_relaxed) != BlockState::ready &&
          std::ranges::binary_search(object->calls_units, entry.loop_offset);
      const Tier as = calls ? Tier::opt : key.tier;
      const bool better = loop->entry.load(std::memory_order_relaxed) == nullptr ||
                          loop->entry_tier.load(std::memory_order_relaxed) <= as;
      if (!better || !may_enter) continue;
      jit::publish_loop(*loop, object->begin + entry.pc, as);
      entered = true;
    }
  }
  if (jit::is_alone(key.unit)) {
    loop_of(key)->polls.store(0, std::memory_order_relaxed);
    loop_of(key)->unit.store(object->begin + object->entry, std::memory_order_release);
    entered = true;
  }
  if (key.unit == jit::kWholeFunction) {
    const Tier before = code.tier.load(std::memory_order_relaxed);
    if (before <= key.tier && jit::publish_function(code, object->begin + object->entry, key.tier)) {
      entered = true;
      if (before != Tier::interp) remove({key.func_index, jit::kWholeFunction, before});
    }
  }
  state_of(key)->store(BlockState::ready, std::memory_order_release);
  if (!entered) remove(std::prev(codes_.end()));
  if (key.tier == Tier::opt && !loaded && stored_.keeper != nullptr) stored_.keeper->made_optimised();
}

void ModuleTiers::unlink(const Code& published) {
  FuncCode& code = module_.code(published.key.func_index);
  const jit::CodeObject& object = *published.object;
  // Baseline code may have been made anew.
  if (published.key.unit == jit::kWholeFunction && code.tier.load(std::memory_order_relaxed) == published.key.tier &&
      object.contains(code.machine.load(std::memory_order_relaxed))) {
    jit::unlink_function(code);
  }
  if (jit::is_alone(published.key.unit)) return unlink_unit(*loop_of(published.key), object);
  LoopTable* table = code.loops.load(std::memory_order_acquire);
  for (uint32_t i = 0; table != nullptr && i < table->count; ++i) {
    LoopCode& loop = table->loops[i];
    if (object.contains(loop.entry.load(std::memory_order_relaxed))) jit::unlink_loop(loop);
  }
}

void ModuleTiers::remove(const Key& key) {
  auto at = std::find_if(codes_.begin(), codes_.end(), [&](const Code& c) { return c.key == key; });
  if (at != codes_.end()) remove(at);
}

void ModuleTiers::remove(const std::deque<Code>::const_iterator& at) {
  unlink(*at);
  jit::CodeSpace::get().retire(at->object);
  codes_.erase(at);
}

uint64_t ModuleTiers::oldest() {
  std::lock_guard lock(mutex_);
  return codes_.empty() ? UINT64_MAX : codes_.front().number;
}

size_t ModuleTiers::drop_oldest() {
  std::lock_guard lock(mutex_);
  if (codes_.empty()) return 0;
  const Key key = codes_.front().key;
  const size_t size = codes_.front().object->size;
  remove(key);
  ++stats_[static_cast<unsigned>(key.tier)].dropped;
  vm::count(vm::tally.tier(static_cast<size_t>(key.tier)).dropped);
  heat_.forget(own(module_.code(key.func_index)));
  LoopTable* table = module_.code(key.func_index).loops.load(std::memory_order_acquire);
  for (uint32_t i = 0; table != nullptr && i < table->count; ++i) {
    LoopCode& loop = table->loops[i];
    auto& state = loop.state[static_cast<unsigned>(key.tier)];
    BlockState ready = BlockState::ready;
    if (key.unit == jit::kWholeFunction || loop.offset == jit::loop_of(key.unit)) {
      if (jit::is_alone(key.unit)) break;
      state.compare_exchange_strong(ready, BlockState::cold, std::memory_order_acq_rel);
      loop.paid.store(loop.heat.load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
  }
  state_of(key)->store(BlockState::cold, std::memory_order_release);
  return size;
}

void ModuleTiers::die() {
  std::unique_lock lock(mutex_);
  dying_.store(true, std::memory_order_release);
  changed_.wait(lock, [this] { return running_ == 0; });
  end_expecting();
  codes_.clear();
  if (jit::CodeSpace::existing() != nullptr) jit::CodeSpace::get().drop(arena_);
}

TierStats ModuleTiers::stats(Tier tier) {
  std::lock_guard lock(mutex_);
  TierStats stats = stats_[static_cast<unsigned>(tier)];
  const size_t own = module_.funcs.size() - module_.imported_funcs;
  for (size_t i = 0; i < own; ++i) {
    const vm::TierCounts* counts = module_.codes[i].counts.load(std::memory_order_acquire);
    if (counts != nullptr) {
      stats.osr_entries += counts[static_cast<unsigned>(tier)].osr_entries.load(std::memory_order_relaxed);
    }
  }
  return stats;
}

}  // namespace vmrun::tiering
