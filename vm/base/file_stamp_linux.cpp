// See file_stamp.h.
#include <sys/stat.h>
#include <sys/vfs.h>

#include <ctime>

#include "vm/base/file_stamp.h"

namespace vmrun::vm {

namespace {

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

}  // namespace

int64_t file_time() {
  timespec now = {};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return nanoseconds(now);
}

std::optional<FileStamp> stamp_of(int file) {
  struct stat info;
  struct statfs system;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || fstatfs(file, &system) != 0) return std::nullopt;
  return FileStamp{info.st_dev,
                   info.st_ino,
                   static_cast<uint64_t>(info.st_size),
                   static_cast<int64_t>(system.f_type),
                   nanoseconds(info.st_mtim),
                   nanoseconds(info.st_ctim)};
}

}  // namespace vmrun::vm
