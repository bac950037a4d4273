// Files and directories through the calls: contents, positions, listings, rights, attributes.
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/unit/wasi/host.h"
#include "wasi/calls_common.h"

using namespace vmrun;
using namespace vmrun::wasi;

TEST_CASE("files are created, written, read and truncated") {
  TempDir t;
  FakeGuest g(t);
  Fd fd = g.must_open("f", kOCreat);
  CHECK(fd.value == 4);
  CHECK(g.write(fd, "hello world") == Errno::success);
  CHECK(t.get("box/f") == "hello world");

  auto pos = g.out<uint64_t>();
  CHECK(fd_tell(g.cx(), g.memory, fd, pos) == Errno::success);
  CHECK(g.value(pos) == 11);
  CHECK(fd_seek(g.cx(), g.memory, fd, {6}, {0}, pos) == Errno::success);
  CHECK(g.read(fd) == "world");
  CHECK(fd_seek(g.cx(), g.memory, fd, {-5}, {2}, pos) == Errno::success);
  CHECK(g.value(pos) == 6);
  CHECK(fd_seek(g.cx(), g.memory, fd, {-100}, {1}, pos) == Errno::inval);
  CHECK(fd_seek(g.cx(), g.memory, fd, {0}, {3}, pos) == Errno::inval);
  // The predecessor numbers whence differently: 2 is the start, 0 the current position, 1 the end.
  CHECK(fd_seek_unstable(g.cx(), g.memory, fd, {2}, {2}, pos) == Errno::success);
  CHECK(g.value(pos) == 2);
  CHECK(fd_seek_unstable(g.cx(), g.memory, fd, {1}, {0}, pos) == Errno::success);
  CHECK(g.value(pos) == 3);
  CHECK(fd_seek_unstable(g.cx(), g.memory, fd, {0}, {1}, pos) == Errno::success);
  CHECK(g.value(pos) == 11);

  auto n = g.out();
  uint32_t buf = g.alloc(16);
  CHECK(fd_pread(g.cx(), g.memory, fd, g.iovecs({{buf, 3}, {buf + 8, 2}}), {4}, n) == Errno::success);
  CHECK(g.value(n) == 5);
  CHECK(g.text(buf, 3) == "o w");
  CHECK(g.text(buf + 8, 2) == "or");
  CHECK(fd_pwrite(g.cx(), g.memory, fd, g.iovecs({{g.put("J"), 1}}), {0}, n) == Errno::success);
  CHECK(t.get("box/f") == "Jello world");
  CHECK(fd_pread(g.cx(), g.memory, fd, g.iovecs({{buf, 3}}), {~uint64_t{0}}, n) == Errno::inval);

  CHECK(fd_filestat_set_size(g.cx(), g.memory, fd, {5}) == Errno::success);
  CHECK(t.get("box/f") == "Jello");
  CHECK(fd_filestat_set_size(g.cx(), g.memory, fd, {~uint64_t{0}}) == Errno::inval);
  CHECK(fd_allocate(g.cx(), g.memory, fd, {0}, {100}) == Errno::success);
  auto stat = g.out<GuestFilestat>();
  CHECK(fd_filestat_get(g.cx(), g.memory, fd, stat) == Errno::success);
  CHECK(g.value(stat).size == 100);
  CHECK(g.value(stat).filetype == static_cast<uint8_t>(FileType::RegularFile));
  CHECK(g.value(stat).nlink == 1);
  auto old = g.out<GuestFilestatUnstable>();
  CHECK(fd_filestat_get_unstable(g.cx(), g.memory, fd, old) == Errno::success);
  CHECK(g.value(old).size == 100);
  CHECK(g.value(old).mtim == g.value(stat).mtim);
  CHECK(fd_advise(g.cx(), g.memory, fd, {0}, {0}, {3}) == Errno::success);
  CHECK(fd_advise(g.cx(), g.memory, fd, {0}, {0}, {6}) == Errno::inval);
  CHECK(fd_sync(g.cx(), g.memory, fd) == Errno::success);
  CHECK(fd_datasync(g.cx(), g.memory, fd) == Errno::success);

  CHECK(fd_close(g.cx(), g.memory, fd) == Errno::success);
  CHECK(fd_close(g.cx(), g.memory, fd) == Errno::badf);
  CHECK(g.must_open("f", kOTrunc).value == 4);
  CHECK(t.get("box/f").empty());
}

TEST_CASE("path_open obeys its flags") {
  TempDir t;
  t.put("box/f", "text");
  t.dir("box/d");
  t.link("f", "box/l");
  FakeGuest g(t);
  Fd fd{0};
  using namespace rights;
  CHECK(g.open("f", kOCreat | kOExcl, kFdRead, fd) == Errno::exist);
  CHECK(g.open("f", kODirectory, kFdRead, fd) == Errno::notdir);
  CHECK(g.open("x", 0, kFdRead, fd) == Errno::noent);
  CHECK(g.open("x", kOCreat | kODirectory, kFdRead, fd) == Errno::inval);
  CHECK(g.open("f", 16, kFdRead, fd) == Errno::inval);
  CHECK(g.open("f", 0, kFdRead, fd, 32) == Errno::inval);
  CHECK(g.open("d", 0, kFdRead | kFdWrite, fd) == Errno::isdir);
  CHECK(g.open("l", 0, kFdRead, fd, 0, false) == Errno::loop);
  CHECK(g.open("l", 0, kFdRead, fd) == Errno::success);
  CHECK(g.read(fd) == "text");
  CHECK(g.open("f", 0, kFdRead, fd, 0, true, {9}) == Errno::badf);
  CHECK(g.open("f", 0, kFdRead, fd, 0, true, fd) == Errno::notdir);

  Fd append = g.must_open("f", 0, FakeGuest::kFileRights, kFdAppend);
  auto pos = g.out<uint64_t>();
  CHECK(fd_seek(g.cx(), g.memory, append, {0}, {0}, pos) == Errno::success);
  CHECK(g.write(append, "+") == Errno::success);
  CHECK(t.get("box/f") == "text+");
  auto stat = g.out<GuestFdstat>();
  CHECK(fd_fdstat_get(g.cx(), g.memory, append, stat) == Errno::success);
  CHECK(g.value(stat).flags == kFdAppend);
  CHECK(fd_fdstat_set_flags(g.cx(), g.memory, append, {0}) == Errno::success);
  CHECK(fd_seek(g.cx(), g.memory, append, {0}, {0}, pos) == Errno::success);
  CHECK(g.write(append, "T") == Errno::success);
  CHECK(t.get("box/f") == "Text+");
  CHECK(fd_fdstat_set_flags(g.cx(), g.memory, append, {kFdNonblock}) == Errno::success);
  CHECK(fd_fdstat_set_flags(g.cx(), g.memory, append, {kFdSyncFlag}) == Errno::notsup);
  CHECK(fd_fdstat_set_flags(g.cx(), g.memory, append, {64}) == Errno::inval);

  Fd sync = g.must_open("f", 0, FakeGuest::kFileRights, kFdSyncFlag | kFdAppend);
  CHECK(fd_fdstat_get(g.cx(), g.memory, sync, stat) == Errno::success);
  CHECK(g.value(stat).flags == (kFdAppend | kFdSyncFlag));
}

TEST_CASE("rights are checked, inherited and only ever dropped") {
  TempDir t;
  t.put("box/f", "text");
  t.dir("box/d");
  FakeGuest g(t);
  using namespace rights;
  auto n = g.out();
  Fd reader = g.must_open("f", 0, kFdRead);
  CHECK(g.write(reader, "x") == Errno::notcapable);
  auto pos = g.out<uint64_t>();
  CHECK(fd_seek(g.cx(), g.memory, reader, {0}, {0}, pos) == Errno::notcapable);
  CHECK(fd_tell(g.cx(), g.memory, reader, pos) == Errno::notcapable);
  CHECK(fd_pread(g.cx(), g.memory, reader, g.iovecs({{g.alloc(4), 4}}), {0}, n) == Errno::notcapable);
  Fd teller = g.must_open("f", 0, kFdRead | kFdTell);
  CHECK(fd_seek(g.cx(), g.memory, teller, {0}, {1}, pos) == Errno::success);
  CHECK(fd_seek(g.cx(), g.memory, teller, {1}, {1}, pos) == Errno::notcapable);
  Fd seeker = g.must_open("f", 0, kFdRead | kFdSeek);
  CHECK(fd_tell(g.cx(), g.memory, seeker, pos) == Errno::success);

  CHECK(fd_fdstat_set_rights(g.cx(), g.memory, seeker, {kFdRead | kFdWrite}, {0}) == Errno::notcapable);
  CHECK(fd_fdstat_set_rights(g.cx(), g.memory, seeker, {kFdSeek}, {0}) == Errno::success);
  CHECK(fd_read(g.cx(), g.memory, seeker, g.iovecs({{g.alloc(4), 4}}), n) == Errno::notcapable);

  // A directory hands on no more than it was given to hand on.
  Fd dir{0};
  REQUIRE(g.open("d", kODirectory, kPathOpen | kPathCreateFile | kFdSeek, dir, 0, true, FakeGuest::kBox, kFdRead) ==
          Errno::success);
  auto stat = g.out<GuestFdstat>();
  CHECK(fd_fdstat_get(g.cx(), g.memory, dir, stat) == Errno::success);
  CHECK(g.value(stat).filetype == static_cast<uint8_t>(FileType::Directory));
  CHECK(g.value(stat).rights_base == (kPathOpen | kPathCreateFile));  // seeking means nothing here
  CHECK(g.value(stat).rights_inheriting == kFdRead);
  Fd fd{0};
  CHECK(g.open("n", kOCreat, kFdRead, fd, 0, true, dir) == Errno::success);
  CHECK(g.open("n", 0, kFdRead | kFdWrite, fd, 0, true, dir) == Errno::notcapable);
  CHECK(g.open("n", kOTrunc, kFdRead, fd, 0, true, dir) == Errno::notcapable);
  CHECK(g.open("n", 0, kFdRead, fd, kFdSyncFlag, true, dir) == Errno::notcapable);
  CHECK(path_unlink_file(g.cx(), g.memory, dir, g.path("n")) == Errno::notcapable);
  CHECK(path_create_directory(g.cx(), g.memory, dir, g.path("m")) == Errno::notcapable);

  // What no directory can do is told as such.
  CHECK(fd_read(g.cx(), g.memory, FakeGuest::kBox, g.iovecs({{g.alloc(4), 4}}), n) == Errno::isdir);
  CHECK(fd_seek(g.cx(), g.memory, FakeGuest::kBox, {0}, {1}, pos) == Errno::isdir);
}

TEST_CASE("directories are made, listed and removed") {
  TempDir t;
  FakeGuest g(t);
  auto mkdir = [&](std::string_view p) { return path_create_directory(g.cx(), g.memory, FakeGuest::kBox, g.path(p)); };
  auto rmdir = [&](std::string_view p) { return path_remove_directory(g.cx(), g.memory, FakeGuest::kBox, g.path(p)); };
  auto unlink = [&](std::string_view p) { return path_unlink_file(g.cx(), g.memory, FakeGuest::kBox, g.path(p)); };
  CHECK(mkdir("d") == Errno::success);
  CHECK(mkdir("d") == Errno::exist);
  CHECK(mkdir("e/") == Errno::success);
  CHECK(mkdir("x/y") == Errno::noent);
  CHECK(mkdir("../y") == Errno::notcapable);
  CHECK(mkdir("..") == Errno::notcapable);
  CHECK(mkdir(".") == Errno::exist);
  CHECK(rmdir("e/") == Errno::success);
  CHECK(rmdir("e") == Errno::noent);
  CHECK(rmdir(".") == Errno::inval);
  CHECK(rmdir("..") == Errno::notcapable);
  CHECK(unlink("d") == Errno::isdir);
  CHECK(unlink("d/") == Errno::isdir);
  t.put("box/d/f", "");
  CHECK(rmdir("d") == Errno::notempty);
  CHECK(rmdir("d/f") == Errno::notdir);
  CHECK(rmdir("d/f/") == Errno::notdir);
  CHECK(unlink("d/f/") == Errno::notdir);
  CHECK(unlink("d/f") == Errno::success);
  CHECK(unlink("../secret") == Errno::notcapable);
  t.link("..", "box/up");
  CHECK(unlink("up/secret") == Errno::notcapable);
  CHECK(mkdir("up/x") == Errno::notcapable);
  CHECK(rmdir("up") == Errno::notdir);
  CHECK(unlink("up") == Errno::success);
  CHECK(t.exists("secret"));
}

TEST_CASE("links: made, read, followed, never out") {
  TempDir t;
  t.put("box/f", "text");
  t.dir("box/d");
  FakeGuest g(t);
  auto symlink = [&](std::string_view content, std::string_view p) {
    return path_symlink(g.cx(), g.memory, g.path(content), FakeGuest::kBox, g.path(p));
  };
  CHECK(symlink("f", "l") == Errno::success);
  CHECK(symlink("f", "l") == Errno::exist);
  CHECK(symlink("/etc", "m") == Errno::notcapable);
  CHECK(symlink("", "m") == Errno::noent);
  CHECK(symlink("f", "new/") == Errno::noent);
  CHECK(symlink("f", "d/") == Errno::exist);
  CHECK(symlink("f", "f/") == Errno::notdir);
  CHECK(symlink("../../secret", "d/out") == Errno::success);  // judged when followed
  Fd fd{0};
  CHECK(g.open("d/out", 0, rights::kFdRead, fd) == Errno::notcapable);

  auto n = g.out();
  uint32_t buf = g.put("........");
  CHECK(path_readlink(g.cx(), g.memory, FakeGuest::kBox, g.path("d/out"), {buf, 4}, n) == Errno::success);
  CHECK(g.value(n) == 4);
  CHECK(g.text(buf, 8) == "../.....");
  CHECK(path_readlink(g.cx(), g.memory, FakeGuest::kBox, g.path("l"), {buf, 0}, n) == Errno::success);
  CHECK(g.value(n) == 0);
  CHECK(path_readlink(g.cx(), g.memory, FakeGuest::kBox, g.path("f"), {buf, 8}, n) == Errno::inval);
  CHECK(path_readlink(g.cx(), g.memory, FakeGuest::kBox, g.path(".."), {buf, 8}, n) == Errno::notcapable);

  auto link = [&](uint32_t flags, std::string_view from, std::string_view to) {
    return path_link(g.cx(), g.memory, FakeGuest::kBox, {flags}, g.path(from), FakeGuest::kBox, g.path(to));
  };
  CHECK(link(0, "f", "hard") == Errno::success);
  CHECK(link(0, "f", "hard") == Errno::exist);
  CHECK(link(0, "f", "other/") == Errno::noent);
  CHECK(link(0, "d", "dirlink") == Errno::perm);
  CHECK(link(0, "l", "linkoflink") == Errno::success);
  CHECK(path_readlink(g.cx(), g.memory, FakeGuest::kBox, g.path("linkoflink"), {buf, 8}, n) == Errno::success);
  CHECK(link(kSymlinkFollow, "l", "hard2") == Errno::success);
  CHECK(path_readlink(g.cx(), g.memory, FakeGuest::kBox, g.path("hard2"), {buf, 8}, n) == Errno::inval);
  CHECK(link(kSymlinkFollow, "d/out", "stolen") == Errno::notcapable);
  CHECK(link(0, "../secret", "stolen") == Errno::notcapable);
  CHECK(link(0, "f", "../planted") == Errno::notcapable);
  CHECK_FALSE(t.exists("planted"));

  auto stat = g.out<GuestFilestat>();
  auto type = [&](uint32_t flags, std::string_view p) {
    Errno e = path_filestat_get(g.cx(), g.memory, FakeGuest::kBox, {flags}, g.path(p), stat);
    CHECK(e == Errno::success);
    return static_cast<FileType>(g.value(stat).filetype);
  };
  CHECK(type(0, "l") == FileType::SymbolicLink);
  CHECK(type(kSymlinkFollow, "l") == FileType::RegularFile);
  CHECK(g.value(stat).size == 4);
  CHECK(type(0, "d/") == FileType::Directory);
  CHECK(type(0, ".") == FileType::Directory);
  CHECK(type(0, "d/..") == FileType::Directory);
  CHECK(path_filestat_get(g.cx(), g.memory, FakeGuest::kBox, {0}, g.path(".."), stat) == Errno::notcapable);
  CHECK(path_filestat_get(g.cx(), g.memory, FakeGuest::kBox, {1}, g.path("d/out"), stat) == Errno::notcapable);
  CHECK(path_filestat_get(g.cx(), g.memory, FakeGuest::kBox, {0}, g.path("f/"), stat) == Errno::notdir);
  auto old = g.out<GuestFilestatUnstable>();
  CHECK(path_filestat_get_unstable(g.cx(), g.memory, FakeGuest::kBox, {1}, g.path("l"), old) == Errno::success);
  CHECK(g.value(old).size == 4);
}

TEST_CASE("a link is read into a buffer of any size") {
  TempDir t;
  t.link("target", "box/l");
  FakeGuest g(t);
  constexpr size_t kLarge = size_t{3} << 30;  // address space, of which little is touched
  void* space = ::mmap(nullptr, kLarge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(space != MAP_FAILED);
  GuestMemory memory(std::span(static_cast<std::byte*>(space), kLarge));
  REQUIRE(memory.write<char>(16, 'l'));
  for (uint32_t length : {6u, 4096u, 0x7fffffffu, 0x80000000u, 0xb0000000u}) {
    CAPTURE(length);
    uint32_t n = 0;
    CHECK(path_readlink(g.cx(), memory, FakeGuest::kBox, {16, 1}, {64, length}, {32}) == Errno::success);
    REQUIRE(memory.read(32, n));
    CHECK(n == 6);
    CHECK(std::memcmp(memory.at(64, 6), "target", 6) == 0);
  }
  ::munmap(space, kLarge);
}

TEST_CASE("renaming") {
  TempDir t;
  t.put("box/f", "text");
  t.dir("box/d/e");
  FakeGuest g(t);
  auto rename = [&](std::string_view from, std::string_view to) {
    return path_rename(g.cx(), g.memory, FakeGuest::kBox, g.path(from), FakeGuest::kBox, g.path(to));
  };
  CHECK(rename("f", "d/f2") == Errno::success);
  CHECK(t.get("box/d/f2") == "text");
  CHECK(rename("d/", "d2") == Errno::success);
  CHECK(rename("d2", "d/") == Errno::success);
  CHECK(rename("d/f2", "g/") == Errno::notdir);
  CHECK(rename("d/f2", "d/e") == Errno::isdir);
  CHECK(rename("d/e", "d/f2") == Errno::notdir);
  CHECK(rename("d/f2", "../planted") == Errno::notcapable);
  CHECK(rename("../secret", "stolen") == Errno::notcapable);
  CHECK(rename("..", "stolen") == Errno::notcapable);
  CHECK(rename("x", "y") == Errno::noent);
  CHECK(rename(".", "y") == Errno::busy);
}

TEST_CASE("times are set exactly, now, or not at all") {
  TempDir t;
  t.put("box/f", "text");
  t.link("f", "box/l");
  FakeGuest g(t);
  auto stat = g.out<GuestFilestat>();
  auto get = [&](std::string_view p) {
    REQUIRE(path_filestat_get(g.cx(), g.memory, FakeGuest::kBox, {0}, g.path(p), stat) == Errno::success);
    return g.value(stat);
  };
  auto set = [&](uint32_t flags, std::string_view p, uint64_t atim, uint64_t mtim, uint32_t which) {
    return path_filestat_set_times(g.cx(), g.memory, FakeGuest::kBox, {flags}, g.path(p), {atim}, {mtim}, {which});
  };
  constexpr uint64_t kThen = 1'000'000'000'123'456'789;
  CHECK(set(0, "f", kThen, kThen + 1, kSetAtim | kSetMtim) == Errno::success);
  CHECK(get("f").atim == kThen);
  CHECK(get("f").mtim == kThen + 1);
  CHECK(set(0, "f", 0, 5, kSetMtim) == Errno::success);
  CHECK(get("f").atim == kThen);
  CHECK(get("f").mtim == 5);
  CHECK(set(0, "l", 0, 7, kSetMtim) == Errno::success);
  CHECK(get("l").mtim == 7);
  CHECK(get("f").mtim == 5);
  CHECK(set(kSymlinkFollow, "l", 0, 9, kSetMtim) == Errno::success);
  CHECK(get("f").mtim == 9);
  CHECK(set(0, "f", 0, 0, kSetMtimNow) == Errno::success);
  CHECK(get("f").mtim > kThen);
  CHECK(set(0, "f", 0, 0, kSetMtim | kSetMtimNow) == Errno::inval);
  CHECK(set(0, "f", 0, 0, kSetAtim | kSetAtimNow) == Errno::inval);
  CHECK(set(0, "f", 0, 0, 16) == Errno::inval);
  CHECK(set(0, "..", 0, 0, kSetMtim) == Errno::notcapable);
  Fd fd = g.must_open("f");
  CHECK(fd_filestat_set_times(g.cx(), g.memory, fd, {11}, {12}, {kSetAtim | kSetMtim}) == Errno::success);
  CHECK(get("f").atim == 11);
  CHECK(get("f").mtim == 12);
}

TEST_CASE("beneath a read-only grant nothing changes") {
  TempDir t;
  t.put("box/f", "text");
  t.dir("box/d");
  t.link("f", "box/l");
  t.dir("rw");
  FakeGuest g(WasiConfig().preopen_dir(t.box(), "/box", true).preopen_dir(t / "rw", "/rw"));
  Fd fd{0}, rw{4};
  using namespace rights;
  CHECK(g.open("f", 0, kFdRead, fd) == Errno::success);
  CHECK(g.read(fd) == "text");
  CHECK(g.open("f", kOCreat, kFdRead, fd) == Errno::success);  // exists already
  CHECK(g.open("f", 0, kFdRead | kFdWrite, fd) == Errno::rofs);
  CHECK(g.open("f", kOTrunc, kFdRead, fd) == Errno::rofs);
  CHECK(g.open("n", kOCreat, kFdRead, fd) == Errno::rofs);
  CHECK(g.open("f", kOCreat | kOExcl, kFdRead, fd) == Errno::exist);
  CHECK(g.open("n", 0, kFdRead | kFdWrite, fd) == Errno::noent);
  CHECK(g.open("d", 0, kFdRead | kFdWrite, fd) == Errno::isdir);
  CHECK(g.open("l", 0, kFdRead | kFdWrite, fd, 0, false) == Errno::loop);
  CHECK(g.open("l", 0, kFdRead | kFdWrite, fd) == Errno::rofs);
  CHECK(path_unlink_file(g.cx(), g.memory, FakeGuest::kBox, g.path("f")) == Errno::rofs);
  CHECK(path_create_directory(g.cx(), g.memory, FakeGuest::kBox, g.path("x")) == Errno::rofs);
  CHECK(path_remove_directory(g.cx(), g.memory, FakeGuest::kBox, g.path("d")) == Errno::rofs);
  CHECK(path_symlink(g.cx(), g.memory, g.path("f"), FakeGuest::kBox, g.path("m")) == Errno::rofs);
  CHECK(path_rename(g.cx(), g.memory, FakeGuest::kBox, g.path("f"), rw, g.path("f")) == Errno::rofs);
  CHECK(path_link(g.cx(), g.memory, FakeGuest::kBox, {0}, g.path("f"), rw, g.path("f")) == Errno::rofs);
  CHECK(path_filestat_set_times(g.cx(), g.memory, FakeGuest::kBox, {0}, g.path("f"), {0}, {0}, {kSetMtim}) ==
        Errno::rofs);
  CHECK(g.open("f", 0, kRegularFile & ~(kFdWrite | kFdAllocate), fd) == Errno::success);
  CHECK(fd_filestat_set_size(g.cx(), g.memory, fd, {0}) == Errno::rofs);
  CHECK(fd_filestat_set_times(g.cx(), g.memory, fd, {0}, {0}, {kSetMtim}) == Errno::rofs);
  // Directories opened beneath it are no way around.
  Fd sub{0};
  CHECK(g.open("d", kODirectory, kDirectory, sub, 0, true, FakeGuest::kBox, kAll) == Errno::success);
  CHECK(g.open("n", kOCreat, kFdWrite, fd, 0, true, sub) == Errno::rofs);
  CHECK(t.get("box/f") == "text");
  Fd there{0};
  CHECK(g.open("n", kOCreat, kFdWrite, there, 0, true, rw) == Errno::success);
}

TEST_CASE("descriptors are numbered, announced, moved") {
  TempDir t;
  t.put("box/f", "text");
  FakeGuest g(t);
  auto pre = g.out<GuestPrestat>();
  CHECK(fd_prestat_get(g.cx(), g.memory, {3}, pre) == Errno::success);
  CHECK(g.value(pre).tag == 0);
  CHECK(g.value(pre).name_len == 4);
  CHECK(fd_prestat_get(g.cx(), g.memory, {0}, pre) == Errno::badf);
  CHECK(fd_prestat_get(g.cx(), g.memory, {4}, pre) == Errno::badf);
  uint32_t name = g.put("........");
  CHECK(fd_prestat_dir_name(g.cx(), g.memory, {3}, {name, 3}) == Errno::nametoolong);
  CHECK(fd_prestat_dir_name(g.cx(), g.memory, {3}, {name, 8}) == Errno::success);
  CHECK(g.text(name, 8) == "/box....");

  Fd a = g.must_open("f"), b = g.must_open("f");
  CHECK(a.value == 4);
  CHECK(b.value == 5);
  CHECK(fd_renumber(g.cx(), g.memory, a, b) == Errno::success);
  CHECK(fd_close(g.cx(), g.memory, a) == Errno::badf);
  CHECK(g.read(b) == "text");
  CHECK(fd_renumber(g.cx(), g.memory, b, b) == Errno::success);
  CHECK(fd_renumber(g.cx(), g.memory, b, {77}) == Errno::badf);
  CHECK(fd_renumber(g.cx(), g.memory, {77}, b) == Errno::badf);
  CHECK(g.must_open("f").value == 4);
  CHECK(fd_close(g.cx(), g.memory, {0}) == Errno::success);
  CHECK(g.must_open("f").value == 0);
}

TEST_CASE("pointers outside memory are a fault and change nothing") {
  TempDir t;
  t.put("box/f", "text");
  FakeGuest g(t);
  Fd fd = g.must_open("f");
  auto n = g.out();
  constexpr uint32_t kEnd = FakeGuest::kSize;
  CHECK(fd_read(g.cx(), g.memory, fd, {kEnd - 4, 1}, n) == Errno::fault);
  CHECK(fd_read(g.cx(), g.memory, fd, {~0u, 1}, n) == Errno::fault);
  CHECK(fd_read(g.cx(), g.memory, fd, {0, ~0u}, n) == Errno::fault);
  CHECK(fd_read(g.cx(), g.memory, fd, g.iovecs({{kEnd - 1, 2}}), n) == Errno::fault);
  CHECK(fd_read(g.cx(), g.memory, fd, g.iovecs({{~0u, ~0u}}), n) == Errno::fault);
  CHECK(fd_read(g.cx(), g.memory, fd, g.iovecs({{kEnd, 0}}), n) == Errno::success);
  CHECK(g.read(fd) == "text");
  CHECK(path_unlink_file(g.cx(), g.memory, FakeGuest::kBox, {kEnd - 1, 2}) == Errno::fault);
  CHECK(path_unlink_file(g.cx(), g.memory, FakeGuest::kBox, {~0u, ~0u}) == Errno::fault);
  CHECK(random_get(g.cx(), g.memory, {kEnd - 1, 2}) == Errno::fault);
  CHECK(fd_readdir(g.cx(), g.memory, FakeGuest::kBox, {kEnd - 8, 9}, {0}, n) == Errno::fault);
  CHECK(fd_prestat_dir_name(g.cx(), g.memory, {3}, {kEnd - 1, 4}) == Errno::fault);
}

TEST_CASE("with many iovecs the first thousand are taken") {
  TempDir t;
  FakeGuest g(t);
  Fd fd = g.must_open("f", kOCreat);
  constexpr uint32_t kCount = 1500;
  uint32_t x = g.put("x"), list = g.alloc(kCount * 8);
  for (uint32_t i = 0; i < kCount; ++i) REQUIRE(g.memory.write(list + 8 * i, GuestIovec{x, 1}));
  auto n = g.out();
  CHECK(fd_write(g.cx(), g.memory, fd, {list, 100}, n) == Errno::success);
  CHECK(g.value(n) == 100);
  CHECK(fd_write(g.cx(), g.memory, fd, {list, kCount}, n) == Errno::success);
  CHECK(g.value(n) == 1024);
  CHECK(t.get("box/f").size() == 1124);
}

TEST_CASE("transfers that are made in pieces come out whole") {
  TempDir t;
  FakeGuest g(t);
  Fd fd = g.must_open("f", kOCreat);
  // Buffers that lie over one another, in the end more than there is memory. Some end where a piece of 4 MiB does.
  std::string text(500'000, 0);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 24);
  const uint32_t at = g.put(text);
  for (uint32_t length : {1u << 18, 262'145u, 300'001u, 500'000u}) {
    CAPTURE(length);
    const uint32_t count = 40, table = g.alloc(count * sizeof(GuestIovec));
    std::string all;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t part = i % 3 == 1 ? length - 1 : length;
      REQUIRE(g.memory.write(table + 8 * i, GuestIovec{at, part}));
      all.append(text, 0, part);
    }
    const auto n = g.out();
    CHECK(fd_filestat_set_size(g.cx(), g.memory, fd, {0}) == Errno::success);
    CHECK(fd_pwrite(g.cx(), g.memory, fd, {table, count}, {5}, n) == Errno::success);
    CHECK(g.value(n) == all.size());
    CHECK(t.get("box/f").substr(5) == all);
    CHECK(fd_seek(g.cx(), g.memory, fd, {2}, {0}, g.out<uint64_t>()) == Errno::success);
    CHECK(fd_write(g.cx(), g.memory, fd, {table, count}, n) == Errno::success);
    CHECK(g.value(n) == all.size());
    CHECK(t.get("box/f").substr(2, all.size()) == all);

    // Back, into the same buffers: what the last one of each length got is there.
    CHECK(fd_pread(g.cx(), g.memory, fd, {table, count}, {2}, n) == Errno::success);
    CHECK(g.value(n) == all.size());
    CHECK(g.text(at, length) == all.substr(all.size() - length));
    // The file ends in the middle.
    t.put("box/f", all);
    CHECK(fd_seek(g.cx(), g.memory, fd, {1}, {0}, g.out<uint64_t>()) == Errno::success);
    CHECK(fd_read(g.cx(), g.memory, fd, {table, count}, n) == Errno::success);
    CHECK(g.value(n) == all.size() - 1);
    CHECK(g.text(at, 100) == all.substr(all.size() - length + 1, 100));
    std::memcpy(g.memory.at(at, text.size()), text.data(), text.size());
  }
}

TEST_CASE("the walk serves the calls as openat2 does") {
  TempDir t;
  t.dir("box/a/b");
  t.put("box/a/b/f", "text");
  t.link("..", "box/up");
  FakeGuest g(t);
  g.cx().resolver.force_walk();
  CHECK(g.read(g.must_open("a/../a/b/f")) == "text");
  Fd fd{0};
  CHECK(g.open("up/secret", 0, rights::kFdRead, fd) == Errno::notcapable);
  CHECK(path_rename(g.cx(), g.memory, FakeGuest::kBox, g.path("a/b/f"), FakeGuest::kBox, g.path("a/g")) ==
        Errno::success);
  CHECK(path_unlink_file(g.cx(), g.memory, FakeGuest::kBox, g.path("up/secret")) == Errno::notcapable);
  CHECK(t.get("box/a/g") == "text");
}

TEST_CASE("the data behind many empty buffers is transferred") {
  TempDir t;
  FakeGuest g(t);
  Fd fd = g.must_open("f", kOCreat);
  constexpr uint32_t kMany = 1500;
  const uint32_t text = g.put("data"), back = g.alloc(8), table = g.alloc(kMany * sizeof(GuestIovec));
  // `place`: where the one buffer with bytes in it stands; kMany: all have one.
  auto iovecs = [&](uint32_t place, uint32_t at, uint32_t length) {
    for (uint32_t i = 0; i < kMany; ++i) {
      GuestIovec v = i == place ? GuestIovec{at, length} : GuestIovec{at, place == kMany ? 1u : 0u};
      REQUIRE(g.memory.write(table + i * 8, v));
    }
    return Iovecs{table, kMany};
  };
  auto n = g.out();
  for (uint32_t place : {0u, 1023u, 1024u, 1400u, 1499u}) {
    CAPTURE(place);
    CHECK(fd_filestat_set_size(g.cx(), g.memory, fd, {0}) == Errno::success);
    CHECK(fd_pwrite(g.cx(), g.memory, fd, iovecs(place, text, 4), {2}, n) == Errno::success);
    CHECK(g.value(n) == 4);
    CHECK(fd_write(g.cx(), g.memory, fd, iovecs(place, text, 2), n) == Errno::success);
    CHECK(g.value(n) == 2);
    CHECK(t.get("box/f") == "dadata");
    CHECK(fd_pread(g.cx(), g.memory, fd, iovecs(place, back, 8), {1}, n) == Errno::success);
    CHECK(g.text(back, g.value(n)) == "adata");
    CHECK(fd_read(g.cx(), g.memory, fd, iovecs(place, back, 8), n) == Errno::success);
    CHECK(g.text(back, g.value(n)) == "data");
    auto pos = g.out<uint64_t>();
    CHECK(fd_seek(g.cx(), g.memory, fd, {0}, {0}, pos) == Errno::success);
  }
  // More buffers than the host takes at once: a short write.
  CHECK(fd_write(g.cx(), g.memory, fd, iovecs(kMany, text, 1), n) == Errno::success);
  CHECK(g.value(n) == HostIovecs::kMax);
  CHECK(fd_write(g.cx(), g.memory, fd, {~0u, kMany}, n) == Errno::fault);
  CHECK(fd_write(g.cx(), g.memory, fd, {table, ~0u}, n) == Errno::fault);
  REQUIRE(g.memory.write(table + 1400 * 8, GuestIovec{~0u, 1}));
  CHECK(fd_write(g.cx(), g.memory, fd, iovecs(1400, ~0u, 1), n) == Errno::fault);

  // Sockets alike; a message that would not go in one piece does not go at all.
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
  HostFd ours(pair[0]), theirs(pair[1]);
  FakeGuest s(WasiConfig().preopen_socket(theirs.get()));
  const uint32_t message = s.put("data"), buffers = s.alloc(kMany * sizeof(GuestIovec));
  auto fill = [&](uint32_t place) {
    for (uint32_t i = 0; i < kMany; ++i) {
      GuestIovec v{message, i == place ? 4u : place == kMany ? 1u : 0u};
      REQUIRE(s.memory.write(buffers + i * 8, v));
    }
    return Iovecs{buffers, kMany};
  };
  auto flags = s.out<uint16_t>();
  CHECK(sock_send(s.cx(), s.memory, {3}, fill(1400), {0}, n) == Errno::success);
  char text_there[8];
  CHECK(::recv(ours.get(), text_there, sizeof(text_there), 0) == 4);
  CHECK(::send(ours.get(), "back", 4, 0) == 4);
  CHECK(sock_recv(s.cx(), s.memory, {3}, fill(1400), {0}, n, flags) == Errno::success);
  CHECK(s.text(message, 4) == "back");
  CHECK(sock_send(s.cx(), s.memory, {3}, fill(kMany), {0}, n) == Errno::msgsize);
  CHECK(fd_write(s.cx(), s.memory, {3}, fill(kMany), n) == Errno::msgsize);
}

TEST_CASE("a file that is open for reading can be synchronised") {
  TempDir t;
  t.put("box/f", "text");
  FakeGuest g(t);
  using namespace rights;
  Fd fd = g.must_open("f", 0, kFdRead | kFdSync);  // what libcs ask for
  CHECK(fd_sync(g.cx(), g.memory, fd) == Errno::success);
  CHECK(fd_datasync(g.cx(), g.memory, fd) == Errno::success);
  Fd data = g.must_open("f", 0, kFdRead | kFdDatasync);
  CHECK(fd_datasync(g.cx(), g.memory, data) == Errno::success);
  CHECK(fd_sync(g.cx(), g.memory, data) == Errno::notcapable);
  CHECK(fd_datasync(g.cx(), g.memory, g.must_open("f", 0, kFdRead)) == Errno::notcapable);
  CHECK(fd_datasync(g.cx(), g.memory, {99}) == Errno::badf);
}
