// The cache as the command uses it: found again, left out where it must be, unharmed by whatever happens to processes.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <thread>

#include "tests/unit/tools/command.h"

using namespace vmrun::test;
namespace fs = std::filesystem;

namespace {

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// A run that has something to store: optimised code of what is called.
CommandResult run_in(const std::string& folder, std::vector<std::string> more = {}) {
  std::vector<std::string> args{"--stats", "-O", "tier=opt,cache=" + folder};
  args.insert(args.end(), more.begin(), more.end());
  args.insert(args.end(), {"--invoke", "add", fixture("opt_basic"), "40", "2"});
  CommandResult ran = run_vmrun(args);
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK(ran.out == "42\n");
  return ran;
}
bool stored(const CommandResult& ran) { return says(ran.err, "code that was stored"); }

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("cache: the second run finds what the first one stored") {
  const TemporaryDirectory base;
  const std::string folder = base.path() + "/c";
  CHECK(!stored(run_in(folder)));
  CHECK(stored(run_in(folder)));
  CHECK(files_in(folder) == 2);  // the code, and what was hot
  const auto cache = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "cache");
    words.insert(words.end(), {"-O", "tier=opt,cache=" + folder});
    return run_vmrun(words);
  };
  CHECK(says(cache({}).out, ".code\n"));
  CHECK(says(cache({"list"}).out, ".hot\n"));
  CHECK(says(cache({"size"}).out, "in 2 files in "));
  CHECK(says(cache({"why-not", fixture("opt_basic")}).out, "used: code of 1 functions"));
  CHECK(says(run_vmrun({"cache", "why-not", fixture("opt_basic"), "-O", "cache=" + folder}).out, "other settings"));
  CHECK(says(cache({"why-not", fixture("cli_guest")}).out, "nothing of this image"));
  CHECK(says(cache({"clear"}).out, "removed "));
  CHECK(files_in(folder) == 0);
  CHECK(!stored(run_in(folder)));
  CHECK(cache({"eat"}).status == 2);
  CHECK(cache({"why-not"}).status == 2);
  CHECK(cache({"list", "x"}).status == 2);
}

TEST_CASE("cache: off, for reading alone, and where the user's is") {
  const TemporaryDirectory base;
  const auto run = [&](const std::string& setting, const std::string& option) {
    return run_script(setting + " $vmrun --stats -O tier=opt" + option + " --invoke add \"$1\" 40 2",
                      {fixture("opt_basic")});
  };
  const std::string here = "XDG_CACHE_HOME=" + base.path();
  CHECK(run(here, ",cache=off").out == "42\n");
  CHECK(run(here, ",cache=read").out == "42\n");
  CHECK(files_in(base.path()) == 0);
  CHECK(!stored(run(here, "")));
  CHECK(files_in(base.path() + "/vmrun") == 2);
  CHECK(stored(run(here, "")));
  CHECK(stored(run(here, ",cache=read")));
  CHECK(stored(run("XDG_CACHE_HOME=/nonexistent", ",cache=read:" + base.path() + "/vmrun")));
  CHECK(!stored(run(here, ",cache=off")));
  CHECK(!stored(run("XDG_CACHE_HOME= HOME=" + base.path() + "/home", "")));
  CHECK(files_in(base.path() + "/home/.cache/vmrun") == 2);
  CHECK(run("env -u XDG_CACHE_HOME -u HOME", "").out == "42\n");
  CHECK(run_vmrun({"-O", "cache=maybe", fixture("opt_basic")}).status == 2);
  CHECK(run_vmrun({"-O", "cache=off,cache-size=1G", fixture("opt_basic")}).status == 2);
  CHECK(run_vmrun({"-O", "cache-size=1", fixture("opt_basic")}).status == 2);
  CHECK(run_vmrun({"-O", "tier=interp,cache=./x", fixture("opt_basic")}).status == 2);
}

TEST_CASE("cache: a guest that is granted what lies above it has its cache, and cannot change it") {
  const TemporaryDirectory base;
  const std::string folder = base.path() + "/a/c";
  CHECK(!stored(run_in(folder)));
  const auto contents = [&] {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::directory_iterator(folder)) {
      std::ifstream in(entry.path(), std::ios::binary);
      all[entry.path()] = {std::istreambuf_iterator<char>(in), {}};
    }
    return all;
  };
  const auto before = contents();
  REQUIRE(before.size() == 2);
  const auto check_attack = [&](const std::string& cache_option, const std::string& grant, const std::string& guest,
                                const std::string& above) {
    CAPTURE(grant);
    const CommandResult ran = run_vmrun(
        {"-O", cache_option, "--dir", grant + "::/g", "--dir", "/proc", fixture("cache_attack"), guest, above});
    CAPTURE(ran.err);
    CHECK(ran.status == 0);
    CHECK(says(ran.out, "2 entries"));
    CHECK(says(ran.out, "reached 0\n"));
    if (!says(ran.out, "reached 0\n")) MESSAGE(ran.out);
    CHECK(contents() == before);
  };
  check_attack("cache=read:" + folder, base.path(), "/g/a/c", "/g/a");
  check_attack("cache=read:" + folder, base.path() + "/a", "/g/c", "/g");
  check_attack("cache=read:" + folder, "/", "/g" + base.path() + "/a/c", "/g" + base.path() + "/a");
  // A run that has no cache, or another one, keeps its hands off the user's too.
  setenv("XDG_CACHE_HOME", (base.path() + "/home").c_str(), 1);
  fs::create_directory(base.path() + "/home");
  fs::rename(folder, base.path() + "/home/vmrun");
  fs::create_directory_symlink(base.path() + "/home/vmrun", folder);
  check_attack("cache=off", base.path(), "/g/home/vmrun", "/g/home");
  unsetenv("XDG_CACHE_HOME");
  fs::remove(folder);
  fs::rename(base.path() + "/home/vmrun", folder);
  for (const std::string& dir : {base.path(), base.path() + "/a", folder, std::string("/")}) {
    CHECK(stored(run_in(folder, {"--dir", dir})));
  }
  CHECK(stored(run_in(folder, {"--dir", base.path() + "::/::ro"})));
  // It is there before the guest has changed anything.
  const CommandResult ran = run_vmrun(
      {"-O", "cache=" + base.path() + "/b/c", "--dir", base.path() + "::/g", fixture("cache_attack"), "/g/b/c", "/g"});
  CHECK(says(ran.out, "reached 0\n"));
  CHECK(fs::status(base.path() + "/b/c").permissions() == fs::perms::owner_all);
  // One that is only read, and is not there, is not made for a guest that does not make it; and of what a guest could put
  // there, the very entries included, nothing is taken but by their mode.
  run_vmrun({"-O", "cache=read:" + base.path() + "/d/c", "--dir", base.path() + "::/g", fixture("cache_attack"),
             "/g/d/c", "/g"});
  CHECK(!fs::exists(base.path() + "/d"));
  fs::create_directories(base.path() + "/d/c");
  fs::permissions(base.path() + "/d/c", fs::perms::owner_all);
  const auto with_mode = [&](fs::perms mode) {
    for (const auto& [path, bytes] : contents()) {
      const fs::path copy = fs::path(base.path()) / "d/c" / fs::path(path).filename();
      fs::remove(copy);
      std::ofstream(copy, std::ios::binary) << bytes;
      fs::permissions(copy, mode);
    }
    return stored(run_in("read:" + base.path() + "/d/c"));
  };
  using enum fs::perms;
  CHECK(!with_mode(owner_read | owner_write));
  CHECK(!with_mode(owner_all));
  CHECK(with_mode(owner_read | owner_exec));
}

TEST_CASE("cache: a grant of the folder itself, or in it, is told") {
  const TemporaryDirectory base;
  const std::string folder = base.path() + "/c";
  CHECK(!stored(run_in(folder)));
  CHECK(says(run_in(folder, {"--dir", folder}).err, "is the cache of code"));
  fs::create_directory(folder + "/sub");
  CHECK(says(run_in(folder, {"--dir", folder + "/sub/.."}).err, "is the cache of code"));
  CHECK(!says(run_in(folder, {"--dir", base.path()}).err, "is the cache of code"));
  CHECK(!says(run_in(folder, {"--dir", folder + "::/c::ro"}).err, "is the cache of code"));
}

TEST_CASE("cache: a folder that cannot be written, and a full disk, are no errors") {
  const TemporaryDirectory base;
  CHECK(!stored(run_in("/proc/c")));
  CHECK(!stored(run_in("/dev/null/c")));
  const std::string folder = base.path() + "/c";
  // A limit of the size of files stands for a disk that is full.
  const CommandResult ran = run_script("ulimit -f 1; $vmrun -O tier=opt,cache=\"$2\" --invoke add \"$1\" 40 2",
                                       {fixture("opt_basic"), folder});
  CHECK(ran.status == 0);
  CHECK(ran.out == "42\n");
  size_t code = 0;
  for (const auto& entry : fs::directory_iterator(folder)) code += entry.path().extension() != ".hot";
  CHECK(code == 0);
  CHECK(!stored(run_in(folder)));
  CHECK(stored(run_in(folder)));
}

TEST_CASE("cache: many processes at once store and find") {
  const TemporaryDirectory base;
  const std::string folder = base.path() + "/c";
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 4; ++n) {
        const CommandResult ran =
            run_vmrun({"-O", "tier=opt,cache=" + folder, "--invoke", "add", fixture("opt_basic"), "40", "2"});
        right += ran.status == 0 && ran.out == "42\n" && ran.err.empty();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 16);
  CHECK(files_in(folder) == 2);
  CHECK(stored(run_in(folder)));
}

TEST_CASE("cache: processes that are killed at any moment leave one that can be used") {
  const TemporaryDirectory base;
  const std::string folder = base.path() + "/c";
  std::mt19937 random(1);
  // From the start of the command to beyond its end.
  const auto begun = std::chrono::steady_clock::now();
  run_in(folder);
  const auto whole =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun).count();
  for (int i = 0; i < 60; ++i) {
    fs::remove_all(folder);
    const Child child = start_child(
        VMRUN_COMMAND, {"-O", "tier=opt,cache=" + folder, "--invoke", "add", fixture("opt_basic"), "40", "2"});
    REQUIRE(child.pid > 0);
    usleep(static_cast<useconds_t>(random() % static_cast<unsigned>(whole + whole / 4)));
    kill(child.pid, SIGKILL);
    int status = 0;
    REQUIRE(waitpid(child.pid, &status, 0) == child.pid);
    close(child.out);
    close(child.err);
    // Whatever is there is right: used, or not there.
    const CommandResult ran = run_in(folder);
    CHECK(!says(ran.err, "damaged"));
    CHECK(stored(run_in(folder)));
  }
}

TEST_CASE("grants: what vmrun writes into a guest's folder does not follow the guest's links out of it") {
  const TemporaryDirectory base;
  fs::create_directory(base.path() + "/work");
  base.write("precious", "precious");
  base.write("work/p.json", "older");
  const std::string file = base.path() + "/work/p.json";
  const auto precious = [&] {
    std::ifstream in(base.path() + "/precious");
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  for (const char* what : {"", "guest,"}) {
    const CommandResult ran =
        run_vmrun({"-O", "cache=off", "--dir", base.path() + "/work::/w", std::string("--profile=") + what + file,
                   fixture("cache_attack"), "link", "../precious", "/w/p.json"});
    CAPTURE(ran.err);
    CHECK(ran.status == 0);
    CHECK(precious() == "precious");
    CHECK(fs::is_regular_file(fs::symlink_status(file)));
    CHECK(fs::file_size(file) > 20);
  }
  // The user's own link leads where it leads.
  fs::remove(file);
  fs::create_symlink("../precious", file);
  const CommandResult ran = run_vmrun({"-O", "cache=off", "--profile=" + file, fixture("cli_guest")});
  CHECK(ran.status != -1);
  CHECK(precious() != "precious");
  CHECK(fs::is_symlink(file));
}
