// Records of compiles: see events.h.
#include "tiering/events.h"

#include <mutex>
#include <new>
#include <utility>

namespace vmrun::tiering {
namespace {

struct Records {
  std::mutex mutex;
  std::vector<CompileEvent> all;
  uint64_t left_out = 0;
};
Records& records() {
  static auto* made = new Records;  // compile threads end while the process does
  return *made;
}

constexpr CompileWhy kFirstCall{.reason = "first call"};

}  // namespace

std::atomic<bool> CompileEvents::wanted_{false};
thread_local const CompileWhy* BecauseOf::current_ = nullptr;

const CompileWhy& BecauseOf::current() { return current_ != nullptr ? *current_ : kFirstCall; }

void CompileEvents::add(CompileEvent event) {
  for (std::string* name : {&event.module_name, &event.function, &event.failure}) {
    if (name->size() > kLongestName) name->resize(kLongestName);
  }
  Records& r = records();
  std::lock_guard lock(r.mutex);
  if (r.all.size() == kMost) {
    ++r.left_out;
    return;
  }
  try {
    r.all.push_back(std::move(event));
  } catch (const std::bad_alloc&) {
    ++r.left_out;
  }
}

std::vector<CompileEvent> CompileEvents::take(uint64_t& left_out) {
  Records& r = records();
  std::lock_guard lock(r.mutex);
  left_out = r.left_out;
  return r.all;
}

}  // namespace vmrun::tiering
