// One connection of a client, as servers read and write it: everything that waits for the client has a deadline.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "io/reactor.h"

namespace vmrun::serve {

/// Used by the connection's task, and by that of its guest while the former waits for it.
class Connection {
 public:
  /// `patience`: how long the client may take to make any progress. `leaving` ends all waits; nothing is waited for after
  /// it.
  Connection(io::Reactor& reactor, io::Descriptor descriptor, std::chrono::nanoseconds patience, io::Stop& leaving)
      : reactor_(reactor), descriptor_(std::move(descriptor)), patience_(patience), leaving_(leaving) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Appends what comes next to `to`, at most `most` bytes. False: the connection has ended, or `deadline` has passed, or
  /// `stop` (null: leaving) was stopped.
  bool read(std::string& to, size_t most, sched::Clock::time_point deadline, io::Stop* stop = nullptr);
  /// All of it. False: the client is gone, or has taken nothing for too long, and will take nothing any more; or the task
  /// was cancelled.
  bool write(std::string_view bytes);
  bool broken() const { return broken_; }
  /// Ends the connection so that what was written arrives: a socket that is closed with unread bytes would take it back.
  /// So what the client still sends is read and dropped, for a second or some bytes at most.
  void end();

 private:
  io::Reactor& reactor_;
  const io::Descriptor descriptor_;
  const std::chrono::nanoseconds patience_;
  io::Stop& leaving_;
  bool broken_ = false;
};

}  // namespace vmrun::serve
