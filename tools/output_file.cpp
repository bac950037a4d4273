// Temporary files that take a name when they are complete; see output_file.h.
#include "tools/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

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

/// A new file beside `path`; its name in `name`. Negative: errno says why not.
int open_beside(const std::string& path, std::string& name) {
  static std::atomic<unsigned> count{0};
  const size_t slash = path.rfind('/');
  const size_t base = slash == path.npos ? 0 : slash + 1;
  // A long name is cut: what is added must not make it too long for the file system.
  name = path.substr(0, base) + "." + path.substr(base).substr(0, 200) + "." + std::to_string(getpid()) + "." +
         std::to_string(count.fetch_add(1));
  return open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

}  // namespace

Result<void> check_writable(const std::string& path) {
  if (is_special(path)) {
    struct stat info;
    if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return cannot_write(path, EISDIR);
    return access(path.c_str(), W_OK) == 0 ? Result<void>() : cannot_write(path, errno);
  }
  std::string temporary;
  const int fd = open_beside(real_name(path), temporary);
  if (fd < 0) return cannot_write(path, errno);
  close(fd);
  unlink(temporary.c_str());
  return {};
}

Result<void> write_whole_file(const std::string& path, std::string_view bytes) {
  if (is_special(path)) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || !write_and_close(fd, bytes)) return cannot_write(path, errno);
    return {};
  }
  const std::string target = real_name(path);
  std::string temporary;
  const int fd = open_beside(target, temporary);
  if (fd < 0) return cannot_write(path, errno);
  if (write_and_close(fd, bytes) && rename(temporary.c_str(), target.c_str()) == 0) return {};
  const int error = errno;
  unlink(temporary.c_str());
  return cannot_write(path, error);
}

}  // namespace vmrun::tools
