// Paths: what is accepted, and that neither way of resolving leads out of the grant.
#include "wasi/path.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>
#include <thread>

#include "tests/unit/wasi/host.h"

using namespace vmrun::wasi;

TEST_CASE("paths are checked before anything else") {
  GuestPath p;
  CHECK(p.assign("a/b") == Errno::success);
  CHECK(std::string(p.c_str()) == "a/b");
  CHECK(p.assign("") == Errno::noent);
  CHECK(p.assign("/etc") == Errno::notcapable);
  CHECK(p.assign(std::string_view("a\0b", 3)) == Errno::inval);
  CHECK(p.assign("\xff") == Errno::ilseq);
  CHECK(p.assign(std::string(4095, 'a')) == Errno::success);
  CHECK(p.assign(std::string(4096, 'a')) == Errno::nametoolong);
}

TEST_CASE("UTF-8 is what the standard says it is") {
  for (const char* good : {"a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(is_utf8(good));
  }
  for (const char* bad : {"\x80", "\xc1\xbf", "\xc2", "\xc2g", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    CHECK_FALSE(is_utf8(bad));
  }
}

namespace {

/// Opens and reads what `path` names, by the method to be tested.
Errno open_text(Resolver& resolver, int dir, const char* path, std::string& text, int flags = O_RDONLY) {
  HostFd fd;
  Errno e = resolver.open(dir, path, flags, 0600, fd);
  if (e != Errno::success) return e;
  char buffer[64];
  ssize_t n = ::read(fd.get(), buffer, sizeof(buffer));
  text.assign(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  return e;
}

void populate(const TempDir& t) {
  t.dir("box/a/b/c");
  t.dir("outside");
  t.put("outside/file", "outside");
  t.put("box/file", "inside");
  t.put("box/a/b/deep", "deep");
  t.link("../secret", "box/up");
  t.link((t / "secret"), "box/absolute");
  t.link("../outside", "box/updir");
  t.link("a/b", "box/ab");
  t.link("../../file", "box/a/b/back");      // stays inside
  t.link("../../../secret", "box/a/b/out");  // leaves
  t.link("loop2", "box/loop1");
  t.link("loop1", "box/loop2");
  t.link("self", "box/self");
  t.link("nowhere", "box/dangling");
  t.link(".", "box/here");
  t.link("file", "box/tofile");
  t.link("a/../../secret", "box/sneaky");
  t.link("/proc/self/root", "box/magic");
}

}  // namespace

TEST_CASE("both resolvers answer alike, and neither leads out") {
  TempDir t;
  populate(t);
  HostFd dir(::open(t.box().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(dir);

  struct Case {
    const char* path;
    Errno expected;
    const char* text = "";
    int flags = O_RDONLY;
  };
  const Case cases[] = {
      {"file", Errno::success, "inside"},
      {"./a/.//b/../b/./deep", Errno::success, "deep"},
      {"a/b/c/../../../file", Errno::success, "inside"},
      {"ab/deep", Errno::success, "deep"},
      {"a/b/back", Errno::success, "inside"},
      {"here/here/here/file", Errno::success, "inside"},
      {"tofile", Errno::success, "inside"},
      {"ab/../../file", Errno::success, "inside"},  // ".." goes to the link's target's parent
      {"..", Errno::notcapable},
      {"../secret", Errno::notcapable},
      {"a/../../secret", Errno::notcapable},
      {"a/b/c/../../../../secret", Errno::notcapable},
      {"/etc/passwd", Errno::notcapable},
      {"up", Errno::notcapable},
      {"absolute", Errno::notcapable},
      {"updir/file", Errno::notcapable},
      {"a/b/out", Errno::notcapable},
      {"sneaky", Errno::notcapable},
      {"magic/etc/passwd", Errno::notcapable},
      {"ab/../../../secret", Errno::notcapable},
      {"loop1", Errno::loop},
      {"self", Errno::loop},
      {"self/x", Errno::loop},
      {"dangling", Errno::noent},
      {"missing", Errno::noent},
      {"missing/x", Errno::noent},
      {"file/", Errno::notdir},
      {"file/x", Errno::notdir},
      {"file/..", Errno::notdir},
      {"tofile/", Errno::notdir},
      {"tofile", Errno::loop, "", O_RDONLY | O_NOFOLLOW},
      {"dangling", Errno::loop, "", O_RDONLY | O_NOFOLLOW},
      {"tofile", Errno::notdir, "", O_RDONLY | O_NOFOLLOW | O_DIRECTORY},
      {"ab", Errno::notdir, "", O_RDONLY | O_NOFOLLOW | O_DIRECTORY},
      {"ab/", Errno::success, "", O_RDONLY | O_NOFOLLOW | O_DIRECTORY},
      {"ab", Errno::success, "", O_RDONLY | O_DIRECTORY},
      {"ab/deep", Errno::success, "deep", O_RDONLY | O_NOFOLLOW},
      {".", Errno::success, "", O_RDONLY | O_DIRECTORY},
      {"a/..", Errno::success, "", O_RDONLY | O_DIRECTORY},
      {"file", Errno::notdir, "", O_RDONLY | O_DIRECTORY},
      {"a", Errno::isdir, "", O_WRONLY},
      {"a", Errno::isdir, "", O_RDWR | O_CREAT},
      {"new/", Errno::isdir, "", O_RDWR | O_CREAT},
      {"file", Errno::exist, "", O_RDWR | O_CREAT | O_EXCL},
      {"dangling", Errno::exist, "", O_RDWR | O_CREAT | O_EXCL},
      {"up", Errno::notcapable, "", O_RDWR | O_CREAT | O_TRUNC},
      {"../fresh", Errno::notcapable, "", O_RDWR | O_CREAT},
      {"updir/fresh", Errno::notcapable, "", O_RDWR | O_CREAT},
      {"tofile", Errno::success, "", O_PATH},
      {"tofile", Errno::success, "", O_PATH | O_NOFOLLOW},
      {"up", Errno::notcapable, "", O_PATH},
  };
  for (bool walk : {false, true}) {
    Resolver resolver;
    if (walk) resolver.force_walk();
    for (const Case& c : cases) {
      CAPTURE(walk);
      CAPTURE(c.path);
      CAPTURE(c.flags);
      std::string text;
      CHECK(open_text(resolver, dir.get(), c.path, text, c.flags) == c.expected);
      CHECK(text == c.text);
    }
    CHECK_FALSE(t.exists("fresh"));
    CHECK_FALSE(t.exists("outside/fresh"));
    CHECK(t.get("secret") == "out of bounds");

    // A dangling link inside is created through.
    HostFd made;
    CHECK(resolver.open(dir.get(), "dangling", O_RDWR | O_CREAT, 0600, made) == Errno::success);
    CHECK(t.exists("box/nowhere"));
    ::unlink((t / "box/nowhere").c_str());
  }
}

TEST_CASE("forty links are followed, one more is a loop") {
  TempDir t;
  t.put("box/l0", "end");
  for (int i = 1; i <= 41; ++i) t.link("l" + std::to_string(i - 1), "box/l" + std::to_string(i));
  HostFd dir(::open(t.box().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (bool walk : {false, true}) {
    Resolver resolver;
    if (walk) resolver.force_walk();
    std::string text;
    CHECK(open_text(resolver, dir.get(), "l40", text) == Errno::success);
    CHECK(text == "end");
    CHECK(open_text(resolver, dir.get(), "l41", text) == Errno::loop);
    GuestPath p;
    Entry entry;
    REQUIRE(p.assign("l40") == Errno::success);
    CHECK(resolve_object(resolver, dir.get(), p, true, entry) == Errno::success);
    CHECK(std::string(entry.name()) == "l0");
    REQUIRE(p.assign("l41") == Errno::success);
    CHECK(resolve_object(resolver, dir.get(), p, true, entry) == Errno::loop);
  }
}

TEST_CASE("entries are split from their directory without following the last component") {
  TempDir t;
  populate(t);
  HostFd dir(::open(t.box().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (bool walk : {false, true}) {
    Resolver resolver;
    if (walk) resolver.force_walk();
    auto entry_of = [&](const char* path, std::string& name) {
      GuestPath p;
      Entry e;
      REQUIRE(p.assign(path) == Errno::success);
      Errno r = resolve_entry(resolver, dir.get(), p, e);
      if (r == Errno::success) name = e.name();
      return r;
    };
    auto object_of = [&](const char* path, bool follow, std::string& name) {
      GuestPath p;
      Entry e;
      REQUIRE(p.assign(path) == Errno::success);
      Errno r = resolve_object(resolver, dir.get(), p, follow, e);
      if (r == Errno::success) name = e.name();
      return r;
    };
    std::string name;
    CAPTURE(walk);
    CHECK(entry_of("up", name) == Errno::success);
    CHECK(name == "up");
    CHECK(entry_of("a/b/x//", name) == Errno::success);
    CHECK(name == "x//");
    CHECK(entry_of("..", name) == Errno::notcapable);
    CHECK(entry_of("a/..", name) == Errno::success);
    CHECK(name == ".");
    CHECK(entry_of("../box/file", name) == Errno::notcapable);
    CHECK(entry_of("updir/file", name) == Errno::notcapable);
    CHECK(entry_of("file/x", name) == Errno::notdir);

    CHECK(object_of("up", false, name) == Errno::success);
    CHECK(name == "up");
    CHECK(object_of("up", true, name) == Errno::notcapable);
    CHECK(object_of("absolute", true, name) == Errno::notcapable);
    CHECK(object_of("a/b/out", true, name) == Errno::notcapable);
    CHECK(object_of("a/b/back", true, name) == Errno::success);
    CHECK(name == "file");
    CHECK(object_of("ab/", false, name) == Errno::success);
    CHECK(name == ".");
    CHECK(object_of("updir/", false, name) == Errno::notcapable);
    CHECK(object_of("self", true, name) == Errno::loop);
    CHECK(object_of("dangling", true, name) == Errno::success);
    CHECK(name == "nowhere");
  }
}

TEST_CASE("where openat2 is refused the walk takes over") {
  TempDir t;
  populate(t);
  HostFd dir(::open(t.box().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int refusal : {EPERM, ENOSYS}) {
    // A filter holds for the thread that installs it.
    std::thread([&] {
      sock_filter code[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(refusal)),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      sock_fprog program{std::size(code), code};
      REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
      REQUIRE(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
      Resolver resolver;
      std::string text;
      CHECK(open_text(resolver, dir.get(), "a/b/back", text) == Errno::success);
      CHECK(text == "inside");
      CHECK(resolver.method() == Resolver::Method::Walk);
      CHECK(open_text(resolver, dir.get(), "up", text) == Errno::notcapable);
    }).join();
  }
}

TEST_CASE("a directory swapped for a link while paths are resolved opens nothing outside") {
  TempDir t;
  t.dir("box/real");
  t.put("box/real/secret", "inside");
  t.link("..", "box/trap");  // names the directory above the grant, which holds another `secret`
  ::rename((t / "box/real").c_str(), (t / "box/x").c_str());
  HostFd dir(::open(t.box().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (bool walk : {false, true}) {
    Resolver resolver;
    if (walk) resolver.force_walk();
    std::atomic<bool> stop{false};
    std::thread swapper([&] {
      std::string x = t / "box/x", trap = t / "box/trap";
      while (!stop) ::renameat2(AT_FDCWD, x.c_str(), AT_FDCWD, trap.c_str(), RENAME_EXCHANGE);
    });
    int inside = 0, refused = 0;
    for (int i = 0; i < 3000; ++i) {
      std::string text;
      Errno e = open_text(resolver, dir.get(), "x/../x/secret", text);
      if (e == Errno::success) {
        CHECK(text == "inside");
        ++inside;
      } else {
        ++refused;
      }
    }
    stop = true;
    swapper.join();
    CHECK(inside + refused == 3000);
  }
}

TEST_CASE("the walk holds a bounded number of directories open") {
  TempDir t;
  std::string path = "box";
  for (int i = 0; i < 256; ++i) path += "/d";
  t.dir(path);
  HostFd dir(::open(t.box().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Resolver resolver;
  resolver.force_walk();
  auto open_deep = [&](const std::string& below) {
    HostFd out;
    return resolver.open(dir.get(), below.c_str(), O_RDONLY | O_DIRECTORY, 0, out);
  };
  CHECK(open_deep(path.substr(4) + "/.") == Errno::success);
  t.dir(path + "/d");
  CHECK(open_deep(path.substr(4) + "/d/.") == Errno::nametoolong);
  std::string back;
  for (int i = 0; i < 600; ++i) back += "d/../";
  CHECK(open_deep(back + "d") == Errno::success);
}
