// Finding the nearest name; see nearest.h. Names of other engines are in the tables, so that who knows these finds the
// way.
#include "tools/nearest.h"

#include <algorithm>

namespace vmrun::tools {
namespace {

/// A name that other engines have, and what to say to somebody who uses it here.
struct Foreign {
  std::string_view name;
  const char* instead;
};

constexpr const char* kUseDir = "use --dir HOST::GUEST";
constexpr const char* kUseInvoke = "use --invoke NAME";
constexpr const char* kUseFuel = "use -W fuel=N";
constexpr const char* kUseTimeout = "use -W timeout=TIME";
constexpr const char* kUseListen = "use -S tcplisten=ADDRESS:PORT";
constexpr const char* kUseTier = "use -O tier=TIER";
constexpr const char* kUseBaseline = "use -O tier=baseline";
constexpr const char* kUseOpt = "use -O tier=opt";
constexpr const char* kUseInterp = "use -O tier=interp";
constexpr const char* kUseDense = "use -O dense-memory";
constexpr const char* kUseTrap = "use -W unknown-imports-trap";
constexpr const char* kUseStack = "use -W max-wasm-stack=SIZE";
constexpr const char* kUseMemory = "use -W max-memory-size=SIZE";
constexpr const char* kUseCache = "use -O cache=on|off|read|FOLDER";
constexpr const char* kAllOn = "every proposal is on; -W KEY=n turns one off";
constexpr const char* kNoComponents = "vmrun runs core modules, not components";
constexpr const char* kPreview1 = "vmrun has WASI preview 1 alone";

constexpr Foreign kOptions[] = {
    {"mapdir", kUseDir},
    {"mount", kUseDir},
    {"volume", kUseDir},
    {"preopen", kUseDir},
    {"entrypoint", kUseInvoke},
    {"function", kUseInvoke},
    {"func", kUseInvoke},
    {"reactor", kUseInvoke},
    {"fuel", kUseFuel},
    {"gas-limit", kUseFuel},
    {"time-limit", kUseTimeout},
    {"wasm-timeout", kUseTimeout},
    {"epoch-interruption", kUseTimeout},
    {"net", kUseListen},
    {"listen", kUseListen},
    {"allow-net", kUseListen},
    {"singlepass", kUseBaseline},
    {"winch", kUseBaseline},
    {"liftoff", kUseBaseline},
    {"liftoff-only", kUseBaseline},
    {"cranelift", kUseOpt},
    {"llvm", kUseOpt},
    {"no-liftoff", kUseOpt},
    {"interpreter", kUseInterp},
    {"jitless", kUseInterp},
    {"compiler", kUseTier},
    {"env-inherit", "use -S inherit-env"},
    {"forward-host-env", "use -S inherit-env"},
    {"trap-unknown-imports", kUseTrap},
    {"default-values-unknown-imports", kUseTrap},
    {"stack-size", kUseStack},
    {"memory-page-limit", kUseMemory},
    {"hostlogging", "use -D log=wasi=trace"},
    {"verbose", "use --stats, or -D log=wasi=trace"},
    {"cpuprofile", "use --profile TOOL"},
    {"link", "use --preload NAME=IMAGE"},
    {"cache", kUseCache},
    {"cachedir", kUseCache},
    {"cache-dir", kUseCache},
    {"disable-cache", kUseCache},
    {"allow-precompiled", "vmrun runs what 'vmrun compile' has made as any image"},
    {"codegen", kUseTier},
    {"enable-all", kAllOn},
    {"wasm-features", kAllOn},
};

/// Prefixes of whole families.
constexpr Foreign kFamilies[] = {
    {"experimental-wasm", kAllOn},
    {"enable-", kAllOn},
};

constexpr Foreign kLetters[] = {
    {"C", "-O says how vmrun compiles, and where it keeps compiled code"},
    {"E", "use --env NAME=VALUE"},
    {"e", kUseInvoke},
    {"g", "use -D debug-info"},
    {"v", "use --stats, or -D log=wasi=trace"},
};

struct ForeignKey {
  char group;
  std::string_view name;
  const char* instead;
};
constexpr ForeignKey kKeys[] = {
    {'W', "epoch-interruption", kUseTimeout},
    {'W', "unknown-imports-default", kUseTrap},
    {'W', "component-model", kNoComponents},
    {'W', "all-proposals", kAllOn},
    {'O', "opt-level", kUseTier},
    {'O', "memory-reservation", kUseDense},
    {'O', "memory-guard-size", kUseDense},
    {'O', "static-memory-maximum-size", kUseDense},
    {'O', "signals-based-traps", kUseDense},
    {'O', "parallel-compilation", "use -O compile-threads=N"},
    {'O', "pooling-allocator", "vmrun always reuses memories"},
    {'O', "memory-init-cow", "vmrun has no such choice"},
    {'S', "cli", "use -S wasi"},
    {'S', "common", "use -S wasi"},
    {'S', "preview2", kPreview1},
    {'S', "http", kPreview1},
    {'S', "nn", kPreview1},
    {'S', "threads", kPreview1},
    {'S', "inherit-network", kUseListen},
    {'S', "tcp", kUseListen},
    {'D', "address-map", "vmrun always knows where its code comes from; -D backtrace-details shows source lines"},
    {'D', "logging", "use -D log=COMPONENT=LEVEL"},
};

constexpr const char* kUseInspect = "'vmrun inspect' does that";
constexpr const char* kUseObjdump = "'vmrun objdump' does that";
constexpr Foreign kForeignCommands[] = {
    {"precompile", "'vmrun compile' does that"},
    {"aot", "'vmrun compile' does that"},
    {"validate", "'vmrun inspect' validates an image, and prints what is in it"},
    {"version", "'vmrun --version' prints it"},
    {"invoke", "an export is called by 'vmrun --invoke NAME IMAGE ARGS...'"},
    {"exec", "the nearest is 'run'"},
    {"start", "the nearest is 'run'"},
    {"info", kUseInspect},
    {"explore", kUseInspect},
    {"dump", kUseObjdump},
    {"disas", kUseObjdump},
    {"disassemble", kUseObjdump},
    {"wasm2wat", kUseObjdump},
    {"test", "'vmrun wast' runs scripts of the WebAssembly test suite"},
    {"config", "vmrun has no configuration file"},
    {"settings", "vmrun has no configuration file"},
};

/// The name with "-" for "_".
std::string dashed(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '_', '-');
  return out;
}

/// Letters that differ, or more than `most`.
size_t distance(std::string_view a, std::string_view b, size_t most) {
  if (a.size() > b.size() + most || b.size() > a.size() + most) return most + 1;
  // Rows of the table of prefixes: two back, the last one, this one.
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

/// What is said of `name` in `table`, or null.
const char* find(std::span<const Foreign> table, std::string_view name) {
  const auto found = std::ranges::find(table, name, &Foreign::name);
  return found == table.end() ? nullptr : found->instead;
}

std::string after_semicolon(const char* clause) { return std::string("; ") + clause; }

}  // namespace

std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates) {
  const std::string wanted = dashed(name);
  constexpr size_t kLongest = 40;  // no option is that long
  if (wanted.size() > kLongest) return {};
  // Half of a short word is a different word.
  const size_t most = wanted.size() < 5 ? 1 : std::min<size_t>(3, 1 + wanted.size() / 4);
  std::string_view best;
  size_t best_distance = most + 1;
  for (std::string_view candidate : candidates) {
    const size_t d = distance(wanted, candidate, most);
    if (d < best_distance) best = candidate, best_distance = d;
  }
  // A name that shares no letter with the other is a different word.
  if (!best.empty() && best_distance < std::max<size_t>(wanted.size(), 2)) return best;
  constexpr size_t kShortestStart = 3;
  for (std::string_view candidate : candidates) {
    if (wanted.size() >= kShortestStart && candidate.starts_with(wanted)) return candidate;
  }
  return {};
}

std::string nearest_hint(std::string_view name, std::span<const std::string_view> candidates) {
  const std::string_view found = nearest(name, candidates);
  return found.empty() ? std::string() : "; the nearest is '" + std::string(found) + "'";
}

std::string option_hint(std::string_view text, std::span<const KnownOption> known) {
  const bool is_long = text.starts_with("--");
  const std::string_view bare = text.substr(is_long ? 2 : 1);
  const std::string name = dashed(bare.substr(0, bare.find('=')));
  if (const char* instead = find(kOptions, name)) return after_semicolon(instead);
  for (const Foreign& family : kFamilies) {
    if (name.starts_with(family.name)) return after_semicolon(family.instead);
  }
  std::vector<std::string_view> names;
  for (const KnownOption& option : known) {
    names.push_back(option.name);
    const auto key = std::ranges::find(option.keys, name);
    if (key == option.keys.end()) continue;
    return std::string("; use -") + option.letter + " " + option.uses[static_cast<size_t>(key - option.keys.begin())];
  }
  // "-invoke" for "--invoke"; a letter alone says too little to guess.
  if (const std::string_view found = nearest(name, names); !found.empty() && name.size() > 1) {
    return "; the nearest is '--" + std::string(found) + "'";
  }
  const char* letter = is_long ? nullptr : find(kLetters, bare.substr(0, 1));
  return letter ? after_semicolon(letter) : std::string();
}

std::string key_hint(char letter, std::string_view key, std::span<const KnownOption> known) {
  const std::string name = dashed(key);
  for (const ForeignKey& foreign : kKeys) {
    if (foreign.group == letter && foreign.name == name) return after_semicolon(foreign.instead);
  }
  std::span<const std::string_view> own;
  for (const KnownOption& option : known) {
    if (option.letter == letter) own = option.keys;
  }
  if (std::ranges::find(own, name) == own.end()) {
    for (const KnownOption& option : known) {
      const auto found = std::ranges::find(option.keys, name);
      if (found == option.keys.end()) continue;
      return std::string("; use -") + option.letter + " " +
             option.uses[static_cast<size_t>(found - option.keys.begin())];
    }
  }
  return nearest_hint(name, own);
}

std::string command_hint(std::string_view name, std::span<const std::string_view> commands) {
  if (const char* instead = find(kForeignCommands, name)) return after_semicolon(instead);
  return nearest_hint(name, commands);
}

}  // namespace vmrun::tools
