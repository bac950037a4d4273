// The careful translator: a function body becomes a linear IR, operations are fused, values get registers by liveness
// and loop-weighted use, and the result is written out as interpreter code with an OSR entry per loop.
#pragma once

#include <cstdint>
#include <memory>

#include "interp/draft.h"
#include "interp/handlers/generic.h"
#include "vm/wasm/module.h"

namespace vmrun::interp {

/// Translates one function after another; keeps its buffers between them. Not thread-safe: one per thread or lock.
class CarefulTranslator {
 public:
  CarefulTranslator();
  ~CarefulTranslator();

  /// Translates own function `func_index` of `module` (validated) into `draft`. False: the function uses something that
  /// this translator leaves to the quick one (older exception handling, very large frames) or takes more work than
  /// limits.h allows; `draft` is then unspecified.
  bool translate(const vm::Module& module, uint32_t func_index, MemoryMode memory0, Draft& draft);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vmrun::interp
