// vmrun inspect: what an image says about itself, as text or JSON.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/branch_hints.h"
#include "tools/commands.h"
#include "tools/image.h"
#include "tools/report.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions {
  bool json = false;
};

constexpr OptionRow<InspectOptions> kInspectOptions[] = {
    {0, "json", nullptr, "print JSON",
     [](InspectOptions& o, std::string_view) -> Result<void> { return o.json = true, Result<void>(); }},
};

std::vector<std::string> feature_names(FeatureSet set) {
  std::vector<std::string> out;
  for (unsigned i = 0; i < kFeatureCount; ++i) {
    const Feature feature = static_cast<Feature>(i);
    if (feature != Feature::Mvp && set.has(feature)) out.emplace_back(feature_name(feature));
  }
  return out;
}

/// Sizes of the function bodies: how many, all together, the largest.
struct CodeSize {
  size_t functions = 0;
  uint64_t bytes = 0;
  FuncBody largest{};
};

CodeSize code_size(const Module& module) {
  CodeSize size;
  for (const FuncBody& body : module.functions()) {
    ++size.functions;
    size.bytes += body.size;
    if (body.size > size.largest.size) size.largest = body;
  }
  return size;
}

std::string shown_name(const FuncBody& body) {
  return body.name.empty() ? strf("func[%u]", body.func_index) : std::string(body.name);
}

/// Functions and entries at loops with code of a tier, and its bytes.
struct StoredCode {
  size_t functions = 0, loops = 0;
  uint64_t bytes = 0;
};
StoredCode stored_code(const StoredInfo& info, Tier tier) {
  StoredCode sum;
  for (const StoredUnit& unit : info.units) {
    if (unit.tier != tier) continue;
    ++(unit.loop ? sum.loops : sum.functions);
    sum.bytes += unit.bytes;
  }
  return sum;
}
constexpr std::pair<Tier, const char*> kStoredTiers[] = {{Tier::Baseline, "baseline"}, {Tier::Opt, "optimised"}};

std::string list(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

void print_stored(const StoredInfo& info) {
  std::printf("\ncompiled: by %s of vmrun (%s), for %s\n", info.this_build ? "this build" : "another build",
              printable(info.build).c_str(),
              info.this_processor ? "processors like this one" : "a processor that can do what this one cannot");
  for (const auto& [what, names] : {std::pair("needs", &info.needs), std::pair("missing here", &info.lacks)}) {
    if (!names->empty()) std::printf("  %s: %s\n", what, list(*names).c_str());
  }
  std::printf("  image %s, %llu bytes in all%s\n", info.content.c_str(),
              static_cast<unsigned long long>(info.file_bytes), info.has_mac ? ", and a MAC" : "");
  for (const auto& [tier, name] : kStoredTiers) {
    const StoredCode sum = stored_code(info, tier);
    std::printf("  %s code: %zu functions, %zu loops, %llu bytes\n", name, sum.functions, sum.loops,
                static_cast<unsigned long long>(sum.bytes));
  }
}

void print_text(const std::string& path, const Module& module, const std::optional<StoredInfo>& stored) {
  std::printf("%s: module '%s', %zu bytes\n", printable(path).c_str(), printable(module.name()).c_str(), module.size());

  std::string proposals;
  for (const std::string& name : feature_names(module.features_used())) {
    proposals += (proposals.empty() ? "" : ", ") + name;
  }
  std::printf("proposals used: %s\n", proposals.empty() ? "none" : proposals.c_str());

  if (stored) print_stored(*stored);

  std::printf("\nsections:\n");
  for (const SectionInfo& s : module.sections()) {
    const std::string label = s.id == 0 ? "custom '" + printable(s.name) + "'" : std::string(s.name);
    std::printf("  0x%08llx %10llu bytes  %s", static_cast<unsigned long long>(s.offset),
                static_cast<unsigned long long>(s.size), label.c_str());
    if (s.items) std::printf(" (%llu)", static_cast<unsigned long long>(s.items));
    std::printf("\n");
  }

  const std::vector<std::string> types = module.types();
  std::printf("\ntypes: %zu\n", types.size());
  for (size_t i = 0; i < types.size(); ++i) std::printf("  %zu: %s\n", i, types[i].c_str());

  const std::vector<ImportType> imports = module.imports();
  std::printf("\nimports: %zu\n", imports.size());
  for (const ImportType& import : imports) {
    std::printf("  %s.%s %s\n", printable(import.module).c_str(), printable(import.name).c_str(),
                import.type.to_string().c_str());
  }

  const std::vector<ExportType> exports = module.exports();
  std::printf("\nexports: %zu\n", exports.size());
  for (const ExportType& item : exports) {
    std::printf("  %s %s\n", printable(item.name).c_str(), item.type.to_string().c_str());
  }

  const CodeSize size = code_size(module);
  std::printf("\nfunctions: %zu, %llu bytes of code", size.functions, static_cast<unsigned long long>(size.bytes));
  if (size.functions) {
    std::printf(", the largest '%s' with %llu", printable(shown_name(size.largest)).c_str(),
                static_cast<unsigned long long>(size.largest.size));
  }
  std::printf("\nstart function: %s\n", module.has_start() ? "yes" : "no");
}

Json to_json(const std::string& path, const Module& module, const std::optional<StoredInfo>& stored) {
  Json out;
  out["path"] = path;
  out["name"] = module.name();
  out["bytes"] = module.size();
  out["proposals"] = feature_names(module.features_used());
  if (stored) {
    Json& compiled = out["compiled"];
    compiled = {
        {"build", stored->build},     {"this_build", stored->this_build}, {"this_processor", stored->this_processor},
        {"needs", stored->needs},     {"image", stored->content},         {"mac", stored->has_mac},
        {"bytes", stored->file_bytes}};
    for (const auto& [tier, name] : kStoredTiers) {
      const StoredCode sum = stored_code(*stored, tier);
      compiled[name] = {{"functions", sum.functions}, {"loops", sum.loops}, {"bytes", sum.bytes}};
    }
  }
  Json& sections = out["sections"] = Json::array();
  for (const SectionInfo& s : module.sections()) {
    sections.push_back({{"id", s.id}, {"name", s.name}, {"offset", s.offset}, {"size", s.size}, {"items", s.items}});
  }
  out["types"] = module.types();
  Json& imports = out["imports"] = Json::array();
  for (const ImportType& import : module.imports()) {
    imports.push_back({{"module", import.module},
                       {"name", import.name},
                       {"kind", to_string(import.type.kind())},
                       {"type", import.type.to_string()}});
  }
  Json& exports = out["exports"] = Json::array();
  for (const ExportType& item : module.exports()) {
    exports.push_back({{"name", item.name},
                       {"kind", to_string(item.type.kind())},
                       {"type", item.type.to_string()},
                       {"index", item.index}});
  }
  const CodeSize size = code_size(module);
  out["functions"] = {{"count", size.functions}, {"code_bytes", size.bytes}};
  if (size.functions) {
    out["functions"]["largest"] = {
        {"index", size.largest.func_index}, {"name", size.largest.name}, {"bytes", size.largest.size}};
  }
  out["start"] = module.has_start();
  return out;
}

}  // namespace

std::string inspect_options_help(bool markdown) {
  return markdown ? options_markdown<InspectOptions>(kInspectOptions) : options_help<InspectOptions>(kInspectOptions);
}

int inspect_command(Args args) {
  InspectOptions options;
  auto parsed = parse<InspectOptions>(kInspectOptions, options, args, false);
  if (!parsed) return fail_usage(parsed.error().message, "inspect");
  if (parsed->help) return print_help("inspect");
  if (parsed->positional.size() != 1) return fail_usage("inspect needs one image", "inspect");
  const std::string path(parsed->positional[0]);
  auto module = load_image(Engine(), path);
  if (!module) return fail(module.error());
  std::optional<StoredInfo> stored;
  if (is_compiled(path)) {
    auto info = describe_compiled_image(path);
    if (!info) return fail(info.error());
    stored = std::move(*info);
  }
  if (options.json) {
    // Beyond ASCII in escapes: a name may hold characters that a terminal obeys.
    const std::string text = to_json(path, *module, stored).dump(2, ' ', true, Json::error_handler_t::replace);
    std::printf("%s\n", text.c_str());
  } else {
    print_text(path, *module, stored);
  }
  if (auto hints = check_branch_hints(*module); !hints) warn(hints.error().to_string());
  return kExitOk;
}

}  // namespace vmrun::tools
