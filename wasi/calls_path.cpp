// Calls that name files. Each resolves its path beneath the descriptor (path.h) and then acts on a directory descriptor
// and one checked name, never on more of a guest's path. Those that change something ask the guard first (guard.h).
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "wasi/calls_common.h"

namespace vmrun::wasi {
namespace {

/// The directory `fd` with the rights `needed`.
Errno need_dir(Context& cx, Fd fd, Rights needed, FdRef& out) {
  FdRef d = cx.fds.get(fd.value);
  if (d == nullptr) return Errno::badf;
  if (d->type != FileType::Directory) return Errno::notdir;
  if ((d->base & needed) != needed) return Errno::notcapable;
  out = std::move(d);
  return Errno::success;
}

/// As need_dir, for calls that change what is there.
Errno need_writable_dir(Context& cx, Fd fd, Rights needed, FdRef& out) {
  Errno e = need_dir(cx, fd, needed, out);
  return e == Errno::success && out->read_only ? Errno::rofs : e;
}

Errno load_path(Mem memory, PathArg arg, GuestPath& path) {
  std::string_view text;
  return arg.text(memory, text) ? path.assign(text) : Errno::fault;
}

/// Resolves a path to an entry (resolve_entry) that may be changed, of a directory that may be written.
Errno writable_entry(Context& cx, Mem memory, Fd fd, PathArg arg, Rights needed, GuestPath& path, Entry& out) {
  FdRef d;
  if (Errno e = need_writable_dir(cx, fd, needed, d); e != Errno::success) return e;
  if (Errno e = load_path(memory, arg, path); e != Errno::success) return e;
  if (Errno e = resolve_entry(cx.resolver, d->host, path, out); e != Errno::success) return e;
  return cx.guard.may_change(out);
}

/// A link is to be made under a name with a trailing slash, so there is no good outcome: says which bad one it is.
Errno refuse_slash(const Entry& entry) {
  std::string name(entry.name());
  name.resize(name.find_last_not_of('/') + 1);
  struct stat st;
  if (raw([&] { return ::fstatat(entry.dir(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW); }) != 0) return Errno::noent;
  return S_ISDIR(st.st_mode) ? Errno::exist : Errno::notdir;
}

}  // namespace

Errno path_create_directory(Context& cx, Mem memory, Fd fd, PathArg arg) {
  GuestPath path;
  Entry entry;
  if (Errno e = writable_entry(cx, memory, fd, arg, rights::kPathCreateDirectory, path, entry); e != Errno::success) {
    return e;
  }
  return errno_of(raw([&] { return ::mkdirat(entry.dir(), entry.name(), 0777); }));
}

Errno path_remove_directory(Context& cx, Mem memory, Fd fd, PathArg arg) {
  GuestPath path;
  Entry entry;
  if (Errno e = writable_entry(cx, memory, fd, arg, rights::kPathRemoveDirectory, path, entry); e != Errno::success) {
    return e;
  }
  return errno_of(raw([&] { return ::unlinkat(entry.dir(), entry.name(), AT_REMOVEDIR); }));
}

Errno path_unlink_file(Context& cx, Mem memory, Fd fd, PathArg arg) {
  GuestPath path;
  Entry entry;
  if (Errno e = writable_entry(cx, memory, fd, arg, rights::kPathUnlinkFile, path, entry); e != Errno::success) {
    return e;
  }
  return errno_of(raw([&] { return ::unlinkat(entry.dir(), entry.name(), 0); }));
}

Errno path_rename(Context& cx, Mem memory, Fd old_fd, PathArg old_arg, Fd new_fd, PathArg new_arg) {
  GuestPath old_path, new_path;
  Entry from, to;
  if (Errno e = writable_entry(cx, memory, old_fd, old_arg, rights::kPathRenameSource, old_path, from);
      e != Errno::success) {
    return e;
  }
  if (Errno e = writable_entry(cx, memory, new_fd, new_arg, rights::kPathRenameTarget, new_path, to);
      e != Errno::success) {
    return e;
  }
  return errno_of(raw([&] { return ::renameat(from.dir(), from.name(), to.dir(), to.name()); }));
}

Errno path_symlink(Context& cx, Mem memory, PathArg content, Fd fd, PathArg arg) {
  GuestPath path, text;
  Entry entry;
  if (Errno e = writable_entry(cx, memory, fd, arg, rights::kPathSymlink, path, entry); e != Errno::success) return e;
  // Links are judged when they are followed; but one that could only lead out is not made in the first place.
  if (Errno e = load_path(memory, content, text); e != Errno::success) return e;
  if (entry.trailing_slash()) return refuse_slash(entry);
  return errno_of(raw([&] { return ::symlinkat(text.c_str(), entry.dir(), entry.name()); }));
}

Errno path_link(Context& cx, Mem memory, Fd old_fd, LookupFlags flags, PathArg old_arg, Fd new_fd, PathArg new_arg) {
  GuestPath old_path, new_path;
  Entry from, to;
  FdRef d;
  if ((flags.value & ~kSymlinkFollow) != 0) return Errno::inval;
  // Through the new name the file could be changed, so the old one must be writable as well.
  if (Errno e = need_writable_dir(cx, old_fd, rights::kPathLinkSource, d); e != Errno::success) return e;
  if (Errno e = load_path(memory, old_arg, old_path); e != Errno::success) return e;
  if (Errno e = writable_entry(cx, memory, new_fd, new_arg, rights::kPathLinkTarget, new_path, to);
      e != Errno::success) {
    return e;
  }
  bool follow = (flags.value & kSymlinkFollow) != 0;
  if (Errno e = resolve_object(cx.resolver, d->host, old_path, follow, from); e != Errno::success) return e;
  if (Errno e = cx.guard.may_change(from); e != Errno::success) return e;
  if (to.trailing_slash()) return refuse_slash(to);
  return errno_of(raw([&] { return ::linkat(from.dir(), from.name(), to.dir(), to.name(), 0); }));
}

Errno path_readlink(Context& cx, Mem memory, Fd fd, PathArg arg, Buffer buffer, Out<uint32_t> bytes) {
  GuestPath path;
  Entry entry;
  FdRef d;
  if (Errno e = need_dir(cx, fd, rights::kPathReadlink, d); e != Errno::success) return e;
  if (Errno e = load_path(memory, arg, path); e != Errno::success) return e;
  char* out = reinterpret_cast<char*>(memory.at(buffer.address, buffer.length));
  if (out == nullptr) return Errno::fault;
  if (Errno e = resolve_object(cx.resolver, d->host, path, false, entry); e != Errno::success) return e;
  char none;  // the host refuses an empty buffer; a guest's stays empty
  const uint32_t most = std::clamp(buffer.length, 1u, uint32_t{PATH_MAX});  // it also refuses one of 2 GiB
  int64_t n = raw([&] { return ::readlinkat(entry.dir(), entry.name(), buffer.length == 0 ? &none : out, most); });
  if (n < 0) return errno_of(n);
  return bytes.store(memory, std::min(static_cast<uint32_t>(n), buffer.length));
}

namespace {

Errno path_stat(Context& cx, Mem memory, Fd fd, LookupFlags flags, PathArg arg, GuestFilestat& out) {
  FdRef d;
  if (Errno e = need_dir(cx, fd, rights::kPathFilestatGet, d); e != Errno::success) return e;
  if ((flags.value & ~kSymlinkFollow) != 0) return Errno::inval;
  struct stat st;
  auto stat_object = [&](bool follow) {
    GuestPath path;
    Entry entry;
    if (Errno e = load_path(memory, arg, path); e != Errno::success) return e;
    if (Errno e = resolve_object(cx.resolver, d->host, path, follow, entry); e != Errno::success) return e;
    return errno_of(raw([&] { return ::fstatat(entry.dir(), entry.name(), &st, AT_SYMLINK_NOFOLLOW); }));
  };
  // Most paths do not end in a link: looking first saves a system call.
  if (Errno e = stat_object(false); e != Errno::success) return e;
  if ((flags.value & kSymlinkFollow) && S_ISLNK(st.st_mode)) {
    if (Errno e = stat_object(true); e != Errno::success) return e;
  }
  out = filestat_of(st, file_type(st.st_mode, -1));
  return Errno::success;
}

}  // namespace

Errno path_filestat_get(Context& cx, Mem memory, Fd fd, LookupFlags flags, PathArg arg, Out<GuestFilestat> stat) {
  GuestFilestat s;
  Errno e = path_stat(cx, memory, fd, flags, arg, s);
  return e == Errno::success ? stat.store(memory, s) : e;
}

Errno path_filestat_get_unstable(Context& cx, Mem memory, Fd fd, LookupFlags flags, PathArg arg,
                                 Out<GuestFilestatUnstable> stat) {
  GuestFilestat s;
  Errno e = path_stat(cx, memory, fd, flags, arg, s);
  return e == Errno::success ? stat.store(memory, unstable(s)) : e;
}

Errno path_filestat_set_times(Context& cx, Mem memory, Fd fd, LookupFlags flags, PathArg arg, Time atim, Time mtim,
                              FstFlags fst_flags) {
  GuestPath path;
  Entry entry;
  FdRef d;
  if (Errno e = need_writable_dir(cx, fd, rights::kPathFilestatSetTimes, d); e != Errno::success) return e;
  if ((flags.value & ~kSymlinkFollow) != 0) return Errno::inval;
  timespec times[2];
  if (Errno e = times_of(atim, mtim, fst_flags, times); e != Errno::success) return e;
  if (Errno e = load_path(memory, arg, path); e != Errno::success) return e;
  bool follow = (flags.value & kSymlinkFollow) != 0;
  if (Errno e = resolve_object(cx.resolver, d->host, path, follow, entry); e != Errno::success) return e;
  if (Errno e = cx.guard.may_set_times(entry); e != Errno::success) return e;
  return errno_of(raw([&] { return ::utimensat(entry.dir(), entry.name(), times, AT_SYMLINK_NOFOLLOW); }));
}

// ---- path_open ----

namespace {

/// Beneath a read-only grant: what opening in this manner would answer on a read-only file system. success: go on with
/// `flags`, from which creation has been taken out.
Errno open_read_only(Context& cx, int dir, const char* path, bool writes, int& flags) {
  HostFd there;
  Errno e = cx.resolver.open(dir, path, O_PATH | (flags & (O_NOFOLLOW | O_DIRECTORY)), 0, there);
  if (e == Errno::noent && (flags & O_CREAT)) return Errno::rofs;
  if (e != Errno::success) return e;
  if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) return Errno::exist;
  flags &= ~(O_CREAT | O_EXCL);
  if (!writes) return Errno::success;
  struct stat st;
  if (int64_t r = raw([&] { return ::fstat(there.get(), &st); }); r < 0) return errno_of(r);
  if (S_ISLNK(st.st_mode)) return Errno::loop;  // opened itself, by O_NOFOLLOW
  return S_ISDIR(st.st_mode) ? Errno::isdir : Errno::rofs;
}

Errno open_to_read(Context& cx, int dir, const char* path, int flags, HostFd& out) {
  HostFd file;
  if (Errno e = cx.resolver.open(dir, path, flags, 0, file); e != Errno::success) return e;
  if (Errno e = cx.guard.may_read(file.get()); e != Errno::success) return e;
  out = std::move(file);
  return Errno::success;
}

int host_open_flags(uint32_t lookup, uint32_t oflags, uint32_t fdflags, Rights base) {
  bool reads = (base & (rights::kFdRead | rights::kFdReaddir)) != 0;
  // Not fd_filestat_set_size: guests ask for it along with reading, which must not fail for want of write permission.
  bool writes = (base & (rights::kFdWrite | rights::kFdAllocate)) != 0;
  int flags = writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (!(lookup & kSymlinkFollow)) flags |= O_NOFOLLOW;
  if (oflags & kOCreat) flags |= O_CREAT;
  if (oflags & kODirectory) flags |= O_DIRECTORY;
  if (oflags & kOExcl) flags |= O_EXCL;
  if (oflags & kOTrunc) flags |= O_TRUNC;
  if (fdflags & kFdAppend) flags |= O_APPEND;
  if (fdflags & kFdNonblock) flags |= O_NONBLOCK;
  if (fdflags & kFdDsync) flags |= O_DSYNC;
  if (fdflags & (kFdSyncFlag | kFdRsync)) flags |= O_SYNC;
  return flags;
}

}  // namespace

Errno path_open(Context& cx, Mem memory, Fd fd, LookupFlags lookup, PathArg arg, OFlags oflags, RightsArg base_arg,
                RightsArg inheriting_arg, FdFlags fdflags, Out<uint32_t> out) {
  if ((lookup.value & ~kSymlinkFollow) != 0 || (oflags.value & ~kOFlagsAll) != 0 ||
      (fdflags.value & ~kFdFlagsAll) != 0) {
    return Errno::inval;
  }
  // Both at once is neither a directory nor a file made; hosts differ on it.
  if ((oflags.value & kOCreat) && (oflags.value & kODirectory)) return Errno::inval;

  Rights base = base_arg.value & rights::kAll, inheriting = inheriting_arg.value & rights::kAll;
  Rights needed = rights::kPathOpen | (oflags.value & kOCreat ? rights::kPathCreateFile : 0) |
                  (oflags.value & kOTrunc ? rights::kPathFilestatSetSize : 0);
  FdRef d;
  if (Errno e = need_dir(cx, fd, needed, d); e != Errno::success) return e;
  Rights inherited = base | inheriting | (fdflags.value & kFdDsync ? rights::kFdDatasync : 0) |
                     (fdflags.value & (kFdRsync | kFdSyncFlag) ? rights::kFdSync : 0);
  if ((inherited & ~d->inheriting) != 0) return Errno::notcapable;

  // Before anything is made or truncated.
  FdTable::Place place(cx.fds);
  if (!place) return Errno::mfile;
  GuestPath path;
  if (Errno e = load_path(memory, arg, path); e != Errno::success) return e;
  int flags = host_open_flags(lookup.value, oflags.value, fdflags.value, base);
  bool writes = (flags & (O_WRONLY | O_RDWR | O_TRUNC)) != 0;
  if (d->read_only && (writes || (flags & O_CREAT))) {
    if (Errno e = open_read_only(cx, d->host, path.c_str(), writes, flags); e != Errno::success) return e;
  }
  HostFd host;
  const bool changes = (flags & (O_WRONLY | O_RDWR | O_TRUNC | O_CREAT)) != 0;
  if (Errno e = changes ? cx.guard.open_to_change(cx.resolver, d->host, path, flags, 0666, host)
                        : open_to_read(cx, d->host, path.c_str(), flags, host);
      e != Errno::success) {
    return e;
  }

  bool read_only = d->read_only;
  Descriptor opened = describe(std::move(host), base);
  opened.read_only = read_only;
  opened.inheriting = opened.type == FileType::Directory ? inheriting : 0;
  opened.sync_flags = fdflags.value & (kFdDsync | kFdRsync | kFdSyncFlag);
  uint32_t number;
  if (!cx.fds.insert(std::move(opened), number, std::move(place))) return Errno::mfile;
  return out.store(memory, number);
}

}  // namespace vmrun::wasi
