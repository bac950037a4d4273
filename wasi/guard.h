// What a guest may not change though it was granted: what vmrun itself, or this machine, would run as machine code. Every
// call that changes something in a file system asks here, in one of these ways:
//   - may_change, for an entry of a directory: made, removed, renamed, replaced or linked to;
//   - open_to_change, in place of Resolver::open, for files that are to be written, made or truncated;
//   - may_set_times and may_read for what is left.
// They look at open directories and files, never at a path, so that nothing can be exchanged between the check and the call
// (engine/protected_places.h says why a look at an entry lasts). A guest sees errno `perm` where a place is protected, and
// `acces` where nobody may write a file.
//
// Files that nobody may write (no write bit in their mode) are not opened for writing, also where vmrun runs as root and the
// system would allow it, but by the call that makes them. Entries of a cache are such files, wherever they lie and by whatever name they are reached; and
// since no call sets a file's mode, no guest can make what passes for one (engine::kEntryMode).
//
// The memory of a process or of the machine is no file to a guest, nor is a command to the kernel: nothing of procfs, sysfs,
// binfmt_misc, debugfs, tracefs, securityfs and the first control groups is opened for writing, `mem` and `kcore` of procfs and
// the memory devices not at all.
#pragma once

#include <memory>
#include <vector>

#include "engine/protected_places.h"
#include "wasi/path.h"

namespace vmrun {
class Engine;
}

namespace vmrun::wasi {

/// Of one guest program. Does not change once the guest runs.
class Guard {
 public:
  /// From now on the places of this engine are protected.
  void add(const Engine& engine);
  /// The same for any places.
  void add(std::shared_ptr<const engine::ProtectedPlaces> places) { places_.push_back(std::move(places)); }

  /// Whether the entry `name` of `dir` may be made, removed, replaced, moved, or given another name.
  Errno may_change(const Entry& entry) const;
  /// Whether the times of what `entry` names may be set, or of an open file.
  Errno may_set_times(const Entry& entry) const;
  Errno may_set_times(int file) const;
  /// Whether what was opened for reading may be read.
  Errno may_read(int file) const;
  /// Resolver::open for flags that write, make or truncate. `path` is cut.
  Errno open_to_change(Resolver& resolver, int dir, GuestPath& path, int flags, unsigned mode, HostFd& out) const;

 private:
  bool is_folder(engine::FileId id) const;
  bool is_step(engine::FileId id) const;
  bool is_name(engine::FileId folder, std::string_view name) const;
  /// Whether a file that was opened for writing may be written.
  Errno may_write(int file, const struct stat& info) const;

  std::vector<std::shared_ptr<const engine::ProtectedPlaces>> places_;
};

}  // namespace vmrun::wasi
