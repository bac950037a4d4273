// Stored code that is in code memory before its function is called first: a thread checks and installs what the run before
// used, in the order in which that called it, while the guest runs. A first call finds it there and has only to put it into
// force; what is not there yet it loads itself, as if there were no thread.
//
// How far ahead: what another run has called, this one may never call. So the thread stops when kAhead units that are ready
// wait for their first call, looks again after a while, and ends when none of them was called meanwhile.
//
// Threads: each unit has a place, which goes from empty to busy to ready by the thread, and from any of these to taken by
// whoever calls its function. What was busy when it was taken is dropped by the thread. Nobody waits for anybody.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "jit/code/code.h"
#include "jit/stored/reader.h"

namespace vmrun::tiering {

class ReadyCode {
 public:
  /// So many units are ready and not called at most.
  static constexpr uint32_t kAhead = 256;

  /// Checks and installs a unit; null: it is damaged, or there is no memory.
  using Load = std::function<const jit::CodeObject*(const jit::stored::UnitRecord&)>;

  /// What is never taken is its module's, and goes with that one's code.
  ReadyCode(const jit::stored::File& file, Load load);

  /// The thread's work on units of the file (indices) in the order in which they are to be ready, until there is nothing left,
  /// end() is called, or nobody calls what is ready.
  void work(std::span<const uint32_t> wanted);
  /// Makes work() return soon. Any thread.
  void end();

  /// What is ready of a unit of the file, for the caller to put into force; null: the caller is to load it. From here on it is the
  /// caller's alone. Any thread.
  const jit::CodeObject* take(const jit::stored::UnitRecord& record);

  /// Units that are ready and were not taken. For tests.
  uint32_t waiting() const { return made_.load(std::memory_order_relaxed) - taken_.load(std::memory_order_relaxed); }

 private:
  /// Waits until less than kAhead units wait. False: none is called any more, or it is to end.
  bool may_go_on();

  const jit::stored::File& file_;
  const Load load_;
  enum class State : uint8_t { empty, busy, ready, taken };
  struct Place {
    std::atomic<State> state{State::empty};
    const jit::CodeObject* object = nullptr;  // written before it is ready
  };
  std::unique_ptr<Place[]> places_;  // by the file's units
  std::atomic<uint32_t> made_{0}, taken_{0};
  std::mutex mutex_;
  std::condition_variable ending_;
  bool ended_ = false;
};

}  // namespace vmrun::tiering
