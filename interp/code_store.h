// Where a module's interpreter code lives. A translation is copied from its Draft into a chunk and stays there, unmoved
// and unchanged, until the module dies: code that was replaced may still be running in some frame.
//
// Threads: any number may translate and look up at once; the mutex guards the chunks. What has been published through
// FuncCode::entry is immutable and read without a lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "interp/abi.h"
#include "interp/draft.h"
#include "vm/module.h"

namespace vmrun::interp {

class CodeStore {
 public:
  /// Copies `draft` into place and makes it the code of `code`, unless another thread was first with code of at least
  /// this effort; says what is in force then, and whether that is this draft. Null when there is no memory.
  struct Published {
    const Translation* translation;
    bool fresh;
  };
  Published publish(vm::FuncCode& code, const Draft& draft, Effort effort);

  /// The translation whose cells contain `pc`, or null.
  const Translation* find(const Cell* pc);

 private:
  struct Chunk {
    std::unique_ptr<std::byte[]> bytes;
    size_t size = 0, used = 0;
    std::vector<const Translation*> translations;  // in address order
  };
  std::byte* allocate(size_t size);

  std::mutex mutex_;
  std::vector<Chunk> chunks_;
};

inline CodeStore& code_store(const vm::Module& module) { return *static_cast<CodeStore*>(module.interp); }

/// Byte offset in the image of the instruction at `cell` of `translation`.
uint32_t source_offset(const Translation& translation, uint32_t cell);

}  // namespace vmrun::interp
