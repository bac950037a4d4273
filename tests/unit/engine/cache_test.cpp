// The cache of code: what is found there again, what is not, and what is left alone.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include <algorithm>
#include <ctime>

#include "engine/cache_files.h"
#include "engine/engine_impl.h"
#include "tests/unit/engine/stored.h"

using namespace vmrun;
using namespace vmrun::test;
namespace fs = std::filesystem;

namespace {

/// Optimised code at each first call: there is always something that is worth storing.
Config cached(const fs::path& folder) {
  Config config = with_tiers(Tiers::Opt);
  config.cache = CacheConfig{folder};
  return config;
}

struct Ran {
  Came came;
  bool stored;
};
Ran run(const Config& config, const std::string& image = kStoredImage) {
  const Module module = ok(Module::compile_file(Engine(config), image));
  check_stored(module);
  const bool stored = module.store();
  return {how_code_came(module), stored};
}

std::vector<CacheEntry> entries(const fs::path& folder, bool profiles = false) {
  std::vector<CacheEntry> all = ok(cache_entries(folder));
  std::erase_if(all, [&](const CacheEntry& entry) { return entry.is_profile != profiles; });
  return all;
}

fs::perms mode_of(const fs::path& path) { return fs::status(path).permissions(); }

}  // namespace

TEST_CASE("cache: a second process takes the code of the first") {
  const Folder base;
  const fs::path folder = base.path() / "a" / "b";
  Ran ran = run(cached(folder));
  CHECK(ran.came.loaded == 0);
  CHECK(ran.stored);
  CHECK(mode_of(folder) == fs::perms::owner_all);
  REQUIRE(entries(folder).size() == 1);
  CHECK(mode_of(folder / entries(folder)[0].file) == kPermsOfEntry);
  CHECK(entries(folder, true).size() == 1);
  ran = run(cached(folder));
  CHECK(ran.came.compiled == 0);
  CHECK(ran.came.loaded >= 6);
  CHECK(!ran.stored);
  CHECK(std::distance(fs::directory_iterator(folder), {}) == 2);
}

TEST_CASE("cache: a folder that nothing is stored in is not made") {
  const Folder base;
  Config config = cached(base.path() / "none");
  config.cache->write = false;
  CHECK(!run(config).stored);
  CHECK(!fs::exists(base.path() / "none"));
  config = cached(base.path() / "none");
  config.tiers = Tiers::InterpBaseline;  // a few functions are compiled in less time than a file is written
  const Module module = ok(Module::compile_file(Engine(config), kStoredImage));
  CHECK(!module.store());
  CHECK(!fs::exists(base.path() / "none"));
  config.tiers = Tiers::Interp;
  CHECK(!run(config).stored);
}

TEST_CASE("cache: settings have entries of their own") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  Config dense = cached(folder), calls = cached(folder);
  dense.dense_memory = true;
  calls.inlining = Inlining::Off;
  for (const Config& config : {cached(folder), dense, calls}) {
    CHECK(run(config).came.loaded == 0);
  }
  CHECK(entries(folder).size() == 3);
  for (const Config& config : {cached(folder), dense, calls}) {
    CHECK(run(config).came.compiled == 0);
  }
}

TEST_CASE("cache: what a run adds is there in the next one, beside what it did not use") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  const auto call = [&](const char* name) {
    const Module module = ok(Module::compile_file(Engine(cached(folder)), kStoredImage));
    Store store(module.engine());
    const Instance instance = ok(Linker(module.engine()).instantiate(store, module));
    CHECK(ok(ok(ok(instance.func(name)).typed<int32_t(int32_t, int32_t)>()).call(9, 3)) != 0);
    const bool stored = module.store();
    return Ran{how_code_came(module), stored};
  };
  CHECK(call("add").came.compiled == 1);
  CHECK(call("div").came.compiled == 1);
  const Ran again = call("add");
  CHECK(again.came.loaded == 1);
  CHECK(again.came.compiled == 0);
  CHECK(call("div").came.loaded == 1);
}

TEST_CASE("cache: a file that anybody else could have written is left alone") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  CHECK(run(cached(folder)).stored);
  const fs::path file = folder / entries(folder)[0].file;
  const auto untouched = [&] {
    const Ran ran = run(cached(folder));
    CHECK(ran.came.loaded == 0);
    return ran.stored;
  };
  // 0600 and 0700: a guest may have made, or written, what its user can write.
  for (const int mode : {0620, 0602, 0640, 0666, 0600, 0700, 0400, 0550}) {
    chmod(file.c_str(), static_cast<mode_t>(mode));
    CHECK(untouched());  // and another one takes its place
    CHECK(mode_of(file) == kPermsOfEntry);
    CHECK(run(cached(folder)).came.compiled == 0);
  }
  for (const int mode : {0770, 0705, 0711}) {
    chmod(folder.c_str(), static_cast<mode_t>(mode));
    CHECK(!untouched());
  }
  chmod(folder.c_str(), 0700);
  CHECK(run(cached(folder)).came.compiled == 0);
  // Nor is one that has another name, by which somebody may reach it.
  fs::create_hard_link(file, base.path() / "other name");
  CHECK(untouched());
  CHECK(run(cached(folder)).came.compiled == 0);
  // Links are not followed, neither to a folder nor to a file.
  fs::create_directory_symlink(folder, base.path() / "link");
  CHECK(run(cached(base.path() / "link")).came.loaded == 0);
  fs::rename(file, base.path() / "elsewhere");
  fs::create_symlink(base.path() / "elsewhere", file);
  CHECK(untouched());
  CHECK(!fs::is_symlink(file));
  CHECK(fs::exists(base.path() / "elsewhere"));
  // Neither is what is no file waited for.
  fs::remove(file);
  REQUIRE(mkfifo(file.c_str(), 0600) == 0);
  CHECK(untouched());
  write_file(base.path() / "file", "");
  CHECK(!run(cached(base.path() / "file")).stored);
}

TEST_CASE("cache: damaged and foreign entries are ignored and replaced") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  CHECK(run(cached(folder)).stored);
  const fs::path file = folder / entries(folder)[0].file;
  const std::string good = read_file(file);
  const auto spoilt = [&](const std::string& bytes) {
    replace_entry(file, bytes);
    const Ran ran = run(cached(folder));
    CHECK(ran.came.compiled >= 1);
    CHECK(ran.stored);
    CHECK(run(cached(folder)).came.compiled == 0);
  };
  spoilt("");
  spoilt(good.substr(0, 100));
  spoilt(good.substr(0, good.size() - 1));
  std::string bytes = good;
  bytes[30] ^= 1;
  spoilt(bytes);
  bytes = good;
  bytes[4096 + 4096 + 10] ^= 1;  // of the code: all else in the file is used
  spoilt(bytes);
  spoilt(std::string(10000, 'x'));
}

TEST_CASE("cache: no image gets the code of another one, whatever a file is called") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  CHECK(run(cached(folder)).stored);
  const std::string name = entries(folder)[0].file;
  // The same image but for a byte of a name that nobody looks at.
  std::string image = read_file(kStoredImage);
  const size_t at = image.find("dead_load");
  REQUIRE(at != std::string::npos);
  image[at] = 'D';
  const fs::path other = base.path() / "other.wasm";
  write_file(other, image);
  CHECK(run(cached(folder), other).came.loaded == 0);
  auto all = entries(folder);
  REQUIRE(all.size() == 2);
  const std::string theirs = all[0].file == name ? all[1].file : all[0].file;
  replace_entry(folder / theirs, read_file(folder / name));
  const Ran ran = run(cached(folder), other);
  CHECK(ran.came.loaded == 0);
  CHECK(ran.stored);
}

TEST_CASE("cache: an image that is replaced by one of the same size and times is another one") {
  const Folder base;
  const fs::path folder = base.path() / "c", image = base.path() / "x.wasm";
  fs::copy_file(kStoredImage, image);
  CHECK(run(cached(folder), image).stored);
  CHECK(run(cached(folder), image).came.compiled == 0);
  struct stat before;
  REQUIRE(stat(image.c_str(), &before) == 0);
  std::string bytes = read_file(image);
  bytes[bytes.find("dead_load")] = 'D';
  write_file(image, bytes);
  const timespec times[2] = {before.st_atim, before.st_mtim};
  REQUIRE(utimensat(AT_FDCWD, image.c_str(), times, 0) == 0);
  CHECK(run(cached(folder), image).came.loaded == 0);
}

TEST_CASE("cache: what was used least recently makes room") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  CHECK(run(cached(folder)).stored);
  const CacheEntry first = entries(folder)[0];
  const auto used_at = [&](const std::string& name, time_t seconds) {
    const utimbuf times = {seconds, seconds};
    REQUIRE(utime((folder / name).c_str(), &times) == 0);
  };
  used_at(first.file, 1000);
  Config calls = cached(folder), dense = calls;
  calls.inlining = Inlining::Off;
  dense.dense_memory = true;
  CHECK(run(calls).stored);
  used_at(first.file, 1'000'000);  // and the second one earlier
  for (const CacheEntry& entry : entries(folder)) {
    if (entry.file != first.file) used_at(entry.file, 1000);
  }
  write_file(folder / "mine", std::string(100'000, 'x'));  // none of ours
  write_file(folder / ".new-0123", "x");
  used_at(".new-0123", 1000);
  write_file(folder / ".new-4567", "x");  // somebody may be writing it
  dense.cache->max_bytes = 2 * first.bytes + first.bytes / 2;
  CHECK(run(dense).stored);
  const auto left = entries(folder);
  CHECK(left.size() == 2);
  CHECK(std::ranges::count(left, first.file, &CacheEntry::file) == 1);
  CHECK(fs::exists(folder / "mine"));
  CHECK(!fs::exists(folder / ".new-0123"));
  CHECK(fs::exists(folder / ".new-4567"));
  // What is larger than all there may be is not stored, and costs nobody his place.
  dense.cache->max_bytes = 1000;
  fs::remove(folder / (left[0].file == first.file ? left[1].file : left[0].file));
  CHECK(!run(dense).stored);
  CHECK(fs::exists(folder / first.file));
  const uint64_t removed = ok(clear_cache(folder));
  CHECK(removed >= first.bytes);
  CHECK(ok(cache_entries(folder)).empty());
  CHECK(fs::exists(folder / "mine"));
}

TEST_CASE("cache: what was hot is known when its code is gone, and is optimised at once") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  CHECK(run(cached(folder)).stored);
  fs::remove(folder / entries(folder)[0].file);
  Config config = cached(folder);
  config.tiers = Tiers::Auto;
  const Module module = ok(Module::compile_file(Engine(config), kStoredImage));
  const auto stored = tiering::Manager::stored(*module.impl());
  CHECK(stored.file == nullptr);
  CHECK(stored.hot.size() >= 6);
  CHECK(std::ranges::all_of(stored.hot, [](const tiering::HotUnit& unit) { return unit.heat >= 25'000; }));
  // Damage to that list is damage to nothing else.
  const fs::path list = folder / entries(folder, true)[0].file;
  std::string bytes = read_file(list);
  bytes[bytes.size() - 5] ^= 1;
  replace_entry(list, bytes);
  const Module other = ok(Module::compile_file(Engine(config), kStoredImage));
  CHECK(tiering::Manager::stored(*other.impl()).hot.empty());
  check_stored(other);
}

TEST_CASE("cache: one that is only read, or cannot be written, counts heat by runs and keeps nothing") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  for (int i = 0; i < 3; ++i) run(cached(folder));
  const auto came = [&](bool write) {
    Config config = cached(folder);
    config.cache->write = write;
    return tiering::Manager::stored(*ok(Module::compile_file(Engine(config), kStoredImage)).impl());
  };
  CHECK(came(true).keeper != nullptr);
  const tiering::StoredCode read = came(false);
  CHECK(read.keeper == nullptr);
  CHECK(read.hot.size() >= 6);
  CHECK(read.hot_runs == 256);  // the others found nothing that is hot and has no optimised code
  // By another user than root, who may write everywhere.
  const auto is_closed = [&](mode_t mode) {
    REQUIRE(chmod(folder.c_str(), mode) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      constexpr uid_t kNobody = 65534;
      if (geteuid() == 0 && (chmod(base.path().c_str(), 0711) != 0 || chown(folder.c_str(), kNobody, kNobody) != 0 ||
                             seteuid(kNobody) != 0)) {
        _exit(2);
      }
      _exit(engine::is_closed_folder(folder) ? 1 : 0);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WEXITSTATUS(status);
  };
  CHECK(is_closed(0500) == 1);
  CHECK(is_closed(0700) == 0);
  CHECK(!engine::is_closed_folder(base.path() / "none"));
}

TEST_CASE("cache: why there is no code, in words") {
  const Folder base;
  const fs::path folder = base.path() / "c";
  Config dense = cached(folder);
  dense.dense_memory = true;
  const auto says = [&](const Config& config, const char* text) {
    const auto lines = ok(explain_cache(Engine(config), kStoredImage));
    return std::ranges::any_of(lines, [&](const std::string& line) { return line.find(text) != std::string::npos; });
  };
  CHECK(says(cached(folder), "no such folder"));
  CHECK(run(cached(folder)).stored);
  CHECK(says(cached(folder), "used: code of"));
  CHECK(says(dense, "not used: other settings"));
  CHECK(!says(dense, "build"));
  chmod((folder / entries(folder)[0].file).c_str(), 0644);
  CHECK(says(cached(folder), "others may use it"));
  CHECK(!explain_cache(Engine(), kStoredImage));
}

TEST_CASE("cache: the user's folder") {
  const auto with = [](const char* xdg, const char* home) {
    xdg != nullptr ? setenv("XDG_CACHE_HOME", xdg, 1) : unsetenv("XDG_CACHE_HOME");
    home != nullptr ? setenv("HOME", home, 1) : unsetenv("HOME");
    return default_cache_folder();
  };
  const std::string xdg = std::getenv("XDG_CACHE_HOME") != nullptr ? std::getenv("XDG_CACHE_HOME") : "";
  const std::string home = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "/";
  CHECK(with("/x", "/h") == "/x/vmrun");
  CHECK(with(nullptr, "/h") == "/h/.cache/vmrun");
  CHECK(with("relative", "/h") == "/h/.cache/vmrun");
  CHECK(with("", "h") == "");
  CHECK(with(nullptr, nullptr) == "");
  with(xdg.empty() ? nullptr : xdg.c_str(), home.c_str());
}
