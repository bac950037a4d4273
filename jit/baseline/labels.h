// Labels of the code that is being made: places that branches, tables and constants are found by. A label takes four
// bytes. While it has no place, the references to it are chained through the very bytes of code that will hold their
// distances.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "vm/base/assert.h"

namespace vmrun::jit::baseline {

class Label {
 public:
  Label() = default;
  explicit Label(uint32_t id) : id_(id) {}
  uint32_t id() const { return id_; }
  bool valid() const { return id_ != kNo; }

 private:
  static constexpr uint32_t kNo = 0xffffffff;
  uint32_t id_ = kNo;
};

class Labels {
 public:
  /// Code that labels are in is shorter than this: an offset and two bits more are a word.
  static constexpr uint32_t kMostCode = uint32_t{1} << 30;

  void clear() { entries_.clear(); }
  Label add() {
    entries_.push_back(0);
    return Label(static_cast<uint32_t>(entries_.size() - 1));
  }
  bool bound(Label label) const { return (entries_[label.id()] & 1) != 0; }
  /// Its offset in the code; it must be bound.
  uint32_t place(Label label) const {
    VMRUN_ASSERT(bound(label), "a label has a place");
    return entries_[label.id()] >> 1;
  }
  /// The four bytes at `field` shall hold the distance to `label` from `after` (0 or 1) bytes behind them.
  void refer(uint8_t* code, uint32_t field, Label label, unsigned after = 0) {
    uint32_t& entry = entries_[label.id()];
    if ((entry & 1) != 0) return put(code + field, (entry >> 1) - (field + 4 + after));
    put(code + field, entry);
    entry = field << 2 | after << 1;
  }
  void bind(uint8_t* code, Label label, uint32_t place) {
    uint32_t& entry = entries_[label.id()];
    VMRUN_ASSERT((entry & 1) == 0, "a label is bound once");
    for (uint32_t link = entry; link != 0;) {
      const uint32_t field = link >> 2;
      std::memcpy(&link, code + field, sizeof link);
      put(code + field, place - (field + 4 + (entry >> 1 & 1)));
      entry = link;
    }
    entry = place << 1 | 1;
  }

 private:
  static void put(uint8_t* to, uint32_t value) { std::memcpy(to, &value, sizeof value); }

  // Bound: its place << 1 | 1. Else the latest reference, as field << 2 | after << 1; 0: none. The first byte of code is
  // no reference, and no offset is kMostCode or more: FastAssembler makes no longer code.
  std::vector<uint32_t> entries_;
};

}  // namespace vmrun::jit::baseline
