// Stored code: using it, and gathering what is to be stored. See module_tiers.h.
#include "tiering/stored.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <new>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "jit/code/install.h"
#include "jit/code/reclaim.h"
#include "jit/stored/piece.h"
#include "jit/stored/settings.h"
#include "tiering/log.h"
#include "tiering/manager.h"
#include "tiering/module_tiers.h"
#include "vm/blocks/policy.h"
#include "vm/wasm/loops.h"

namespace vmrun::tiering {

using vm::BlockState;
using vm::FuncCode;
using vm::LoopTable;
using vm::Tier;

jit::stored::Settings ModuleTiers::settings() const {
  return jit::stored::settings_of(request_of({0, jit::kWholeFunction, Tier::baseline}), module_.guarded_memories,
                                  module_.metered);
}

// ---- using it -------------------------------------------------------------------------------------------------------

const jit::stored::UnitRecord* ModuleTiers::find_stored(const Key& key) const {
  if (!stored_fits_[static_cast<unsigned>(key.tier)]) return nullptr;
  return stored_.file->find(key.func_index, key.unit, key.tier);
}

const jit::CodeObject* ModuleTiers::install_stored(const jit::stored::UnitRecord& record) try {
  std::optional<jit::CompiledCode> made = stored_.file->load(record, module_);
  // Its loops have to be the function's. Code of a whole function has all of them, as publish() takes it; of an entry the
  // state of its loop is there already.
  const vm::ByteRange& body = module_.funcs[record.func_index].body;
  const bool good = made && std::ranges::all_of(made->osr, [&](const jit::OsrEntry& entry) {
                      return entry.loop_offset >= body.begin && entry.loop_offset < body.end;
                    });
  if (good) return jit::install(jit::CodeSpace::get(), std::move(*made), module_, &arena_);
  if (!said_damaged_.exchange(true, std::memory_order_relaxed)) {
    VMRUN_LOG_AT(log(), warn, "{}: stored code of {} is damaged; it is compiled anew", module_.display_name(),
                 unit_name(module_, record.func_index, record.unit));
  }
  return nullptr;
} catch (const std::bad_alloc&) {
  return nullptr;  // compiling will find out, too
}

bool ModuleTiers::load_stored(const Key& key) try {
  const jit::stored::UnitRecord* record = find_stored(key);
  if (record == nullptr || !Manager::may_make_code()) return false;
  const jit::CodeObject* object = ready_ != nullptr ? ready_->take(*record) : nullptr;
  if (object == nullptr) object = install_stored(*record);
  if (object == nullptr) return false;
  FuncCode& code = module_.code(key.func_index);
  const LoopTable* loops = code.loops.load(std::memory_order_acquire);
  const bool known = loops == nullptr || std::ranges::all_of(object->osr, [&](const jit::OsrEntry& entry) {
                       return loops->find(entry.loop_offset) != nullptr;
                     });
  if (!known) {
    jit::CodeSpace::get().discard(object);
    return false;
  }
  vm::counts_of(code);  // as after a compile
  publish(key, object, true);
  manager_.make_room();
  jit::reclaim_code();
  return true;
} catch (const std::bad_alloc&) {
  return false;  // compiling will find out, too
}

bool ModuleTiers::use_stored(const FuncCode& code) {
  if (stored_.file == nullptr) return false;
  const Mode::Facts& facts = mode().facts;
  const uint32_t func = code.func_index;
  if (facts.optimises && find_stored({func, jit::kWholeFunction, Tier::opt}) != nullptr) {
    sample_this_thread();
    if (promote(func, jit::kWholeFunction, Tier::opt).empty()) return true;
  }
  if (!facts.baseline) return false;
  // Units of loops come first: baseline code that calls them is made anew.
  if (!use_stored_loops(func) && find_stored({func, jit::kWholeFunction, Tier::baseline}) == nullptr) return false;
  sample_this_thread();
  if (!promote(func, jit::kWholeFunction, Tier::baseline).empty()) return false;
  if (!facts.optimises || !stored_fits_[static_cast<unsigned>(Tier::opt)]) return true;
  for (const jit::stored::UnitRecord& record : stored_.file->units_of(func)) {
    if (record.tier == static_cast<uint32_t>(Tier::opt) && record.unit != jit::kWholeFunction &&
        !jit::is_alone(record.unit)) {
      promote(func, record.unit, Tier::opt);
    }
  }
  return true;
}

bool ModuleTiers::use_stored_loops(uint32_t func) {
  if (!mode().facts.optimises || !stored_fits_[static_cast<unsigned>(Tier::opt)]) return false;
  bool any = false;
  for (const jit::stored::UnitRecord& record : stored_.file->units_of(func)) {
    if (record.tier != static_cast<uint32_t>(Tier::opt) || !jit::is_alone(record.unit)) continue;
    any |= promote(func, record.unit, Tier::opt).empty();
  }
  return any;
}

// ---- gathering it ---------------------------------------------------------------------------------------------------

namespace {

/// Code that so many writes of the file in a row have found unused is left out of the next one.
constexpr uint32_t kMostIdle = 20;

}  // namespace

bool ModuleTiers::is_given_up(const Key& key) {
  if (!jit::is_alone(key.unit)) return false;
  if (module_.code(key.func_index).tier.load(std::memory_order_relaxed) == Tier::opt) return true;
  const std::atomic<BlockState>* state = state_of(key);
  return state == nullptr || state->load(std::memory_order_relaxed) == BlockState::failed;
}

Kept ModuleTiers::keep() {
  Kept kept;
  kept.settings = settings();
  keep_published(kept);
  keep_unused(kept);
  return kept;
}

bool ModuleTiers::keep_new(uint64_t& next, size_t bytes, jit::stored::Stream& stream) {
  std::lock_guard lock(mutex_);
  const size_t before = stream.waiting();
  for (auto at = std::ranges::lower_bound(codes_, next, {}, &Code::number); at != codes_.end(); ++at) {
    if (stream.waiting() >= before + bytes) return true;
    next = at->number + 1;
    if (at->loaded || !is_storable(*at)) continue;  // what comes from the file is put there by keep_old()
    stream.add(at->key.func_index, *at->object, {at->object->begin, at->object->size}, module_);
  }
  return false;
}

std::vector<uint32_t> ModuleTiers::units_by_place() const {
  const auto units = stored_.file->units();
  std::vector<uint32_t> order(units.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, std::less(), [&](uint32_t index) { return units[index].at; });
  return order;
}

bool ModuleTiers::keep_old(size_t& next, size_t bytes, jit::stored::Stream& stream) {
  if (stored_.file == nullptr) return false;
  if (next == 0) old_order_ = units_by_place();
  for (const size_t before = stream.waiting(); next < old_order_.size(); ++next) {
    if (stream.waiting() >= before + bytes) return true;
    jit::stored::UnitRecord record = stored_.file->units()[old_order_[next]];
    if (!stored_fits_[record.tier] || record.func_index < module_.imported_funcs) continue;
    const Key key{record.func_index, record.unit, static_cast<Tier>(record.tier)};
    if (stream.has(key.func_index, key.unit, key.tier) || is_given_up(key)) continue;
    // Code of another tier may have replaced it, or stand where it would.
    const bool used = module_.code(record.func_index).tier.load(std::memory_order_relaxed) != Tier::interp;
    const std::vector<std::byte> piece = stored_.file->piece(record);
    record.idle = used ? 0 : record.idle + 1;
    if (record.idle <= kMostIdle) stream.add_stored(record, piece);
  }
  return false;
}

void ModuleTiers::keep_published(Kept& kept) {
  std::lock_guard lock(mutex_);
  for (const Tier tier : {Tier::opt, Tier::baseline}) {
    for (const Code& code : codes_) {
      if (code.key.tier != tier || !is_storable(code)) continue;
      jit::stored::Unit unit{code.key.func_index, code.key.unit, tier, 0, code.object->size, {}};
      unit.piece = jit::stored::make_piece(*code.object, {code.object->begin, code.object->size}, module_);
      if (!unit.piece.empty()) kept.units.push_back(std::move(unit));
    }
  }
}

News ModuleTiers::news() {
  News news;
  news.settings = settings();
  // What it does not take is not asked for again in each run.
  const auto refused = [&](const Key& key) -> uint16_t {
    const auto failure = failures_.find({key.func_index, key.unit, Tier::opt});
    return failure != failures_.end() && failure->second.retry_heat == UINT32_MAX ? this_optimiser() : 0;
  };
  const auto comes = [](const std::atomic<BlockState>& state) {
    const BlockState now = state.load(std::memory_order_relaxed);
    return now == BlockState::queued || now == BlockState::compiling;
  };
  constexpr auto kOpt = static_cast<unsigned>(Tier::opt);
  std::lock_guard lock(mutex_);
  for (const Code& code : codes_) {
    if (!code.loaded && is_storable(code)) ++news.units[static_cast<unsigned>(code.key.tier)];
    const uint32_t heat = heat_.exists() ? heat_.sum(own(module_.code(code.key.func_index))) : 0;
    if (code.key.tier == Tier::opt) {
      if (is_given_up(code.key)) continue;
      news.hot.push_back({code.key.func_index, code.key.unit, code.loaded ? 0 : std::max(heat, kLeastHeat)});
      continue;
    }
    const FuncCode& function = module_.code(code.key.func_index);
    const bool late = comes(function.state[kOpt]);
    const LoopTable* table = function.loops.load(std::memory_order_acquire);
    const size_t before = news.hot.size();
    for (uint32_t i = 0; table != nullptr && i < table->count; ++i) {
      // What was asked for is worth it, and did not come in time.
      const uint32_t at = table->loops[i].offset;
      if (comes(table->loops[i].state[kOpt])) news.hot.push_back({code.key.func_index, at, heat, 0, kLate});
      if (comes(table->loops[i].alone)) news.hot.push_back({code.key.func_index, jit::kAlone | at, heat, 0, kLate});
    }
    if (late || (news.hot.size() == before && heat >= kLeastHeat)) {
      const uint16_t its = late ? kLate : 0;
      news.hot.push_back({code.key.func_index, code.key.unit, heat, refused(code.key), its});
    }
  }
  news.damaged = said_damaged_.load(std::memory_order_relaxed);
  for (const TierStats& stats : stats_) news.nanoseconds += static_cast<uint64_t>(stats.compile_time.count());
  // Of a function that has both, its optimised code counts.
  const auto name = [](const HotUnit& unit) { return std::pair(unit.func_index, unit.unit); };
  std::ranges::sort(news.hot, {}, name);
  const auto same = std::ranges::unique(news.hot, {}, name);
  news.hot.erase(same.begin(), same.end());
  return news;
}

void ModuleTiers::keep_unused(Kept& kept) {
  if (stored_.file == nullptr) return;
  std::set<Key> there;
  for (const jit::stored::Unit& unit : kept.units) there.insert({unit.func_index, unit.unit, unit.tier});
  for (const jit::stored::UnitRecord& record : stored_.file->units()) {
    const Key key{record.func_index, record.unit, static_cast<Tier>(record.tier)};
    if (!stored_fits_[record.tier] || key.func_index < module_.imported_funcs || there.contains(key)) continue;
    if (is_given_up(key)) continue;
    // Code of another tier may have replaced it, or stand where it would.
    const bool used = module_.code(key.func_index).tier.load(std::memory_order_relaxed) != Tier::interp;
    jit::stored::Unit unit{key.func_index, key.unit, key.tier, used ? 0 : record.idle + 1, record.code_size, {}};
    if (unit.idle > kMostIdle) continue;
    unit.piece = stored_.file->piece(record);
    if (!unit.piece.empty()) kept.units.push_back(std::move(unit));
  }
}

bool ModuleTiers::keep_all(Tier tier, const std::vector<uint32_t>* only, const Ahead& ahead, unsigned threads,
                           const Progress& progress, Kept& kept) {
  std::string why;
  jit::Compiler* compiler = manager_.compiler(tier, &why);
  if (compiler == nullptr) {
    VMRUN_LOG_AT(log(), warn, "{}: no code to be stored: {}", module_.display_name(), why);
    return true;
  }
  const auto first = module_.imported_funcs, count = static_cast<uint32_t>(module_.funcs.size());
  struct Shared {
    std::vector<uint8_t> have;
    std::vector<jit::stored::Unit> made;  // by function
    std::atomic<uint32_t> next{0}, done{0};
    std::atomic<bool> stop{false}, no_memory{false};
    std::mutex mutex;  // one thread at a time tells of progress
    std::function<void()> work;
  } shared;
  shared.have.resize(count - first, only != nullptr ? 1 : 0);
  shared.made.resize(count - first);
  uint32_t all = count - first;
  if (only != nullptr) {
    all = 0;
    for (const uint32_t func : *only) {
      if (func < first || func >= count || shared.have[func - first] == 0) continue;
      shared.have[func - first] = 0;
      ++all;
    }
  }
  for (const jit::stored::Unit& unit : kept.units) {
    if (unit.tier < tier || unit.unit != jit::kWholeFunction) continue;
    all -= shared.have[unit.func_index - first] == 0;
    shared.have[unit.func_index - first] = 1;
  }
  shared.work = [&] {
    try {
      for (uint32_t i; !shared.stop.load(std::memory_order_relaxed) &&
                       (i = shared.next.fetch_add(1, std::memory_order_relaxed)) < count - first;) {
        if (shared.have[i] != 0) continue;
        jit::CompileRequest request = request_of({first + i, jit::kWholeFunction, tier});
        request.cancelled = &shared.stop;
        if (!ahead.processor.empty()) request.processor = &ahead.processor;
        const jit::CompileResult result = compiler->compile(request);
        if (result.status == jit::CompileResult::Status::done) {
          jit::stored::Unit& unit = shared.made[i];
          unit = {first + i, jit::kWholeFunction, tier, 0, static_cast<uint32_t>(result.code.bytes.size()), {}};
          unit.piece = jit::stored::make_piece(result.code, result.code.bytes, module_);
        } else if (result.status == jit::CompileResult::Status::bug) {
          VMRUN_LOG_AT(log(), error, "a bug of vmrun, please report it: compiling function {} ahead: {}", first + i,
                       result.reason);
        }
        const uint32_t done = shared.done.fetch_add(1, std::memory_order_relaxed) + 1;
        if (!progress) continue;
        std::lock_guard lock(shared.mutex);
        if (!progress(done, all)) shared.stop.store(true, std::memory_order_relaxed);
      }
    } catch (const std::bad_alloc&) {
      shared.no_memory.store(true, std::memory_order_relaxed);
      shared.stop.store(true, std::memory_order_relaxed);
    }
  };
  // Threads of their own, because the optimiser needs much stack and the guests' compiles go on beside it.
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, policy::kCompileStack);
  std::vector<pthread_t> helpers;
  helpers.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) {
    pthread_t thread;
    auto run = [](void* work) -> void* {
      (*static_cast<std::function<void()>*>(work))();
      return nullptr;
    };
    if (pthread_create(&thread, &attributes, run, &shared.work) == 0) helpers.push_back(thread);
  }
  pthread_attr_destroy(&attributes);
  for (pthread_t thread : helpers) pthread_join(thread, nullptr);
  if (helpers.empty() || shared.no_memory.load(std::memory_order_relaxed)) throw std::bad_alloc();
  if (shared.stop.load(std::memory_order_relaxed)) return false;
  for (jit::stored::Unit& unit : shared.made) {
    if (!unit.piece.empty()) kept.units.push_back(std::move(unit));
  }
  return true;
}

}  // namespace vmrun::tiering
