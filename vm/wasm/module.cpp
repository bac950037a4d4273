// What a module can be asked.
#include "vm/wasm/module.h"

#include <algorithm>

#include "vm/wasm/image.h"

namespace vmrun::vm {

const uint8_t* Module::bytes() const { return image->bytes().data(); }

const TypeDef& Module::type_def(TypeId id) const { return registry->get(id); }

std::optional<uint32_t> Module::type_index(TypeId id) const {
  std::call_once(type_indices_once_, [this] {
    type_indices_.reserve(types.size());
    for (uint32_t i = 0; i < types.size(); ++i) type_indices_.emplace_back(types[i], i);
    std::ranges::sort(type_indices_);
  });
  const auto it = std::ranges::lower_bound(type_indices_, id, {}, &std::pair<TypeId, uint32_t>::first);
  if (it == type_indices_.end() || it->first != id) return std::nullopt;
  return it->second;
}

std::string Module::type_name(ValType type) const {
  if (!type.is_ref() || !type.heap().is_concrete()) return to_string(type);
  std::optional<uint32_t> index = type_index(type.heap().concrete());
  std::string heap = index ? std::to_string(*index) : "?";
  return (type.nullable() ? "(ref null " : "(ref ") + heap + ")";
}

std::string_view section_name(uint8_t id) {
  static constexpr std::string_view kNames[] = {"custom", "type",   "import",     "function", "table",
                                                "memory", "global", "export",     "start",    "element",
                                                "code",   "data",   "data count", "tag"};
  return id < std::size(kNames) ? kNames[id] : "?";
}

}  // namespace vmrun::vm
