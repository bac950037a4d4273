// The tables of the options of `vmrun run`; see run_options.h.
#include "tools/run_options.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tools/profiling.h"
#include "vmrun/base/log.h"

namespace vmrun::tools {
namespace {

using Key = GroupKey<RunOptions>;
using Row = OptionRow<RunOptions>;
using Value = std::string_view;

// Setters by the kind of value they take.
template <auto kMember>
Result<void> set_switch(RunOptions& o, Value v) {
  auto on = parse_switch(v);
  if (!on) return on.error();
  o.*kMember = *on;
  return {};
}

template <auto kMember>
Result<void> set_limit(RunOptions& o, Value v) {
  auto n = parse_count(v);
  if (!n) return n.error();
  o.limits.*kMember = *n;
  return {};
}

template <auto kMember>
Result<void> set_limit_switch(RunOptions& o, Value v) {
  auto on = parse_switch(v);
  if (!on) return on.error();
  o.limits.*kMember = *on;
  return {};
}

template <auto kMember>
Result<void> set_limit_bytes(RunOptions& o, Value v) {
  auto n = parse_size(v);
  if (!n) return n.error();
  o.limits.*kMember = *n;
  return {};
}

template <Feature kFeature>
Result<void> set_feature(RunOptions& o, Value v) {
  auto on = parse_switch(v);
  if (!on) return on.error();
  o.config.features.set(kFeature, *on);
  return {};
}

Result<void> set_stack(RunOptions& o, Value v) {
  auto n = parse_size(v);
  if (!n) return n.error();
  if (*n < (uint64_t{64} << 10) || *n > (uint64_t{16} << 30)) return usage_error("must be between 64K and 16G");
  o.limits.stack_bytes = *n;
  o.stack_asked_for = true;
  return {};
}

Result<void> set_max_image(RunOptions& o, Value v) {
  auto n = parse_size(v);
  if (!n) return n.error();
  if (*n > Config().max_image_bytes) return usage_error("must be at most 1G");
  o.config.max_image_bytes = *n;
  return {};
}

Result<void> set_timeout(RunOptions& o, Value v) {
  auto time = parse_duration(v);
  if (!time) return time.error();
  o.timeout = *time;
  return {};
}

Result<void> set_threads(RunOptions& o, Value v) {
  auto n = parse_count(v);
  if (!n) return n.error();
  if (*n > 1024) return usage_error("must be at most 1024");
  o.config.validation_threads = static_cast<unsigned>(*n);
  return {};
}

Result<void> set_eager(RunOptions& o, Value v) {
  if (v != "baseline" && v != "n") return usage_error("'" + std::string(v) + "' is neither baseline nor n");
  o.config.eager_baseline = v == "baseline";
  return {};
}

Result<void> set_compile_threads(RunOptions& o, Value v) {
  auto n = parse_count(v);
  if (!n) return n.error();
  if (*n > 64) return usage_error("must be at most 64");
  o.config.compile_threads = static_cast<unsigned>(*n);
  return {};
}

Result<void> set_profiling(RunOptions& o, Value v) {
  auto on = parse_switch(v);
  if (!on) return on.error();
  o.config.profile = *on;
  return {};
}

Result<void> set_profile(RunOptions& o, Value v) {
  if (v == "perfmap") return o.profile = CodeTool::PerfMap, Result<void>();
  if (v == "jitdump") return o.profile = CodeTool::JitDump, Result<void>();
  return set_profile_file(o, v);
}

Result<void> set_guard_pages(RunOptions& o, Value v) {
  auto on = parse_switch(v);
  if (!on) return on.error();
  o.config.guard_pages = *on;
  return {};
}

Result<void> set_dense(RunOptions& o, Value v) {
  auto on = parse_switch(v);
  if (!on) return on.error();
  o.config.dense_memory = *on;
  return {};
}

Result<void> set_details(RunOptions& o, Value v) {
  auto on = parse_switch(v);
  if (!on) return on.error();
  o.config.backtrace_details = *on;
  return {};
}

Result<void> set_cache(RunOptions& o, Value v) {
  using Mode = RunOptions::Cache::Mode;
  o.cache.folder.clear();
  o.cache.asked_for = true;
  if (v == "on" || v == "y") {
    o.cache.mode = Mode::on;
  } else if (v == "off" || v == "n") {
    o.cache.mode = Mode::off;
  } else if (v == "read") {
    o.cache.mode = Mode::read;
  } else if (v.starts_with("read:") && v.find('/') != v.npos) {
    o.cache.mode = Mode::read;
    o.cache.folder = v.substr(v.find(':') + 1);
  } else if (v.find('/') != v.npos) {
    o.cache.mode = Mode::on;
    o.cache.folder = v;
  } else {
    return usage_error("'" + std::string(v) + "' is none of on, off and read, and no folder: of one in the current " +
                       "directory write ./" + std::string(v));
  }
  return {};
}

Result<void> set_cache_size(RunOptions& o, Value v) {
  auto n = parse_size(v);
  if (!n) return n.error();
  if (*n < (uint64_t{1} << 20)) return usage_error("must be at least 1M; cache=off stores nothing");
  o.cache.bytes = *n;
  o.cache.asked_for = true;
  return {};
}

Result<void> set_dense_max(RunOptions& o, Value v) {
  auto n = parse_size(v);
  if (!n) return n.error();
  if (*n < (uint64_t{4} << 10) || *n > (uint64_t{4} << 30)) return usage_error("must be between 4K and 4G");
  o.config.dense_memory_max_bytes = *n;
  o.dense_memory_max = true;
  return {};
}

Result<void> set_seed(RunOptions& o, Value v) {
  auto n = parse_count(v);
  if (!n) return n.error();
  o.random_seed = *n;
  return {};
}

Result<void> add_listener(RunOptions& o, Value v) {
  if (v.rfind(':') == v.npos) return usage_error("expected ADDRESS:PORT");
  o.tcplisten.emplace_back(v);
  return {};
}

Result<void> set_max_descriptors(RunOptions& o, Value v) {
  auto n = parse_count(v);
  if (!n) return n.error();
  if (*n > (uint64_t{1} << 20)) return usage_error("must be at most 1048576");
  o.max_descriptors = static_cast<uint32_t>(*n);
  return {};
}

Result<void> set_max_threads(RunOptions& o, Value v) {
  auto n = parse_count(v);
  if (!n) return n.error();
  if (*n == 0) return usage_error("must be at least 1; -S threads=n allows none");
  if (*n > (uint64_t{1} << 20)) return usage_error("must be at most 1048576");
  o.max_threads = static_cast<uint32_t>(*n);
  return {};
}

Result<void> set_log(RunOptions&, Value v) {
  if (auto fine = check_log_setting(v); !fine) return fine;
  // The library's components read the environment when they first have something to say.
  const char* before = std::getenv("VMRUN_LOG");
  const std::string value = (before && *before ? std::string(before) + "," : std::string()) + std::string(v);
  setenv("VMRUN_LOG", value.c_str(), 1);
  return {};
}

/// The absolute name of what the guest calls `name`, whose current directory is '/'. Empty when it has none: it is
/// absolute already, or leads upwards.
std::string absolute_name(Value name) {
  if (name.starts_with('/')) return {};
  std::string out;
  while (!name.empty()) {
    const Value part = name.substr(0, name.find('/'));
    name.remove_prefix(std::min(part.size() + 1, name.size()));
    if (part == "..") return {};
    if (!part.empty() && part != ".") (out += '/') += part;
  }
  return out.empty() ? "/" : out;
}

/// HOST, HOST::GUEST or HOST::GUEST::ro.
Result<void> add_dir(RunOptions& o, Value v) {
  constexpr Value kMark = "::";
  std::vector<Value> parts;
  for (Value rest = v;; rest.remove_prefix(parts.back().size() + kMark.size())) {
    parts.push_back(rest.substr(0, rest.find(kMark)));
    if (parts.back().size() == rest.size()) break;
  }
  const bool known_mode = parts.size() < 3 || parts[2] == "ro" || parts[2] == "rw";
  if (parts.size() > 3 || !known_mode || parts.front().empty() || parts[parts.size() > 1 ? 1 : 0].empty()) {
    return usage_error("expected HOST, HOST::GUEST or HOST::GUEST::ro");
  }
  const std::string host(parts[0]);
  if (parts.size() == 2 && (parts[1] == "ro" || parts[1] == "rw")) {
    const std::string mode(parts[1]);
    return usage_error("write '" + host + "::GUEST::" + mode + "' for how to grant it, or '" + host + "::/" + mode +
                       "' for the name /" + mode);
  }
  if (const size_t colon = host.find(':'); colon != host.npos && access(host.c_str(), F_OK) != 0) {
    return usage_error("there is no directory '" + host + "'; '::' stands between HOST and GUEST, as in '" +
                       host.substr(0, colon) + "::" + host.substr(colon + 1) + "'");
  }
  RunOptions::Dir dir{host, std::string(parts[parts.size() > 1 ? 1 : 0]), {}, parts.size() == 3 && parts[2] == "ro"};
  if (parts.size() == 1) {
    // Some language runtimes look files up by their absolute name only, with the first directory as the current one
    // (Go); some libraries know relative names only (C libraries before 2020). So it gets both.
    if (std::string name = absolute_name(host); !name.empty()) dir.absolute = std::move(name);
  }
  o.dirs.push_back(std::move(dir));
  return {};
}

Result<void> add_env(RunOptions& o, Value v) {
  const size_t equals = v.find('=');
  if (v.empty() || equals == 0) return usage_error("expected NAME or NAME=VALUE");
  RunOptions::Variable variable{std::string(v.substr(0, equals)), {}};
  if (equals != v.npos) variable.value = v.substr(equals + 1);
  o.env.push_back(std::move(variable));
  return {};
}

Result<void> add_preload(RunOptions& o, Value v) {
  const size_t equals = v.find('=');
  if (equals == v.npos || equals == 0 || equals + 1 == v.size()) return usage_error("expected NAME=IMAGE");
  const Value name = v.substr(0, equals);
  if (std::ranges::any_of(o.preloads, [&](const auto& preload) { return preload.first == name; })) {
    return usage_error("two images cannot both be module '" + std::string(name) + "': give one of them another NAME");
  }
  o.preloads.emplace_back(name, v.substr(equals + 1));
  return {};
}

Result<void> set_invoke(RunOptions& o, Value v) {
  o.invoke = v;
  return {};
}

Result<void> set_argv0(RunOptions& o, Value v) {
  o.argv0 = v;
  return {};
}

Result<void> set_repeat(RunOptions& o, Value v) {
  auto n = parse_count(v);
  if (!n) return n.error();
  if (*n == 0) return usage_error("must be at least 1");
  o.repeat = *n;
  return {};
}

Result<void> set_workers(RunOptions& o, Value v) {
  auto n = parse_count_from_1(v, 4096);
  if (!n) return n.error();
  o.many.workers = static_cast<unsigned>(*n);
  return {};
}

Result<void> set_pin(RunOptions& o, Value) {
  o.many.pin = true;
  return {};
}

Result<void> set_instances(RunOptions& o, Value v) {
  auto n = parse_count_from_1(v, 1'000'000);
  if (!n) return n.error();
  o.many.instances = static_cast<uint32_t>(*n);
  return {};
}

Result<void> add_also(RunOptions& o, Value v) {
  if (v.empty()) return usage_error("expected an image");
  o.many.also.push_back({std::string(v), {}});
  return {};
}

Result<void> add_arg(RunOptions& o, Value v) {
  if (o.many.also.empty()) {
    return usage_error("is for the image of an --also before it; what IMAGE is given stands behind IMAGE");
  }
  o.many.also.back().args.emplace_back(v);
  return {};
}

Result<void> set_fuel(RunOptions& o, Value v) {
  auto n = parse_count(v);
  if (!n) return n.error();
  o.limits.fuel = *n;
  o.config.fuel = true;
  return {};
}

Result<void> set_cpu_time(RunOptions& o, Value v) {
  auto time = parse_duration(v);
  if (!time) return time.error();
  o.limits.cpu_time = *time;
  return {};
}

constexpr Key kWasm[] = {
    {"max-memory-size", "SIZE", "bytes that all linear memories together may grow to",
     set_limit_bytes<&StoreLimits::memory_bytes>},
    {"max-table-elements", "N", "elements that all tables together may grow to",
     set_limit<&StoreLimits::table_elements>},
    {"max-exceptions-size", "SIZE", "bytes of the exceptions that guests hold on to (64M)",
     set_limit_bytes<&StoreLimits::exception_bytes>},
    {"max-instances", "N", "instances, preloaded modules included", set_limit<&StoreLimits::instances>},
    {"max-wasm-stack", "SIZE", "stack of the guest (8M, or as much as 'ulimit -s' leaves if that is less; serve: 1M)",
     set_stack},
    {"max-image-size", "SIZE", "largest image that is accepted (1G, the most there may be)", set_max_image},
    {"trap-on-grow-failure", nullptr, "memory.grow and table.grow that fail trap instead of returning -1",
     set_limit_switch<&StoreLimits::trap_on_grow_failure>},
    {"fuel", "N",
     "units that the guest may use up, about one an instruction; it traps when they do not pay for what comes\n"
     "next (several guests, and serve: each guest)",
     set_fuel},
    {"timeout", "TIME",
     "end the run after that time, such as 500ms, 10s, 5m; reading the image counts\n"
     "(several guests, and serve: each guest)",
     set_timeout},
    {"cpu-time", "TIME",
     "end the guest when its calls have taken so much processor time, such as 500ms, 10s; waiting takes none\n"
     "(several guests, and serve: each guest)",
     set_cpu_time},
    {"unknown-imports-trap", nullptr, "functions that nobody provides trap when called, instead of failing the start",
     set_switch<&RunOptions::unknown_imports_trap>},
    // Proposals: all on; an image that uses one that is off is refused.
    {"bulk-memory", nullptr, "memory.copy, memory.fill, table.copy ...", set_feature<Feature::BulkMemory>},
    {"custom-page-sizes", nullptr, "memories with pages of one byte", set_feature<Feature::CustomPageSizes>},
    {"exceptions", nullptr, "try_table, throw, throw_ref", set_feature<Feature::Exceptions>},
    {"extended-const", nullptr, "arithmetic in constant expressions", set_feature<Feature::ExtendedConst>},
    {"function-references", nullptr, "typed function references", set_feature<Feature::FunctionReferences>},
    {"gc", nullptr, "garbage-collected types: validated, not run yet", set_feature<Feature::Gc>},
    {"legacy-exceptions", nullptr, "try, catch, delegate, rethrow", set_feature<Feature::LegacyExceptions>},
    {"memory64", nullptr, "64-bit memories and tables", set_feature<Feature::Memory64>},
    {"multi-memory", nullptr, "several memories in a module", set_feature<Feature::MultiMemory>},
    {"multi-value", nullptr, "several results, block parameters", set_feature<Feature::MultiValue>},
    {"mutable-global", nullptr, "imported and exported mutable globals", set_feature<Feature::MutableGlobal>},
    {"reference-types", nullptr, "references as values, several tables", set_feature<Feature::ReferenceTypes>},
    {"relaxed-simd", nullptr, "vector instructions that leave the machine a choice", set_feature<Feature::RelaxedSimd>},
    {"saturating-float-to-int", nullptr, "conversions that do not trap", set_feature<Feature::SaturatingFloatToInt>},
    {"sign-extension", nullptr, "i32.extend8_s ...", set_feature<Feature::SignExtension>},
    {"simd", nullptr, "128-bit vectors", set_feature<Feature::Simd>},
    {"tail-call", nullptr, "return_call ...", set_feature<Feature::TailCall>},
    {"threads", nullptr, "atomic instructions, shared memories", set_feature<Feature::Threads>},
    {"wide-arithmetic", nullptr, "128-bit addition and multiplication", set_feature<Feature::WideArithmetic>},
};

std::string tiers_help() {
  std::string out;
  for (const TiersName& known : tiers_names()) {
    out += std::string(out.empty() ? "" : ";\n") + known.name + ": " + known.help;
  }
  return out;
}

constexpr Key kOptimize[] = {
    {"tier", "TIER", nullptr, set_tier, tiers_help},
    {"eager", "baseline", "compile all functions before the first instruction, in every tier that makes baseline code",
     set_eager},
    {"compile-threads", "N", "threads that compile hot code (0, the default: one per processor but one, at most 4)",
     set_compile_threads},
    {"profile", nullptr, "baseline code counts what it does: entries, conditions, targets; --stats sums it up",
     set_profiling},
    {"effort", "EFFORT",
     "of what stays in the interpreter: quick: translate functions in one pass; careful: with register\n"
     "allocation and fused instructions at the first call; auto: quickly, and carefully once hot (default)",
     set_effort},
    {"inline", "CALLS",
     "calls that optimised code replaces by the callee's own instructions: on: of small functions (default);\n"
     "off: none; all: whatever can be, for tests: slow to compile",
     set_inline},
    {"cache", "WHERE",
     "code kept from run to run: on: in $XDG_CACHE_HOME/vmrun or ~/.cache/vmrun (default); off; read: nothing\n"
     "is written; a folder, with a slash in its name; read:FOLDER: that one, and nothing is written",
     set_cache},
    {"cache-size", "SIZE", "bytes that the cache may grow to (1G); what was used least recently goes first",
     set_cache_size},
    {"guard-pages", nullptr, "guard pages behind memories (default); without, accesses are checked, as in dense ones",
     set_guard_pages},
    {"dense-memory", nullptr, "memories with explicit bounds checks, packed in little address space", set_dense},
    {"dense-memory-max", "SIZE", "what a dense memory may grow to (64M; from 4K to 4G)", set_dense_max},
    {"validation-threads", "N", "threads that validate an image (0, the default: one per processor)", set_threads},
};

constexpr Key kWasi[] = {
    {"wasi", nullptr, "provide WASI preview 1 to the guest (on)", set_switch<&RunOptions::wasi>},
    {"inherit-env", nullptr, "give the guest every environment variable of this process",
     set_switch<&RunOptions::inherit_env>},
    {"listenfd", nullptr, "give the guest the sockets that systemd passed (LISTEN_FDS)",
     set_switch<&RunOptions::listenfd>},
    {"tcplisten", "ADDRESS:PORT", "listen there and give the guest the socket; may be given again", add_listener},
    {"max-descriptors", "N",
     "descriptors that the guest may have open (half of what vmrun may, at most 4096; a guest with a\nlistening "
     "socket: all but 64)",
     set_max_descriptors},
    {"threads", nullptr, "let the guest start threads by wasi.thread-spawn, over a worker for each processor (on)",
     set_switch<&RunOptions::threads>},
    {"max-threads", "N", "threads that the guest may have at a time beside its first (1024)", set_max_threads},
    {"random-seed", "N", "deterministic random_get, for reproducible runs: no secrets", set_seed},
};

Result<void> set_metrics(RunOptions& o, Value v) {
  if (v.rfind(':') == v.npos) return usage_error("expected HOST:PORT, :PORT, [V6]:PORT or unix:PATH");
  o.metrics = std::string(v);
  return {};
}

constexpr Key kDebug[] = {
    {"backtrace-details", nullptr,
     "name source lines in backtraces, by the image's debug information (DWARF), as\n"
     "VMRUN_BACKTRACE_DETAILS=1 does",
     set_details},
    {"gdb", nullptr, "tell a debugger about machine code (GDB's interface for compiled code)",
     set_switch<&RunOptions::gdb>},
    {"debug-info", nullptr, "as gdb, with the source lines of images that have debug information (DWARF)",
     set_switch<&RunOptions::debug_info>},
    {"log", "COMPONENT=LEVEL",
     "messages on standard error, as VMRUN_LOG does: log=wasi=trace prints system calls;\n"
     "levels are error, warn, info, debug, trace; the component may be all",
     set_log},
    {"metrics", "ADDRESS",
     "metrics for Prometheus at http://ADDRESS/metrics: HOST:PORT, :PORT (this machine's own), [V6]:PORT or unix:PATH",
     set_metrics},
};

constexpr Row kRunOptions[] = {
    {0, "invoke", "NAME", "call the export NAME with ARGS by its parameters' types, and print the results", set_invoke},
    {0, "dir", "HOST[::GUEST[::ro]]",
     "let the guest use the directory HOST, as GUEST, and only read it (ro); may be given again", add_dir},
    {0, "env", "NAME[=VALUE]", "set a variable for the guest, or hand on this process's; may be given again", add_env},
    {0, "preload", "NAME=IMAGE", "instantiate IMAGE first and offer its exports as module NAME; in order", add_preload},
    {0, "mac-key", "FILE", "run compiled images alone, and only with the MAC that compile --mac-key FILE gave them",
     set_mac_key},
    {0, "allow-precompiled", nullptr,
     "run the code of compiled images also where they are not called NAME.cwasm, or may be written: whoever wrote\n"
     "them can do anything that you can",
     set_switch<&RunOptions::allow_precompiled>},
    {0, "argv0", "NAME", "the guest's program name (its image's file name)", set_argv0},
    {0, "stats", nullptr, "print times, translated and compiled functions and memory on standard error",
     set_switch<&RunOptions::stats>},
    {0, "profile", "WHAT",
     "FILE.json[,INTERVAL]: dump what the tiers did and where time went into FILE.json, at the end, at SIGUSR2\n"
     "and every INTERVAL, for 'vmrun report';\n"
     "guest[,FILE[,INTERVAL]]: sample the guest's stacks, every 10ms or INTERVAL, into FILE, which is by its\n"
     "end .json (speedscope), .trace.json (Perfetto), .pprof (go tool pprof) or .folded (flame graphs);\n"
     "perfmap and jitdump name machine code for perf: /tmp/perf-PID.map, or jit-PID.dump\n"
     "here, for 'perf record -k mono' and 'perf inject --jit'; may be given again",
     set_profile},
    {0, "repeat", "N", "run N times, in a fresh instance each, and print the time of each", set_repeat},
    {0, "instances", "N", "run N guests of IMAGE at once, each with memory of its own", set_instances},
    {0, "also", "IMAGE2", "run IMAGE2 at the same time; may be given again", add_also},
    {0, "arg", "ARG", "an argument for the image of the --also before it; may be given again", add_arg},
    {0, "workers", "N", "threads that run guests (one per processor, where there are several guests)", set_workers},
    {0, "pin", nullptr, "bind each of these threads to a processor", set_pin},
    {'W', "wasm", "KEY[=VALUE],...", "limits and proposals", nullptr, kWasm},
    {'O', "optimize", "KEY[=VALUE],...", "how to execute", nullptr, kOptimize},
    {'S', "wasi", "KEY[=VALUE],...", "what the system interface offers", nullptr, kWasi},
    {'D', "debug", "KEY[=VALUE],...", "what to tell about the run", nullptr, kDebug},
};

}  // namespace

Result<void> set_mac_key(RunOptions& o, Value v) {
  auto key = MacKey::read_file(std::string(v));
  if (!key) return std::move(key).error();
  o.mac_key = std::move(*key);
  o.mac_key_file = v;
  return {};
}

Result<void> set_inline(RunOptions& o, Value v) {
  const auto on = parse_switch(v);
  if (v != "all" && !on) return usage_error("'" + std::string(v) + "' is none of on, off and all");
  o.config.inlining = v == "all" ? Inlining::All : *on ? Inlining::On : Inlining::Off;
  return {};
}

Result<void> set_effort(RunOptions& o, Value v) {
  if (v == "quick") {
    o.config.effort = Effort::Quick;
  } else if (v == "careful") {
    o.config.effort = Effort::Careful;
  } else if (v == "auto") {
    o.config.effort = Effort::Auto;
  } else {
    return usage_error("'" + std::string(v) + "' is none of quick, careful and auto");
  }
  return {};
}

Result<void> set_tier(RunOptions& o, Value v) {
  std::string names;
  const std::span<const TiersName> all = tiers_names();
  for (const TiersName& known : all) {
    if (v == known.name) {
      o.config.tiers = known.tiers;
      return {};
    }
    names += &known == &all.front() ? "" : &known == &all.back() ? " and " : ", ";
    names += known.name;
  }
  return usage_error("'" + std::string(v) + "' is none of " + names);
}

std::span<const Row> run_rows() { return kRunOptions; }

Misplaced sort_arguments(Args args) {
  const auto add = [](std::string& out, std::string_view arg) {
    const bool plain = !arg.empty() && arg.find_first_of(" \t\n'\"\\$`&|;<>()*?[]#~!{}") == arg.npos;
    out += plain ? " " + std::string(arg) : " '" + std::string(arg) + "'";
  };
  Misplaced out;
  for (size_t i = 0; i < args.size(); ++i) {
    const OptionText text = split_option(args[i]);
    const Row* row = nullptr;
    for (const Row& candidate : kRunOptions) {
      const bool named = text.is_short ? text.name[0] == candidate.letter : text.name == candidate.name;
      if (text.is_option && !text.ends && named) row = &candidate;
    }
    add(row ? out.options : out.others, args[i]);
    out.invokes |= row && row->set == set_invoke;
    if (row && row->value && !text.has_value && i + 1 < args.size()) add(out.options, args[++i]);
  }
  return out;
}

}  // namespace vmrun::tools
