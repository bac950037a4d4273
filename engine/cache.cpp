// The cache: what is kept of a module, and what is found again. See cache.h; cache_linux.cpp has the files.
#include "engine/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "engine/cache_files.h"
#include "engine/hot_list.h"
#include "jit/stored/settings.h"
#include "vm/base/build.h"
#include "vm/base/tally.h"

namespace vmrun::engine {
namespace {

using tiering::HotUnit;

/// Baseline code is stored anew when what is new of it took so long to make: less is compiled as fast as a file is
/// written.
constexpr uint64_t kWorthNanoseconds = 2'000'000;
/// An image that large is stored even without code, so that its next start need not validate it.
constexpr uint64_t kWorthValidating = 4 << 20;

// ---- hot lists ------------------------------------------------------------------------------------------------------

std::vector<HotUnit> read_hot(int folder, const CacheKey& key) {
  uint64_t size = 0;
  Refusal refusal;
  const std::string name = hot_name(content_name(key.content));
  const FileDescriptor file(open_cache_file(folder, name, size, refusal));
  if (file.number < 0 || size > kMostHotBytes) return {};
  std::vector<std::byte> bytes(size);
  if (!read_whole(file.number, 0, bytes)) return {};
  auto units = parse_hot(bytes, key.content);
  if (units) return std::move(*units);
  VMRUN_LOG_AT(cache_log(), info, "{} is ignored: it is damaged or of another format", name);
  return {};
}

bool write_hot(int folder, const vm::Digest& content, std::span<const HotUnit> units) {
  NewFile file(folder);
  return file.write(format_hot(content, units)) && file.finish(hot_name(content_name(content)));
}

}  // namespace

std::string content_name(const vm::Digest& content) { return content.hex(16); }

std::string CacheKey::name() const {
  const jit::stored::ProcessorBits processor = jit::stored::this_processor();
  const std::string key = vm::Sha256()
                              .add_number(jit::stored::kFormat)
                              .add(vm::build_id())
                              .add(std::as_bytes(std::span(processor)))
                              .add_number(settings.baseline)
                              .add_number(settings.opt)
                              .finish()
                              .hex(8);
  return code_name(content_name(content), key);
}

std::shared_ptr<const jit::stored::File> Cache::opened(std::unique_ptr<jit::stored::Source> source,
                                                       const std::string& name, const CacheKey& key) {
  auto file = jit::stored::File::open(std::move(source));
  if (!file) {
    VMRUN_LOG_AT(cache_log(), info, "{} is ignored: {}", name, file.error().message);
  } else if ((*file)->header().content != key.content || (*file)->header().settings != key.settings) {
    VMRUN_LOG_AT(cache_log(), info, "{} is ignored: it belongs to another image or to other settings", name);
  } else {
    VMRUN_LOG_AT(cache_log(), info, "{} has code of {} functions and loops", name, (*file)->units().size());
    return std::move(*file);
  }
  return nullptr;
}

Cache::Worth Cache::worth_storing(const vm::Module& module, const tiering::StoredCode& before,
                                  const tiering::News& news) {
  const bool optimised = news.units[static_cast<unsigned>(vm::Tier::opt)] != 0;
  const bool costly =
      news.nanoseconds >= kWorthNanoseconds && news.units[static_cast<unsigned>(vm::Tier::baseline)] != 0;
  const bool validated = before.file == nullptr && module.image->bytes().size() >= kWorthValidating;
  // Heat of what has no optimised code adds up from run to run.
  const bool hot = std::ranges::any_of(news.hot, [](const HotUnit& unit) { return unit.heat != 0; });
  return {optimised || costly || validated, hot};
}

tiering::StoredCode Cache::find(const CacheKey& key) const {
  if (hooks_) return find_by_hooks(key);
  tiering::StoredCode found;
  found.content = key.content;
  Refusal refusal;
  const FileDescriptor folder(open_cache_folder(config_.folder, false, refusal));
  if (folder.number < 0) {
    if (refusal.unsafe) {
      VMRUN_LOG_AT(cache_log(), warn, "the cache is not used: {}", refusal.why);
    } else {
      VMRUN_LOG_AT(cache_log(), info, "the cache is not used: {}", refusal.why.empty() ? "no folder" : refusal.why);
    }
    vm::count(vm::tally.cache_misses);
    return found;
  }
  const std::string name = key.name();
  uint64_t bytes = 0;
  const int descriptor = open_cache_file(folder.number, name, bytes, refusal);
  if (descriptor < 0) {
    VMRUN_LOG_AT(cache_log(), info, "no code from {}: {}", name, refusal.why.empty() ? "there is none" : refusal.why);
  } else {
    if (config_.write) mark_used(descriptor);
    found.file = opened(jit::stored::source_of(descriptor, bytes), name, key);
  }
  vm::count(found.file != nullptr ? vm::tally.cache_hits : vm::tally.cache_misses);
  found.hot = read_hot(folder.number, key);
  return found;
}

bool Cache::store(const vm::Module& module) const {
  if (hooks_) return store_by_hooks(module);
  const tiering::StoredCode before = tiering::Manager::stored(module);
  if (!config_.write || !before.content) return false;
  const tiering::News news = tiering::Manager::news(module);
  const auto [code, hot] = worth_storing(module, before, news);
  if (!code && !hot) return false;
  Refusal refusal;
  const FileDescriptor folder(open_cache_folder(config_.folder, true, refusal));
  if (folder.number < 0) {
    VMRUN_LOG_AT(cache_log(), info, "nothing is stored: {}", refusal.why);
    return false;
  }
  if (hot && !write_hot(folder.number, *before.content, merge_hot(news.hot, before.hot))) {
    VMRUN_LOG_AT(cache_log(), info, "{} is not stored", hot_name(content_name(*before.content)));
  }
  return code && store_code(folder.number, module, *before.content);
}

bool Cache::store_code(int folder, const vm::Module& module, const vm::Digest& content) const {
  tiering::Kept kept = *tiering::Manager::store(module, {}, {});
  const std::string name = CacheKey{content, kept.settings}.name();
  jit::stored::About about;
  about.module = &module;
  about.content = content;
  about.settings = kept.settings;
  NewFile file(folder);
  bool written = jit::stored::write(about, std::move(kept.units), [&](std::span<const std::byte> bytes) {
    return file.write(bytes) && file.bytes() <= config_.max_bytes;
  });
  if (written) make_room(folder, name, file.bytes());
  written = written && file.finish(name);
  if (written) {
    vm::count(vm::tally.cache_stores);
    VMRUN_LOG_AT(cache_log(), info, "{} is stored, {} bytes", name, file.bytes());
  } else {
    VMRUN_LOG_AT(cache_log(), info, "{} is not stored: {}", name, file.why().empty() ? "it is too large" : file.why());
  }
  return written;
}

std::vector<std::string> Cache::explain(const CacheKey& key) const {
  std::vector<std::string> lines;
  if (hooks_) return {"the cache is kept by the embedder (Config::cache_hooks); this entry is called " + key.name()};
  Refusal refusal;
  const FileDescriptor folder(open_cache_folder(config_.folder, false, refusal));
  if (folder.number < 0) {
    lines.push_back(refusal.why.empty() ? config_.folder.string() + ": there is no such folder" : refusal.why);
    return lines;
  }
  for (const FoundFile& found : list_files(folder.number)) {
    if (found.content != content_name(key.content) || found.kind == FoundFile::Kind::unfinished) continue;
    uint64_t bytes = 0;
    refusal = {};
    const int descriptor = open_cache_file(folder.number, found.name, bytes, refusal);
    if (descriptor < 0) {
      lines.push_back(found.name + ": refused: " + (refusal.why.empty() ? "it is gone" : refusal.why));
      continue;
    }
    if (found.kind == FoundFile::Kind::hot) {
      close(descriptor);
      lines.push_back(found.name + ": which functions were hot");
      continue;
    }
    auto file = jit::stored::File::open(jit::stored::source_of(descriptor, bytes), jit::stored::File::Fit::ignored);
    if (!file) {
      lines.push_back(found.name + ": ignored: " + file.error().message);
      continue;
    }
    const jit::stored::Header& header = (*file)->header();
    std::string why;
    const auto differs = [&](bool does, const char* what) {
      if (does) why += (why.empty() ? "" : ", ") + std::string(what);
    };
    differs(std::string_view(header.build.data(), header.build.size()) != vm::build_id(), "another build of vmrun");
    differs(header.processor != jit::stored::this_processor(), "another processor");
    differs(header.settings != key.settings, "other settings (-O, or -W fuel)");
    differs(header.content != key.content, "another image");
    if (why.empty()) {
      lines.push_back(found.name + ": used: code of " + std::to_string((*file)->units().size()) +
                      " functions and loops");
    } else {
      lines.push_back(found.name + ": not used: " + why);
    }
  }
  if (lines.empty())
    lines.push_back("there is nothing of this image: it was not run yet, or nothing was worth storing");
  return lines;
}

void Cache::make_room(int folder, const std::string& name, uint64_t bytes) const {
  std::vector<FoundFile> files = list_files(folder);
  std::ranges::sort(files, {}, &FoundFile::used);
  uint64_t sum = bytes;
  for (const FoundFile& file : files) sum += file.name == name ? 0 : file.bytes;
  for (const FoundFile& file : files) {
    if (file.kind == FoundFile::Kind::unfinished) {
      if (file.is_old()) unlinkat(folder, file.name.c_str(), 0);
      continue;
    }
    if (sum <= config_.max_bytes || file.name == name) continue;
    VMRUN_LOG_AT(cache_log(), info, "{} goes, to make room", file.name);
    if (unlinkat(folder, file.name.c_str(), 0) == 0) sum -= file.bytes;
  }
}

}  // namespace vmrun::engine
