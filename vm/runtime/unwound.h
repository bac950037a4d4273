// The frames that an exception in flight has left on its way.
//
// A pad of machine code looks at the exception itself and takes it further when no clause matches (jit/crossing/abi.h), by which
// time the frames beneath it are gone. So that the backtrace of an exception that nobody catches still begins where it
// was thrown, the search keeps the positions that it comes by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "vm/runtime/activation.h"

namespace vmrun::vm {

class Unwound {
 public:
  struct Position {
    const void* pc;
    Instance* instance;  // interp only
    Activation::Kind kind;
    bool exact;
  };

  /// A new exception sets out.
  void clear() {
    count_ = 0;
    landed_ = skip_ = false;
  }
  /// A search comes by a frame.
  void add(const Position& at) {
    if (skip_) {
      skip_ = false;
      return;
    }
    if (positions_ == nullptr) positions_.reset(new (std::nothrow) Position[kMaxBacktrace]);
    if (positions_ != nullptr && count_ < kMaxBacktrace) positions_[count_++] = at;
  }
  /// The search has ended in a frame that may take it up again.
  void landed() { landed_ = true; }
  /// It takes it up: the frame that comes first is known already.
  void resumed() { skip_ = landed_; }

  /// Whether frames are gone that only this knows of.
  bool needed() const { return landed_; }
  const Position* begin() const { return positions_.get(); }
  const Position* end() const { return positions_.get() + count_; }

 private:
  uint32_t count_ = 0;
  bool landed_ = false, skip_ = false;
  std::unique_ptr<Position[]> positions_;  // kMaxBacktrace from the first frame on: most guests throw nothing
};

}  // namespace vmrun::vm
