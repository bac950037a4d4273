// Deadline: a time limit for calls into a store.
//
//   {
//     Deadline deadline(store, 50ms);
//     auto result = func.call({...});  // traps with TrapCode::Interrupted when it takes longer
//   }
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "vmrun/fwd.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// Interrupts `store` when its time is over, as Store::interrupt does: the guest that runs then traps, and a wait of it
/// ends. From then on until the object is destroyed, every guest of the store that runs or is called traps: also the caller
/// of a host function that took the trap of a call of its own for an answer, and the second of two calls. It takes back its
/// own interrupt alone, neither that of another deadline nor Store::interrupt. Deadlines of one store may nest, and end in
/// any order. One thread at a time; any may make one, and one thread of the process keeps the times of all. Tasks have
/// TaskOptions::timeout beside it.
class Deadline {
 public:
  /// `store` outlives it. No time, or a negative one, is over at once. Throws std::bad_alloc; std::system_error when the
  /// first of a process gets no thread.
  Deadline(Store& store, std::chrono::nanoseconds time);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  /// Whether the time is over, and the store was interrupted for it.
  bool passed() const;

  struct Impl;

 private:
  const std::unique_ptr<Impl> impl_;
};

}  // namespace vmrun
#pragma GCC visibility pop
