// The cache that an embedder keeps: Config::cache_hooks. See cache.h.
//
// Entries are what the files of a folder are, by the same names; with a key each has a MAC of its name and its bytes.
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

#include "engine/cache.h"
#include "engine/cache_files.h"
#include "engine/cache_keeper.h"
#include "engine/hot_list.h"
#include "engine/sealed.h"
#include "jit/stored/writer.h"

namespace vmrun::engine {
namespace {

/// The bytes of an entry that can be trusted; nothing where there are none.
std::optional<std::vector<std::byte>> get(const CacheHooks& hooks, const std::string& name) {
  if (!hooks.get) return std::nullopt;
  const std::optional<std::vector<uint8_t>> found = hooks.get(name);
  if (!found) {
    VMRUN_LOG_AT(cache_log(), info, "no code from {}: there is none", name);
    return std::nullopt;
  }
  const auto all = std::as_bytes(std::span(*found));
  std::vector<std::byte> bytes(all.begin(), all.end());
  if (!hooks.key) return bytes;
  auto right = verified(jit::stored::source_of(std::move(bytes)), name, *hooks.key);
  if (right) return std::move(*right);
  VMRUN_LOG_AT(cache_log(), warn, "{} is ignored: {}", name, right.error().message);
  return std::nullopt;
}

/// Writes an entry by `write`, which gets a sink. False: it is too large, or was not kept.
bool put(const CacheHooks& hooks, const std::string& name, const std::function<bool(const jit::stored::Sink&)>& write) {
  std::vector<uint8_t> entry;
  const jit::stored::Sink append = [&](std::span<const std::byte> bytes) {
    const auto* first = reinterpret_cast<const uint8_t*>(bytes.data());
    entry.insert(entry.end(), first, first + bytes.size());
    return true;
  };
  bool written;
  if (hooks.key) {
    Sealing sealing(*hooks.key, name, append);
    written = write([&](std::span<const std::byte> bytes) { return sealing.write(bytes); }) && sealing.finish();
  } else {
    written = write(append);
  }
  written = written && hooks.put(name, entry);
  VMRUN_LOG_AT(cache_log(), info, "{} is {}stored, {} bytes", name, written ? "" : "not ", entry.size());
  return written;
}

/// Stores when it is told to, on the thread that does.
class HooksKeeper final : public CacheKeeper {
 public:
  HooksKeeper(std::shared_ptr<const CacheHooks> hooks, const vm::Digest& content)
      : hooks_(std::move(hooks)), content_(content) {}

  void begin(const vm::Module& module) override {
    is_large_ = module.image->bytes().size() >= kLargeImage;
    has_code_ = tiering::Manager::stored(module).file != nullptr;
    module_ = &module;
  }
  void stop() override {}
  void made_optimised() override {}
  bool finish() override {
    const tiering::News news = tiering::Manager::news(*module_);
    if (has_heat(news)) {
      const tiering::StoredCode came = tiering::Manager::stored(*module_);
      const auto run = std::chrono::steady_clock::now() - began_;
      const HotList list = merge_hot({news.hot, run}, {came.hot, came.run, came.hot_runs});
      put(*hooks_, hot_name(content_name(content_)),
          [&](const jit::stored::Sink& sink) { return sink(format_hot(content_, list)); });
    }
    {
      const std::lock_guard lock(mutex_);
      if (!is_worth_storing(news, saved_, is_large_ && !has_code_)) return false;
    }
    tiering::Kept kept = *tiering::Manager::store(*module_, tiering::Ahead(), {});
    jit::stored::About about;
    about.module = module_;
    about.content = content_;
    about.settings = kept.settings;
    const bool written = put(*hooks_, CacheKey{content_, kept.settings}.name(), [&](const jit::stored::Sink& sink) {
      return jit::stored::write(about, std::move(kept.units), sink);
    });
    if (!written) return false;
    const std::lock_guard lock(mutex_);
    saved_ = news;
    has_code_ = true;
    return true;
  }

 private:
  const std::shared_ptr<const CacheHooks> hooks_;
  const vm::Digest content_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  const vm::Module* module_ = nullptr;
  bool is_large_ = false;
  std::mutex mutex_;  // not held while the hooks are called
  tiering::News saved_;
  bool has_code_ = false;
};

}  // namespace

std::shared_ptr<CacheKeeper> Cache::hooks_keeper(const vm::Digest& content) const {
  return std::make_shared<HooksKeeper>(hooks_, content);
}

tiering::StoredCode Cache::find_by_hooks(const CacheKey& key) const {
  tiering::StoredCode found;
  const std::string name = key.name();
  if (auto bytes = get(*hooks_, name)) found.file = opened(jit::stored::source_of(std::move(*bytes)), name, key);
  if (auto bytes = get(*hooks_, hot_name(content_name(key.content)))) {
    HotList hot = parse_hot(*bytes, key.content).value_or(HotList());
    found.hot = std::move(hot.units);
    found.run = hot.run;
    found.hot_runs = hot.runs;
  }
  return found;
}

}  // namespace vmrun::engine
