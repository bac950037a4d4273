// What tiering logs, and how it calls a unit.
#pragma once

#include <cstdint>
#include <string>

#include "jit/compiler.h"
#include "vm/base/log.h"
#include "vm/wasm/module.h"

namespace vmrun::tiering {

/// VMRUN_LOG=tiering=debug tells of each promotion.
inline const vm::Log& log() {
  static const vm::Log instance("tiering");
  return instance;
}

/// The function's name, and which part of it the unit is.
inline std::string unit_name(const vm::Module& module, uint32_t func_index, uint32_t unit) {
  std::string name = module.func_label(func_index);
  if (unit == jit::kWholeFunction) return name;
  if (jit::is_alone(unit)) return fmt::format("{} (the loop at {:#x} alone)", name, jit::loop_of(unit));
  return fmt::format("{} (from the loop at {:#x})", name, unit);
}

}  // namespace vmrun::tiering
