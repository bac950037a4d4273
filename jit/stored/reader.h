// A file of stored code that is open: its header and index in memory, pieces of code read when they are asked for.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jit/code/compiled.h"
#include "jit/stored/format.h"
#include "jit/stored/source.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vmrun/base/result.h"

namespace vmrun::jit::stored {

/// Whether bytes, the first of a file, are those of stored code.
bool is_stored(std::span<const std::byte> head);

/// Immutable once open; any thread.
class File {
 public:
  /// Whether the file has to fit this build and this processor.
  enum class Fit : uint8_t { required, ignored };
  /// Reads and checks the header and the index. Errors: Malformed (it is none of our files, cut short or damaged),
  /// Unsupported (it is for another build or processor), Limit (no memory). Messages say what to do.
  static Result<std::shared_ptr<const File>> open(std::unique_ptr<Source> source, Fit fit = Fit::required);

  const Header& header() const { return header_; }
  /// By rising function, tier and unit.
  std::span<const UnitRecord> units() const { return units_; }
  /// The record of a unit, or null.
  const UnitRecord* find(uint32_t func_index, uint32_t unit, vm::Tier tier) const;
  /// Those of a function.
  std::span<const UnitRecord> units_of(uint32_t func_index) const;
  bool has_image() const { return header_.image.size != 0; }
  /// The image, checked against its hash. Errors: Malformed, Limit.
  Result<std::shared_ptr<const vm::Image>> image(std::string_view name) const;
  /// The piece of a unit as it stands in the file; empty when it is damaged or cannot be read.
  std::vector<std::byte> piece(const UnitRecord& record) const;
  /// The code of a unit of `module`, which is that of the file's image; it may refer to bytes of this file. Nothing: it is damaged or cannot be read.
  std::optional<CompiledCode> load(const UnitRecord& record, const vm::Module& module) const;

 private:
  File() = default;
  /// The piece where it lies, if it lies in memory.
  std::span<const std::byte> view(const UnitRecord& record) const;
  std::unique_ptr<Source> source_;
  Header header_;
  std::vector<UnitRecord> units_;
};

}  // namespace vmrun::jit::stored
