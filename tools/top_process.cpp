// Finding the processes that vmrun top looks at, and asking them.
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <thread>

#include "tools/observer.h"
#include "tools/report.h"
#include "tools/top.h"
#include "vmrun/base/text.h"
#include "vmrun/knock.h"

namespace vmrun::tools {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

/// How long a process may take to hear a knock, and then to answer.
constexpr auto kKnocking = std::chrono::seconds(4);
constexpr auto kBetweenKnocks = std::chrono::milliseconds(20);
constexpr auto kAnswering = std::chrono::seconds(5);
constexpr size_t kMostBytes = size_t{64} << 20;

std::string proc(int pid, const char* what) { return "/proc/" + std::to_string(pid) + "/" + what; }

std::string file_text(const std::string& path, size_t most) {
  std::string out(most, 0);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  const ssize_t size = ::read(file, out.data(), out.size());
  ::close(file);
  out.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return out;
}

std::optional<uid_t> owner_of(int pid) {
  struct stat info{};
  if (::stat(("/proc/" + std::to_string(pid)).c_str(), &info) != 0) return std::nullopt;
  return info.st_uid;
}

/// The program's path, without what the system adds to one that was replaced.
std::string program_of(int pid) {
  std::error_code error;
  std::string path = std::filesystem::read_symlink(proc(pid, "exe"), error).string();
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
  return path;
}

bool is_vmrun(const std::string& program) {
  return std::filesystem::path(program).filename().string().starts_with("vmrun");
}

/// The state's letter of /proc: R, S, T, Z and so on.
char state_of(int pid) {
  const std::string text = file_text(proc(pid, "stat"), 1024);
  const size_t at = text.rfind(')');
  return at != text.npos && at + 2 < text.size() ? text[at + 2] : '?';
}

std::string user_name(uid_t user) {
  const passwd* entry = ::getpwuid(user);
  return entry != nullptr ? entry->pw_name : std::to_string(user);
}

struct Socket {
  int fd = -1;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
};

/// Connects to where the process listens for this. 0, or a negated errno value.
int connect_to(int pid, Socket& out) {
  const std::string name = observer_name(pid);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  Socket socket;
  socket.fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket.fd < 0) return -errno;
  if (::connect(socket.fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) return -errno;
  std::swap(out.fd, socket.fd);
  return 0;
}

/// Whether the one who listens there is the process that is meant. Anybody may take a name that is free, and where two
/// containers share a network but not their processes' numbers, the name may be that of the other one's process.
bool is_process(const Socket& socket, int pid, uid_t owner) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == pid && peer.uid == owner;
}

Error silent(int pid) {
  const std::string who = "process " + std::to_string(pid);
  switch (state_of(pid)) {
    case 'T':
    case 't': return Error(ErrorKind::Io, who + " is stopped: it answers when it goes on (kill -CONT)");
    case 'Z':
    case 'X':
    case '?': return Error(ErrorKind::Io, who + " has ended");
    default: break;
  }
  return Error(ErrorKind::Io,
               who +
                   " does not answer: it runs no guest (compile, wast, bench), is an older vmrun than this one, or has "
                   "been in one call of the host all the time");
}

/// Connects, and knocks until that succeeds.
Result<void> reach(int pid, uid_t owner, Socket& socket) {
  const auto end = Clock::now() + kKnocking;
  for (;;) {
    const int error = connect_to(pid, socket);
    if (error == 0) break;
    if (error != -ECONNREFUSED && error != -EAGAIN) {
      return Error(ErrorKind::Io, "process " + std::to_string(pid) + ": " + std::strerror(-error));
    }
    if (Clock::now() >= end) return silent(pid);
    if (!is_vmrun(program_of(pid))) {
      const std::string program = program_of(pid);
      if (program.empty()) {
        const char state = state_of(pid);
        if (state == 'Z' || state == '?') return silent(pid);
        return Error(ErrorKind::Unsupported, "process " + std::to_string(pid) + " is no vmrun");
      }
      return Error(ErrorKind::Unsupported,
                   "process " + std::to_string(pid) + " is no vmrun: it runs " + printable(program));
    }
    if (auto knocked = knock(pid); !knocked) return knocked.error();
    std::this_thread::sleep_for(kBetweenKnocks);
  }
  if (is_process(socket, pid, owner)) return {};
  return Error(ErrorKind::Io, "another process answers in place of process " + std::to_string(pid) +
                                  ": another user's, or one of another container on the same network");
}

/// Sends the request and reads all of the answer.
Result<std::string> exchange(int pid, const Socket& socket, const std::string& request) {
  const auto end = Clock::now() + kAnswering;
  const auto failed = [&](const char* why) {
    return Error(ErrorKind::Io, "process " + std::to_string(pid) + ": " + why);
  };
  std::string out;
  size_t sent = 0;
  for (;;) {
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (rest <= 0) return failed("it has not answered in time");
    pollfd one{socket.fd, static_cast<short>(sent < request.size() ? POLLOUT : POLLIN), 0};
    if (::poll(&one, 1, static_cast<int>(rest)) <= 0) continue;
    if (sent < request.size()) {
      const ssize_t n = ::send(socket.fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN && errno != EINTR) return failed(std::strerror(errno));
      sent += static_cast<size_t>(std::max<ssize_t>(n, 0));
      continue;
    }
    char bytes[16384];
    const ssize_t n = ::recv(socket.fd, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return failed(std::strerror(errno));
    if (n == 0) return out;
    out.append(bytes, static_cast<size_t>(n));
    if (out.size() > kMostBytes) return failed("its answer is too long");
  }
}

bool has(const Json& object, const char* name, bool (Json::*is)() const noexcept) {
  const auto at = object.find(name);
  return at != object.end() && ((*at).*is)();
}

/// A number of the answer that is not finite is null.
bool is_bucket(const Json& json) {
  return json.is_array() && json.size() == 2 && (json[0].is_number() || json[0].is_null()) && json[1].is_number();
}

bool is_metric(const Json& json) {
  if (!json.is_object() || !has(json, "name", &Json::is_string) || !has(json, "values", &Json::is_array)) return false;
  return std::ranges::all_of(json["values"], [](const Json& value) {
    if (!value.is_object() || !has(value, "labels", &Json::is_object)) return false;
    if (!value.contains("buckets")) {
      return has(value, "value", &Json::is_number) || has(value, "value", &Json::is_null);
    }
    return has(value, "buckets", &Json::is_array) && std::ranges::all_of(value["buckets"], is_bucket) &&
           has(value, "count", &Json::is_number);
  });
}

bool is_sampling(const Json& json) {
  if (json.is_null()) return true;
  if (!json.is_object() || !has(json, "total_ns", &Json::is_number) || !has(json, "self_ns", &Json::is_object) ||
      !has(json, "functions", &Json::is_array)) {
    return false;
  }
  return std::ranges::all_of(json["functions"], [](const Json& function) {
    return function.is_object() && has(function, "module", &Json::is_string) &&
           has(function, "function", &Json::is_string) && has(function, "code", &Json::is_string) &&
           has(function, "index", &Json::is_number_unsigned) && has(function, "self_ns", &Json::is_number);
  });
}

bool is_task(const Json& json) {
  return json.is_object() && has(json, "id", &Json::is_number) && has(json, "name", &Json::is_string) &&
         has(json, "state", &Json::is_string) && has(json, "age_ns", &Json::is_number_unsigned) &&
         has(json, "recent_ns", &Json::is_number_unsigned) && has(json, "memory_bytes", &Json::is_number_unsigned);
}

/// The order in which a process of many tasks is to name them, so that those that are shown first are among them.
const char* order_for(TopSort sort) {
  switch (sort) {
    case TopSort::Memory: return "memory";
    case TopSort::Age: return "age";
    default: return "recent";
  }
}

/// Whether all that a screen reads of an answer is there, and is of its type.
bool is_whole(const Json& json) {
  return has(json, "vmrun", &Json::is_string) && has(json, "pid", &Json::is_number) &&
         has(json, "command", &Json::is_array) && has(json, "up_ns", &Json::is_number_unsigned) &&
         has(json, "metrics", &Json::is_array) && std::ranges::all_of(json["metrics"], is_metric) &&
         has(json, "tasks", &Json::is_array) && std::ranges::all_of(json["tasks"], is_task) &&
         has(json, "tasks_left_out", &Json::is_number) && has(json, "tasks_since_ns", &Json::is_number_unsigned) &&
         json.contains("sampling") && is_sampling(json["sampling"]);
}

/// The answer's value; none: it is not JSON, or deeper than any answer is. Copying and printing take stack for each level.
std::optional<Json> parse_answer(std::string_view text) {
  constexpr int kMostDepth = 16;
  bool deep = false;
  const auto keep = [&](int depth, Json::parse_event_t, const Json&) {
    deep |= depth > kMostDepth;
    return !deep;
  };
  Json json = Json::parse(text.begin(), text.end(), keep, false);
  if (deep || !json.is_object()) return std::nullopt;
  return json;
}

}  // namespace

std::vector<RunningVmrun> running_vmruns() {
  std::vector<RunningVmrun> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    int pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || end != name.data() + name.size() || pid == ::getpid()) continue;
    if (owner_of(pid) != ::geteuid() || !is_vmrun(program_of(pid)) || state_of(pid) == 'Z') continue;
    std::string command = file_text(proc(pid, "cmdline"), 4096);
    if (command.empty()) continue;
    if (command.back() == 0) command.pop_back();
    std::ranges::replace(command, '\0', ' ');
    out.push_back({pid, std::move(command)});
  }
  std::ranges::sort(out, {}, &RunningVmrun::pid);
  return out;
}

Result<Json> ask_vmrun(int pid, bool sample, TopSort sort) {
  const std::string who = "process " + std::to_string(pid);
  const std::optional<uid_t> owner = owner_of(pid);
  if (!owner) return Error(ErrorKind::Io, "there is no " + who);
  if (*owner != ::geteuid() && ::geteuid() != 0) {
    return Error(ErrorKind::Io,
                 who + " belongs to " + user_name(*owner) + ", and only that user, or root, may look at it");
  }
  Socket socket;
  if (auto reached = reach(pid, *owner, socket); !reached) return reached.error();
  const std::string request = std::string("GET /top?order=") + order_for(sort) + (sample ? "&sample=1" : "") +
                              " HTTP/1.1\r\nHost: vmrun\r\n\r\n";
  auto answer = exchange(pid, socket, request);
  if (!answer) return answer.error();
  const size_t head = answer->find("\r\n\r\n");
  if (head == answer->npos || !answer->starts_with("HTTP/1.1 200 ")) {
    return Error(ErrorKind::Malformed, who + " gave no sensible answer: '" +
                                           printable(answer->substr(0, std::min<size_t>(answer->find('\r'), 60))) +
                                           "'");
  }
  const std::optional<Json> json = parse_answer(std::string_view(*answer).substr(head + 4));
  if (!json || json->value("format", Json()) != kTopFormat) {
    return Error(ErrorKind::Malformed, who + " gave no sensible answer");
  }
  if (json->value("version", Json()) != kTopVersion) {
    const Json version = json->value("vmrun", Json());
    return Error(
        ErrorKind::Unsupported,
        who + " is vmrun " + (version.is_string() ? printable(version.get<std::string>().substr(0, 60)) : "?") +
            ", which this one (" VMRUN_VERSION ") does not understand: use the vmrun that it was started from");
  }
  if (!is_whole(*json)) {
    return Error(ErrorKind::Malformed, who + " gave an answer in which something is missing, or is not of its type");
  }
  return *json;
}

}  // namespace vmrun::tools
