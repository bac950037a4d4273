// Compiled code in a store of your own, in place of a folder: here a map that stands for a database that several machines
// share. Whoever can write to it could make these machines run anything, so entries have a MAC under a key that the
// database does not know. The module is that of tiers.cpp.
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

const std::vector<uint8_t> kImage = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01,
                                     0x7f, 0x01, 0x7f, 0x03, 0x02, 0x01, 0x00, 0x07, 0x07, 0x01, 0x03, 0x66, 0x69,
                                     0x62, 0x00, 0x00, 0x0a, 0x1e, 0x01, 0x1c, 0x00, 0x20, 0x00, 0x41, 0x02, 0x48,
                                     0x04, 0x7f, 0x20, 0x00, 0x05, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x10, 0x00, 0x20,
                                     0x00, 0x41, 0x02, 0x6b, 0x10, 0x00, 0x6a, 0x0b, 0x0b};

/// Engines call it from several threads.
class Database {
 public:
  std::optional<std::vector<uint8_t>> get(std::string_view name) {
    const std::lock_guard guard(lock_);
    const auto at = rows_.find(std::string(name));
    if (at == rows_.end()) return std::nullopt;
    return at->second;
  }
  bool put(std::string_view name, std::span<const uint8_t> bytes) {
    const std::lock_guard guard(lock_);
    rows_[std::string(name)].assign(bytes.begin(), bytes.end());
    std::printf("  put %.*s, %zu bytes\n", static_cast<int>(name.size()), name.data(), bytes.size());
    return true;
  }
  /// Somebody else changes what is there.
  void spoil() {
    const std::lock_guard guard(lock_);
    for (auto& [name, bytes] : rows_) bytes[bytes.size() / 2] ^= 1;
  }

 private:
  std::mutex lock_;
  std::map<std::string, std::vector<uint8_t>> rows_;
};

/// A machine that runs the image. How many functions' code it found in the database, or nothing where it failed.
std::optional<uint64_t> run(Database& database, const vmrun::MacKey& key) {
  vmrun::Config config;
  config.tiers = vmrun::Tiers::Opt;  // optimised code is worth storing; the default mode makes it of what is hot
  config.cache_hooks.emplace();
  config.cache_hooks->get = [&](std::string_view name) { return database.get(name); };
  config.cache_hooks->put = [&](std::string_view name, std::span<const uint8_t> bytes) {
    return database.put(name, bytes);
  };
  config.cache_hooks->key = key;
  auto module = vmrun::Module::compile(vmrun::Engine(config), kImage, "fib");
  if (!module) return std::nullopt;
  {
    vmrun::Store store(module->engine());
    auto instance = vmrun::Instance::instantiate(store, *module, {});
    if (!instance) return std::nullopt;
    auto result = instance->func("fib")->typed<int32_t(int32_t)>()->call(24);
    if (!result || *result != 46368) return std::nullopt;
  }
  module->store();  // what is new of it
  const uint64_t found = module->tier_stats(vmrun::Tier::Opt).loaded;
  std::printf("  fib(24) = 46368, code of %llu functions was found\n", static_cast<unsigned long long>(found));
  return found;
}

}  // namespace

int main() {
  if (auto loaded = vmrun::load_optimiser(); !loaded) {
    std::printf("%s\n", loaded.error().message.c_str());
    return 1;
  }
  // From wherever secrets are kept, and random.
  auto key = vmrun::MacKey::from_bytes(std::vector<uint8_t>(32, 'k'));
  if (!key) return 1;
  Database database;
  std::printf("the first machine compiles:\n");
  const auto first = run(database, *key);
  std::printf("the second one does not:\n");
  const auto second = run(database, *key);
  database.spoil();
  std::printf("what somebody has changed is not run:\n");
  const auto third = run(database, *key);
  return first == 0 && second > 0 && third == 0 ? 0 : 1;
}
