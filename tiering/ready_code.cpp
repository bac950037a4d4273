// See ready_code.h.
#include "tiering/ready_code.h"

#include <chrono>
#include <utility>

namespace vmrun::tiering {
namespace {

using namespace std::chrono_literals;

/// A guest calls some 70 functions for the first time in a millisecond while it starts: kAhead is enough for this pause.
constexpr auto kPause = 1ms;
/// After so many pauses in which nothing was called that is ready, the guest does what it was not expected to.
constexpr int kMostPauses = 20;

}  // namespace

ReadyCode::ReadyCode(const jit::stored::File& file, Load load)
    : file_(file), load_(std::move(load)), places_(std::make_unique<Place[]>(file.units().size())) {}

void ReadyCode::end() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ending_.notify_all();
}

bool ReadyCode::may_go_on() {
  std::unique_lock lock(mutex_);
  uint32_t seen = taken_.load(std::memory_order_relaxed);
  for (int pauses = 0; !ended_ && pauses < kMostPauses; ++pauses) {
    if (waiting() < kAhead) return true;
    ending_.wait_for(lock, kPause, [this] { return ended_; });
    const uint32_t now = taken_.load(std::memory_order_relaxed);
    if (std::exchange(seen, now) != now) pauses = 0;
  }
  return false;
}

void ReadyCode::work(std::span<const uint32_t> wanted) {
  for (const uint32_t index : wanted) {
    if (!may_go_on()) return;
    Place& place = places_[index];
    State now = State::empty;
    if (!place.state.compare_exchange_strong(now, State::busy, std::memory_order_relaxed)) continue;
    const jit::CodeObject* const made = load_(file_.units()[index]);
    place.object = made;
    if (made != nullptr) made_.fetch_add(1, std::memory_order_relaxed);
    now = State::busy;
    const State then = made != nullptr ? State::ready : State::empty;
    if (!place.state.compare_exchange_strong(now, then, std::memory_order_release, std::memory_order_relaxed) &&
        made != nullptr) {
      made_.fetch_sub(1, std::memory_order_relaxed);
      jit::CodeSpace::get().discard(made);
    }
    if (made == nullptr) return;  // whoever calls it finds out why
  }
}

const jit::CodeObject* ReadyCode::take(const jit::stored::UnitRecord& record) {
  Place& place = places_[static_cast<size_t>(&record - file_.units().data())];
  if (place.state.exchange(State::taken, std::memory_order_acquire) != State::ready) return nullptr;
  taken_.fetch_add(1, std::memory_order_relaxed);
  return place.object;
}

}  // namespace vmrun::tiering
