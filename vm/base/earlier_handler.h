// What a process did about a signal before a handler of ours took it over, and goes on doing about signals that are not
// ours.
#pragma once

#include <signal.h>

#include <atomic>

namespace vmrun::vm {

/// The action that was there before, for one signal. Has static storage, because handlers use it until the process
/// ends.
class EarlierHandler {
 public:
  using Handler = void (*)(int signal, siginfo_t* info, void* ucontext);
  enum class Left : uint8_t {
    nothing,        // the earlier handler ran, or the signal was one to ignore
    default_action  // the caller has to do what the system would
  };

  /// Installs `handler` with SA_SIGINFO and `flags`, and keeps what it replaces. `handler` runs on the alternate stack,
  /// unless it replaces a handler that does not. Once.
  void replace(int signal, Handler handler, int flags);

  /// In `handler`, last: does what would have happened without us, with the earlier handler's mask and flags.
  Left pass_on(int signal, siginfo_t* info, void* ucontext);

 private:
  struct sigaction action_ = {};
  std::atomic<bool> spent_{false};  // SA_RESETHAND: it has run
};

}  // namespace vmrun::vm
