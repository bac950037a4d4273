// Shared host functions for stores of the embedder's.
#include "engine/shared_funcs.h"

#include <bit>

#include "engine/convert.h"
#include "engine/engine_impl.h"
#include "interp/runtime.h"
#include "vm/runtime/store.h"

namespace vmrun::engine {

bool share_env(Store& store, const std::shared_ptr<void>& env) {
  vm::Store& machine = store.impl();
  if (machine.shared_env() == nullptr) machine.share(store.engine().impl()->shared_funcs, env);
  return machine.shared_env() == env.get();
}

Result<Func> shared_func(Store& store, RawHostFn fn, FuncType (*type)()) {
  vm::SharedFuncs& funcs = *store.engine().impl()->shared_funcs;
  vm::FuncRecord* record = funcs.find(fn);
  if (record == nullptr) {
    vm::TypeRegistry& registry = *store.impl().registry();
    Result<vm::TypeId> id = intern(registry, type());
    if (!id) return std::move(id).error();
    record = funcs.add(fn, *id, std::bit_cast<uint64_t>(interp::work_out_places(registry.get(*id).func)));
  }
  return Func(&store.impl(), record);
}

}  // namespace vmrun::engine
