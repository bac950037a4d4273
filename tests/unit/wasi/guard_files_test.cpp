// Which files a guest may open to change, wherever they lie: by their mode, by who made them, and by what kind of file they are.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "tests/unit/wasi/guard_world.h"
#include "vmrun/vmrun.h"

using namespace vmrun;
using namespace vmrun::wasi;

TEST_CASE("guard: a file that an open makes is its maker's, whatever mode the mask leaves it") {
  TempDir t;
  for (const bool walk : {false, true}) {
    FakeGuest g(t);
    if (walk) g.cx().resolver.force_walk();
    t.link("made", "box/to_made");
    const mode_t before = ::umask(0222);
    const Errno first = open(g, "made", kOCreat), again = open(g, "made", kOCreat);
    const Errno truncated = open(g, "cut", kOCreat | kOTrunc);
    fs::remove(t / "box/made");
    const Errno by_link = open(g, "to_made", kOCreat);
    ::umask(before);
    CHECK(first == Errno::success);
    CHECK(again == Errno::acces);
    CHECK(truncated == Errno::success);
    CHECK(by_link == Errno::success);
    for (const char* name : {"box/made", "box/cut", "box/to_made"}) fs::remove(t / name);
  }
}

TEST_CASE("guard: files that command the kernel are not opened for writing") {
  // Opened and closed, nothing is written.
  bool any = false;
  for (const std::string whole :
       {"/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/uevent_helper", "/sys/kernel/rcu_expedited",
        "/proc/sys/fs/binfmt_misc/register", "/proc/sys/fs/binfmt_misc/status", "/sys/fs/cgroup/cpu/release_agent",
        "/sys/fs/cgroup/cpu/notify_on_release", "/sys/kernel/tracing/trace_marker"}) {
    const int file = ::open(whole.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) continue;  // this user cannot either
    ::close(file);
    any = true;
    CAPTURE(whole);
    const size_t end = whole.rfind('/');
    FakeGuest g(WasiConfig().preopen_dir(whole.substr(0, end), "/x"));
    CHECK(open(g, whole.substr(end + 1), 0, rights::kFdWrite) == Errno::perm);
    CHECK(open(g, whole.substr(end + 1), 0, rights::kFdRead) != Errno::perm);
  }
  if (!any) MESSAGE("skipped: none of them may be written here");
}

TEST_CASE("guard: a file that nobody may write is not written, by whatever user and wherever it is") {
  TempDir t;
  t.put("box/entry", "code");
  fs::create_hard_link(t / "box/entry", t / "box/alias");
  FakeGuest g(t);  // no place is known
  for (const int mode : {0500, 0400, 0444, 0555}) {
    fs::permissions(t / "box/entry", fs::perms(mode));
    for (const char* name : {"entry", "alias"}) {
      CHECK(open(g, name, 0) == Errno::acces);
      CHECK(open(g, name, kOTrunc) == Errno::acces);
      CHECK(open(g, name, kOCreat | kOTrunc) == Errno::acces);
      CHECK(open(g, name, kOTrunc, rights::kFdRead) == Errno::acces);
      CHECK(open(g, name, kOCreat, rights::kFdRead) == Errno::success);
      CHECK(open(g, name, 0, rights::kFdRead) == Errno::success);
    }
  }
  CHECK(t.get("box/entry") == "code");
  fs::permissions(t / "box/entry", fs::perms(0600));
  CHECK(open(g, "entry", kOTrunc) == Errno::success);
  CHECK(t.get("box/entry").empty());
  // What a guest makes is none of the cache's, whatever the process's mask is.
  for (const mode_t mask : {0u, 0022u, 0077u, 0177u, 0111u}) {
    const mode_t before = ::umask(mask);
    const std::string name = "made" + std::to_string(mask);
    CHECK(open(g, name, kOCreat) == Errno::success);
    ::umask(before);
    struct stat info;
    REQUIRE(::stat((t / ("box/" + name)).c_str(), &info) == 0);
    CHECK(!engine::is_entry(info.st_mode));
  }
}

TEST_CASE("guard: truncating and making by path_open go on as the system has them") {
  TempDir t;
  t.put("box/f", "text");
  t.dir("box/d");
  t.link("f", "box/l");
  t.link("fresh", "box/dangling");
  t.link("d/", "box/to_d");
  for (const bool walk : {false, true}) {
    FakeGuest g(t);
    if (walk) g.cx().resolver.force_walk();
    t.put("box/f", "text");
    CHECK(open(g, "l", kOTrunc, rights::kFdRead) == Errno::success);
    CHECK(t.get("box/f").empty());
    CHECK(open(g, "d", kOTrunc) == Errno::isdir);
    CHECK(open(g, "to_d", 0) == Errno::isdir);
    CHECK(open(g, "to_d", kOCreat) == Errno::isdir);
    CHECK(open(g, ".", 0) == Errno::isdir);
    CHECK(open(g, "d/..", kOCreat) == Errno::isdir);
    CHECK(open(g, "d/.", kOCreat | kOExcl) == Errno::exist);
    CHECK(open(g, "none/", kOCreat) == Errno::isdir);
    CHECK(open(g, "none/", 0) == Errno::noent);
    CHECK(open(g, "none/x/", kOCreat) == Errno::noent);
    CHECK(open(g, "f/", kOCreat) == Errno::notdir);
    CHECK(open(g, "dangling", 0) == Errno::noent);
    CHECK(open(g, "dangling", kOCreat | kOExcl) == Errno::exist);
    CHECK(open(g, "dangling", kOCreat) == Errno::success);
    CHECK(t.exists("box/fresh"));
    fs::remove(t / "box/fresh");
    CHECK(open(g, "../secret", kOCreat | kOTrunc) == Errno::notcapable);
    CHECK(t.get("secret") == "out of bounds");
  }
}

TEST_CASE("guard: the memory of a process is no file") {
  struct statfs system;
  if (::statfs("/proc", &system) != 0 || ::access("/proc/self/mem", F_OK) != 0) {
    MESSAGE("skipped: there is no /proc");
    return;
  }
  for (const bool walk : {false, true}) {
    FakeGuest g(WasiConfig().preopen_dir("/proc", "/proc").preopen_dir("/", "/"));
    if (walk) g.cx().resolver.force_walk();
    const Fd proc{3}, root{4};
    const std::string self = std::to_string(::getpid());
    for (const std::string& dir : {std::string("self"), self, self + "/task/" + self}) {
      CAPTURE(dir);
      for (const Rights wanted : {rights::kFdRead, rights::kFdWrite, rights::kFdRead | rights::kFdWrite}) {
        CHECK(open(g, dir + "/mem", 0, wanted, proc) == Errno::perm);
        CHECK(open(g, "proc/" + dir + "/mem", 0, wanted, root) == Errno::perm);
      }
      CHECK(open(g, dir + "/mem", kOCreat, rights::kFdRead, proc) == Errno::perm);
      CHECK(open(g, dir + "/mem", kOTrunc, rights::kFdRead, proc) == Errno::perm);
      CHECK(open(g, dir + "/comm", 0, rights::kFdWrite, proc) == Errno::perm);
      CHECK(open(g, dir + "/coredump_filter", 0, rights::kFdWrite, proc) != Errno::success);
      CHECK(open(g, dir + "/status", 0, rights::kFdRead, proc) == Errno::success);
      for (const char* magic : {"/exe", "/fd/0", "/root/etc/passwd", "/cwd/x"}) {
        CHECK(open(g, dir + magic, 0, rights::kFdRead, proc) != Errno::success);
        CHECK(open(g, dir + magic, 0, rights::kFdWrite, proc) != Errno::success);
      }
    }
  }
}
