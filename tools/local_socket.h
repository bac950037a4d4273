// Listening sockets of this machine: at a path, and under names that are in no file system.
#pragma once

#include <sys/types.h>

#include <string>

#include "vmrun/base/result.h"

namespace vmrun::tools {

/// The name of a listening socket in the file system. It keeps the folder open, because a guest that was granted a folder
/// above it may put another one in its place.
class SocketFile {
 public:
  SocketFile() = default;
  ~SocketFile() { remove(); }
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

  /// Once. A listening socket at `path`, for the own user alone (mode 0600). A socket there that nobody listens at any more is
  /// replaced. The caller owns the descriptor. Errors: Usage (the path is too long), Io.
  Result<int> listen(const std::string& path);
  /// Removes the name from the folder in which it was made, if it still names that socket.
  void remove();

 private:
  int folder_ = -1;
  std::string name_;
  bool made_ = false;
  dev_t device_ = 0;
  ino_t number_ = 0;
};

/// A listening socket under a name that is in no file system (Linux's abstract names). Errors: Io.
Result<int> listen_abstract(const std::string& name);

}  // namespace vmrun::tools
