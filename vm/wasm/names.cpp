// Names of functions: from the name section (spec appendix A.4.1), which is read when a name is first asked for. What is
// wrong in it is ignored, since it must not change what a module means. Functions without a name there are called what
// they are exported or imported as.
#include <algorithm>

#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vm/wasm/reader.h"

namespace vmrun::vm {
namespace {

using FuncName = std::pair<uint32_t, std::string_view>;

void read_function_names(Reader& r, size_t functions, std::vector<FuncName>& out) {
  uint32_t count;
  if (!r.count(count, ~0u, "names")) return;
  out.reserve(std::min<size_t>(count, functions));
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t index;
    std::string_view name;
    if (!r.u32(index) || !r.name(name)) return;
    if (out.size() == functions) return;  // some function is named twice
    if (index < functions && !name.empty()) out.emplace_back(index, name);
  }
}

/// What the section says of the module's own name and of its functions'.
void read_name_section(const Module& module, std::string_view& own, std::vector<FuncName>& funcs) {
  auto section = std::ranges::find(module.customs, "name", &CustomSection::name);
  if (section == module.customs.end()) return;
  need_bytes(module, section->bytes);
  const uint8_t* image = module.bytes();
  Reader r(image, image + section->bytes.begin, image + section->bytes.end);
  while (!r.at_end()) {
    uint8_t id;
    uint32_t size;
    const uint8_t* begin;
    if (!r.u8(id) || !r.u32(size) || !r.bytes(size, begin)) return;
    Reader sub(image, begin, begin + size);
    std::string_view name;
    if (id == 0 && sub.name(name)) own = name;
    if (id == 1) read_function_names(sub, module.funcs.size(), funcs);
  }
}

}  // namespace

const Module::Names& Module::names() const {
  std::call_once(names_once_, [this] {
    read_name_section(*this, names_.module, names_.funcs);
    std::vector<bool> named(funcs.size());
    const auto is_first = [&](uint32_t index) {
      const bool first = !named[index];
      named[index] = true;
      return first;
    };
    std::erase_if(names_.funcs, [&](const FuncName& item) { return !is_first(item.first); });
    for (const Export& item : exports) {
      if (item.kind == ExternKind::func && !item.name.empty() && is_first(item.index)) {
        names_.funcs.emplace_back(item.index, item.name);
      }
    }
    for (const Import& import : imports) {
      if (import.kind == ExternKind::func && !import.name.empty() && is_first(import.index)) {
        names_.funcs.emplace_back(import.index, import.name);
      }
    }
    std::ranges::sort(names_.funcs, {}, &FuncName::first);
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
