// A call's use of a descriptor: while it lasts, the number stays open.
#pragma once

#include "io/reactor.h"

namespace vmrun::io {

class Reactor::Use {
 public:
  /// Tests false when the descriptor is closed. Its end counts as one `call`.
  Use(const Descriptor& d, Call call) noexcept : Use(*d.cell_, call) {}
  Use(Cell& cell, Call call) noexcept : cell_(cell), call_(call), open_(cell_.reactor->begin_use(cell_)) {}
  ~Use() {
    if (!open_) return;
    cell_.reactor->done_.add(call_);
    cell_.reactor->end_use(cell_);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  explicit operator bool() const { return open_; }
  Cell& cell() { return cell_; }

 private:
  Cell& cell_;
  const Call call_;
  bool open_;
};

}  // namespace vmrun::io
