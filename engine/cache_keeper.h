// Whoever keeps in the engine's cache what is new of one module: module_keeper.h for a folder, cache_hooks.cpp for a cache
// that the embedder keeps.
#pragma once

#include "tiering/stored.h"
#include "vm/wasm/module.h"

namespace vmrun::engine {

class CacheKeeper : public tiering::Keeper {
 public:
  /// The module that this is about, once it is complete and has its tiers. It outlives stop().
  virtual void begin(const vm::Module& module) = 0;
  /// From here on nothing is touched but by finish().
  virtual void stop() = 0;
  /// Module::store.
  virtual bool finish() = 0;
};

/// Whether what is new of a module since `saved` is worth a file of code. `validated`: that would be the first one of a
/// large image, whose next start then need not validate it.
bool is_worth_storing(const tiering::News& news, const tiering::News& saved, bool validated);
/// Whether what was hot is worth a list: heat of what has no optimised code adds up from run to run.
bool has_heat(const tiering::News& news);

}  // namespace vmrun::engine
