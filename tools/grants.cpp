// See grants.h.
#include "tools/grants.h"

#include <algorithm>
#include <filesystem>

#include "tools/report.h"

namespace vmrun::tools {
namespace {

namespace fs = std::filesystem;

/// Without links and dots, as far as it exists.
fs::path plain(const std::string& path) {
  std::error_code failure;
  fs::path out = fs::weakly_canonical(path, failure);
  if (failure) out = fs::absolute(path, failure).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();  // a slash at the end
  return out;
}

}  // namespace

std::optional<std::string> granted_above(const std::vector<RunOptions::Dir>& dirs, const std::string& path,
                                         Access access) {
  const auto counts = [&](const RunOptions::Dir& dir) { return access == Access::read || !dir.read_only; };
  if (std::ranges::none_of(dirs, counts)) return std::nullopt;
  std::error_code failure;
  // What lies above it by name too: a guest that may write there may put another link in the place of one.
  for (fs::path at = fs::absolute(path, failure); !at.empty(); at = at.parent_path()) {
    const fs::path inner = plain(at);
    for (const RunOptions::Dir& dir : dirs) {
      if (!counts(dir)) continue;
      const fs::path outer = plain(dir.host);
      const auto [end, rest] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
      if (end == outer.end()) return dir.host;
    }
    if (at == at.root_path()) break;
  }
  return std::nullopt;
}

void settle_cache(RunOptions& options) {
  const RunOptions::Cache& wanted = options.cache;
  options.config.cache.reset();
  // Code of a run without -D debug-info does not know each instruction's place.
  if (wanted.mode == RunOptions::Cache::Mode::off || options.debug_info) return;
  CacheConfig cache;
  cache.folder = wanted.folder.empty() ? default_cache_folder() : fs::path(wanted.folder);
  if (cache.folder.empty()) return;
  for (const RunOptions::Dir& dir : options.dirs) {
    if (dir.read_only || plain(dir.host) != plain(cache.folder)) continue;
    warn("'" + dir.host + "' is the cache of code: the guest can read it, but change nothing in it");
  }
  cache.write = wanted.mode == RunOptions::Cache::Mode::on;
  if (wanted.bytes) cache.max_bytes = *wanted.bytes;
  options.config.cache = std::move(cache);
}

}  // namespace vmrun::tools
