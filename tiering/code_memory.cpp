// Large pages for stored code. See module_tiers.h.
//
// What a run takes out of a file is as much as the run before took, and a megabyte of it in small pages costs half a
// millisecond, twice: where it is written, and where it is run. Large pages for that are made by a thread of their own while the
// module is instantiated: making one waits for other processors.
#include <pthread.h>
#include <signal.h>

#include <new>
#include <thread>
#include <utility>

#include "jit/code/code.h"
#include "tiering/manager.h"
#include "tiering/module_tiers.h"

namespace vmrun::tiering {

void ModuleTiers::expect_code() try {
  // A compiled image has code of all functions, whether a run calls them or not.
  if (stored_.file == nullptr || stored_.file->has_image() || std::thread::hardware_concurrency() < 2) return;
  size_t bytes = 0;
  for (const jit::stored::UnitRecord& record : stored_.file->units()) {
    if (record.idle == 0 && stored_fits_[record.tier])
      bytes += record.code_size / jit::CodeSpace::kGranule * jit::CodeSpace::kGranule + jit::CodeSpace::kGranule;
  }
  constexpr size_t kWorthwhile = size_t{1} << 20;
  if (bytes < kWorthwhile || !Manager::may_make_code()) return;
  expected_ = jit::CodeSpace::get().expect(arena_, bytes);
  if (expected_.count == 0) return;
  // Signals are for other threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto work = [](void* chunk) -> void* {
    jit::CodeSpace::get().make_large(*static_cast<const jit::Extent*>(chunk));
    return nullptr;
  };
  pthread_t thread;
  if (pthread_create(&thread, nullptr, work, &expected_) == 0) expecting_ = thread;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
} catch (const std::bad_alloc&) {  // then it lies in small pages
}

void ModuleTiers::end_expecting() {
  if (const auto thread = std::exchange(expecting_, std::nullopt)) pthread_join(*thread, nullptr);
}

}  // namespace vmrun::tiering
