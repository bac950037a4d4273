// What the tests of the system interface share: a directory of their own, and a guest that is only a block of memory
// and a context, so that calls can be made without a machine.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "doctest/doctest.h"
#include "vmrun/wasi.h"
#include "wasi/calls.h"
#include "wasi/errno.h"

namespace vmrun::wasi {

inline doctest::String toString(Errno e) { return errno_name(e); }

/// A directory that exists as long as this object. Tests put `box/` into it as the grant; beside it lies `secret`,
/// which no guest may reach.
class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/vmrun-wasi-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
    std::filesystem::create_directory(path_ + "/box");
    put("secret", "out of bounds");
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;

  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  std::string box() const { return path_ + "/box"; }
  void put(std::string_view name, std::string_view text) const { std::ofstream(*this / name) << text; }
  std::string get(std::string_view name) const {
    std::ifstream in(*this / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void dir(std::string_view name) const { std::filesystem::create_directories(*this / name); }
  void link(std::string_view target, std::string_view name) const {
    std::filesystem::create_symlink(target, *this / name);
  }
  bool exists(std::string_view name) const {
    struct stat st;
    return ::lstat((*this / name).c_str(), &st) == 0;
  }

 private:
  std::string path_;
};

/// A guest: memory with a bump allocator, and its context.
class FakeGuest {
 public:
  static constexpr uint32_t kSize = 1 << 20;
  static constexpr Fd kBox{3};  // the first grant

  explicit FakeGuest(const WasiConfig& config) : bytes_(kSize), memory(bytes_) {
    auto context = WasiContext::create(config);
    REQUIRE_MESSAGE(context.ok(), (context.ok() ? "" : context.error().message));
    holder_ = context->impl();
    context_ = std::move(*context);
  }
  explicit FakeGuest(const TempDir& dir, bool read_only = false)
      : FakeGuest(WasiConfig().preopen_dir(dir.box(), "/box", read_only)) {}

  Context& cx() { return *holder_; }
  const WasiContext& context() const { return *context_; }

  uint32_t alloc(uint32_t size) {
    uint32_t at = (top_ + 7) & ~7u;
    top_ = at + size;
    REQUIRE(top_ <= kSize);
    return at;
  }
  uint32_t put(std::string_view text) {
    uint32_t at = alloc(static_cast<uint32_t>(text.size()));
    std::memcpy(bytes_.data() + at, text.data(), text.size());
    return at;
  }
  template <class T>
  uint32_t put_value(const T& v) {
    return put({reinterpret_cast<const char*>(&v), sizeof(v)});
  }
  template <class T>
  T at(uint32_t address) const {
    T v;
    REQUIRE(memory.read(address, v));
    return v;
  }
  std::string text(uint32_t address, uint32_t length) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + address, length};
  }
  PathArg path(std::string_view p) { return {put(p), static_cast<uint32_t>(p.size())}; }
  template <class T = uint32_t>
  Out<T> out() {
    return {alloc(sizeof(T))};
  }
  template <class T>
  T value(Out<T> o) const {
    return at<T>(o.address);
  }
  Iovecs iovecs(std::initializer_list<GuestIovec> list) {
    uint32_t at = alloc(static_cast<uint32_t>(list.size() * sizeof(GuestIovec)));
    std::memcpy(bytes_.data() + at, list.begin(), list.size() * sizeof(GuestIovec));
    return {at, static_cast<uint32_t>(list.size())};
  }

  static constexpr Rights kFileRights = rights::kRegularFile;

  /// path_open; the new descriptor goes to `fd`.
  Errno open(std::string_view p, uint32_t oflags, Rights base, Fd& fd, uint32_t fdflags = 0, bool follow = true,
             Fd dir = kBox, Rights inheriting = 0) {
    auto o = out();
    Errno e = path_open(cx(), memory, dir, {follow ? kSymlinkFollow : 0}, path(p), {oflags}, {base}, {inheriting},
                        {fdflags}, o);
    if (e == Errno::success) fd = {value(o)};
    return e;
  }
  Fd must_open(std::string_view p, uint32_t oflags = 0, Rights base = kFileRights, uint32_t fdflags = 0) {
    Fd fd{~0u};
    REQUIRE(open(p, oflags, base, fd, fdflags) == Errno::success);
    return fd;
  }
  Errno write(Fd fd, std::string_view data) {
    auto n = out();
    Errno e = fd_write(cx(), memory, fd, iovecs({{put(data), static_cast<uint32_t>(data.size())}}), n);
    if (e == Errno::success) CHECK(value(n) == data.size());
    return e;
  }
  std::string read(Fd fd, uint32_t most = 4096) {
    auto n = out();
    uint32_t buffer = alloc(most);
    REQUIRE(fd_read(cx(), memory, fd, iovecs({{buffer, most}}), n) == Errno::success);
    return text(buffer, value(n));
  }

 private:
  std::vector<std::byte> bytes_;
  uint32_t top_ = 64;
  std::shared_ptr<Context> holder_;
  std::optional<WasiContext> context_;

 public:
  GuestMemory memory;
};

}  // namespace vmrun::wasi
