// The cache that an embedder keeps.
#include <map>
#include <mutex>

#include "tests/unit/engine/stored.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

struct Kept {
  std::mutex mutex;
  std::map<std::string, std::vector<uint8_t>> entries;
  size_t gets = 0, puts = 0;
  bool accepts = true;

  Config config(std::optional<MacKey> key = {}) {
    Config out = with_tiers(Tiers::Opt);
    out.cache_hooks.emplace();
    out.cache_hooks->key = std::move(key);
    out.cache_hooks->get = [this](std::string_view name) -> std::optional<std::vector<uint8_t>> {
      const std::lock_guard guard(mutex);
      ++gets;
      const auto at = entries.find(std::string(name));
      if (at == entries.end()) return std::nullopt;
      return at->second;
    };
    out.cache_hooks->put = [this](std::string_view name, std::span<const uint8_t> bytes) {
      const std::lock_guard guard(mutex);
      ++puts;
      CHECK(name.size() <= 80);
      if (accepts) entries[std::string(name)].assign(bytes.begin(), bytes.end());
      return accepts;
    };
    return out;
  }
};

struct Ran {
  Came came;
  bool stored;
};
Ran run(const Config& config) {
  const Module module = ok(Module::compile_file(Engine(config), kStoredImage));
  check_stored(module);
  const bool stored = module.store();
  return {how_code_came(module), stored};
}

MacKey key_of(uint8_t byte) { return ok(MacKey::from_bytes(std::vector<uint8_t>(32, byte))); }

}  // namespace

TEST_CASE("cache hooks: code is put, and found again") {
  Kept kept;
  Ran ran = run(kept.config());
  CHECK(ran.came.loaded == 0);
  CHECK(ran.stored);
  CHECK(kept.entries.size() == 2);  // code, and what was hot
  ran = run(kept.config());
  CHECK(ran.came.compiled == 0);
  CHECK(ran.came.loaded >= 6);
  CHECK(!ran.stored);
  // Settings are part of the name.
  Config dense = kept.config();
  dense.dense_memory = true;
  CHECK(run(dense).came.loaded == 0);
  CHECK(kept.entries.size() == 3);
  CHECK(ok(explain_cache(Engine(kept.config()), kStoredImage))[0].find("kept by the embedder") != std::string::npos);
}

TEST_CASE("cache hooks: damaged entries, lost ones and refusals cost the entry alone") {
  Kept kept;
  kept.accepts = false;
  CHECK(!run(kept.config()).stored);
  CHECK(kept.puts == 2);
  kept.accepts = true;
  CHECK(run(kept.config()).stored);
  const auto good = kept.entries;
  for (const size_t at : {size_t{0}, size_t{60}, size_t{4096 + 4096 + 10}}) {
    for (auto& [name, bytes] : kept.entries) {
      if (at < bytes.size()) bytes[at] ^= 1;
    }
    CHECK(run(kept.config()).came.compiled >= 1);
    CHECK(run(kept.config()).came.compiled == 0);
  }
  for (auto& [name, bytes] : kept.entries) bytes.resize(bytes.size() / 2);
  CHECK(run(kept.config()).came.loaded == 0);
  kept.entries.clear();
  CHECK(run(kept.config()).came.loaded == 0);
  // No way to write, none to read, and neither.
  Config config = kept.config();
  config.cache_hooks->put = {};
  CHECK(run(config).came.compiled == 0);
  config = kept.config();
  config.cache_hooks->get = {};
  CHECK(run(config).came.loaded == 0);
  config.cache_hooks->put = {};
  CHECK(!run(config).stored);
}

TEST_CASE("cache hooks: with a key, only what was put with it is run, and only by its name") {
  Kept kept;
  CHECK(run(kept.config(key_of(1))).stored);
  CHECK(run(kept.config(key_of(1))).came.compiled == 0);
  CHECK(run(kept.config(key_of(2))).came.loaded == 0);  // and puts its own
  CHECK(run(kept.config(key_of(1))).came.loaded == 0);
  CHECK(run(kept.config(key_of(1))).came.compiled == 0);
  for (auto& [name, bytes] : kept.entries) bytes[bytes.size() - 60] ^= 1;
  CHECK(run(kept.config(key_of(1))).came.loaded == 0);
  // Entries without a MAC, and one that was put under another name.
  Kept plain;
  CHECK(run(plain.config()).stored);
  CHECK(run(plain.config(key_of(1))).came.loaded == 0);
  Config dense = kept.config(key_of(1));
  dense.dense_memory = true;
  const auto before = kept.entries;
  CHECK(run(dense).stored);
  std::vector<uint8_t> other;
  for (const auto& [name, bytes] : kept.entries) {
    if (!before.contains(name)) other = bytes;
  }
  REQUIRE(!other.empty());
  for (const auto& [name, bytes] : before) kept.entries[name] = other;
  CHECK(run(kept.config(key_of(1))).came.loaded == 0);
}
