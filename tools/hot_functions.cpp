// See hot_functions.h.
#include "tools/hot_functions.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "tools/dump_reader.h"
#include "tools/report.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

using DumpJson = nlohmann::json;

/// As vm/blocks/policy.h has it: the optimiser inlines bodies of so many bytes, and takes so long for a byte.
constexpr uint64_t kInlined = 150;
constexpr double kNanosecondsOfByte = 12e3, kNanosecondsOfFunction = 1e6;
constexpr double kMostNanoseconds = 120e9;
/// What is left out of the time.
constexpr double kRest = 0.01;

/// An image of the same layout: what a dump says of functions is true of its functions.
bool is_of(const DumpJson& profile, const Module& module, const std::vector<FuncBody>& bodies) {
  if (profile["bytes"] != module.size() || profile["function_count"] != module.function_count()) return false;
  const uint32_t imported = module.function_count() - static_cast<uint32_t>(bodies.size());
  return std::ranges::all_of(profile["functions"], [&](const DumpJson& function) {
    const uint64_t index = function["index"];
    if (index < imported || index >= module.function_count()) return false;
    const FuncBody& body = bodies[index - imported];
    return function["offset"] == body.offset && function["bytes"] == body.size;
  });
}

/// Sampled time by function, that of inlined ones with their callers.
std::map<uint64_t, double> sampled(const DumpJson& dump, const DumpJson& profile, const Module& module,
                                   const std::vector<FuncBody>& bodies) {
  std::map<uint64_t, double> times;
  if (dump["sampling"].is_null()) return times;
  const DumpJson& nodes = dump["sampling"]["nodes"];
  const DumpJson& functions = dump["sampling"]["functions"];
  const uint32_t imported = module.function_count() - static_cast<uint32_t>(bodies.size());
  const auto body_of = [&](const DumpJson& node) -> const FuncBody* {
    const DumpJson& function = functions[node[1].get<size_t>()];
    const uint64_t index = function["index"];
    const bool own = function["module"] == profile["name"] && index >= imported && index < module.function_count();
    return own ? &bodies[index - imported] : nullptr;
  };
  for (const DumpJson& node : nodes) {
    const double time = node[5].get<double>();
    if (time <= 0) continue;
    const DumpJson* at = &node;
    const FuncBody* body = body_of(*at);
    if (body != nullptr) times[body->func_index] += time;
    for (size_t parent = (*at)[0]; body != nullptr && body->size <= kInlined && parent != 0; parent = (*at)[0]) {
      at = &nodes[parent];
      body = body_of(*at);
      if (body != nullptr) times[body->func_index] += time;
    }
  }
  return times;
}

}  // namespace

Result<std::vector<uint32_t>> hot_functions(const std::string& path, const std::string& image, const Module& module) {
  auto dump = read_dump(path);
  if (!dump) return dump.error();
  const std::vector<FuncBody> bodies = module.functions();
  const DumpJson& profiles = (*dump)["modules"];
  const auto profile = std::ranges::find_if(profiles, [&](const DumpJson& p) { return is_of(p, module, bodies); });
  if (profile == profiles.end()) {
    std::string of;
    for (const DumpJson& other : profiles) {
      of += (of.empty() ? "" : ", ") + printable_name(other["image"].get<std::string>());
    }
    return Error(ErrorKind::Usage, "'" + path + "' is the profile of another image (" + of +
                                       "): make one of this, with 'vmrun --profile=FILE.json " + image + "'");
  }
  std::map<uint64_t, double> times = sampled(*dump, *profile, module, bodies);
  for (const DumpJson& function : (*profile)["functions"]) {
    double& time = times[function["index"].get<uint64_t>()];
    time = std::max(time, function["heat_ns"].get<double>());
  }
  std::vector<std::pair<double, uint64_t>> hottest;
  double all = 0;
  for (const auto& [index, time] : times) {
    if (time > 0) hottest.emplace_back(time, index);
    all += time;
  }
  if (hottest.empty()) {
    return Error(ErrorKind::Usage, "'" + path + "' has no time of any function: profile a run that takes longer");
  }
  std::ranges::sort(hottest, std::greater());
  const uint32_t imported = module.function_count() - static_cast<uint32_t>(bodies.size());
  std::vector<uint32_t> out;
  double cost = 0;
  for (double rest = all; const auto& [time, index] : hottest) {
    if (rest < kRest * all) break;
    rest -= time;
    const double its = kNanosecondsOfFunction + kNanosecondsOfByte * static_cast<double>(bodies[index - imported].size);
    if (cost + its > kMostNanoseconds) continue;
    cost += its;
    out.push_back(static_cast<uint32_t>(index));
  }
  return out;
}

}  // namespace vmrun::tools
