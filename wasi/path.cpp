// Paths of guests: checks, resolution by openat2, and the split into directory and last component.
#include "wasi/path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

#include <cstring>

#include "wasi/blocking.h"
#include "wasi/errno.h"

namespace vmrun::wasi {

bool is_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = p + text.size();
  auto tail = [&](int i) { return (p[i] & 0xc0) == 0x80; };
  while (p < end) {
    auto left = end - p;
    if (*p < 0x80) {
      p += 1;
    } else if (*p >= 0xc2 && *p <= 0xdf && left >= 2 && tail(1)) {
      p += 2;
    } else if ((*p & 0xf0) == 0xe0 && left >= 3 && tail(1) && tail(2)) {
      if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0)) return false;  // overlong, surrogate
      p += 3;
    } else if (*p >= 0xf0 && *p <= 0xf4 && left >= 4 && tail(1) && tail(2) && tail(3)) {
      if ((*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90)) return false;  // overlong, beyond U+10FFFF
      p += 4;
    } else {
      return false;
    }
  }
  return true;
}

Errno GuestPath::assign(std::string_view text) {
  if (text.empty()) return Errno::noent;
  if (text.size() >= sizeof(text_)) return Errno::nametoolong;
  set(text);  // what is checked is the copy: `text` is the guest's
  if (view().find('\0') != text.npos) return Errno::inval;
  if (!is_utf8(view())) return Errno::ilseq;
  if (text_[0] == '/') return Errno::notcapable;
  return Errno::success;
}

void GuestPath::set(std::string_view text) {
  std::memcpy(text_, text.data(), text.size());
  text_[text.size()] = '\0';
  size_ = text.size();
}

Errno Resolver::open(int dir, const char* path, int flags, unsigned mode, HostFd& out) {
  if (method_ == Method::Openat2) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY));
    how.mode = flags & O_CREAT ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    // EAGAIN: a rename somewhere on the system made ".." uncertain. The walk below has no such doubt, so few tries do.
    for (int attempt = 0; attempt < 4; ++attempt) {
      int64_t r = blocking::openat2(dir, path, how);
      if (r >= 0) {
        out = HostFd(static_cast<int>(r));
        return Errno::success;
      }
      if (r == -EXDEV) return Errno::notcapable;
      if (r == -ENOSYS || (r == -EPERM && openat2_is_refused(dir))) {
        method_ = Method::Walk;
        break;
      }
      if (r != -EAGAIN) return errno_of(r);
      if (flags & O_NONBLOCK) break;  // may be the file's own answer: the walk tells
    }
  }
  return walk_open(dir, path, flags, mode, out);
}

/// Whether EPERM comes from a filter on the call rather than from the file: nothing forbids opening a directory that is
/// open already.
bool Resolver::openat2_is_refused(int dir) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH;
  int64_t r = blocking::openat2(dir, ".", how);
  if (r >= 0) HostFd(static_cast<int>(r)).reset();
  return r == -EPERM;
}

namespace {

bool is_dots(std::string_view name) { return name == "." || name == ".."; }

/// Where the last component of `path` begins and ends; trailing slashes are behind its end.
void find_last(std::string_view path, size_t& begin, size_t& end) {
  end = path.find_last_not_of('/') + 1;  // never 0: the path is relative
  size_t slash = path.rfind('/', end - 1);
  begin = slash == path.npos ? 0 : slash + 1;
}

constexpr int kDirectoryOnly = O_PATH | O_DIRECTORY;

}  // namespace

Errno resolve_entry(Resolver& resolver, int dir, GuestPath& path, Entry& out) {
  size_t begin, end;
  find_last(path.view(), begin, end);
  out.slash_ = end < path.size();
  out.borrowed_ = dir;
  if (is_dots(path.view().substr(begin, end - begin))) {
    out.name_ = ".";
    return resolver.open(dir, path.c_str(), kDirectoryOnly, 0, out.owned_);
  }
  out.name_ = path.c_str() + begin;
  if (begin == 0) return Errno::success;
  path.c_str()[begin - 1] = '\0';
  return resolver.open(dir, path.c_str(), kDirectoryOnly, 0, out.owned_);
}

Errno resolve_object(Resolver& resolver, int dir, GuestPath& path, bool follow, Entry& out) {
  for (int links = 0;; ++links) {
    size_t begin, end;
    find_last(path.view(), begin, end);
    out.borrowed_ = dir;
    if (end < path.size() || is_dots(path.view().substr(begin))) {  // must be a directory, and is followed to
      out.name_ = ".";
      return resolver.open(dir, path.c_str(), kDirectoryOnly, 0, out.owned_);
    }
    out.owned_.reset();
    out.name_ = path.c_str() + begin;
    if (begin != 0) {
      path.c_str()[begin - 1] = '\0';
      if (Errno e = resolver.open(dir, path.c_str(), kDirectoryOnly, 0, out.owned_); e != Errno::success) return e;
    }
    if (!follow) return Errno::success;

    char target[PATH_MAX];
    int64_t n = raw([&] { return ::readlinkat(out.dir(), out.name_, target, sizeof(target)); });
    if (n < 0) return Errno::success;  // not a link, or not there: the operation itself will say
    if (links == kMaxLinks) return Errno::loop;
    if (n == 0) return Errno::noent;
    if (target[0] == '/') return Errno::notcapable;
    // The link's text stands in place of its name; resolution starts again at the top, so that ".." in it is judged
    // against the grant and not against the link's directory.
    if (begin + static_cast<size_t>(n) >= sizeof(target)) return Errno::nametoolong;
    char joined[PATH_MAX];
    if (begin != 0) {
      path.c_str()[begin - 1] = '/';
      std::memcpy(joined, path.c_str(), begin);
    }
    std::memcpy(joined + begin, target, static_cast<size_t>(n));
    path.set(std::string_view(joined, begin + static_cast<size_t>(n)));
  }
}

}  // namespace vmrun::wasi
