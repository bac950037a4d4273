// Callbacks of the C API as host functions.
#pragma once

#include <memory>

#include "capi/handles.h"
#include "vmrun/func.h"

namespace vmrun::capi {

/// A callback in one of its three forms, with what it owns.
struct Callback {
  wasm_func_callback_t plain = nullptr;
  wasm_func_callback_with_env_t with_env = nullptr;
  vmrun_callback_t with_caller = nullptr;
  void* env = nullptr;
  void (*finalizer)(void*) = nullptr;
};

/// The host function that calls `callback`, whose finalizer is called with the last of it, also when this fails. Errors:
/// Usage (no type, no callback). Throws std::bad_alloc.
Result<std::shared_ptr<const HostFunc>> host_func(const wasm_functype_t* type, const Callback& callback);

}  // namespace vmrun::capi
