// The tier manager: see manager.h.
#include "tiering/manager.h"

#include <algorithm>
#include <cmath>
#include <future>

#include "jit/code/code.h"
#include "jit/code/reclaim.h"
#include "jit/stop/sample.h"
#include "jit/stored/settings.h"
#include "tiering/log.h"
#include "vm/base/assert.h"

namespace vmrun::tiering {

Manager::Manager(Options options)
    : options_(std::move(options)), samples_(options_.mode->facts.optimises && !options_.polls && jit::can_sample()) {
  VMRUN_ASSERT(options_.mode->facts.machine_code, "an engine that only interprets has no manager");
  static std::once_flag once;
  if (samples_) {
    std::call_once(once, [] { jit::set_sample_server({&ModuleTiers::charge_sample, &ModuleTiers::decide_sample}); });
  }
}

Manager::~Manager() { join_threads(); }

void Manager::attach(vm::Module& module, Schedule schedule, StoredCode stored) {
  std::shared_ptr<ModuleTiers> tiers;
  bool eager = options_.eager_baseline && options_.mode->facts.baseline;
  {
    std::lock_guard lock(mutex_);
    if (schedule.empty()) schedule = schedule_;
    eager &= schedule.empty();
    tiers = std::make_shared<ModuleTiers>(*this, module, std::move(schedule), std::move(stored));
    modules_.push_back(tiers);
    module.tiers = tiers.get();
  }
  tiers->expect_code();
  if (eager) tiers->compile_all(thread_limit());
}

void Manager::detach(vm::Module& module) {
  if (is_forked()) return;
  std::shared_ptr<ModuleTiers> tiers;
  {
    std::lock_guard lock(mutex_);
    auto at = std::find_if(modules_.begin(), modules_.end(), [&](const auto& m) { return &m->module() == &module; });
    if (at != modules_.end()) {
      tiers = std::move(*at);
      modules_.erase(at);
    }
  }
  if (tiers != nullptr) {
    tiers->die();
    module.tiers = nullptr;
  }
}

void Manager::set_schedule(Schedule schedule) {
  std::lock_guard lock(mutex_);
  schedule_ = std::move(schedule);
}

std::string Manager::promote(const vm::Module& module, uint32_t func_index, vm::Tier tier, uint32_t unit) {
  if (module.tiers == nullptr) return "the module has no tiers";
  return static_cast<ModuleTiers*>(module.tiers)->promote(func_index, unit, tier);
}

TierStats Manager::stats(const vm::Module& module, vm::Tier tier) {
  if (module.tiers == nullptr) return {};
  return static_cast<ModuleTiers*>(module.tiers)->stats(tier);
}

FunctionHeat Manager::heat(const vm::Module& module, uint32_t func_index) {
  if (module.tiers == nullptr) return {};
  return static_cast<ModuleTiers*>(module.tiers)->heat_of_function(func_index);
}

StoredCode Manager::stored(const vm::Module& module) {
  if (module.tiers == nullptr) return {};
  return static_cast<ModuleTiers*>(module.tiers)->stored();
}

bool Manager::keep_new(const vm::Module& module, uint64_t& next, size_t bytes, jit::stored::Stream& stream) {
  return module.tiers != nullptr && static_cast<ModuleTiers*>(module.tiers)->keep_new(next, bytes, stream);
}

bool Manager::keep_old(const vm::Module& module, size_t& next, size_t bytes, jit::stored::Stream& stream) {
  return module.tiers != nullptr && static_cast<ModuleTiers*>(module.tiers)->keep_old(next, bytes, stream);
}

News Manager::news(const vm::Module& module) {
  if (module.tiers == nullptr) return {};
  return static_cast<ModuleTiers*>(module.tiers)->news();
}

jit::CompileRequest Manager::request(bool sampling, bool counts) const {
  jit::CompileRequest request;
  request.profile = options_.profile;
  request.inlining = options_.inlining;
  request.polls = options_.polls;
  request.sample_heat = sampling;
  request.count_heat = !sampling && counts;
  return request;
}

jit::stored::Settings Manager::settings(bool guarded_memories, bool metered, bool count_runs) const {
  jit::CompileRequest each = request(samples_, options_.mode->counts());
  each.count_runs = count_runs;
  return jit::stored::settings_of(each, guarded_memories, metered);
}

std::optional<Kept> Manager::store(const vm::Module& module, const Ahead& ahead, const Progress& progress) {
  if (module.tiers == nullptr) return Kept();
  ModuleTiers& tiers = *static_cast<ModuleTiers*>(module.tiers);
  Kept kept = tiers.keep();
  if (!ahead.processor.empty()) {
    std::erase_if(kept.units, [](const jit::stored::Unit& unit) { return unit.tier == vm::Tier::opt; });
  }
  const Options& options = tiers.manager().options();
  const unsigned threads = options.threads != 0 ? options.threads : std::max(std::thread::hardware_concurrency(), 1u);
  const bool all_opt = ahead.all == vm::Tier::opt;
  if (all_opt || !ahead.optimised.empty()) {
    if (!tiers.keep_all(vm::Tier::opt, all_opt ? nullptr : &ahead.optimised, ahead, threads, progress, kept)) {
      return std::nullopt;
    }
  }
  if (!ahead.all) return kept;
  // After optimised code: of what the optimiser refuses, and of what it was not asked for.
  const bool told = all_opt || !ahead.optimised.empty();
  if (!tiers.keep_all(vm::Tier::baseline, nullptr, ahead, threads, told ? Progress() : progress, kept)) {
    return std::nullopt;
  }
  return kept;
}

size_t Manager::threads() const { return thread_count_.load(std::memory_order_acquire); }

void Manager::enqueue(Job job) {
  std::call_once(started_, [this] { start_threads(); });
  queue_.push(std::move(job));
}

bool Manager::on_compile_thread(const std::function<void()>& work) {
  if (is_compile_thread()) {
    work();
    return true;
  }
  // Whoever drops the job unseen, because the queue is closed, drops the promise with it.
  auto done = std::make_shared<std::promise<bool>>();
  std::future<bool> ran = done->get_future();
  Job job;
  job.priority = INFINITY;
  job.tier = vm::Tier::opt;
  job.errand = [&work, done = std::move(done)] {
    work();
    done->set_value(true);
  };
  std::call_once(started_, [this] { start_threads(); });
  if (threads() == 0) return false;
  queue_.push(std::move(job));
  try {
    return ran.get();
  } catch (const std::future_error&) {
    return false;
  }
}

bool Manager::may_make_code() {
  if (!jit::CodeSpace::get().range().empty()) return true;
  static std::once_flag said;
  std::call_once(said, [] {
    VMRUN_LOG_AT(
        log(), warn,
        "no executable memory: the system refuses it, or address space is short; all functions are interpreted");
  });
  return false;
}

jit::Compiler* Manager::compiler(vm::Tier tier, std::string* why) {
  if (!may_make_code()) {
    *why = "there is no executable memory";
    return nullptr;
  }
  if (tier == vm::Tier::baseline) {
    std::call_once(baseline_once_, [this] {
      if (options_.baseline) {
        baseline_ = options_.baseline(&no_baseline_);
      } else {
        own_baseline_ = jit::make_baseline_compiler();
        baseline_ = own_baseline_.get();
      }
    });
    if (baseline_ == nullptr) *why = no_baseline_;
    return baseline_;
  }
  std::call_once(opt_once_, [this] {
    opt_ = options_.opt ? options_.opt(&no_opt_) : jit::load_opt_compiler(&no_opt_);
    if (opt_ != nullptr) return;
    VMRUN_LOG_AT(log(), warn, "there will be no optimised code: {}", no_opt_);
  });
  if (opt_ == nullptr) *why = no_opt_;
  return opt_;
}

void Manager::load_ahead() {
  if (loading_.load(std::memory_order_relaxed) || loading_.exchange(true, std::memory_order_relaxed)) return;
  Job job;
  job.tier = vm::Tier::opt;
  job.errand = [this] {
    std::string why;
    if (compiler(vm::Tier::opt, &why) != nullptr) loaded_.store(true, std::memory_order_relaxed);
  };
  enqueue(std::move(job));
}

void Manager::make_room() {
  const jit::CodeSpace& space = jit::CodeSpace::get();
  size_t live = space.live_bytes();
  if (live <= options_.code_full) return;
  std::lock_guard one(room_mutex_);
  // What is dropped here is freed only when no stack stands in it any more, so the decision cannot wait for live_bytes.
  live = space.live_bytes();
  std::vector<std::shared_ptr<ModuleTiers>> modules;
  {
    std::lock_guard lock(mutex_);
    modules.assign(modules_.begin(), modules_.end());
  }
  while (live > options_.code_after_drop) {
    std::shared_ptr<ModuleTiers> oldest;
    uint64_t number = UINT64_MAX;
    for (const auto& module : modules) {
      const uint64_t its = module->oldest();
      if (its < number) {
        number = its;
        oldest = module;
      }
    }
    if (oldest == nullptr) return;
    live -= std::min(live, oldest->drop_oldest());
  }
  jit::reclaim_code();
}

}  // namespace vmrun::tiering
