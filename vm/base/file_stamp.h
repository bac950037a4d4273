// What an open file is known again by without reading it.
#pragma once

#include <cstdint>
#include <optional>

namespace vmrun::vm {

/// Of a regular file, as the system has it. Times are nanoseconds since 1970. Who may write a file can set `modified`;
/// nobody can set `changed`, but whoever can set the clock, or writes past the file system.
struct FileStamp {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t file_system = 0;  // its kind: f_type of statfs
  int64_t modified = 0, changed = 0;
  bool operator==(const FileStamp&) const = default;
};

/// Now, by the clock of these times.
int64_t file_time();

/// Nothing for what is no regular file.
std::optional<FileStamp> stamp_of(int file);

}  // namespace vmrun::vm
