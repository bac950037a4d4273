// Completions: the ends of tasks, for an event loop that is not ours. The loop waits for one descriptor, however many
// tasks there are, and takes what has ended when it is readable.
//
//   auto completions = Completions::create();
//   executor->spawn(store, run, {.completions = &*completions, .token = 7});
//   poll / epoll / asio / libuv: completions->descriptor() is readable
//   for (uint64_t token : completions->take()) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "vmrun/base/result.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// Outlives the tasks that were given it (TaskOptions::completions). Any thread.
class Completions {
 public:
  /// Errors: Io (the system gives no descriptor), Limit (no memory).
  static Result<Completions> create();
  ~Completions();
  Completions(Completions&&) noexcept;
  Completions& operator=(Completions&&) noexcept;

  /// Readable while take() has something to give. The object's own: not to be read, written or closed.
  int descriptor() const;
  /// The tokens of the tasks that have ended since the last call, in the order of their ends; empty when there are none.
  /// Does not wait. Throws std::bad_alloc, and keeps them then.
  std::vector<uint64_t> take();
  /// The same, into `tokens`, as many as there is room for; returns how many. The others stay.
  size_t take(std::span<uint64_t> tokens);

  struct Impl;

 private:
  friend class Executor;
  explicit Completions(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vmrun
#pragma GCC visibility pop
