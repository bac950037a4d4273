// What of a signature its trampolines depend on, and where each value is on either side.
#pragma once

#include <string>
#include <vector>

#include "interp/abi.h"
#include "jit/crossing/abi.h"

namespace vmrun::jit {

/// One parameter or result.
struct Value {
  interp::RegClass cls;
  Place machine;   // jit/crossing/abi.h
  int interp_reg;  // interp/abi.h: r0, r1 or f0, f1; -1: in its slot
  uint32_t slot;   // canonical slot
  bool vector() const { return cls == interp::RegClass::vector; }
};

struct Shape {
  std::vector<Value> params, results;
  uint32_t param_slots = 0, result_slots = 0;

  explicit Shape(const vm::FuncType& type);
  /// The same for all signatures that share trampolines: a letter for the class of each value.
  static std::string key(const vm::FuncType& type);
};

}  // namespace vmrun::jit
