// The guest's source, as far as the debug information in its image tells of it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "vmrun/base/error.h"

namespace vmrun::vm {

class Module;
namespace dwarf {
class Lookup;
}

/// Belongs to a module and lives no longer. Any thread: one lock, under which nothing else is locked but the image's.
class Sources {
 public:
  explicit Sources(const Module& module);
  ~Sources();
  Sources(const Sources&) = delete;
  Sources& operator=(const Sources&) = delete;

  /// The source of the instruction at a byte offset in the image, as FrameInfo::source has it. Empty: unknown.
  std::vector<SourceLine> at(uint64_t offset) const;
  /// Why nothing, or not all, is known; empty: the image says nothing of debug information, or that is all there is.
  std::string note() const;

 private:
  dwarf::Lookup* lookup() const;

  const Module& module_;
  uint64_t code_begin_ = 0, code_size_ = 0;  // the code section's contents
  mutable std::mutex lock_;
  mutable std::unique_ptr<dwarf::Lookup> lookup_;  // from the first question on; null: no debug information
};

}  // namespace vmrun::vm
