// The records of shared host functions.
#include "vm/runtime/shared_funcs.h"

#include <algorithm>

#include "vm/runtime/machine_entry.h"

namespace vmrun::vm {

FuncRecord* SharedFuncs::find(HostFn fn) const {
  std::lock_guard hold(lock_);
  const auto found = entries_.find(fn);
  return found != entries_.end() ? const_cast<FuncRecord*>(&found->second.record) : nullptr;
}

FuncRecord* SharedFuncs::add(HostFn fn, TypeId type, uint64_t places) {
  std::lock_guard hold(lock_);
  const auto [at, made] = entries_.try_emplace(fn);
  Entry& entry = at->second;
  if (made) {
    entry.record.type = type;
    entry.record.host = fn;
    entry.record.code = &entry.code;
    entry.record.places = places;
    entry.code.host = &entry.record;
    entry.code.machine.store(lazy_machine_entry(), std::memory_order_relaxed);
  }
  return &entry.record;
}

bool SharedFuncs::holds(const FuncRecord* record) const {
  std::lock_guard hold(lock_);
  return std::ranges::any_of(entries_, [&](const auto& entry) { return &entry.second.record == record; });
}

}  // namespace vmrun::vm
