// What the scheduler asks for events from outside: timers are its own, descriptors somebody else's.
//
// Who polls. One idle worker sleeps inside poll() until the earliest timer; the other idle workers sleep on futexes. A
// worker that runs tasks polls without waiting before it steals and at every 61st task it picks, and the monitor does
// so when nobody has for a millisecond. So an event is seen at once while a worker is idle, and after a millisecond at
// most while all are busy. A task that a poll woke goes before those that were preempted or that yielded.
#pragma once

#include <cstdint>

namespace vmrun::sched {

/// A source of events that make parked tasks ready. The scheduler does not own it: it outlives the scheduler's join(),
/// or Scheduler::set_poller(nullptr) takes it away first.
class Poller {
 public:
  /// Takes what has happened and makes its tasks ready (Task::unpark), and waits for it until `deadline`, which is a
  /// time of Clock in nanoseconds (sched::never: without end; 0: does not wait). May return early with 0.
  /// Called by one thread at a time: a worker or the monitor, and perhaps on the stack of a task, of which it may use
  /// some 4 KiB. Must not suspend, spawn, join or take a lock that is held across a suspension. Leaves no error: what
  /// fails is the business of the tasks that it wakes. Returns how many tasks it made ready.
  virtual int poll(int64_t deadline) noexcept = 0;

  /// Ends a poll that waits. Callable from any thread, also while nobody polls: the next poll that would wait then
  /// returns at once (unless a poll in between has seen the interrupt). Must not block: locks may be held.
  virtual void interrupt() noexcept = 0;

  /// Whether anything is waited for. Any thread; approximate, but true whenever a task was parked for an event before
  /// the call. Must not block: locks may be held. A worker asks before it polls without waiting; an idle worker waits in
  /// poll() in either case.
  virtual bool waited_for() const noexcept = 0;

 protected:
  ~Poller() = default;
};

}  // namespace vmrun::sched
