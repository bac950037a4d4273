// -W timeout. Rules: the thread only waits, interrupts the store (which any thread may) and, as a last resort, ends the
// process. All it shares is under the mutex: a store that is no longer watched is no longer touched, and the destructor
// joins the thread.
#include "tools/deadline.h"

#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include "tools/options.h"
#include "tools/report.h"

namespace vmrun::tools {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a guest may take to notice: polls are well below a millisecond apart, host calls mostly too.
constexpr std::chrono::milliseconds kGrace{500};
/// On a busy machine a guest gets little of the processor in that time. One that still works gets it again, until it has
/// worked for kGrace, but no more often than this.
constexpr unsigned kMostGraces = 10;
constexpr std::chrono::milliseconds kIdle{2};  // less work than that in kGrace is none

/// Processor time of all threads, those that compile for the guest included.
std::chrono::nanoseconds work_so_far() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

struct Deadline::Impl {
  const std::chrono::nanoseconds limit;
  std::mutex mutex;
  std::condition_variable wake;
  Clock::time_point end;
  Store* store = nullptr;
  bool loaded = false;       // a store was watched at some time
  bool over = false;         // the thread shall end
  bool interrupted = false;  // the time is over, and a store was told
  unsigned graces = 0;       // since then
  std::chrono::nanoseconds work_then{}, work_last{};
  std::thread thread;

  explicit Impl(std::chrono::nanoseconds time) : limit(time), end(end_from_now()) {}

  Clock::time_point end_from_now() const {
    const auto now = Clock::now();
    return limit < Clock::time_point::max() - now ? now + limit : Clock::time_point::max();
  }

  std::string message() const { return "time limit of " + duration_text(limit) + " reached"; }

  void grant_grace() {
    ++graces;
    work_last = work_so_far();
    end = Clock::now() + kGrace;
  }

  bool idle() const { return work_so_far() - work_last < kIdle; }
  bool may_go_on() const { return graces < kMostGraces && !idle() && work_so_far() - work_then < kGrace; }

  void watch() {
    std::unique_lock lock(mutex);
    while (!over) {
      if (const auto until = end; Clock::now() < until) {
        wake.wait_until(lock, until);
      } else if (interrupted && may_go_on()) {
        grant_grace();
      } else if (interrupted) {
        fail_trap_at_once(message() + (idle() ? " in a host call that did not return" : ", and what ran did not stop"));
      } else if (store) {
        store->interrupt();
        interrupted = true;
        work_then = work_so_far();
        graces = 0;
        grant_grace();
      } else {
        fail_trap_at_once(message() + (loaded ? "" : " while the image was loaded"));
      }
    }
  }
};

Deadline::Deadline(std::chrono::nanoseconds limit) : impl_(std::make_unique<Impl>(limit)) {
  impl_->thread = std::thread([this] { impl_->watch(); });
}

Deadline::~Deadline() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->over = true;
  }
  impl_->wake.notify_one();
  impl_->thread.join();
}

void Deadline::restart() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->end = impl_->end_from_now();
    impl_->interrupted = false;
  }
  impl_->wake.notify_one();
}

void Deadline::watch(Store* store) {
  std::lock_guard lock(impl_->mutex);
  impl_->store = store;
  impl_->loaded |= store != nullptr;
}

void Deadline::end() {
  std::lock_guard lock(impl_->mutex);
  impl_->end = Clock::time_point::max();
}

bool Deadline::interrupted() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->interrupted;
}

std::string Deadline::message() const { return impl_->message(); }

}  // namespace vmrun::tools
