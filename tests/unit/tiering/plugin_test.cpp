// Which files are loaded as plug-ins. None of the others' code runs.
#include "vm/base/plugin.h"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tiering/pool.h"
#include "vm/base/build.h"
#include "vm/base/plugin_file.h"

namespace vmrun::tiering {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRan = "VMRUN_TEST_FOREIGN_PLUGIN_RAN";

/// A folder that is searched first, for as long as this lives.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/vmrun-plugins-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
    vm::name_plugin_folder(path_.string());
    unsetenv(kRan);
  }
  ~Folder() {
    vm::name_plugin_folder("");
    fs::remove_all(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const fs::path& path() const { return path_; }
  std::string put(const char* name, const std::string& from) const {
    fs::copy_file(from, path_ / name, fs::copy_options::overwrite_existing);
    fs::permissions(path_ / name, fs::perms(0644));
    return (path_ / name).string();
  }

 private:
  fs::path path_;
};

std::string real_pool() {
  for (const std::string& folder : vm::library_folders()) {
    if (fs::exists(folder + "/" + kPoolPluginFile)) return folder + "/" + kPoolPluginFile;
  }
  FAIL("the run path of this test leads to no plug-in");
  return {};
}

TEST_CASE("a plug-in of this build is loaded") {
  const Folder folder;
  folder.put("vmrun-copy.so", real_pool());
  std::string why;
  void* library = vm::open_plugin("vmrun-copy.so", &why);
  REQUIRE_MESSAGE(library != nullptr, why);
  CHECK(dlsym(library, kPoolPluginSymbol) != nullptr);
}

TEST_CASE("a library without this build's note is refused before any code of it runs") {
  const Folder folder;
  const std::string path = folder.put("vmrun-foreign.so", VMRUN_FOREIGN_PLUGIN);
  std::string why;
  CHECK(vm::open_plugin("vmrun-foreign.so", &why) == nullptr);
  CHECK(why.find(path + " belongs to another build") == 0);
  CHECK(std::getenv(kRan) == nullptr);
  // It would have.
  REQUIRE(dlopen(path.c_str(), RTLD_NOW) != nullptr);
  CHECK(std::getenv(kRan) != nullptr);
}

TEST_CASE("a plug-in of another build, and what is cut or no library, is refused") {
  const Folder folder;
  std::ifstream file(real_pool(), std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  const size_t at = bytes.find(vm::build_id());
  REQUIRE(at != std::string::npos);
  auto refused = [&](const std::string& text) {
    const std::string path = (folder.path() / "vmrun-other.so").string();
    std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
    const std::optional<std::string> why = vm::plugin_refused(path);
    return why && why->find("belongs to another build") != std::string::npos;
  };
  CHECK(!refused(bytes));
  std::string other = bytes;
  other[at + 63] ^= 1;
  CHECK(refused(other));
  for (size_t size : {size_t{0}, size_t{3}, size_t{63}, size_t{64}, size_t{200}, at})
    CHECK(refused(bytes.substr(0, size)));
  // Headers that lie.
  for (size_t byte = 0; byte < 1024; ++byte) {
    std::string broken = bytes;
    broken[byte] = static_cast<char>(0xff);
    (void)refused(broken);
  }
  CHECK(refused("#!/bin/sh\n"));
}

TEST_CASE("a plug-in that others may write, or put there, is refused") {
  const Folder folder;
  const std::string path = folder.put("vmrun-open.so", real_pool());
  auto refused = [&] { return vm::plugin_refused(path).value_or(""); };
  REQUIRE(refused() == "");
  fs::permissions(path, fs::perms(0666));
  CHECK(refused().find("may write " + path + " (mode 0666): chmod go-w it") != std::string::npos);
  fs::permissions(path, fs::perms(0644));
  for (unsigned mode : {0777u, 01777u}) {
    fs::permissions(folder.path(), fs::perms(mode));
    CHECK(refused().find("may write " + folder.path().string()) != std::string::npos);
  }
  fs::permissions(folder.path(), fs::perms(0755));
  if (geteuid() == 0) {
    constexpr uid_t kSomebody = 4321;
    auto own = [](const std::string& what, uid_t user, gid_t group) { REQUIRE(chown(what.c_str(), user, group) == 0); };
    own(path, kSomebody, 0);
    CHECK(refused().find(path + " belongs to user 4321") == 0);
    own(path, 0, kSomebody);
    fs::permissions(path, fs::perms(0664));
    CHECK(refused().find("may write") != std::string::npos);
    own(path, 0, 0);
    own(folder.path().string(), kSomebody, 0);
    CHECK(refused().find("belongs to user 4321") != std::string::npos);
  } else {
    MESSAGE("skipped: only root may give files away");
  }
  fs::remove(path);
  fs::create_directory(path);
  CHECK(refused().find("is no regular file") != std::string::npos);
}

TEST_CASE("nothing is looked for above the executable's folder") {
  for (const std::string& folder : vm::plugin_folders()) CHECK(!folder.ends_with("/.."));
}

}  // namespace
}  // namespace vmrun::tiering
