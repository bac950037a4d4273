// What handlers are chosen by: the kinds of an operation's operands and result, from its signature in vm/wasm/opcodes.def.
#pragma once

#include <array>

#include "vm/wasm/signature.h"

namespace vmrun::interp {

struct OpTypes {
  bool float_operands = false;  // of a store, the value
  bool float_result = false;
  bool wide = false;  // operands of 64 bits
};

namespace detail {

constexpr OpTypes types_of(const vm::OpInfo& info) {
  const vm::Sig signature(info.signature);
  auto is_float = [](char letter) { return letter == 'f' || letter == 'd'; };
  const char operand = signature.param[info.family == vm::Family::store ? 1 : 0];
  return {is_float(operand), is_float(signature.result[0]), operand == 'l' || operand == 'd'};
}

inline constexpr auto kOpTypes = [] {
  std::array<OpTypes, vm::kOpCount> table{};
  for (size_t i = 0; i < vm::kOpCount; ++i) table[i] = types_of(vm::kOpInfo[i]);
  return table;
}();

}  // namespace detail

constexpr const OpTypes& types_of(vm::Op op) { return detail::kOpTypes[static_cast<size_t>(op)]; }

}  // namespace vmrun::interp
