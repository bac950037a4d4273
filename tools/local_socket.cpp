#include "tools/local_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace vmrun::tools {
namespace {

constexpr size_t kMostPath = sizeof(sockaddr_un::sun_path) - 1;

sockaddr_un local_address(std::string_view name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), std::min(name.size(), kMostPath));
  return address;
}

Error cannot_listen(const std::string& name, int error) {
  return Error(ErrorKind::Io, "cannot listen at '" + name + "': " + std::strerror(error));
}

Result<int> listen_local(const sockaddr_un& address, socklen_t length, const std::string& name) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Error(ErrorKind::Io, std::string("no socket: ") + std::strerror(errno));
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(fd, 16) != 0) {
    const int error = errno;
    ::close(fd);
    return cannot_listen(name, error);
  }
  return fd;
}

bool nobody_listens(const sockaddr_un& address) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool refused =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

}  // namespace

Result<int> SocketFile::listen(const std::string& path) {
  if (path.empty() || path.size() > kMostPath) {
    return Error(ErrorKind::Usage,
                 "'" + path + "': a socket's path has from 1 to " + std::to_string(kMostPath) + " bytes");
  }
  const size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  name_ = slash == path.npos ? path : path.substr(slash + 1);
  folder_ = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0) return cannot_listen(path, errno);
  // There is no bindat. Where /proc is missing, or leaves the name no room, the path itself has to do: no guest runs yet.
  const std::string link = "/proc/self/fd/" + std::to_string(folder_);
  const std::string within = link + "/" + name_;
  const bool by_link = within.size() <= kMostPath && ::access(link.c_str(), F_OK) == 0;
  const sockaddr_un address = local_address(by_link ? within : path);
  struct stat info{};
  const auto is_socket = [&] {
    return ::fstatat(folder_, name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(info.st_mode);
  };
  if (is_socket() && nobody_listens(address)) ::unlinkat(folder_, name_.c_str(), 0);
  // Nobody else may connect between the two calls: the mode is there from the start. No other thread makes files yet.
  const mode_t before = ::umask(0177);
  auto fd = listen_local(address, sizeof address, path);
  ::umask(before);
  if (!fd) return fd;
  if (!is_socket()) {
    ::close(*fd);
    return Error(ErrorKind::Io, "cannot listen at '" + path + "': somebody else renames what is there");
  }
  made_ = true;
  device_ = info.st_dev;
  number_ = info.st_ino;
  return fd;
}

void SocketFile::remove() {
  struct stat info{};
  if (made_ && ::fstatat(folder_, name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(info.st_mode) &&
      info.st_dev == device_ && info.st_ino == number_) {
    ::unlinkat(folder_, name_.c_str(), 0);
  }
  made_ = false;
  if (folder_ >= 0) ::close(folder_);
  folder_ = -1;
}

Result<int> listen_abstract(const std::string& name) {
  const std::string text = std::string(1, '\0') + name;
  const sockaddr_un address = local_address(text);
  return listen_local(address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size()), "@" + name);
}

}  // namespace vmrun::tools
