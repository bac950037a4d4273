// WasiConfig and WasiContext: from what an embedder grants to the state of a guest program.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "vmrun/wasi.h"
#include "wasi/blocking.h"
#include "wasi/context.h"

namespace vmrun {

WasiConfig& WasiConfig::arg(std::string value) {
  args_.push_back(std::move(value));
  return *this;
}

WasiConfig& WasiConfig::args(std::vector<std::string> values) {
  for (std::string& v : values) args_.push_back(std::move(v));
  return *this;
}

WasiConfig& WasiConfig::env(std::string name, std::string value) {
  auto same = [&](const auto& v) { return v.first == name; };
  if (auto it = std::find_if(env_.begin(), env_.end(), same); it != env_.end()) {
    it->second = std::move(value);
  } else {
    env_.emplace_back(std::move(name), std::move(value));
  }
  return *this;
}

WasiConfig& WasiConfig::inherit_env() {
  for (char** v = environ; v != nullptr && *v != nullptr; ++v) {
    const char* equals = std::strchr(*v, '=');
    if (equals != nullptr && equals != *v) env(std::string(static_cast<const char*>(*v), equals), equals + 1);
  }
  return *this;
}

WasiConfig& WasiConfig::inherit_env(const std::string& name) {
  if (const char* value = std::getenv(name.c_str())) env(name, value);
  return *this;
}

WasiConfig& WasiConfig::inherit_stdio() { return stdin_fd(0).stdout_fd(1).stderr_fd(2); }

WasiConfig& WasiConfig::stdin_fd(int fd) {
  stdio_[0] = fd;
  return *this;
}
WasiConfig& WasiConfig::stdout_fd(int fd) {
  stdio_[1] = fd;
  return *this;
}
WasiConfig& WasiConfig::stderr_fd(int fd) {
  stdio_[2] = fd;
  return *this;
}

WasiConfig& WasiConfig::preopen_dir(std::string host, std::string guest, bool read_only) {
  dirs_.push_back({std::move(host), std::move(guest), read_only});
  return *this;
}

WasiConfig& WasiConfig::preopen_socket(int fd) {
  sockets_.push_back(fd);
  return *this;
}

WasiConfig& WasiConfig::clock(ClockFn fn) {
  clock_ = std::move(fn);
  return *this;
}

WasiConfig& WasiConfig::random_seed(uint64_t seed) {
  seed_ = seed;
  seeded_ = true;
  return *this;
}

namespace {

using namespace wasi;

bool has_nul(const std::string& s) { return s.find('\0') != s.npos; }

Result<void> add_strings(const std::vector<std::string>& args,
                         const std::vector<std::pair<std::string, std::string>>& env, Context& cx) {
  for (const std::string& a : args) {
    if (has_nul(a)) return Error(ErrorKind::Usage, "a guest argument contains a NUL byte");
    cx.args.add(a);
  }
  for (const auto& [name, value] : env) {
    if (name.empty() || name.find('=') != name.npos || has_nul(name) || has_nul(value)) {
      return Error(ErrorKind::Usage, "not a valid environment variable: '" + name + "'");
    }
    cx.environ.add(name + "=" + value);
  }
  return {};
}

constexpr Rights kStdinRights = rights::kAll & ~(rights::kFdWrite | rights::kFdAllocate | rights::kFdFilestatSetSize);
constexpr Rights kStdoutRights = rights::kAll & ~rights::kFdRead;

Result<void> add_stream(int host, bool input, Context& cx) {
  bool owned = host == WasiConfig::kNull;
  if (owned) {
    int64_t r = blocking::openat(AT_FDCWD, "/dev/null", (input ? O_RDONLY : O_WRONLY) | O_CLOEXEC, 0);
    if (r < 0)
      return Error(ErrorKind::Io, std::string("cannot open /dev/null: ") + std::strerror(static_cast<int>(-r)));
    host = static_cast<int>(r);
  }
  Descriptor d = describe(host, owned, rights::kAll);
  d.base &= input ? kStdinRights : kStdoutRights;
  uint32_t fd;
  cx.fds.insert(std::move(d), fd);
  return {};
}

}  // namespace

Result<WasiContext> WasiContext::create(const WasiConfig& config) {
  auto cx = std::make_shared<Context>();
  if (auto r = add_strings(config.args_, config.env_, *cx); !r) return r.error();
  for (int i = 0; i < 3; ++i) {
    if (auto r = add_stream(config.stdio_[i], i == 0, *cx); !r) return r.error();
  }
  uint32_t fd;
  for (const auto& dir : config.dirs_) {
    if (dir.guest.empty()) return Error(ErrorKind::Usage, "directory '" + dir.host + "' has no name for the guest");
    int64_t r = blocking::openat(AT_FDCWD, dir.host.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (r < 0) {
      return Error(ErrorKind::Io, "cannot open directory '" + dir.host + "': " + std::strerror(static_cast<int>(-r)));
    }
    Descriptor d = describe(static_cast<int>(r), true, rights::kAll);
    d.inheriting = rights::kAll;
    d.preopen = true;
    d.preopen_name = dir.guest;
    d.read_only = dir.read_only;
    cx->fds.insert(std::move(d), fd);
  }
  for (int socket : config.sockets_) {
    Descriptor d = describe(socket, false, rights::kAll);
    if (d.type != FileType::SocketStream && d.type != FileType::SocketDgram) {
      return Error(ErrorKind::Usage, "descriptor " + std::to_string(socket) + " is not a socket");
    }
    d.inheriting = rights::kSocket & ~rights::kSockAccept;
    cx->fds.insert(std::move(d), fd);
  }
  cx->clock = config.clock_;
  cx->seeded = config.seeded_;
  cx->random_state = config.seed_;
  return WasiContext(std::move(cx));
}

}  // namespace vmrun
