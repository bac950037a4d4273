// Ctrl-C, of a run on this thread (CtrlC) and of guests on a scheduler (CtrlCEvent). Rules: the handler only sets flags, interrupts the store, takes SIGALRM and starts a timer, all of which
// handlers may; there is one of the two at a time, made and destroyed on the main thread.
//
// SIGALRM and its timer belong to whoever started vmrun (a timer survives exec) until Ctrl-C has been pressed.
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "tools/report.h"
#include "tools/run.h"

namespace vmrun::tools {
namespace {

/// How long a guest may take to notice: polls are well below a millisecond apart, host calls mostly too.
constexpr suseconds_t kGraceMicroseconds = 500'000;

std::atomic<Store*> running{nullptr};
std::atomic<bool> was_pressed{false};

void set_timer(suseconds_t microseconds) {
  itimerval timer = {};
  timer.it_value.tv_usec = microseconds;
  setitimer(ITIMER_REAL, &timer, nullptr);
}

void give_up(int) {
  constexpr char kMessage[] = "vmrun: interrupted in a host call that did not return\n";
  // A full pipe that nobody reads must not keep the process alive.
  pollfd err = {STDERR_FILENO, POLLOUT, 0};
  if (poll(&err, 1, 0) == 1 && (err.revents & POLLOUT)) {
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  }
  _exit(kExitCtrlC);
}

void press(int, siginfo_t*, void* context) {
  was_pressed.store(true, std::memory_order_relaxed);
  Store* store = running.load(std::memory_order_acquire);
  if (store != nullptr) store->interrupt();
  struct sigaction action = {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = give_up;
  sigaction(SIGALRM, &action, nullptr);
  sigdelset(&static_cast<ucontext_t*>(context)->uc_sigmask, SIGALRM);  // on this thread from the handler's end on
  set_timer(kGraceMicroseconds);
}

}  // namespace

CtrlC::CtrlC(Store& store) {
  struct sigaction before = {};
  sigaction(SIGINT, nullptr, &before);
  if (before.sa_handler == SIG_IGN) return;  // started in the background: stays deaf
  active_ = true;
  was_pressed.store(false, std::memory_order_relaxed);
  running.store(&store, std::memory_order_release);
  struct sigaction action = {};
  sigemptyset(&action.sa_mask);
  // Without SA_RESTART, so that a host call that waits is cut short; the second time it does what it does to others.
  action.sa_sigaction = press;
  action.sa_flags = static_cast<int>(SA_SIGINFO | SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
}

CtrlC::~CtrlC() {
  if (!active_) return;
  signal(SIGINT, SIG_DFL);
  running.store(nullptr, std::memory_order_release);
  if (pressed()) set_timer(0);
}

namespace {

std::atomic<int> told_event{-1};

void tell(int) {
  was_pressed.store(true, std::memory_order_release);
  const int number = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(told_event.load(std::memory_order_relaxed), &one, sizeof one);
  errno = number;
}

}  // namespace

CtrlCEvent::CtrlCEvent(int event) {
  struct sigaction before = {};
  sigaction(SIGINT, nullptr, &before);
  if (before.sa_handler == SIG_IGN) return;  // started in the background: stays deaf
  active_ = true;
  was_pressed.store(false, std::memory_order_relaxed);
  told_event.store(event, std::memory_order_relaxed);
  struct sigaction action = {};
  sigemptyset(&action.sa_mask);
  // Any thread takes it, so calls are restarted; the second time it does what it does to others.
  action.sa_handler = tell;
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
}

CtrlCEvent::~CtrlCEvent() {
  if (active_) signal(SIGINT, SIG_DFL);
}

bool CtrlCEvent::pressed() const { return active_ && was_pressed.load(std::memory_order_acquire); }

bool CtrlC::pressed() const { return active_ && was_pressed.load(std::memory_order_relaxed); }

}  // namespace vmrun::tools
