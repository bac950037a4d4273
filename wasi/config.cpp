// WasiConfig and WasiContext: from what an embedder grants to the state of a guest program.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>

#include "vmrun/base/text.h"
#include "vmrun/wasi.h"
#include "wasi/blocking.h"
#include "wasi/context.h"
#include "wasi/path.h"

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
  known_[0] = nullptr;
  return *this;
}
WasiConfig& WasiConfig::stdout_fd(int fd) {
  stdio_[1] = fd;
  known_[1] = nullptr;
  return *this;
}
WasiConfig& WasiConfig::stderr_fd(int fd) {
  stdio_[2] = fd;
  known_[2] = nullptr;
  return *this;
}

WasiConfig& WasiConfig::stdin_bytes(std::string bytes) {
  stdin_bytes_ = std::make_shared<const std::string>(std::move(bytes));
  return *this;
}

WasiConfig& WasiConfig::stdout_to(Sink sink) {
  sinks_[1] = std::move(sink);
  return *this;
}

WasiConfig& WasiConfig::stderr_to(Sink sink) {
  sinks_[2] = std::move(sink);
  return *this;
}

WasiConfig& WasiConfig::stdio_raises(bool raises) {
  stdio_raises_ = raises;
  return *this;
}

WasiConfig& WasiConfig::stdio_in_turn() {
  for (size_t i = 1; i < std::size(turns_); ++i) turns_[i] = std::make_shared<wasi::Turn>();
  return *this;
}

WasiConfig& WasiConfig::max_descriptors(uint32_t n) {
  max_descriptors_ = n;
  return *this;
}

WasiConfig& WasiConfig::max_threads(uint32_t n) {
  max_threads_ = n;
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
    std::string variable = name;
    variable += "=";
    variable += value;
    cx.environ.add(variable);
  }
  for (const StringBlock* block : {&cx.args, &cx.environ}) {
    if (block->bytes().size() > UINT32_MAX) {
      return Error(ErrorKind::Usage, "arguments or variables have more bytes than a guest's memory");
    }
  }
  return {};
}

/// `given`: all that the guest is given, standard streams included.
Result<void> add(Descriptor d, size_t given, Context& cx) {
  uint32_t fd;
  FdTable::Place place(cx.fds);
  const bool has_place = static_cast<bool>(place);
  if (has_place && cx.fds.insert(std::move(d), fd, std::move(place))) return {};
  if (has_place) return Error(ErrorKind::Io, "this process has too many open files");
  return Error(ErrorKind::Limit, "the guest is given " + std::to_string(given) + " descriptors, but may have " +
                                     std::to_string(cx.fds.limit()) + " open (WasiConfig::max_descriptors)");
}

/// Whether the host's descriptor `fd` can be a stream: it is open, and for more than to name something.
bool is_usable(int fd) {
  const int64_t flags = raw([&] { return ::fcntl(fd, F_GETFL); });
  return flags >= 0 && (flags & O_PATH) == 0;
}

bool is_listening(int socket) {
  int yes = 0;
  socklen_t length = sizeof(yes);
  return ::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &yes, &length) == 0 && yes != 0;
}

Rights stream_rights(const Descriptor& d, bool input, bool terminal) {
  if (d.type == FileType::Directory) return 0;
  Rights allowed = rights::kStandardStream & ~(input ? rights::kFdWrite : rights::kFdRead);
  // Guests take a character device for a terminal unless it has a right that no terminal has.
  if (d.type == FileType::CharacterDevice && !terminal) allowed |= rights::kFdTell;
  return d.base & allowed;
}

/// The null device, one for the process: open for both directions, and never closed. Opened by the plain system call, which
/// does not wait here: a task that lost its processor in blocking::openat would be suspended with the static's lock, at
/// which the threads of all others would then stand for ever.
int null_device() {
  static const int fd = [] {
    int64_t r = raw([] { return ::open("/dev/null", O_RDWR | O_CLOEXEC); });
    // Not where a standard stream would be: what the process prints is not to vanish.
    if (r >= 0 && r <= STDERR_FILENO) {
      const HostFd low(static_cast<int>(r));
      r = raw([&] { return ::fcntl(low.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1); });
    }
    return static_cast<int>(r);
  }();
  return fd;
}

Result<Descriptor> null_stream() {
  const int fd = null_device();
  if (fd < 0) return Error(ErrorKind::Io, std::string("cannot open /dev/null: ") + std::strerror(-fd));
  // Asked once: every guest has some, and each would ask the system three times.
  static const std::pair<FileType, Rights> known = [fd] {
    const Descriptor d = describe(fd, rights::kAll);
    return std::pair(d.type, d.base);
  }();
  Descriptor d;
  d.host = fd;
  d.null = true;
  std::tie(d.type, d.base) = known;
  return d;
}

HostStream look_at(int host) {
  HostStream stream;
  stream.usable = is_usable(host);
  if (!stream.usable) return stream;
  const Descriptor d = describe(host, rights::kAll);
  stream.type = d.type;
  stream.rights = d.base;
  stream.terminal = d.type == FileType::CharacterDevice && ::isatty(host) != 0;
  return stream;
}

/// `known`: what there is to know about `host`; null: it is looked at.
Result<void> add_stream(int host, const HostStream* known, bool input, bool raises, std::unique_ptr<Stream> stream,
                        std::shared_ptr<Turn> turn, size_t given, Context& cx) {
  Descriptor d;
  bool terminal = false;
  if (stream != nullptr || host == WasiConfig::kNull) {
    auto null = null_stream();
    if (!null) return null.error();
    d = std::move(*null);
    if (stream != nullptr) d.type = FileType::Unknown, d.base = applicable_rights(d, rights::kAll);
    d.stream = std::move(stream);
  } else {
    const HostStream found = known != nullptr ? *known : look_at(host);
    if (!found.usable) {
      cx.fds.add_closed();
      return {};
    }
    d.host = host;
    d.type = found.type;
    d.base = found.rights;
    terminal = found.terminal;
    d.turn = std::move(turn);
  }
  d.base = stream_rights(d, input, terminal);
  d.raises = raises;
  return add(std::move(d), given, cx);
}

}  // namespace

void wasi::look_at_streams(WasiConfig& config) {
  for (size_t i = 0; i < std::size(config.stdio_); ++i) {
    if (config.stdio_[i] == WasiConfig::kNull) continue;
    config.known_[i] = std::make_shared<const HostStream>(look_at(config.stdio_[i]));
  }
}

bool wasi::Context::ask_whether_files_are_limited() const {
  rlimit files{};
  const bool limited = ::getrlimit(RLIMIT_FSIZE, &files) == 0 && files.rlim_cur != RLIM_INFINITY;
  files_limited.store(limited ? Answer::Yes : Answer::No, std::memory_order_relaxed);
  return limited;
}

Result<WasiContext> WasiContext::create(const WasiConfig& config) {
  auto cx = std::make_shared<Context>();
  if (config.max_descriptors_) cx->fds.limit(*config.max_descriptors_);
  if (auto r = add_strings(config.args_, config.env_, *cx); !r) return r.error();
  const size_t given = std::size(config.stdio_) + config.dirs_.size() + config.sockets_.size();
  for (int i = 0; i < 3; ++i) {
    std::unique_ptr<Stream> stream;
    if (i == 0 && config.stdin_bytes_ != nullptr) stream.reset(new Stream{.bytes = config.stdin_bytes_});
    if (config.sinks_[i]) stream.reset(new Stream{.sink = config.sinks_[i]});
    auto r = add_stream(config.stdio_[i], config.known_[i].get(), i == 0, config.stdio_raises_, std::move(stream),
                        config.turns_[i], given, *cx);
    if (!r) return r.error();
  }
  for (const auto& dir : config.dirs_) {
    if (dir.guest.empty()) return Error(ErrorKind::Usage, "directory '" + dir.host + "' has no name for the guest");
    if (has_nul(dir.host) || has_nul(dir.guest)) {
      return Error(ErrorKind::Usage, "the path of a directory, or its name for the guest, contains a NUL byte: '" +
                                         printable(dir.host) + "', '" + printable(dir.guest) + "'");
    }
    if (!is_utf8(dir.guest)) {
      return Error(ErrorKind::Usage, "directory '" + printable(dir.host) +
                                         "' has a name for the guest that is no UTF-8: give it another one");
    }
    int64_t r = blocking::openat(AT_FDCWD, dir.host.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (r < 0) {
      return Error(ErrorKind::Io, "cannot open directory '" + dir.host + "': " + std::strerror(static_cast<int>(-r)));
    }
    Descriptor d = describe(HostFd(static_cast<int>(r)), rights::kAll);
    d.inheriting = rights::kAll;
    d.preopen = true;
    d.preopen_name = dir.guest;
    d.read_only = dir.read_only;
    cx->changes_files |= !dir.read_only;
    if (auto added = add(std::move(d), given, *cx); !added) return added.error();
  }
  for (int socket : config.sockets_) {
    Descriptor d = describe(socket, rights::kAll);
    if (!d.is_socket()) return Error(ErrorKind::Usage, "descriptor " + std::to_string(socket) + " is not a socket");
    d.inheriting = rights::kSocket & ~rights::kSockAccept;
    d.listens = is_listening(socket);
    d.host_waits = (raw([&] { return ::fcntl(socket, F_GETFL); }) & O_NONBLOCK) == 0;
    if (auto added = add(std::move(d), given, *cx); !added) return added.error();
  }
  cx->clock = config.clock_;
  cx->seeded = config.seeded_;
  cx->random_state = config.seed_;
  cx->max_threads = config.max_threads_;
  return WasiContext(std::move(cx));
}

}  // namespace vmrun
