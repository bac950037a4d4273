// Host functions that every store of an engine has, without records of its own for them (vm/runtime/shared_funcs.h).
#pragma once

#include <memory>

#include "vmrun/func.h"
#include "vmrun/store.h"

namespace vmrun::engine {

/// Says what shared functions work on in `store`, which keeps it alive. False: it has something else already.
bool share_env(Store& store, const std::shared_ptr<void>& env);
/// The function `fn` of type `type()` in `store`, which has an env. `fn` finds it as `vcpu.store->shared_env()`. Errors:
/// Limit (the engine holds too many types). Throws std::bad_alloc.
Result<Func> shared_func(Store& store, RawHostFn fn, FuncType (*type)());

}  // namespace vmrun::engine
