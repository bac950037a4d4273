// What is known of the functions that a unit calls: whether they may be inlined, and which of them an indirect call is
// likely to reach. Found when first asked for, from the image alone.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <utility>

#include "jit/opt/limits.h"
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

  /// The functions of this very type that the module's active element segments put into the table, where they are few
  /// and small. Only likely: tables may be written to, and another module's may hold anything.
  std::span<const uint32_t> in_table(uint32_t table, vm::TypeId type);

  /// Bytes of the bodies that may be inlined for a direct call of the function, or for an indirect call of the type.
  uint64_t bytes_of(uint32_t func_index, const InlineLimits& limits) const;
  uint64_t bytes_of(uint32_t table, vm::TypeId type, const InlineLimits& limits);

 private:
  static constexpr uint32_t kMany = UINT32_MAX;
  struct Targets {
    uint32_t count = 0;  // kMany: too many
    uint64_t bytes = 0;  // of their bodies together
    std::array<uint32_t, kMostTargets>
        funcs{};  // as many as a call compares with: each costs those behind it a comparison
    void add(uint32_t func_index, uint32_t size);
  };
  void find(uint32_t table, vm::TypeId type, Targets& targets);

  const vm::Module& image_;
  std::map<uint32_t, Facts> facts_;
  std::map<std::pair<uint32_t, vm::TypeId>, Targets> targets_;
  uint32_t elements_left_;  // to be looked at
};

/// What the calls of a function may bring in, by the depth of the loops that they are in: what a unit may inline goes to the
/// deepest ones first, wherever in the body they stand.
class CallPlan {
 public:
  /// Walks over the body once.
  CallPlan(const vm::Module& image, uint32_t func_index, Callees& callees, const InlineLimits& limits);
  /// A call in so many loops is being lowered, which brings in that much at most.
  void pass(uint32_t loops, uint64_t bytes);
  /// What calls in so many loops or more that are still to come may bring in.
  uint64_t to_come(uint32_t loops) const;

 private:
  static constexpr uint32_t kDeepest = 7;
  std::array<uint64_t, kDeepest + 1> bytes_{};
};

}  // namespace vmrun::jit::opt
