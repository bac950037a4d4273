// Resolution without openat2: component by component, following no link in the kernel. The directories passed stay open
// on a stack and ".." pops it: the file system is never asked for a parent, so no rename elsewhere can lead outside.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "wasi/blocking.h"
#include "wasi/errno.h"
#include "wasi/path.h"

namespace vmrun::wasi {
namespace {

/// The most directories that a walk holds open at a time: a path of 4,095 bytes could name half as many, and each takes
/// one of the host's descriptors.
constexpr size_t kMaxDepth = 256;

class Walk {
 public:
  Walk(int dir, const char* path) : root_(dir), rest_(path) {}

  Errno run(int flags, unsigned mode, HostFd& out);

 private:
  int here() const { return stack_.empty() ? root_ : stack_.back().get(); }
  Errno enter(const std::string& name);
  Errno open_last(const std::string& name, int flags, unsigned mode, HostFd& out, bool& expanded);
  /// When `name` is a symbolic link, puts its text before what is left of the path.
  Errno expand(const std::string& name, bool& was_link);

  int root_;
  std::vector<HostFd> stack_;  // the directories below the root, outermost first
  std::string rest_;           // what is still to be walked
  int links_ = 0;
};

Errno Walk::expand(const std::string& name, bool& was_link) {
  char target[PATH_MAX];
  int64_t n = raw([&] { return ::readlinkat(here(), name.c_str(), target, sizeof(target)); });
  was_link = n >= 0;
  if (!was_link) return n == -EINVAL ? Errno::success : errno_of(n);
  if (++links_ > kMaxLinks) return Errno::loop;
  if (n == 0) return Errno::noent;
  if (target[0] == '/') return Errno::notcapable;
  if (static_cast<size_t>(n) + rest_.size() >= PATH_MAX) return Errno::nametoolong;
  rest_.insert(0, target, static_cast<size_t>(n));
  return Errno::success;
}

/// Steps into the directory `name`, or replaces it by its text when it is a link.
Errno Walk::enter(const std::string& name) {
  int64_t r = blocking::openat(here(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (r >= 0) {
    HostFd dir(static_cast<int>(r));
    if (stack_.size() == kMaxDepth) return Errno::nametoolong;
    stack_.push_back(std::move(dir));
    return Errno::success;
  }
  if (r != -ENOTDIR && r != -ELOOP) return errno_of(r);
  bool was_link;
  Errno e = expand(name, was_link);
  return e == Errno::success && !was_link ? Errno::notdir : e;
}

Errno Walk::open_last(const std::string& name, int flags, unsigned mode, HostFd& out, bool& expanded) {
  expanded = false;
  // O_EXCL never follows; the kernel then answers EEXIST for a link.
  bool follow = !(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
  int64_t r = blocking::openat(here(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode);
  if (r >= 0) {
    HostFd fd(static_cast<int>(r));
    if ((flags & O_PATH) && follow) {  // O_PATH opens the link itself instead of failing
      struct stat st;
      if (int64_t s = raw([&] { return ::fstat(fd.get(), &st); }); s < 0) return errno_of(s);
      if (S_ISLNK(st.st_mode)) return expand(name, expanded);
    }
    out = std::move(fd);
    return Errno::success;
  }
  if (follow && (r == -ELOOP || r == -ENOTDIR)) {
    Errno e = expand(name, expanded);
    if (expanded || e != Errno::success) return e;
  }
  return errno_of(r);
}

Errno Walk::run(int flags, unsigned mode, HostFd& out) {
  for (;;) {
    // Take the next component; what follows it, slashes included, stays in rest_.
    size_t begin = rest_.find_first_not_of('/');
    if (begin == std::string::npos) {
      // The path ended in a slash, "." or "..": it names the directory where we stand.
      if (flags & O_CREAT) return flags & O_EXCL ? Errno::exist : Errno::isdir;
      int64_t r = blocking::openat(here(), ".", flags | O_DIRECTORY | O_CLOEXEC, 0);
      if (r < 0) return errno_of(r);
      out = HostFd(static_cast<int>(r));
      return Errno::success;
    }
    size_t end = rest_.find('/', begin);
    std::string name = rest_.substr(begin, end == std::string::npos ? end : end - begin);
    bool last = end == std::string::npos;
    rest_.erase(0, last ? rest_.size() : end);

    if (name == ".") continue;
    if (name == "..") {
      if (stack_.empty()) return Errno::notcapable;
      stack_.pop_back();
      continue;
    }
    if (last) {
      bool expanded;
      Errno e = open_last(name, flags, mode, out, expanded);
      if (!expanded || e != Errno::success) return e;
    } else if (Errno e = enter(name); e != Errno::success) {
      // Creating "x/" fails because it names a directory, whether or not it is there.
      bool only_slashes = rest_.find_first_not_of('/') == std::string::npos;
      return only_slashes && (flags & O_CREAT) && e == Errno::noent ? Errno::isdir : e;
    }
  }
}

}  // namespace

Errno walk_open(int dir, const char* path, int flags, unsigned mode, HostFd& out) {
  if (path[0] == '/') return Errno::notcapable;
  if (!(flags & O_PATH)) flags |= O_NOCTTY;
  return Walk(dir, path).run(flags, flags & O_CREAT ? mode : 0, out);
}

}  // namespace vmrun::wasi
