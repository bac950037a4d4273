// Sending knocks; jit/stop/knock.h hears them.
#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "jit/stop/knock.h"
#include "jit/stop/preempt.h"
#include "vmrun/knock.h"

namespace vmrun {

void answer_knocks(void (*answer)()) { jit::knock_answer.store(answer, std::memory_order_release); }

Result<void> knock(int pid) {
  constexpr int kMostThreads = 64;  // of many that run guests, one hears it
  const std::string path = "/proc/" + std::to_string(pid) + "/task";
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return Error(ErrorKind::Io, "there is no process " + std::to_string(pid));
  siginfo_t info = {};
  info.si_signo = jit::kStopSignal;
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  info.si_value.sival_ptr = reinterpret_cast<void*>(jit::kKnock);
  int error = ESRCH, tried = 0;
  while (const dirent* entry = ::readdir(folder)) {
    int thread = 0;
    std::from_chars(entry->d_name, entry->d_name + std::strlen(entry->d_name), thread);
    if (thread <= 0) continue;
    if (++tried > kMostThreads) break;
    if (::syscall(SYS_rt_tgsigqueueinfo, pid, thread, jit::kStopSignal, &info) == 0) {
      error = 0;
    } else if (error != 0) {
      error = errno;
    }
  }
  ::closedir(folder);
  if (error == 0 || error == EAGAIN) return {};
  return Error(ErrorKind::Io, "process " + std::to_string(pid) + ": " + std::strerror(error));
}

}  // namespace vmrun
