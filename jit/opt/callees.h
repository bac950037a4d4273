// What is known of the functions that a unit calls: whether they may be inlined, and which of them an indirect call is
// likely to reach. Found when first asked for, from the image alone.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <utility>

#include "vm/wasm/module.h"

namespace vmrun::jit::opt {

class Callees {
 public:
  explicit Callees(const vm::Module& image);

  struct Facts {
    bool possible = true;  // it contains nothing that only a frame of its own can do
    bool returns = false;  // it may; what never does is called once at most
    uint32_t locals = 0;   // parameters too
  };
  /// Of an own function. The first time, its body is read.
  const Facts& facts(uint32_t func_index);

  /// The functions of this very type that the module's active element segments put into the table, where they are few.
  /// Only likely: tables may be written to, and another module's may hold anything.
  std::span<const uint32_t> in_table(uint32_t table, vm::TypeId type);

 private:
  static constexpr uint32_t kMany = UINT32_MAX;
  struct Targets {
    uint32_t count = 0;               // kMany: too many
    std::array<uint32_t, 4> funcs{};  // as many as a call compares with: each costs those behind it a comparison
    void add(uint32_t func_index);
  };
  void find(uint32_t table, vm::TypeId type, Targets& targets);

  const vm::Module& image_;
  std::map<uint32_t, Facts> facts_;
  std::map<std::pair<uint32_t, vm::TypeId>, Targets> targets_;
  uint32_t elements_left_;  // to be looked at
};

}  // namespace vmrun::jit::opt
