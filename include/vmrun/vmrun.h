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
//
// What the process notices. The first engine installs handlers for SIGSEGV, SIGBUS, SIGFPE and SIGILL, by which guests
// trap, and for SIGURG, which stops guests; what is not theirs they pass on to the handler that was there before, and
// so should one that is installed later. A thread that runs guests gets an alternate signal stack if it has none that
// is large enough (vmrun/engine.h), and, where what is hot is optimised, SIGURG every 4 ms of its processor time while
// it runs them. Compile threads begin with the first thing to compile. LLVM comes with the first optimised code, from
// vmrun-opt.so (docs/install.md says where it is looked for; load_optimiser tells whether it is there); without it there is
// no optimised code. After fork, the child may only exec or end.
#pragma once

#include "vmrun/base/effort.h"
#include "vmrun/base/error.h"
#include "vmrun/base/log.h"
#include "vmrun/base/result.h"
#include "vmrun/base/slot.h"
#include "vmrun/base/text.h"
#include "vmrun/base/trap.h"
#include "vmrun/caller.h"
#include "vmrun/deadline.h"
#include "vmrun/engine.h"
#include "vmrun/features.h"
#include "vmrun/func.h"
#include "vmrun/instance.h"
#include "vmrun/linker.h"
#include "vmrun/memory.h"
#include "vmrun/module.h"
#include "vmrun/prepared.h"
#include "vmrun/store.h"
#include "vmrun/types.h"
#include "vmrun/value.h"
