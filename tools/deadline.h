// -W timeout.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "vmrun/store.h"

namespace vmrun::tools {

/// A time limit for all that vmrun does while it lives: loading an image, running it and telling how it ended. When it
/// is over, the store that runs by then is interrupted. A process that then goes on for half a second all the same (of
/// its own work, where the machine is busy) is ended, with status kExitTrap and a message if that can be written: a guest that sits in a host call (reading a
/// terminal, sleeping) sees no interrupt, and standard error may be a full pipe that nobody reads. Without a store there
/// is nothing to interrupt, and the process is ended at once. One thread uses it.
class Deadline {
 public:
  explicit Deadline(std::chrono::nanoseconds limit);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  /// The time begins anew.
  void restart();
  /// From now on `store` is what is interrupted; it must outlive this or the next call. Null: none.
  void watch(Store* store);
  /// There is no limit any more.
  void end();
  /// The time was over while a store was watched, and that was interrupted.
  bool interrupted() const;
  /// "time limit of 1s reached"
  std::string message() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vmrun::tools
