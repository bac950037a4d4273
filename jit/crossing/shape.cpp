// See shape.h.
#include "jit/crossing/shape.h"

namespace vmrun::jit {

using interp::RegClass;

Shape::Shape(const vm::FuncType& type) : param_slots(type.param_slots), result_slots(type.result_slots) {
  interp::ParamWalk interp_params;
  PlaceWalk machine_params = PlaceWalk::params();
  for (vm::ValType t : type.params) {
    const interp::ParamWalk::Place place = interp_params.next(t);
    params.push_back({place.cls, machine_params.next(t), place.reg, place.slot});
  }
  uint32_t slot = 0;
  PlaceWalk machine_results = PlaceWalk::results();
  for (vm::ValType t : type.results) {
    const RegClass cls = interp::reg_class(t);
    const int reg = slot == 0 && cls != RegClass::vector ? 0 : -1;
    results.push_back({cls, machine_results.next(t), reg, slot});
    slot += t.slots();
  }
}

std::string Shape::key(const vm::FuncType& type) {
  auto letter = [](vm::ValType t) { return "ifv"[static_cast<size_t>(interp::reg_class(t))]; };
  std::string key;
  for (vm::ValType t : type.params) key += letter(t);
  key += ':';
  for (vm::ValType t : type.results) key += letter(t);
  return key;
}

}  // namespace vmrun::jit
