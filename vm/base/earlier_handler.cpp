// Handing signals on: see earlier_handler.h.
#include "vm/base/earlier_handler.h"

#include "vm/base/assert.h"

namespace vmrun::vm {

void EarlierHandler::replace(int signal, Handler handler, int flags) {
  int failed = sigaction(signal, nullptr, &action_);
  const bool handled =
      (action_.sa_flags & SA_SIGINFO) != 0 || (action_.sa_handler != SIG_DFL && action_.sa_handler != SIG_IGN);
  struct sigaction ours = {};
  ours.sa_sigaction = handler;
  ours.sa_flags = SA_SIGINFO | flags | (handled ? action_.sa_flags & SA_ONSTACK : SA_ONSTACK);
  sigemptyset(&ours.sa_mask);
  failed |= sigaction(signal, &ours, &action_);
  VMRUN_ASSERT(failed == 0, "a signal's handler could not be installed");
}

EarlierHandler::Left EarlierHandler::pass_on(int signal, siginfo_t* info, void* ucontext) {
  const bool with_info = (action_.sa_flags & SA_SIGINFO) != 0;
  if (!with_info && action_.sa_handler == SIG_DFL) return Left::default_action;
  if (!with_info && action_.sa_handler == SIG_IGN) {
    // The system does not let a program ignore its own faults (si_code > 0).
    return info->si_code > 0 ? Left::default_action : Left::nothing;
  }
  if ((action_.sa_flags & SA_RESETHAND) != 0 && spent_.exchange(true)) return Left::default_action;

  // What it wants blocked is blocked while it runs. Returning from our handler puts the interrupted mask back.
  sigset_t blocked = action_.sa_mask;
  if ((action_.sa_flags & SA_NODEFER) == 0) sigaddset(&blocked, signal);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  if (with_info) {
    action_.sa_sigaction(signal, info, ucontext);
  } else {
    action_.sa_handler(signal);
  }
  return Left::nothing;
}

}  // namespace vmrun::vm
