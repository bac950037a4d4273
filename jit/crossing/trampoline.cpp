// The cache of trampolines and what lazy entries resolve to: see trampoline.h.
#include "jit/crossing/trampoline.h"

#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>

#include "interp/published.h"
#include "jit/crossing/helpers.h"
#include "jit/crossing/slow_call.h"
#include "jit/crossing/trampoline_maker.h"
#include "vm/base/assert.h"
#include "vm/runtime/machine_entry.h"
#include "vm/runtime/store.h"

namespace vmrun::jit {
namespace {

struct Cache {
  std::mutex lock;
  std::unordered_map<std::string, std::unique_ptr<const Trampolines>> by_key;
};
Cache& cache() {
  static auto* instance = new Cache;  // guests may run while the process ends
  return *instance;
}

const void* resolve(vm::FuncCode* code, vm::Vcpu* cx) {
  const vm::FuncType& type = code->host != nullptr ? cx->store->registry()->get(code->host->type).func
                                                   : code->module->func_type(code->func_index);
  const Trampolines* made = trampolines(type);
  if (made == nullptr) return slow_call_entry();  // not stored: there may be memory the next time
  const void* entry = code->host != nullptr ? made->to_host : made->from_machine;
  const void* expected = vm::lazy_machine_entry();
  return code->machine.compare_exchange_strong(expected, entry, std::memory_order_acq_rel) ? entry : expected;
}

}  // namespace

const Trampolines* trampolines(const vm::FuncType& type) try {
  std::string key = Shape::key(type);
  Cache& c = cache();
  std::lock_guard hold(c.lock);
  if (auto there = c.by_key.find(key); there != c.by_key.end()) return there->second.get();
  std::unique_ptr<const Trampolines> made = make_trampolines(Shape(type));
  if (made == nullptr) return nullptr;
  interp::publish_cells();
  return c.by_key.emplace(std::move(key), std::move(made)).first->second.get();
} catch (const std::bad_alloc&) {
  return nullptr;
}

void initialize() {
  static std::once_flag once;
  std::call_once(once, [] {
    vm::set_machine_resolver(resolve);
    vm::machine_helpers.store(helper_table(), std::memory_order_release);
  });
}

}  // namespace vmrun::jit
