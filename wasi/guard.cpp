// See guard.h.
#include "wasi/guard.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <utility>

#include "engine/cache_files.h"
#include "vmrun/engine.h"
#include "wasi/blocking.h"
#include "wasi/errno.h"

namespace vmrun::wasi {
namespace {

using engine::FileId;
using engine::id_of;

/// A name that is exchanged so often while it is opened is given up.
constexpr int kMostTries = 8;

std::string_view without_slashes(std::string_view name) { return name.substr(0, name.find_last_not_of('/') + 1); }

/// /dev/mem, /dev/kmem and /dev/port.
bool is_memory_device(const struct stat& info) {
  return S_ISCHR(info.st_mode) && major(info.st_rdev) == 1 &&
         (minor(info.st_rdev) == 1 || minor(info.st_rdev) == 2 || minor(info.st_rdev) == 4);
}

/// The kind of file system that an open file is of; 0 if it is one of a block device, or cannot be told.
uint32_t file_system_of(int file, const struct stat& info) {
  struct statfs system;
  if (major(info.st_dev) != 0 || raw([&] { return ::fstatfs(file, &system); }) != 0) return 0;
  return static_cast<uint32_t>(system.f_type);
}

/// Whether the files of such a file system are commands to the kernel. Some name a program that it then runs: core_pattern of
/// procfs, uevent_helper of sysfs, release_agent of the first control groups, all of binfmt_misc.
bool commands_kernel(uint32_t file_system) {
  constexpr uint32_t kSystems[] = {PROC_SUPER_MAGIC, BINFMTFS_MAGIC,   SYSFS_MAGIC,       DEBUGFS_MAGIC,
                                   TRACEFS_MAGIC,    SECURITYFS_MAGIC, CGROUP_SUPER_MAGIC};
  return std::ranges::find(kSystems, file_system) != std::end(kSystems);
}

/// Whether an open file of procfs is somebody's memory, by its name there.
bool is_memory(int file) {
  char link[32], path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const int64_t size = raw([&] { return ::readlink(link, path, sizeof path); });
  if (size < 0) return true;  // it may be
  const std::string_view whole(path, static_cast<size_t>(size));
  const std::string_view name = whole.substr(whole.rfind('/') + 1);
  return name == "mem" || name == "kcore";
}

}  // namespace

void Guard::add(const Engine& engine) {
  std::shared_ptr<const engine::ProtectedPlaces> places = engine::protected_places(engine);
  if (std::ranges::find(places_, places) == places_.end()) places_.push_back(std::move(places));
}

bool Guard::is_folder(FileId id) const {
  return std::ranges::any_of(places_, [&](const auto& places) { return places->is_folder(id); });
}
bool Guard::is_step(FileId id) const {
  return std::ranges::any_of(places_, [&](const auto& places) { return places->is_step(id); });
}
bool Guard::is_name(FileId folder, std::string_view name) const {
  return std::ranges::any_of(places_, [&](const auto& places) { return places->is_name(folder, name); });
}

Errno Guard::may_change(const Entry& entry) const {
  if (places_.empty()) return Errno::success;
  struct stat info;
  if (int64_t r = raw([&] { return ::fstat(entry.dir(), &info); }); r < 0) return errno_of(r);
  if (is_folder(id_of(info)) || is_name(id_of(info), without_slashes(entry.name()))) return Errno::perm;
  const int64_t r = raw([&] { return ::fstatat(entry.dir(), entry.name(), &info, AT_SYMLINK_NOFOLLOW); });
  return r == 0 && is_step(id_of(info)) ? Errno::perm : Errno::success;
}

Errno Guard::may_set_times(const Entry& entry) const {
  struct stat info;
  if (!places_.empty()) {
    if (int64_t r = raw([&] { return ::fstat(entry.dir(), &info); }); r < 0) return errno_of(r);
    if (is_folder(id_of(info))) return Errno::perm;
  }
  const int64_t r = raw([&] { return ::fstatat(entry.dir(), entry.name(), &info, AT_SYMLINK_NOFOLLOW); });
  if (r < 0) return Errno::success;  // the call itself will say
  return is_folder(id_of(info)) || engine::is_entry(info.st_mode) ? Errno::perm : Errno::success;
}

Errno Guard::may_set_times(int file) const {
  struct stat info;
  if (int64_t r = raw([&] { return ::fstat(file, &info); }); r < 0) return errno_of(r);
  return is_folder(id_of(info)) || engine::is_entry(info.st_mode) ? Errno::perm : Errno::success;
}

Errno Guard::may_read(int file) const {
  struct stat info;
  if (int64_t r = raw([&] { return ::fstat(file, &info); }); r < 0) return errno_of(r);
  if (is_memory_device(info)) return Errno::perm;
  return S_ISREG(info.st_mode) && file_system_of(file, info) == PROC_SUPER_MAGIC && is_memory(file) ? Errno::perm
                                                                                                    : Errno::success;
}

Errno Guard::may_write(int file, const struct stat& info) const {
  if (is_memory_device(info) || is_step(id_of(info)) || commands_kernel(file_system_of(file, info))) return Errno::perm;
  return S_ISREG(info.st_mode) && (info.st_mode & 0222) == 0 ? Errno::acces : Errno::success;
}

Errno Guard::open_to_change(Resolver& resolver, int dir, GuestPath& path, int flags, unsigned mode, HostFd& out) const {
  const bool fresh = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
  const bool follow = !fresh && (flags & O_NOFOLLOW) == 0;
  const std::string whole(path.view());
  // Truncated once it is known what it is.
  const bool truncates = (flags & O_TRUNC) != 0 && !fresh;
  int how = (flags & ~O_TRUNC) | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
  if (truncates && (how & O_ACCMODE) == O_RDONLY) how |= O_RDWR;
  const bool writes = (how & O_ACCMODE) != O_RDONLY;
  for (int tries = 0; tries < kMostTries; ++tries) {
    Entry entry;
    path.set(whole);
    // Most names are no links, and the system tells where one is.
    Errno e = resolve_object(resolver, dir, path, follow && tries != 0, entry);
    if (std::string_view(entry.name()) == ".") {
      // It names a directory, which is neither written nor made. What is missing at its end is no directory yet.
      if (e == Errno::success) return fresh ? Errno::exist : Errno::isdir;
      if (e != Errno::noent || (flags & O_CREAT) == 0) return e;
      path.set(whole);
      Entry above;
      e = resolve_entry(resolver, dir, path, above);
      return e == Errno::success ? Errno::isdir : e;
    }
    if (e != Errno::success) return e;
    struct stat info;
    if (!places_.empty()) {
      if (int64_t r = raw([&] { return ::fstat(entry.dir(), &info); }); r < 0) return errno_of(r);
      if (is_folder(id_of(info))) return Errno::perm;
      if (is_name(id_of(info), entry.name())) return Errno::perm;
    }
    // A file that this very call makes may be written, whatever mode the process's mask leaves it: so it is told apart.
    const bool may_make = (flags & O_CREAT) != 0 && (fresh || writes);
    int64_t r = may_make ? blocking::openat(entry.dir(), entry.name(), how | O_EXCL, mode) : -EEXIST;
    const bool made = r >= 0;
    if (!made && !fresh) r = blocking::openat(entry.dir(), entry.name(), how, flags & O_CREAT ? mode : 0);
    // It is a link, at the first try; at a later one somebody put it there meanwhile.
    if (follow && (r == -ELOOP || (r == -ENOTDIR && (how & O_DIRECTORY) != 0 && tries == 0))) continue;
    if (r < 0) return errno_of(r);
    HostFd file(static_cast<int>(r));
    if (!made) {
      if (int64_t s = raw([&] { return ::fstat(file.get(), &info); }); s < 0) return errno_of(s);
      e = writes ? may_write(file.get(), info) : may_read(file.get());
      if (e != Errno::success) return e;
      if (truncates && S_ISREG(info.st_mode)) {
        if (int64_t s = raw([&] { return ::ftruncate(file.get(), 0); }); s < 0) return errno_of(s);
      }
    }
    out = std::move(file);
    return Errno::success;
  }
  return Errno::loop;
}

}  // namespace vmrun::wasi
