// Paths of guests. Nothing a guest names can lie outside the directory it names it from: every component is resolved
// beneath that directory's descriptor, by openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS) or, where the kernel or a
// seccomp filter refuses that call, by our own walk, component by component, without following links in the kernel.
// Operations that act on a directory entry (unlink, rename, stat without following, ...) get the entry's directory as a
// descriptor resolved that way and a last component which is a plain name or ".", never "..".
#pragma once

#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wasi/abi.h"
#include "wasi/sys.h"

namespace vmrun::wasi {

/// A guest's path, checked and NUL-terminated: relative, valid UTF-8 without NUL, 1 to PATH_MAX - 1 bytes. A value on
/// the stack; resolution cuts it in place.
class GuestPath {
 public:
  /// Errors: noent (empty), inval (NUL inside), ilseq (not UTF-8), nametoolong, notcapable (absolute).
  Errno assign(std::string_view text);
  /// Takes `text` as it is; it is shorter than PATH_MAX and does not lie in this path.
  void set(std::string_view text);
  char* c_str() { return text_; }
  size_t size() const { return size_; }
  std::string_view view() const { return {text_, size_}; }

 private:
  char text_[PATH_MAX];
  size_t size_ = 0;
};

/// True when `text` is well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF).
bool is_utf8(std::string_view text);

/// How to resolve. Kept per context: openat2 is tried until it proves to be missing. Any thread.
class Resolver {
 public:
  enum class Method : uint8_t { Openat2, Walk };

  /// For tests: use our own walk from now on.
  void force_walk() { method_ = Method::Walk; }
  Method method() const { return method_; }

  /// Opens `path` beneath `dir`. `flags` are those of open(2); O_NOFOLLOW concerns the last component only. O_CLOEXEC
  /// and O_NOCTTY are added. Errors: of open; notcapable when the path leads out of `dir`.
  Errno open(int dir, const char* path, int flags, unsigned mode, HostFd& out);

 private:
  bool openat2_is_refused(int dir);
  std::atomic<Method> method_ = Method::Openat2;
};

/// Our own walk: what Resolver::open does without openat2.
Errno walk_open(int dir, const char* path, int flags, unsigned mode, HostFd& out);

/// The most symbolic links followed in one path, as in Linux.
inline constexpr int kMaxLinks = 40;

/// A directory and a name in it, the result of resolve_entry and resolve_object.
class Entry {
 public:
  /// The directory's host descriptor. Valid while the Entry and the directory it was resolved from live.
  int dir() const { return owned_ ? owned_.get() : borrowed_; }
  /// A plain name or "."; with a trailing slash only from resolve_entry, where the path had one. Points into the path.
  const char* name() const { return name_; }
  bool trailing_slash() const { return slash_; }

 private:
  friend Errno resolve_entry(Resolver&, int, GuestPath&, Entry&);
  friend Errno resolve_object(Resolver&, int, GuestPath&, bool, Entry&);
  HostFd owned_;
  int borrowed_ = -1;
  const char* name_ = nullptr;
  bool slash_ = false;
};

/// For operations on the entry itself (create, remove, rename, link to): the last component is not followed, and a
/// trailing slash stays, for the kernel to judge. A last component "." or ".." becomes "." in the directory it names.
Errno resolve_entry(Resolver& resolver, int dir, GuestPath& path, Entry& out);

/// For operations on what the path names (stat, set times, read a link, link from): with `follow`, or when the path
/// ends in a slash, symbolic links in the last component are followed, so that name() is not one, unless somebody
/// changes it meanwhile; so use it without following in any case.
Errno resolve_object(Resolver& resolver, int dir, GuestPath& path, bool follow, Entry& out);

}  // namespace vmrun::wasi
