// vmrun cache: what is kept of compiled code, and what to do with it.
#include <cstdio>
#include <ctime>

#include "tools/commands.h"
#include "tools/report.h"
#include "tools/run_options.h"
#include "vmrun/base/text.h"
#include "vmrun/vmrun.h"

namespace vmrun::tools {
namespace {

using Row = OptionRow<RunOptions>;

std::span<const Row> cache_rows() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> out;
    for (const Row& row : run_rows()) {
      if (std::string_view(row.name) == "optimize" || std::string_view(row.name) == "wasm") out.push_back(row);
    }
    return out;
  }();
  return rows;
}

unsigned long long number(uint64_t n) { return n; }

int list(const std::filesystem::path& folder) {
  auto entries = cache_entries(folder);
  if (!entries) return fail(entries.error());
  for (const CacheEntry& entry : *entries) {
    const std::time_t used = std::chrono::system_clock::to_time_t(entry.used);
    char when[32] = "";
    std::tm broken_down = {};
    std::strftime(when, sizeof when, "%F %T", localtime_r(&used, &broken_down));
    std::printf("%s %12llu  %s\n", when, number(entry.bytes), entry.file.c_str());
  }
  return kExitOk;
}

int size(const std::filesystem::path& folder) {
  auto entries = cache_entries(folder);
  if (!entries) return fail(entries.error());
  uint64_t bytes = 0;
  for (const CacheEntry& entry : *entries) bytes += entry.bytes;
  std::printf("%llu bytes in %zu files in %s\n", number(bytes), entries->size(), printable(folder.string()).c_str());
  return kExitOk;
}

int clear(const std::filesystem::path& folder) {
  auto bytes = clear_cache(folder);
  if (!bytes) return fail(bytes.error());
  std::printf("removed %llu bytes from %s\n", number(*bytes), printable(folder.string()).c_str());
  return kExitOk;
}

int why_not(const RunOptions& options, const std::string& image) {
  auto lines = explain_cache(Engine(options.config), image);
  if (!lines) return fail(lines.error());
  for (const std::string& line : *lines) std::printf("%s\n", printable(line).c_str());
  return kExitOk;
}

}  // namespace

std::string cache_options_help(bool markdown) {
  const std::string text =
      "list: the files, the last one used first; size: their bytes; clear: removes them; why-not IMAGE: whether a run "
      "of "
      "IMAGE\nwith the same -O and -W would find code, and else why not. -O cache=FOLDER names another folder.\n";
  return markdown ? text : "  " + text;
}

int cache_command(Args args) {
  RunOptions options;
  auto parsed = parse(cache_rows(), options, args, false);
  if (!parsed) return fail_usage(parsed.error().message, "cache");
  if (parsed->help) return print_help("cache");
  if (!parsed->group_help.empty()) {
    std::fputs(parsed->group_help.c_str(), stdout);
    return kExitOk;
  }
  settle_cache(options);
  if (!options.config.cache) {
    return fail(options.cache.mode == RunOptions::Cache::Mode::off
                    ? "-O cache=off is no cache"
                    : "there is no folder for a cache: neither $XDG_CACHE_HOME nor $HOME names one");
  }
  const std::filesystem::path folder = options.config.cache->folder;
  const auto& words = parsed->positional;
  const std::string_view what = words.empty() ? "list" : words[0];
  if (what == "why-not" && words.size() == 2) return why_not(options, std::string(words[1]));
  if (what == "why-not") return fail_usage("why-not needs one image", "cache");
  if (words.size() > 1) return fail_usage("cache " + std::string(what) + " takes no argument", "cache");
  if (what == "list") return list(folder);
  if (what == "size") return size(folder);
  if (what == "clear") return clear(folder);
  return fail_usage("'" + std::string(what) + "' is none of list, size, clear and why-not", "cache");
}

}  // namespace vmrun::tools
