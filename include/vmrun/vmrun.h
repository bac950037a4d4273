// vmrun's embedding API: everything at once.
//
//   vmrun::Engine engine;
//   auto module = vmrun::Module::compile_file(engine, "add.wasm");
//   vmrun::Store store(engine);
//   vmrun::Linker linker(engine);
//   auto instance = linker.instantiate(store, *module);
//   auto add = instance->func("add")->typed<int32_t(int32_t, int32_t)>();
//   int32_t five = *add->call(2, 3);
//
// Ownership: Engine and Module are shared handles; a Store owns what runs; Instance, Func, Memory, Table, Global and
// Tag are pointers into their store. Threads: engines and modules from any, a store and all that is in it from one at a
// time. Errors: everything that can fail returns a Result; nothing throws.
#pragma once

#include "vmrun/caller.h"
#include "vmrun/engine.h"
#include "vmrun/error.h"
#include "vmrun/features.h"
#include "vmrun/func.h"
#include "vmrun/instance.h"
#include "vmrun/linker.h"
#include "vmrun/memory.h"
#include "vmrun/module.h"
#include "vmrun/result.h"
#include "vmrun/slot.h"
#include "vmrun/store.h"
#include "vmrun/trap.h"
#include "vmrun/types.h"
#include "vmrun/value.h"
