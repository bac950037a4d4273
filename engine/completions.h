// What is behind Completions' handle.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "vmrun/completions.h"

namespace vmrun {

struct Completions::Impl {
  explicit Impl(int fd) : event(fd) {}
  ~Impl();

  /// Makes room for one more token, so that push() cannot fail. Throws std::bad_alloc.
  void expect();
  /// One that was expected does not come.
  void give_up();
  void push(uint64_t token) noexcept;

  const int event;  // an eventfd, whose count is not 0 while there are tokens
  std::mutex lock;
  std::vector<uint64_t> ended;
  size_t expected = 0;  // tasks that have not ended
};

}  // namespace vmrun
