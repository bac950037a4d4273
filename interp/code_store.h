// Where a module's interpreter code lives. A translation is copied from its Draft into a chunk and stays there, unmoved
// and unchanged, until the module dies: code that was replaced may still be running in some frame.
//
// Threads: any number may translate and look up at once. The mutex is for writers. Readers need none: the list of chunks
// only grows, at its head; a chunk's index of translations only grows, and its count is stored last; translations are
// immutable once they are in the index.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "interp/abi.h"
#include "interp/code_room.h"
#include "interp/draft.h"
#include "vm/wasm/module.h"

namespace vmrun::interp {

class CodeStore {
 public:
  CodeStore() = default;
  ~CodeStore();
  CodeStore(const CodeStore&) = delete;
  CodeStore& operator=(const CodeStore&) = delete;

  /// Copies `draft` into place and makes it the code of `code`, unless another thread was first with code of at least
  /// this effort; says what is in force then, and whether that is this draft. Null when there is no memory. While
  /// machine code is in force, the entry goes on leading there.
  struct Published {
    const Translation* translation;
    bool fresh;
  };
  Published publish(vm::FuncCode& code, const Draft& draft, Effort effort);

  /// The translation whose cells contain `pc`, or null. Takes no lock.
  const Translation* find(const Cell* pc) const;

 private:
  struct Chunk;  // translations from its beginning, the index of them from its end
  std::byte* allocate(size_t size);

  std::mutex mutex_;
  std::atomic<Chunk*> chunks_{nullptr};  // newest first
};

inline CodeStore& code_store(const vm::Module& module) { return *static_cast<CodeStore*>(module.interp); }

/// Byte offset in the image of the instruction at `cell` of `translation`.
uint32_t source_offset(const Translation& translation, uint32_t cell);

}  // namespace vmrun::interp
