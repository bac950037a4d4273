// Host functions whose records all stores of an engine share: a guest needs none of its own. What such a function works on
// is not in its record but the calling store's (Store::shared_env).
//
// Threads: any. A record never changes once it is handed out, but for the atomics of its block record.
#pragma once

#include <map>
#include <mutex>

#include "vm/blocks/block.h"
#include "vm/runtime/instance.h"

namespace vmrun::vm {

class SharedFuncs {
 public:
  SharedFuncs() = default;
  SharedFuncs(const SharedFuncs&) = delete;
  SharedFuncs& operator=(const SharedFuncs&) = delete;

  /// That of `fn`, or null.
  FuncRecord* find(HostFn fn) const;
  /// Makes it, unless there is one: of `type`, with FuncRecord::places worked out. Throws std::bad_alloc.
  FuncRecord* add(HostFn fn, TypeId type, uint64_t places);
  /// Whether `record` is one of these. Looks at no other memory.
  bool holds(const FuncRecord* record) const;

 private:
  struct Entry {
    FuncRecord record;
    FuncCode code;
  };
  mutable std::mutex lock_;
  std::map<HostFn, Entry> entries_;
};

}  // namespace vmrun::vm
