// Options that have no effect beside others: each is refused with what to do, since who gives an option expects
// something of it.
#include "tools/grants.h"
#include "tools/image.h"
#include "tools/run_options.h"

namespace vmrun::tools {
namespace {

struct Pointless {
  bool (*holds)(const RunOptions& options);
  const char* says;
};

bool is_tier(const RunOptions& o, Tiers tiers) { return o.config.tiers == tiers; }

constexpr Pointless kPointless[] = {
    {[](const RunOptions& o) { return o.config.eager_baseline && is_tier(o, Tiers::Interp); },
     "-O tier=interp makes no machine code, with eager=baseline neither: leave one of them out"},
    {[](const RunOptions& o) { return o.config.eager_baseline && is_tier(o, Tiers::Opt); },
     "-O tier=opt makes no baseline code, with eager=baseline neither: leave one of them out"},
    {[](const RunOptions& o) { return o.config.profile && is_tier(o, Tiers::Interp); },
     "-O profile counts in baseline code, of which tier=interp makes none: leave one of them out"},
    {[](const RunOptions& o) { return o.config.profile && is_tier(o, Tiers::Opt); },
     "-O profile counts in baseline code, of which tier=opt makes none: leave one of them out"},
    {[](const RunOptions& o) { return o.config.profile && !o.stats && !o.dump; },
     "-O profile counts for --stats, which prints the sums, and for a dump: add --stats or --profile=FILE.json"},
    {[](const RunOptions& o) {
       const bool optimises = is_tier(o, Tiers::Auto) || is_tier(o, Tiers::Opt) || is_tier(o, Tiers::Steps);
       return o.config.inlining == Inlining::All && !optimises;
     },
     "-O inline=all is for optimised code, of which this tier makes none: leave one of them out"},
    {[](const RunOptions& o) { return o.config.compile_threads != 0 && is_tier(o, Tiers::Interp); },
     "-O tier=interp compiles nothing, with compile-threads neither: leave one of them out"},
    {[](const RunOptions& o) {
       return o.config.compile_threads != 0 && is_tier(o, Tiers::Baseline) && !o.config.eager_baseline;
     },
     "-O tier=baseline compiles each function on the thread that calls it, so that compile-threads have nothing to do: "
     "leave one of them out, or add eager=baseline"},
    {[](const RunOptions& o) { return o.cache.bytes && o.cache.mode != RunOptions::Cache::Mode::on; },
     "-O cache-size is for a cache that is written: leave it out, or use cache=on or a folder"},
    {[](const RunOptions& o) { return (o.cache.bytes || !o.cache.folder.empty()) && is_tier(o, Tiers::Interp); },
     "-O tier=interp makes no machine code that a cache could keep: leave one of them out"},
    {[](const RunOptions& o) { return o.dense_memory_max && !o.config.dense_memory; },
     "-O dense-memory-max is the limit of dense memories: add dense-memory, or use -W max-memory-size=SIZE"},
    {[](const RunOptions& o) { return o.repeat && o.many.wanted(); },
     "--repeat runs a guest again and again, --instances, --also, --workers and --pin are for guests at the same time: "
     "leave one of them out"},
    {[](const RunOptions& o) { return o.profile && is_tier(o, Tiers::Interp); },
     "--profile names machine code, of which -O tier=interp makes none: leave one of them out"},
    {[](const RunOptions& o) { return o.max_threads && !o.threads; },
     "-S threads=n keeps the guest from starting threads, so that max-threads has nothing to limit: leave one of them "
     "out"},
    {[](const RunOptions& o) {
       return o.debug_info && o.cache.asked_for && o.cache.mode != RunOptions::Cache::Mode::off;
     },
     "-D debug-info compiles everything anew, so that a cache has no part in it: leave one of them out"},
    {[](const RunOptions& o) { return o.debug_info && is_tier(o, Tiers::Interp); },
     "-D debug-info tells a debugger about machine code, of which -O tier=interp makes none: leave one of them out"},
    {[](const RunOptions& o) { return o.gdb && is_tier(o, Tiers::Interp); },
     "-D gdb tells about machine code, of which -O tier=interp makes none: leave one of them out"},
};

/// What the guest is given by the system interface.
constexpr Pointless kGrants[] = {
    {[](const RunOptions& o) { return !o.dirs.empty(); }, "--dir"},
    {[](const RunOptions& o) { return !o.env.empty(); }, "--env"},
    {[](const RunOptions& o) { return o.argv0.has_value(); }, "--argv0"},
    {[](const RunOptions& o) { return o.inherit_env; }, "-S inherit-env"},
    {[](const RunOptions& o) { return o.listenfd; }, "-S listenfd"},
    {[](const RunOptions& o) { return !o.tcplisten.empty(); }, "-S tcplisten"},
    {[](const RunOptions& o) { return o.max_descriptors.has_value(); }, "-S max-descriptors"},
    {[](const RunOptions& o) { return o.max_threads.has_value(); }, "-S max-threads"},
    {[](const RunOptions& o) { return o.random_seed.has_value(); }, "-S random-seed"},
};

/// Whether two paths are the same but for slashes at their ends.
bool same(std::string_view a, std::string_view b) {
  for (std::string_view* path : {&a, &b}) {
    while (path->size() > 1 && path->ends_with('/')) path->remove_suffix(1);
  }
  return a == b;
}

/// Two directories cannot have one name. A name that was not asked for gives way.
Result<void> settle_dirs(std::vector<RunOptions::Dir>& dirs) {
  for (size_t i = 0; i < dirs.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      RunOptions::Dir &a = dirs[j], &b = dirs[i];
      if (same(a.guest, b.guest) && (!same(a.host, b.host) || a.read_only != b.read_only)) {
        return usage_error("--dir gives two directories the name '" + b.guest + "': choose another for one of them, " +
                           "--dir HOST::GUEST");
      }
      if (a.absolute && same(*a.absolute, b.guest)) a.absolute.reset();
      if (b.absolute && same(*b.absolute, a.guest)) b.absolute.reset();
      // Of one directory: relative names that make the same absolute one.
      if (a.absolute && b.absolute && *a.absolute == *b.absolute) b.absolute.reset();
    }
  }
  return {};
}

/// Standard input can be read once.
Result<void> check_standard_input(const RunOptions& options, std::string_view image) {
  size_t readers = is_standard_input(image) ? 1 : 0;
  for (const auto& [name, file] : options.preloads) readers += is_standard_input(file) ? 1 : 0;
  for (const auto& also : options.many.also) readers += is_standard_input(also.image) ? 1 : 0;
  if (readers < 2) return {};
  return usage_error("standard input is named as " + std::to_string(readers) +
                     " images, but can be read once: put the others into files");
}

}  // namespace

Result<void> check_together(RunOptions& options, std::string_view image) {
  for (const Pointless& rule : kPointless) {
    if (rule.holds(options)) return usage_error(rule.says);
  }
  for (const Pointless& grant : kGrants) {
    if (options.wasi || !grant.holds(options)) continue;
    return usage_error(std::string(grant.says) +
                       " is for the system interface, which -S wasi=n keeps from the guest: leave one of them out");
  }
  if (auto settled = settle_dirs(options.dirs); !settled) return settled;
  if (options.mac_key && options.allow_precompiled) {
    return usage_error("--mac-key says what is run: leave --allow-precompiled out");
  }
  if (options.mac_key) {
    if (const auto dir = granted_above(options.dirs, options.mac_key_file, Access::read)) {
      return usage_error("the key '" + options.mac_key_file + "' lies in '" + *dir +
                         "', where the guest may read it, and could make what is accepted: keep it elsewhere");
    }
  }
  return check_standard_input(options, image);
}

}  // namespace vmrun::tools
