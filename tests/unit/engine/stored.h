// A module that tests store, load and run: opt_basic, and what its functions do.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/ok.h"
#include "vmrun/vmrun.h"

namespace vmrun::test {

inline const std::string kStoredImage = VMRUN_FIXTURES "/opt_basic.wasm";

inline Config with_tiers(Tiers tiers) {
  Config config;
  config.tiers = tiers;
  config.compile_threads = 1;
  return config;
}

/// Calls functions of an instance of the module and looks at what comes back, indirect calls and traps among it.
inline void check_stored(const Module& module) {
  Store store(module.engine());
  Instance instance = ok(Linker(module.engine()).instantiate(store, module));
  const auto call = [&]<class T>(const char* name, auto... args) {
    return ok(ok(instance.func(name)).typed<T>()).call(args...);
  };
  CHECK(ok(call.template operator()<int32_t(int32_t, int32_t)>("add", 40, 2)) == 42);
  CHECK(ok(call.template operator()<int64_t(int32_t)>("loop", 1000)) == 499500);
  CHECK(ok(call.template operator()<int64_t(int64_t)>("fact", int64_t{10})) == 3628800);
  CHECK(ok(call.template operator()<int64_t(int64_t, int64_t)>("tail", int64_t{100}, int64_t{0})) == 5050);
  CHECK(ok(call.template operator()<int32_t(int32_t, int32_t, int32_t)>("indirect", 4, 5, 0)) == 9);
  using Indirect = int32_t(int32_t, int32_t, int32_t);
  CHECK(call.template operator()<Indirect>("indirect", 4, 5, 1).error().trap == TrapCode::IndirectCallTypeMismatch);
  CHECK(call.template operator()<Indirect>("indirect", 4, 5, 9).error().trap == TrapCode::UndefinedElement);
  const auto trap = call.template operator()<int32_t(int32_t, int32_t)>("div", 1, 0);
  REQUIRE(!trap);
  CHECK(trap.error().trap == TrapCode::IntegerDivideByZero);
  REQUIRE(trap.error().backtrace.size() == 1);
  CHECK(trap.error().backtrace[0].function == "div");
  // That of the image's instruction: after the two gets, in a body without locals.
  for (const FuncBody& body : module.functions()) {
    if (body.name == "div") CHECK(trap.error().backtrace[0].offset == body.offset + 5);
  }
  const auto out = call.template operator()<int32_t(int32_t)>("load", 1 << 20);
  REQUIRE(!out);
  CHECK(out.error().trap == TrapCode::MemoryOutOfBounds);
}

/// Functions and units of a module that were compiled here, and that were loaded, in all tiers.
struct Came {
  uint64_t compiled = 0, loaded = 0;
};
inline Came how_code_came(const Module& module) {
  Came came;
  for (const Tier tier : {Tier::Baseline, Tier::Opt}) {
    const TierStats stats = module.tier_stats(tier);
    came.compiled += stats.functions + stats.osr_units - stats.loaded;
    came.loaded += stats.loaded;
  }
  return came;
}

/// A folder that goes at the end of the scope.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vmrun-stored-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline constexpr std::filesystem::perms kPermsOfEntry =
    std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec;

/// Puts bytes in the place of an entry, as the cache itself would have written them.
inline void replace_entry(const std::filesystem::path& file, const std::string& bytes) {
  std::filesystem::remove(file);
  write_file(file, bytes);
  std::filesystem::permissions(file, kPermsOfEntry);
}

}  // namespace vmrun::test
