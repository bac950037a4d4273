// What others may see of this process while it runs: metrics on a port (-D metrics), and its own user's `vmrun top`.
//
// top connects to a local socket under a name that is in no file system (observer_name), so that no grant of a directory
// reaches it; the server takes connections of its own user and of root. Servers and guests on a scheduler listen from the
// start. A single guest's process does so when somebody knocks (vmrun/knock.h), and until then this costs it nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/local_socket.h"
#include "tools/page_server.h"
#include "tools/profiling.h"
#include "tools/run_options.h"
#include "vmrun/executor.h"
#include "vmrun/metrics.h"
#include "vmrun/profile.h"
#include "vmrun/server.h"

namespace vmrun::tools {

/// Where a process listens for vmrun top: "vmrun/PID".
std::string observer_name(int pid);
/// What GET /top answers with: its "format" and "version".
inline constexpr const char* kTopFormat = "vmrun-top";
inline constexpr int kTopVersion = 1;

/// -D metrics: where the port is. ":PORT" is this machine's own, unlike elsewhere. Errors: Usage, Io.
/// `file` keeps the name of a socket in the file system.
Result<int> listen_for_metrics(const std::string& address, SocketFile& file);

class Observer {
 public:
  enum class Listens : uint8_t { FromTheStart, WhenSomebodyKnocks };

  /// On the thread that runs the guest, if there is a single one. `image` and `args` as on the command line. `profiling`
  /// outlives it.
  Observer(const RunOptions& options, std::string_view image, Args args, Profiling& profiling);
  ~Observer() { end(); }
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  /// Begins. After the engine was made. Where the system chose the port of metrics, says which. Errors: those of -D metrics.
  Result<void> begin(Listens listens);
  /// Nobody sees anything any more.
  void end();
  /// Where metrics are, for people: "http://127.0.0.1:9464/metrics"; empty: nowhere.
  const std::string& metrics_place() const { return metrics_place_; }

  /// While it lives, an executor, and perhaps a server, are looked at too. They outlive it.
  class Watch {
   public:
    explicit Watch(Observer& observer, Executor& executor, const Server* server = nullptr) : observer_(observer) {
      observer_.look_at(&executor, server);
    }
    ~Watch() { observer_.look_at(nullptr, nullptr); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Observer& observer_;
  };

 private:
  void look_at(Executor* executor, const Server* server);
  /// Starts the thread, if nobody has. False: it cannot be now, and may be tried again.
  bool listen_for_top();
  bool start_pages();
  static void answer_a_knock();
  Page metrics_page(const PageRequest& request);
  Page top_page(const PageRequest& request);
  MetricsSubject subject() const;
  std::optional<GuestProfile> samples(bool wanted);
  /// The tasks that answers name, in that order, and for how long `TaskInfo::recent` was counted. Under mutex_.
  std::vector<TaskInfo> tasks(TaskOrder order, size_t& left_out, std::chrono::nanoseconds& since);
  /// Ends sampling and counting that nobody asks for any more.
  int look_after_samples();

  const RunOptions& options_;
  std::vector<std::string> command_;
  Profiling& profiling_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const int guest_thread_;   // that makes this object
  clockid_t guest_clock_{};  // its processor time
  std::string metrics_place_;
  SocketFile metrics_file_;
  std::mutex mutex_;  // this and what the thread of top knows of the executor
  Executor* executor_ = nullptr;
  const Server* server_ = nullptr;
  bool counting_ = false;  // what tasks use; since somebody asked at first
  std::chrono::steady_clock::time_point asked_{};
  std::chrono::nanoseconds guest_used_{},
      process_used_{};  // at that time: processor time of the only guest, and of all
  // The server thread's.
  std::optional<GuestProfiler> profiler_;
  std::chrono::steady_clock::time_point samples_until_{};

  std::atomic<bool> listening_{false};
  std::optional<PageServer> pages_;  // ends before all else does
};

}  // namespace vmrun::tools
