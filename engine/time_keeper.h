// The thread that keeps the times of calls. Rules: one thread keeps those of the whole process, from the first one on
// and until its end. All appointments are in one set, under one lock, which is held while they are called; so one that
// is out of the set touches its store no more. Which reasons a store has to be late (vm::Store::passed_deadlines)
// changes under the same lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "vm/runtime/store.h"

namespace vmrun {

class TimeKeeper {
 public:
  using Clock = std::chrono::steady_clock;

  /// Something to be done at a time.
  class Appointment {
   public:
    virtual ~Appointment() = default;
    /// By the keeper's thread, with the lock, when the time has come, and out of the set. Returns when to be called
    /// again, if at all.
    virtual std::optional<Clock::time_point> comes(Clock::time_point now) = 0;

   private:
    friend class TimeKeeper;
    Clock::time_point at_;
    bool waits_ = false;
  };

  /// Lives as long as the process: its thread may wait when that ends.
  static TimeKeeper& get();

  // These take the lock that they are given, which shows that it is held.
  using Lock = std::unique_lock<std::mutex>;
  Lock lock() { return Lock(lock_); }
  /// One that does not wait. Throws std::bad_alloc; std::system_error when the first of a process gets no thread.
  void add(const Lock&, Appointment& appointment, Clock::time_point at);
  bool waits(const Lock&, const Appointment& appointment) const { return appointment.waits_; }
  void remove(const Lock&, Appointment& appointment);
  /// One reason more, or less, for the store to be late: guests of a store that has one trap.
  static void make_late(const Lock&, vm::Store& store);
  static void end_late(const Lock&, vm::Store& store);
  /// For appointments, which are called with the lock.
  static void make_late(vm::Store& store);

  static Clock::time_point after(std::chrono::nanoseconds time);

 private:
  void run();

  std::mutex lock_;
  std::condition_variable wake_;
  std::set<std::pair<Clock::time_point, Appointment*>> set_;
  bool started_ = false;
};

}  // namespace vmrun
