// -W timeout. Rules: the thread only waits, sets the store's interrupt flag (which any thread may) and, as a last
// resort, ends the process; the destructor wakes it under the lock and joins it before the store can go.
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "tools/report.h"
#include "tools/run.h"

namespace vmrun::tools {
namespace {

/// How long a guest may take to notice: polls are well below a millisecond apart, host calls mostly too.
constexpr std::chrono::milliseconds kGrace{500};

}  // namespace

struct Deadline::Impl {
  std::mutex mutex;
  std::condition_variable wake;
  bool over = false;
  std::thread thread;

  void watch(Store& store, std::chrono::nanoseconds limit) {
    std::unique_lock lock(mutex);
    if (wake.wait_for(lock, limit, [&] { return over; })) return;
    store.interrupt();
    if (wake.wait_for(lock, kGrace, [&] { return over; })) return;
    Error error(ErrorKind::Trap, "");
    error.trap = TrapCode::Interrupted;
    fail(error);
    std::fprintf(stderr, "  in a host call that did not return\n");
    _exit(kExitTrap);
  }
};

Deadline::Deadline(Store& store, std::chrono::nanoseconds limit) : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([this, &store, limit] { impl_->watch(store, limit); });
}

Deadline::~Deadline() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->over = true;
  }
  impl_->wake.notify_one();
  impl_->thread.join();
}

}  // namespace vmrun::tools
