// The name section (spec appendix A.4.1): read when a name is first asked for. What is wrong in it is ignored, since it
// must not change what a module means.
#include <algorithm>

#include "vm/image.h"
#include "vm/module.h"
#include "vm/reader.h"

namespace vmrun::vm {

const Module::Names& Module::names() const {
  std::call_once(names_once_, [this] {
    auto section = std::ranges::find(customs, "name", &CustomSection::name);
    if (section == customs.end()) return;
    const uint8_t* image = bytes();
    Reader r(image, image + section->bytes.begin, image + section->bytes.end);
    while (!r.at_end()) {
      uint8_t id;
      uint32_t size;
      const uint8_t* begin;
      if (!r.u8(id) || !r.u32(size) || !r.bytes(size, begin)) return;
      Reader sub(image, begin, begin + size);
      if (id == 0) {
        std::string_view name;
        if (sub.name(name)) names_.module = name;
      } else if (id == 1) {
        uint32_t count;
        if (!sub.count(count, ~0u, "names")) return;
        names_.funcs.reserve(std::min<size_t>(count, funcs.size()));
        for (uint32_t i = 0; i < count; ++i) {
          uint32_t index;
          std::string_view name;
          if (!sub.u32(index) || !sub.name(name)) break;
          if (names_.funcs.size() == funcs.size()) break;  // some function is named twice
          if (index < funcs.size()) names_.funcs.emplace_back(index, name);
        }
        if (!std::ranges::is_sorted(names_.funcs, {}, &std::pair<uint32_t, std::string_view>::first))
          std::ranges::sort(names_.funcs, {}, &std::pair<uint32_t, std::string_view>::first);
      }
    }
  });
  return names_;
}

std::string_view Module::func_name(uint32_t func_index) const {
  const auto& list = names().funcs;
  auto it = std::ranges::lower_bound(list, func_index, {}, &std::pair<uint32_t, std::string_view>::first);
  return it != list.end() && it->first == func_index ? it->second : std::string_view();
}

std::string_view Module::display_name() const {
  std::string_view own = names().module;
  return own.empty() ? std::string_view(name) : own;
}

std::string Module::func_label(uint32_t func_index) const {
  std::string_view own = func_name(func_index);
  return own.empty() ? "func[" + std::to_string(func_index) + "]" : std::string(own);
}

}  // namespace vmrun::vm
