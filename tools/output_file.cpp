// Temporary files that take a name when they are complete; see output_file.h.
#include "tools/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>

namespace vmrun::tools {
namespace {

Error cannot_write(const std::string& path, int error) {
  return {ErrorKind::Io, "cannot write '" + path + "': " + std::strerror(error)};
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

/// Writes and closes; errno says why not.
bool write_and_close(int fd, std::string_view bytes) {
  const bool written = write_all(fd, bytes);
  const int error = errno;
  const bool closed = close(fd) == 0;
  if (!written) errno = error;
  return written && closed;
}

/// Whether it exists and has to be written in place.
bool is_special(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
}

/// A link is followed, so that the file takes the name that it leads to.
std::string real_name(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string out = real;
  free(real);
  return out;
}

/// Where a file is to be: its folder, which is open, and its name there, which is none of a link.
struct OutputPlace {
  int folder = AT_FDCWD;
  std::string name;
  bool special = false;  // written as it is, by its path
};

/// By their paths as they were given, what check_writable has found. They last as long as the process.
std::mutex places_lock;
std::map<std::string, OutputPlace>& known_places() {
  static auto* const places = new std::map<std::string, OutputPlace>;
  return *places;
}

/// Where `path` leads now. False: errno says why there is no such folder.
bool find_place(const std::string& path, OutputPlace& out) {
  out.special = is_special(path);
  const std::string target = real_name(path);
  const size_t slash = target.rfind('/');
  const std::string folder = slash == target.npos ? "." : slash == 0 ? "/" : target.substr(0, slash);
  out.name = target.substr(slash == target.npos ? 0 : slash + 1);
  out.folder = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  return out.folder >= 0;
}

/// A new file beside the one of that place; its name in `name`. Negative: errno says why not.
int open_beside(const OutputPlace& place, std::string& name) {
  static std::atomic<unsigned> count{0};
  // A long name is cut: what is added must not make it too long for the file system.
  name = "." + place.name.substr(0, 200) + "." + std::to_string(getpid()) + "." + std::to_string(count.fetch_add(1));
  return openat(place.folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
}

}  // namespace

Result<void> check_writable(const std::string& path) {
  OutputPlace place;
  if (!find_place(path, place)) return cannot_write(path, errno);
  const auto keep = [&] {
    const std::lock_guard guard(places_lock);
    const auto [known, fresh] = known_places().try_emplace(path, place);
    if (fresh) return;
    close(known->second.folder);
    known->second = place;
  };
  if (place.special) {
    struct stat info;
    const bool folder = stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
    if (folder || access(path.c_str(), W_OK) != 0) {
      const int error = folder ? EISDIR : errno;
      close(place.folder);
      return cannot_write(path, error);
    }
    keep();
    return {};
  }
  std::string temporary;
  const int fd = open_beside(place, temporary);
  if (fd < 0) {
    const int error = errno;
    close(place.folder);
    return cannot_write(path, error);
  }
  close(fd);
  unlinkat(place.folder, temporary.c_str(), 0);
  keep();
  return {};
}

Result<void> write_whole_file(const std::string& path, std::string_view bytes) {
  OutputPlace place;
  bool known;
  {
    const std::lock_guard guard(places_lock);
    const auto found = known_places().find(path);
    known = found != known_places().end();
    if (known) place = found->second;
  }
  if (!known && !find_place(path, place)) return cannot_write(path, errno);
  const auto finish = [&](bool written) -> Result<void> {
    const int error = errno;
    if (!known) close(place.folder);
    if (written) return {};
    return cannot_write(path, error);
  };
  if (place.special) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    struct stat info;
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {  // by a link that was not there before
      close(fd);
      errno = EEXIST;
      return finish(false);
    }
    return finish(fd >= 0 && write_and_close(fd, bytes));
  }
  std::string temporary;
  const int fd = open_beside(place, temporary);
  if (fd < 0) return finish(false);
  if (write_and_close(fd, bytes) && renameat(place.folder, temporary.c_str(), place.folder, place.name.c_str()) == 0) {
    return finish(true);
  }
  const int error = errno;
  unlinkat(place.folder, temporary.c_str(), 0);
  errno = error;
  return finish(false);
}

}  // namespace vmrun::tools
