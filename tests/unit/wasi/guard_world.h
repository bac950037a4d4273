// What tests of the guard share: a cache with what leads to it, and a guest's calls that change something.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "engine/cache_files.h"
#include "tests/unit/wasi/host.h"
#include "wasi/guard.h"

namespace vmrun::wasi {

namespace fs = std::filesystem;

/// box/home/.cache/vmrun is the cache, known by way of the link box/way; beside it lie things that are nobody's concern.
struct World {
  World() {
    t.dir("box/home/.cache/vmrun/sub");
    t.dir("box/home/work");
    t.put("box/home/.cache/vmrun/entry", "code");
    t.put("box/home/.cache/vmrun/notes", "writable");
    fs::permissions(t / "box/home/.cache/vmrun/entry", fs::perms(engine::kEntryMode));
    t.put("box/home/work/mine", "mine");
    t.link("home", "box/way");
    t.link("../.cache/vmrun", "box/home/work/in");
    t.link("../.cache/vmrun/entry", "box/home/work/to_entry");
    places->add_folder(t / "box/way/.cache/vmrun");
  }
  void check_untouched() const {
    CHECK(t.get("box/home/.cache/vmrun/entry") == "code");
    CHECK(t.get("box/home/.cache/vmrun/notes") == "writable");
    CHECK(t.get("box/way/.cache/vmrun/entry") == "code");
    CHECK(std::distance(fs::directory_iterator(t / "box/home/.cache/vmrun"), {}) == 3);
  }

  TempDir t;
  std::shared_ptr<engine::ProtectedPlaces> places = std::make_shared<engine::ProtectedPlaces>();
};

/// By both ways of resolving.
inline void in_both_ways(const std::function<void(FakeGuest&, World&)>& test) {
  for (const bool walk : {false, true}) {
    CAPTURE(walk);
    World world;
    FakeGuest g(world.t);
    if (walk) g.cx().resolver.force_walk();
    g.cx().guard.add(world.places);
    test(g, world);
    world.check_untouched();
  }
}

inline Errno make_dir(FakeGuest& g, std::string_view p) {
  return path_create_directory(g.cx(), g.memory, g.kBox, g.path(p));
}
inline Errno remove_dir(FakeGuest& g, std::string_view p) {
  return path_remove_directory(g.cx(), g.memory, g.kBox, g.path(p));
}
inline Errno unlink(FakeGuest& g, std::string_view p) { return path_unlink_file(g.cx(), g.memory, g.kBox, g.path(p)); }
inline Errno rename(FakeGuest& g, std::string_view from, std::string_view to) {
  return path_rename(g.cx(), g.memory, g.kBox, g.path(from), g.kBox, g.path(to));
}
inline Errno link(FakeGuest& g, std::string_view from, std::string_view to, bool follow = false) {
  return path_link(g.cx(), g.memory, g.kBox, {follow ? kSymlinkFollow : 0}, g.path(from), g.kBox, g.path(to));
}
inline Errno symlink(FakeGuest& g, std::string_view text, std::string_view p) {
  return path_symlink(g.cx(), g.memory, g.path(text), g.kBox, g.path(p));
}
inline Errno set_times(FakeGuest& g, std::string_view p, bool follow) {
  return path_filestat_set_times(g.cx(), g.memory, g.kBox, {follow ? kSymlinkFollow : 0}, g.path(p), {1}, {1},
                                 {kSetAtim | kSetMtim});
}
inline Errno open(FakeGuest& g, std::string_view p, uint32_t oflags, Rights base = rights::kFdRead | rights::kFdWrite,
                  Fd dir = FakeGuest::kBox) {
  Fd fd{0};
  return g.open(p, oflags, base, fd, 0, true, dir);
}

}  // namespace vmrun::wasi
