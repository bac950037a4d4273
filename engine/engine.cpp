// Engine: the configuration and what all its stores and modules share.
#include "vmrun/engine.h"

#include "engine/engine_impl.h"
#include "vm/fault.h"

namespace vmrun {

Engine::Engine(const Config& config) : impl_(std::make_shared<Impl>()) {
  impl_->config = config;
  impl_->registry = std::make_shared<vm::TypeRegistry>();
  vm::MemoryPool::Options pool;
  pool.dense = config.dense_memory;
  pool.dense_bytes = config.dense_memory_max_bytes;
  pool.cached = config.cached_memories;
  impl_->pool = std::make_shared<vm::MemoryPool>(pool);
  vm::fault_install();
}

const Config& Engine::config() const { return impl_->config; }

}  // namespace vmrun
