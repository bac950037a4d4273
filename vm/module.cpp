// What a module can be asked.
#include "vm/module.h"

#include <algorithm>

#include "vm/image.h"

namespace vmrun::vm {

const uint8_t* Module::bytes() const { return image->bytes().data(); }

const TypeDef& Module::type_def(TypeId id) const { return registry->get(id); }

std::string Module::type_name(ValType type) const {
  if (!type.is_ref() || !type.heap().is_concrete()) return to_string(type);
  auto it = std::ranges::find(types, type.heap().concrete());
  std::string heap = it == types.end() ? "?" : std::to_string(it - types.begin());
  return (type.nullable() ? "(ref null " : "(ref ") + heap + ")";
}

std::string_view section_name(uint8_t id) {
  static constexpr std::string_view kNames[] = {"custom", "type",   "import",     "function", "table",
                                                "memory", "global", "export",     "start",    "element",
                                                "code",   "data",   "data count", "tag"};
  return id < std::size(kNames) ? kNames[id] : "?";
}

}  // namespace vmrun::vm
