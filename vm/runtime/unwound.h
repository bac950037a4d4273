// The frames that an exception in flight has left on its way.
//
// A pad of machine code looks at the exception itself and takes it further when no clause matches (jit/crossing/abi.h), by which
// time the frames beneath it are gone. So that the backtrace of an exception that nobody catches still begins where it
// was thrown, the search keeps the positions that it comes by.
//
// Beside them stands what searches have found behind return addresses: a program that throws does so by the same frames
// again and again.
#pragma once

#include <array>
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

  /// What lands behind a return address of machine code.
  struct Known {
    const void* return_pc = nullptr;
    const void* pad = nullptr;  // null: nothing does
  };

  /// A new exception sets out.
  void clear() {
    count_ = 0;
    landed_ = false;
    most_ = record_ != nullptr ? kMaxBacktrace : 0;
  }
  /// A search comes by a frame.
  void add(Position at) {
    if (count_ < most_) [[likely]] {
      put(at);
    } else {
      add_slowly(at);
    }
  }
  /// The search has ended in a frame that may take it up again.
  void landed() { landed_ = true; }
  /// It takes it up: the frame that comes first is known already.
  void resumed() {
    if (landed_) most_ = 0;
  }

  /// Whether frames are gone that only this knows of.
  bool needed() const { return landed_; }
  const Position* begin() const { return record_ != nullptr ? record_->positions.data() : nullptr; }
  const Position* end() const { return begin() + count_; }

  /// What a quick walk works on: as many positions as there is room for, and what is known. For one that begins with a
  /// new exception, and ends with quickly_landed() or is begun anew. Null: there is nothing yet.
  struct Record;
  Record* begin_quickly(uint64_t frees) {
    if (record_ == nullptr || frees_ != frees) [[unlikely]]
      return nullptr;
    return record_.get();
  }
  /// It has ended by a frame that may take the exception up again, after so many positions.
  void quickly_landed(uint32_t positions) {
    count_ = positions;
    most_ = kMaxBacktrace;
    landed_ = true;
  }

  /// Where what is known of a return address is kept, if it is; another's may stand there. Null: nothing is kept.
  /// `frees` counts how often code was freed in the process: what was known before is known no longer.
  Known* known(const void* return_pc, uint64_t frees) {
    if (record_ == nullptr) [[unlikely]]
      return nullptr;
    if (frees_ != frees) [[unlikely]] {
      record_->known = {};
      frees_ = frees;
    }
    return &record_->place_of(return_pc);
  }

  static constexpr size_t kKnown = 256;
  struct Record {
    std::array<Position, kMaxBacktrace> positions;
    std::array<Known, kKnown> known;
    Known& place_of(const void* return_pc) {
      const auto at = reinterpret_cast<uintptr_t>(return_pc);
      return known[(at ^ at >> 8) % kKnown];
    }
  };

 private:
  // Member by member: a copy through memory, written in parts and read as a whole, would wait for all that the guest has
  // under way.
  void put(Position at) {
    Position& to = record_->positions[count_++];
    to.pc = at.pc;
    to.instance = at.instance;
    to.kind = at.kind;
    to.exact = at.exact;
  }
  // By value, so that the caller's stays in registers.
  [[gnu::noinline]] void add_slowly(Position at) {
    // With a record, and none may be added: what comes is known already, or there is no room.
    if (record_ == nullptr) record_.reset(new (std::nothrow) Record);
    if (record_ == nullptr) return;
    const bool skip = landed_ && most_ == 0;
    most_ = kMaxBacktrace;
    if (!skip && count_ < most_) put(at);
  }

  uint32_t count_ = 0;
  uint32_t most_ = 0;  // positions that may be added without a closer look
  bool landed_ = false;
  uint64_t frees_ = 0;
  std::unique_ptr<Record> record_;  // from the first frame on: most guests throw nothing
};

}  // namespace vmrun::vm
