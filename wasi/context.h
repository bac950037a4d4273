// Context: the state of one guest program.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vm/base/log.h"
#include "wasi/fd_table.h"
#include "wasi/guard.h"
#include "wasi/path.h"
#include "wasi/poll_watch.h"

namespace vmrun {
class WasiConfig;
}

namespace vmrun::wasi {

/// Strings as args_get and environ_get hand them out: one block of NUL-terminated strings.
class StringBlock {
 public:
  void add(std::string_view s) {
    offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
    bytes_.append(s).push_back('\0');
  }
  const std::string& bytes() const { return bytes_; }
  const std::vector<uint32_t>& offsets() const { return offsets_; }

 private:
  std::string bytes_;
  std::vector<uint32_t> offsets_;
};

/// What a host's descriptor is as a standard stream.
struct HostStream {
  bool usable = false;  // it is open, and for more than to name something
  FileType type = FileType::Unknown;
  Rights rights = 0;
  bool terminal = false;
};

/// Everything calls work on, from all threads of the program at a time. What is not atomic, and has no lock of its own,
/// does not change once the guest runs.
struct Context {
  FdTable fds;
  std::unique_ptr<PollWatch> watch;  // of a guest without threads that polls many sockets
  Resolver resolver;
  Guard guard;
  bool changes_files = false;  // a directory that may be written was granted
  StringBlock args, environ;
  std::function<uint64_t(uint32_t)> clock;  // replaces the host's clocks when set
  bool seeded = false;                      // random_get is the generator over random_state instead of the kernel's
  std::atomic<uint64_t> random_state = 0;
  uint32_t max_threads = 0;  // beside the first; 0: there is no thread-spawn
  vm::Log log{"wasi"};

  /// Whether the process has a limit on files' sizes (RLIMIT_FSIZE), as it was at the first question.
  bool files_are_limited() const {
    const Answer known = files_limited.load(std::memory_order_relaxed);
    return known == Answer::Unknown ? ask_whether_files_are_limited() : known == Answer::Yes;
  }

 private:
  enum class Answer : uint8_t { Unknown, No, Yes };
  bool ask_whether_files_are_limited() const;
  mutable std::atomic<Answer> files_limited{Answer::Unknown};
};

}  // namespace vmrun::wasi
