// Getting stored code ready, and large pages for it. See module_tiers.h.
//
// What a run takes out of a file is as much as the run before took. A thread of its own makes large pages for it, while the
// module is instantiated: making one waits for other processors, and a megabyte of code in small pages costs half a
// millisecond, twice: where it is written, and where it is run. Then it brings the code there, ahead of the guest (ready_code.h).
#include <pthread.h>
#include <signal.h>

#include <new>
#include <utility>

#include "jit/code/announce.h"
#include "jit/code/code.h"
#include "tiering/manager.h"
#include "tiering/module_tiers.h"
#include "tiering/processors.h"
#include "vm/blocks/policy.h"

namespace vmrun::tiering {
namespace {

/// From here on large pages are worth it.
constexpr size_t kWorthwhile = size_t{1} << 20;
/// A unit that is ready saves the guest 2 us, and the thread takes 3 for it; to begin one takes 50. So much is a millisecond by
/// the clock.
constexpr size_t kLeastUnits = 500;

}  // namespace

using vm::Tier;

std::vector<uint32_t> ModuleTiers::expected_units() const {
  const bool optimises = mode().facts.optimises && stored_fits_[static_cast<unsigned>(Tier::opt)];
  std::vector<uint32_t> units = units_by_place();
  std::erase_if(units, [&](uint32_t index) {
    const jit::stored::UnitRecord& record = stored_.file->units()[index];
    if (record.idle != 0 || !stored_fits_[record.tier] || record.func_index < module_.imported_funcs) return true;
    const bool is_opt = static_cast<Tier>(record.tier) == Tier::opt;
    if (is_opt ? !optimises : !mode().facts.baseline) return true;
    // As use_stored() chooses at the first call.
    const bool is_best = is_opt && record.unit == jit::kWholeFunction;
    return !is_best && optimises && find_stored({record.func_index, jit::kWholeFunction, Tier::opt}) != nullptr;
  });
  return units;
}

void ModuleTiers::expect_code() try {
  // A compiled image has code of all functions, whether a run calls them or not.
  if (stored_.file == nullptr || stored_.file->has_image() || own_processors() < 2) return;
  size_t bytes = 0, units = 0;
  for (const jit::stored::UnitRecord& record : stored_.file->units()) {
    if (record.idle != 0 || !stored_fits_[record.tier]) continue;
    bytes += record.code_size / jit::CodeSpace::kGranule * jit::CodeSpace::kGranule + jit::CodeSpace::kGranule;
    ++units;
  }
  const bool is_worth = units >= kLeastUnits && !jit::announcing.load(std::memory_order_relaxed);
  if ((bytes < kWorthwhile && !is_worth) || !Manager::may_make_code()) return;
  if (bytes >= kWorthwhile) expected_ = jit::CodeSpace::get().expect(arena_, bytes);
  if (is_worth) {
    ready_ = std::make_unique<ReadyCode>(*stored_.file, [this](const jit::stored::UnitRecord& record) {
      return dying_.load(std::memory_order_relaxed) ? nullptr : install_stored(record);
    });
  }
  if (expected_.count == 0 && ready_ == nullptr) return;
  // Signals are for other threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto work = [](void* self) -> void* {
    auto& tiers = *static_cast<ModuleTiers*>(self);
    jit::CodeSpace::get().make_large(tiers.expected_);
    if (tiers.ready_ != nullptr) tiers.make_ready();
    return nullptr;
  };
  pthread_t thread;
  if (pthread_create(&thread, nullptr, work, this) == 0) expecting_ = thread;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
} catch (const std::bad_alloc&) {  // then it lies in small pages, and is loaded when it is called
}

void ModuleTiers::make_ready() try { ready_->work(expected_units()); } catch (const std::bad_alloc&) {
}

void ModuleTiers::end_expecting() {
  if (ready_ != nullptr) ready_->end();
  if (const auto thread = std::exchange(expecting_, std::nullopt)) pthread_join(*thread, nullptr);
}

}  // namespace vmrun::tiering
