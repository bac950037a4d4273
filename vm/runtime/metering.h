// What instructions on ranges cost beside their unit (vm/wasm/fuel.h): the same in every tier, because all of them execute
// these instructions by the functions of vm/runtime/memory.h and table.h, and pay here first.
#pragma once

#include <cstdint>

#include "vm/base/trap.h"
#include "vm/runtime/instance.h"
#include "vm/wasm/fuel.h"

namespace vmrun::vm {

/// OutOfFuel, and nothing is used up, if the guest cannot pay.
inline TrapCode pay(Vcpu& cx, uint64_t units) {
  if (!cx.metered) [[likely]]
    return TrapCode::None;
  if (cx.fuel < units) return TrapCode::OutOfFuel;
  cx.fuel -= units;
  return TrapCode::None;
}

inline TrapCode pay_for_bytes(Vcpu& cx, uint64_t bytes) { return pay(cx, fuel_of_bytes(bytes)); }
inline TrapCode pay_for_elements(Vcpu& cx, uint64_t elements) { return pay(cx, fuel_of_elements(elements)); }

/// table.grow costs something only where the maximum allows it: asking for too much fails, and costs its unit.
inline TrapCode pay_for_growth(Vcpu& cx, const TableInst& table, uint64_t elements) {
  return elements <= table.max - table.size ? pay_for_elements(cx, elements) : TrapCode::None;
}

}  // namespace vmrun::vm
