// What is behind Engine's handle.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "engine/cache.h"
#include "engine/protected_places.h"
#include "tiering/manager.h"
#include "vm/base/stripe.h"
#include "vm/runtime/memory.h"
#include "vm/runtime/shared_funcs.h"
#include "vm/wasm/types.h"
#include "vmrun/engine.h"

namespace vmrun {

struct Engine::Impl {
  Config config;
  std::shared_ptr<vm::TypeRegistry> registry;
  std::shared_ptr<vm::MemoryPool> pool;
  // What each store refers to, counted by stripes.
  vm::StripedRef<vm::TypeRegistry> registry_refs;
  vm::StripedRef<vm::MemoryPool> pool_refs;
  std::array<std::weak_ptr<Impl>, vm::kStripes> self;  // while there is a handle that is no store's
  std::shared_ptr<vm::SharedFuncs> shared_funcs;
  std::unique_ptr<const engine::Cache> cache;  // null: none, or nothing is compiled
  std::shared_ptr<tiering::Manager> tiers;     // null: interpreter only
  std::once_flag places_known;
  std::shared_ptr<const engine::ProtectedPlaces> places;  // once known: ask protected_places
};

}  // namespace vmrun
