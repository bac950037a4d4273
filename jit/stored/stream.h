// A file of stored code that comes into being unit by unit, while the code does. It has no image, and its index comes
// last; see format.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "jit/code/compiled.h"
#include "jit/stored/format.h"
#include "jit/stored/writer.h"
#include "vm/wasm/module.h"

namespace vmrun::jit::stored {

/// One thread at a time.
class Stream {
 public:
  /// `sink` takes the bytes behind the header's page.
  explicit Stream(Sink sink) : sink_(std::move(sink)) {}

  /// Whether there is a unit of that name.
  bool has(uint32_t func_index, uint32_t unit, vm::Tier tier) const {
    return names_.contains({func_index, static_cast<uint32_t>(tier), unit});
  }
  /// Adds a unit, unless there is one of its name, or it cannot be stored. Nothing is written yet.
  void add(uint32_t func_index, const CodeTables& tables, std::span<const std::byte> code, const vm::Module& module);
  /// Adds one as it stands in another file; `record` is its record there, with the number of idle writes that it now has.
  void add_stored(const UnitRecord& record, std::span<const std::byte> piece);
  /// Bytes that are added and not written.
  size_t waiting() const { return buffer_.size(); }
  size_t units() const { return index_.size(); }
  /// Writes them. False: the sink refused, now or before, or the file would be too large.
  bool flush();
  /// Writes what is left, and the index; returns the header for the first page. `about` has no image. Nothing: as flush().
  std::optional<Header> finish(const About& about);

 private:
  void note(UnitRecord record);

  const Sink sink_;
  std::vector<std::byte> buffer_;
  uint64_t written_ = 0;  // of the code section
  bool refused_ = false;
  std::vector<UnitRecord> index_;
  std::set<std::tuple<uint32_t, uint32_t, uint32_t>> names_;  // function, tier, unit
};

}  // namespace vmrun::jit::stored
