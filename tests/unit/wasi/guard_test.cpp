// What a guest may not change though it was granted: the places of code, by whatever name, call and order of events.
#include <dlfcn.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <sys/stat.h>

#include <atomic>
#include <map>
#include <thread>

#include "engine/linker_folders.h"
#include "tests/unit/wasi/guard_world.h"
#include "vmrun/vmrun.h"

using namespace vmrun;
using namespace vmrun::wasi;

TEST_CASE("guard: nothing in the cache is made, written, truncated, removed, moved, linked or dated") {
  in_both_ways([](FakeGuest& g, World&) {
    for (const std::string dir : {"home/.cache/vmrun/", "way/.cache/vmrun/", "home/work/in/",
                                  "home/work/../.cache/vmrun/", "home/.cache/vmrun/sub/../", "home/work/in/sub/../"}) {
      CAPTURE(dir);
      CHECK(open(g, dir + "new", kOCreat) == Errno::perm);
      CHECK(open(g, dir + "new", kOCreat | kOExcl) == Errno::perm);
      CHECK(open(g, dir + "new", kOCreat, rights::kFdRead) == Errno::perm);
      for (const char* file : {"entry", "notes"}) {
        CHECK(open(g, dir + file, 0) == Errno::perm);
        CHECK(open(g, dir + file, kOTrunc, rights::kFdRead) == Errno::perm);
        CHECK(open(g, dir + file, 0, rights::kFdAllocate) == Errno::perm);
        CHECK(unlink(g, dir + file) == Errno::perm);
        CHECK(rename(g, dir + file, "out") == Errno::perm);
        CHECK(rename(g, "home/work/mine", dir + file) == Errno::perm);
        CHECK(link(g, dir + file, "out") == Errno::perm);
        CHECK(link(g, dir + file, "out", true) == Errno::perm);
        CHECK(set_times(g, dir + file, true) == Errno::perm);
      }
      CHECK(make_dir(g, dir + "new") == Errno::perm);
      CHECK(make_dir(g, dir + "new/") == Errno::perm);
      CHECK(remove_dir(g, dir + "sub") == Errno::perm);
      CHECK(rename(g, "home/work/mine", dir + "new") == Errno::perm);
      CHECK(link(g, "home/work/mine", dir + "new") == Errno::perm);
      CHECK(symlink(g, "sub", dir + "new") == Errno::perm);
    }
    CHECK(open(g, "home/work/to_entry", 0) == Errno::perm);
    CHECK(open(g, "home/work/to_entry", kOTrunc) == Errno::perm);
    CHECK(link(g, "home/work/to_entry", "out", true) == Errno::perm);
    CHECK(set_times(g, "home/work/to_entry", true) == Errno::perm);
    // What is in it may be looked at.
    CHECK(g.read(g.must_open("home/.cache/vmrun/entry", 0, rights::kFdRead)) == "code");
  });
}

TEST_CASE("guard: what leads to the cache stays where it is") {
  in_both_ways([](FakeGuest& g, World& w) {
    for (const char* step : {"home", "home/", "home/.cache", "home/.cache/vmrun", "home/.cache/vmrun/", "way",
                             "home/work/in/../../.cache", "home/work/../.cache/vmrun"}) {
      CAPTURE(step);
      CHECK(rename(g, step, "out") == Errno::perm);
      CHECK(rename(g, "home/work", step) == Errno::perm);
      CHECK(rename(g, "home/work/mine", step) == Errno::perm);
      CHECK(remove_dir(g, step) == Errno::perm);
      CHECK(unlink(g, step) == Errno::perm);
      CHECK(link(g, "home/work/mine", step) == Errno::perm);
      CHECK(make_dir(g, step) == Errno::perm);
      CHECK(symlink(g, "home", step) == Errno::perm);
    }
    CHECK(link(g, "way", "out") == Errno::perm);  // a second name of the link is none of its own
    // An empty one could be replaced by a rename.
    fs::remove_all(w.t / "box/home/empty");
    w.t.dir("box/home/empty");
    w.places->add_folder(w.t / "box/home/empty");
    CHECK(rename(g, "home/work", "home/empty") == Errno::perm);
    CHECK(remove_dir(g, "home/empty") == Errno::perm);
    // All else is the guest's.
    CHECK(make_dir(g, "home/.cache/other") == Errno::success);
    CHECK(rename(g, "home/.cache/other", "home/other") == Errno::success);
    CHECK(open(g, "home/.cache/file", kOCreat) == Errno::success);
    CHECK(rename(g, "home/work/mine", "home/.cache/mine") == Errno::success);
    CHECK(unlink(g, "home/.cache/mine") == Errno::success);
    CHECK(remove_dir(g, "home/other") == Errno::success);
    CHECK(set_times(g, "home/work", true) == Errno::success);
  });
}

TEST_CASE("guard: descriptors from before, grants of the cache and in it, and names of directories that moved") {
  for (const char* grant : {"box/home/.cache/vmrun", "box/home/work/in", "box/way/.cache/vmrun"}) {
    CAPTURE(grant);
    World w;
    FakeGuest g(WasiConfig().preopen_dir(w.t / grant, "/x"));
    Fd fd{0};
    CHECK(g.open("notes", 0, rights::kFdRead | rights::kFdFilestatSetTimes, fd) == Errno::success);
    g.cx().guard.add(w.places);
    CHECK(open(g, "new", kOCreat) == Errno::perm);
    CHECK(open(g, "notes", 0) == Errno::perm);
    CHECK(unlink(g, "entry") == Errno::perm);
    CHECK(make_dir(g, "new") == Errno::perm);
    // A file that is open has a folder no more; of the cache's own ones not even the times are set.
    CHECK(fd_filestat_set_times(g.cx(), g.memory, fd, {1}, {1}, {kSetMtim}) == Errno::success);
    CHECK(g.open("entry", 0, rights::kFdRead | rights::kFdFilestatSetTimes, fd) == Errno::success);
    CHECK(fd_filestat_set_times(g.cx(), g.memory, fd, {1}, {1}, {kSetMtim}) == Errno::perm);
    CHECK(fd_filestat_set_times(g.cx(), g.memory, g.kBox, {1}, {1}, {kSetMtim}) == Errno::perm);
    w.check_untouched();
  }
  World w;
  FakeGuest g(w.t);
  g.cx().guard.add(w.places);
  Fd dir{0};
  REQUIRE(g.open("home/.cache/vmrun", kODirectory, rights::kDirectory, dir, 0, true, g.kBox, rights::kAll) ==
          Errno::success);
  // Somebody on the host moves it: it is the same folder still.
  fs::rename(w.t / "box/home/.cache/vmrun", w.t / "box/moved");
  CHECK(open(g, "new", kOCreat, rights::kFdWrite, dir) == Errno::perm);
  CHECK(open(g, "moved/new", kOCreat) == Errno::perm);
  CHECK(path_unlink_file(g.cx(), g.memory, dir, g.path("entry")) == Errno::perm);
  CHECK(path_rename(g.cx(), g.memory, dir, g.path("entry"), g.kBox, g.path("e")) == Errno::perm);
}

TEST_CASE("guard: a place that is not there is not made") {
  for (const bool walk : {false, true}) {
    World w;
    w.t.link("missing/place", "box/dangling");
    w.places->add_folder(w.t / "box/home/no/cache/vmrun");
    w.places->add_file(w.t / "box/home/plugin.so");
    w.places->add_folder(w.t / "box/dangling/deeper");
    FakeGuest g(w.t);
    if (walk) g.cx().resolver.force_walk();
    g.cx().guard.add(w.places);
    for (const char* name : {"home/no", "home/plugin.so", "way/no", "home/work/../no", "missing", "dangling"}) {
      CAPTURE(name);
      CHECK(make_dir(g, name) == Errno::perm);
      CHECK(rename(g, "home/work", name) == Errno::perm);
      CHECK(link(g, "home/work/mine", name) == Errno::perm);
      CHECK(symlink(g, "work", name) == Errno::perm);
    }
    CHECK(make_dir(g, "home/no/") == Errno::perm);
    CHECK(open(g, "home/no", kOCreat) == Errno::perm);
    CHECK(open(g, "home/plugin.so", kOCreat) == Errno::perm);
    CHECK(open(g, "home/plugin.so", kOCreat | kOExcl) == Errno::perm);
    CHECK(symlink(g, "plugin.so", "home/l") == Errno::success);
    CHECK(open(g, "home/l", kOCreat) == Errno::perm);
    CHECK(open(g, "dangling", kOCreat) == Errno::perm);
    CHECK(make_dir(g, "no") == Errno::success);  // that name elsewhere
    CHECK(!w.t.exists("box/home/no"));
    CHECK(!w.t.exists("box/home/plugin.so"));
    CHECK(!w.t.exists("box/missing"));
  }
}

TEST_CASE("guard: a file that is protected by itself is not written by another name either") {
  World w;
  w.t.put("box/home/plugin.so", "code");
  fs::create_hard_link(w.t / "box/home/plugin.so", w.t / "box/alias");
  w.places->add_file(w.t / "box/home/plugin.so");
  FakeGuest g(w.t);
  g.cx().guard.add(w.places);
  for (const char* name : {"alias", "home/plugin.so"}) {
    CHECK(open(g, name, 0) == Errno::perm);
    CHECK(open(g, name, kOTrunc) == Errno::perm);
    CHECK(open(g, name, kOCreat | kOTrunc) == Errno::perm);
    CHECK(open(g, name, kOTrunc, rights::kFdRead) == Errno::perm);
    CHECK(unlink(g, name) == Errno::perm);
    CHECK(rename(g, "home/work/mine", name) == Errno::perm);
  }
  CHECK(w.t.get("box/alias") == "code");
}

TEST_CASE("guard: where libraries are looked for, none is put, and all else may be") {
  World w;
  w.t.put("box/home/libx.so.1", "code");
  w.places->add_libraries(w.t / "box/home");
  FakeGuest g(w.t);
  g.cx().guard.add(w.places);
  for (const char* name : {"home/libx.so.1", "home/liby.so", "home/x.son.so.2", "home/glibc-hwcaps"}) {
    CAPTURE(name);
    CHECK(open(g, name, kOCreat) == Errno::perm);
    CHECK(make_dir(g, name) == Errno::perm);
    CHECK(unlink(g, name) == Errno::perm);
    CHECK(rename(g, "home/work/mine", name) == Errno::perm);
    CHECK(link(g, "home/work/mine", name) == Errno::perm);
    CHECK(symlink(g, "x", name) == Errno::perm);
  }
  CHECK(open(g, "home/text", kOCreat) == Errno::success);
  CHECK(open(g, "home/work/liby.so", kOCreat) == Errno::success);
  CHECK(unlink(g, "home/text") == Errno::success);
  for (const char* name : {"home/notes.sound", "home/a.so.txt", "home/x.so.", "home/so", "home/work/glibc-hwcaps"}) {
    CAPTURE(name);
    CHECK(open(g, name, kOCreat) == Errno::success);
    CHECK(unlink(g, name) == Errno::success);
  }
  // Until glibc 2.37 the linker looked into these too.
  const std::string version = ::gnu_get_libc_version();
  REQUIRE(version.starts_with("2."));
  const int minor = std::stoi(version.substr(2));
  for (const char* name : {"home/tls", "home/x86_64", "home/haswell"}) {
    CAPTURE(name);
    CHECK(make_dir(g, name) == (minor < 37 ? Errno::perm : Errno::success));
  }
}

TEST_CASE("guard: what a library's link leads to is protected, and the folders of further libraries") {
  World w;
  w.t.dir("box/lib/glibc-hwcaps/x86-64-v3");
  w.t.dir("box/lib/sub");
  w.t.dir("box/real");
  w.t.put("box/real/data", "code");
  w.t.put("box/real/other", "text");
  w.t.put("box/lib/libb.so.1.2", "code");
  w.t.put("box/lib/glibc-hwcaps/x86-64-v3/libc.so.6", "code");
  w.t.put("box/lib/payload", "code");
  w.t.link("../real/data", "box/lib/liba.so.1");
  w.t.link("libb.so.1.2", "box/lib/libb.so.1");
  w.t.link("payload", "box/lib/libd.so");
  w.t.link("../real/missing", "box/lib/libe.so");
  w.t.link("../real/other", "box/lib/notes");
  w.places->add_libraries(w.t / "box/lib");
  FakeGuest g(w.t);
  g.cx().guard.add(w.places);
  for (const char* name : {"real/data", "lib/payload", "lib/libb.so.1.2", "lib/libb.so.1", "lib/liba.so.1",
                           "lib/glibc-hwcaps/x86-64-v3/libc.so.6"}) {
    CAPTURE(name);
    CHECK(open(g, name, 0) == Errno::perm);
    CHECK(open(g, name, kOCreat | kOTrunc) == Errno::perm);
    CHECK(unlink(g, name) == Errno::perm);
    CHECK(rename(g, "home/work/mine", name) == Errno::perm);
    CHECK(rename(g, name, "out") == Errno::perm);
  }
  CHECK(rename(g, "real", "out") == Errno::perm);
  CHECK(open(g, "real/missing", kOCreat) == Errno::perm);
  CHECK(open(g, "lib/glibc-hwcaps/x86-64-v3/libd.so", kOCreat) == Errno::perm);
  CHECK(make_dir(g, "lib/glibc-hwcaps/x86-64-v2") == Errno::perm);
  CHECK(rename(g, "home/work", "lib/glibc-hwcaps/x86-64-v3") == Errno::perm);
  CHECK(w.t.get("box/real/data") == "code");
  // All else is the guest's.
  CHECK(open(g, "real/other", kOTrunc) == Errno::success);
  CHECK(open(g, "lib/glibc-hwcaps/x86-64-v3/text", kOCreat) == Errno::success);
  CHECK(open(g, "lib/sub/libz.so", kOCreat) == Errno::success);
  CHECK(unlink(g, "lib/notes") == Errno::success);
}

TEST_CASE("guard: folders of libraries that only the linker's files name are protected, and these files") {
  World w;
  for (const char* folder : {"one", "two", "three", "four", "five", "conf"}) w.t.dir(std::string("box/") + folder);
  const auto at = [&](const char* name) { return w.t / (std::string("box/") + name); };
  w.t.put("box/main.conf", "# all\ninclude conf/*.conf " + at("none") + "\n  " + at("one") + "  # the first\n" +
                               at("two") + "=libc5\nhwcap 1 " + at("five") + "\nrelative\n");
  w.t.put("box/conf/a.conf", at("three") + "\ninclude ../main.conf a.conf\n");
  w.t.put("box/conf/b.txt", at("five") + "\n");
  w.t.put("box/cache", "glibc-ld.so.cache1.1" + std::string(40, '\0') + "libx.so.1" + '\0' + at("four") + "/libx.so.1" +
                           '\0' + "liby.so" + '\0' + at("four") + "/liby.so");
  engine::add_linker_folders(*w.places, at("main.conf"), at("cache"));
  FakeGuest g(w.t);
  g.cx().guard.add(w.places);
  for (const char* name : {"one/liba.so", "two/liba.so.1", "three/libb.so", "four/libx.so.1"}) {
    CAPTURE(name);
    CHECK(open(g, name, kOCreat) == Errno::perm);
    CHECK(rename(g, "home/work/mine", name) == Errno::perm);
  }
  for (const char* name : {"main.conf", "conf/a.conf", "cache"}) {
    CAPTURE(name);
    CHECK(open(g, name, 0) == Errno::perm);
    CHECK(unlink(g, name) == Errno::perm);
    CHECK(rename(g, "home/work/mine", name) == Errno::perm);
  }
  CHECK(rename(g, "four", "six") == Errno::perm);
  CHECK(open(g, "five/liba.so", kOCreat) == Errno::success);
  CHECK(open(g, "one/text", kOCreat) == Errno::success);
  // A system without them.
  engine::ProtectedPlaces none;
  engine::add_linker_folders(none, at("no.conf"), at("no.cache"));
}

TEST_CASE("guard: links of libraries and folders in circles end") {
  World w;
  w.t.dir("box/lib/glibc-hwcaps");
  w.t.link("libb.so", "box/lib/liba.so");
  w.t.link("liba.so", "box/lib/libb.so");
  w.t.link("./libc.so", "box/lib/libc.so");
  w.t.link(".", "box/lib/tls");
  w.t.link("..", "box/lib/glibc-hwcaps/up");
  w.places->add_libraries(w.t / "box/lib");
  FakeGuest g(w.t);
  g.cx().guard.add(w.places);
  for (const char* name : {"lib/liba.so", "lib/libc.so", "lib/glibc-hwcaps/up"}) CHECK(unlink(g, name) == Errno::perm);
}

TEST_CASE("guard: what is missing above a cache may be made, and the cache's own folder may not") {
  World w;
  w.t.dir("box/home/there");
  w.places->add_cache(w.t / "box/home/no/cache/vmrun");
  w.places->add_cache(w.t / "box/home/there/vmrun");
  FakeGuest g(w.t);
  g.cx().guard.add(w.places);
  CHECK(make_dir(g, "home/no") == Errno::success);
  CHECK(make_dir(g, "home/no/cache") == Errno::success);
  CHECK(make_dir(g, "home/there/vmrun") == Errno::perm);
  CHECK(symlink(g, "../work", "home/there/vmrun") == Errno::perm);
  CHECK(rename(g, "home/there", "out") == Errno::perm);
}

TEST_CASE("guard: the linker's files and what this process runs are protected with every engine") {
  const Engine engine;
  const auto places = engine::protected_places(engine);
  struct stat info;
  REQUIRE(::stat("/etc", &info) == 0);
  const engine::FileId etc = engine::id_of(info);
  for (const char* name : {"ld.so.cache", "ld.so.preload", "ld.so.conf", "ld.so.conf.d"}) {
    CAPTURE(name);
    CHECK(places->is_name(etc, name));
  }
  if (::stat("/etc/ld.so.cache", &info) == 0) CHECK(places->is_step(engine::id_of(info)));
  if (::stat("/etc/ld.so.conf.d", &info) == 0) CHECK(places->is_folder(engine::id_of(info)));
  REQUIRE(::stat("/proc/self/exe", &info) == 0);
  CHECK(places->is_step(engine::id_of(info)));
  const fs::path executable = fs::read_symlink("/proc/self/exe");
  REQUIRE(::stat(executable.parent_path().c_str(), &info) == 0);
  CHECK(places->is_name(engine::id_of(info), executable.filename().string()));
  Dl_info library;
  REQUIRE(::dladdr(reinterpret_cast<void*>(&::getpid), &library) != 0);
  if (::stat(library.dli_fname, &info) == 0) CHECK(places->is_step(engine::id_of(info)));
  // A guest with a grant over the folder of the executable.
  FakeGuest g(WasiConfig().preopen_dir(executable.parent_path(), "/x"));
  g.cx().guard.add(places);
  CHECK(open(g, executable.filename().string(), 0) == Errno::perm);
  CHECK(link(g, executable.filename().string(), "never") == Errno::perm);
}

TEST_CASE("guard: what an engine's guests may not change: its cache, the user's, and plug-ins, without a call for it") {
  World w;
  const char* const before = std::getenv("XDG_CACHE_HOME");
  const std::string old = before != nullptr ? before : "";
  ::setenv("XDG_CACHE_HOME", (w.t / "box/user").c_str(), 1);
  w.t.dir("box/user/vmrun");
  w.t.put("box/vmrun-opt.so", "code");
  set_plugin_folder(w.t / "box");
  Config config;
  config.cache.emplace();
  config.cache->folder = w.t / "box/own/cache";
  const Engine engine(config);
  const auto links = [&](FakeGuest& g) {
    Linker linker(engine);
    REQUIRE(add_wasi(linker, g.context()));
  };
  FakeGuest reader(w.t, true);
  links(reader);
  CHECK(!w.t.exists("box/own"));  // nothing is looked up, or made, for one that changes nothing
  FakeGuest g(w.t);
  links(g);
  links(g);
  CHECK(!w.t.exists("box/own"));  // nor before the first change
  CHECK(rename(g, "own", "out") == Errno::perm);
  set_plugin_folder("");
  old.empty() ? ::unsetenv("XDG_CACHE_HOME") : ::setenv("XDG_CACHE_HOME", old.c_str(), 1);
  struct stat info;
  REQUIRE(::stat((w.t / "box/own/cache").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  CHECK(open(g, "own/cache/new", kOCreat) == Errno::perm);
  CHECK(rename(g, "own", "out") == Errno::perm);
  CHECK(open(g, "user/vmrun/new", kOCreat) == Errno::perm);
  CHECK(remove_dir(g, "user/vmrun") == Errno::perm);
  CHECK(open(g, "vmrun-opt.so", kOTrunc) == Errno::perm);
  CHECK(rename(g, "home/work/mine", "vmrun-opt.so") == Errno::perm);
  CHECK(open(g, "vmrun-pool.so", kOCreat) == Errno::perm);  // would come before the one that there is
  CHECK(open(g, "user/new", kOCreat) == Errno::success);
  CHECK(w.t.get("box/vmrun-opt.so") == "code");
}

TEST_CASE("guard: a race of links and directories against the check changes nothing in the cache") {
  for (const bool walk : {false, true}) {
    World w;
    w.t.dir("box/plain");
    w.t.put("box/plain/notes", "plain");
    std::atomic<bool> done{false};
    // Another thread of the guest, by the calls that it has: `x` is a link to the cache at times, else a directory, and
    // `y` a file or a link to an entry.
    std::thread other([&] {
      FakeGuest g(w.t);
      g.cx().guard.add(w.places);
      ::symlink("home/.cache/vmrun", (w.t / "box/l").c_str());
      ::symlink("home/.cache/vmrun/notes", (w.t / "box/m").c_str());
      w.t.put("box/f", "plain");
      uint32_t number = 0;
      const auto names = [&](const char* a, const char* b) {
        // Names are put once: the guest's memory is small.
        static thread_local std::map<std::string, PathArg> known;
        for (const char* n : {a, b}) {
          if (!known.contains(n)) known.emplace(n, g.path(n));
        }
        return path_rename(g.cx(), g.memory, g.kBox, known.at(a), g.kBox, known.at(b));
      };
      for (; !done.load(); ++number) {
        names("l", "x");
        names("m", "y");
        names("x", "l");
        names("y", "m");
        names("plain", "x");
        names("f", "y");
        names("x", "plain");
        names("y", "f");
      }
      CHECK(number > 0);
    });
    FakeGuest g(w.t);
    if (walk) g.cx().resolver.force_walk();
    g.cx().guard.add(w.places);
    const PathArg made = g.path("x/made"), notes = g.path("x/notes"), y = g.path("y"), moved = g.path("moved");
    const auto out = g.out();
    size_t opened = 0;
    const auto try_open = [&](PathArg path, uint32_t oflags) {
      const Errno e = path_open(g.cx(), g.memory, g.kBox, {kSymlinkFollow}, path, {oflags},
                                {rights::kFdRead | rights::kFdWrite}, {0}, {0}, out);
      if (e != Errno::success) return;
      ++opened;
      fd_close(g.cx(), g.memory, {g.value(out)});
    };
    for (int i = 0; i < 20'000; ++i) {
      try_open(made, kOCreat);
      try_open(notes, kOTrunc);
      try_open(y, kOTrunc);
      path_unlink_file(g.cx(), g.memory, g.kBox, made);
      path_unlink_file(g.cx(), g.memory, g.kBox, notes);
      path_rename(g.cx(), g.memory, g.kBox, notes, g.kBox, moved);
    }
    done = true;
    other.join();
    CHECK(opened > 0);
    w.check_untouched();
  }
}
