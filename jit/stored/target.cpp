// See target.h.
#include "jit/stored/target.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "jit/plugin.h"
#include "jit/stored/processor.h"

namespace vmrun::jit::stored {
namespace {

Result<const Plugin*> processors() {
  std::string why;
  const Plugin* plugin = load_plugin(&why);
  if (plugin == nullptr)
    return Error(ErrorKind::Unsupported, "the optimiser, which knows processors, is missing: " + why);
  return plugin;
}

/// What code for it may use; nothing, if it is no processor for our code.
std::optional<ProcessorBits> usable(const Plugin& plugin, std::string_view name) {
  const std::vector<std::string> features = plugin.features_of(name);
  const auto bits = features.empty() ? std::nullopt : bits_of(features);
  return bits && runs_on(baseline_processor(), *bits) ? bits : std::nullopt;
}

}  // namespace

Result<Target> target_of(std::string_view name) {
  if (name.empty() || name == "native") return Target{{}, native_processor()};
  auto plugin = processors();
  if (!plugin) return plugin.error();
  if (auto bits = usable(**plugin, name)) return Target{std::string(name), *bits};
  const bool known = !(*plugin)->features_of(name).empty();
  return Error(ErrorKind::Usage, "'" + std::string(name) +
                                     (known ? "' is no processor of level x86-64-v3, which all code needs, or has "
                                              "instructions that this vmrun does not know"
                                            : "' is no processor that is known") +
                                     "; 'help' lists them");
}

Result<std::vector<std::string>> target_names() {
  auto plugin = processors();
  if (!plugin) return plugin.error();
  std::vector<std::string> names = (*plugin)->processors();
  std::erase_if(names, [&](const std::string& name) { return !usable(**plugin, name); });
  std::ranges::sort(names, {}, [](const std::string& name) { return std::pair(!name.starts_with("x86-64-v"), name); });
  return names;
}

}  // namespace vmrun::jit::stored
