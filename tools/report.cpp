// Messages on standard error; see report.h.
#include "tools/report.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

/// A backtrace of runaway recursion has thousands of frames, of which the library keeps the innermost few hundred.
constexpr size_t kShownFrames = 32;

struct Style {
  const char* strong = "";
  const char* dim = "";
  const char* end = "";
};

Style style() {
  if (!wants_colour(STDERR_FILENO)) return {};
  return {"\x1b[1;31m", "\x1b[2m", "\x1b[0m"};
}

std::string line(const char* label, std::string_view message) {
  const Style s = style();
  std::string out = std::string("vmrun: ") + s.strong + label + s.end + (*label ? " " : "");
  return out + printable(message) + "\n";
}

void print_line(const char* label, std::string_view message) {
  std::fflush(stdout);
  std::fputs(line(label, message).c_str(), stderr);
}

void print_frame(size_t number, const FrameInfo& frame) {
  std::fprintf(stderr, "  %3zu: %s!%s @ 0x%llx\n", number, printable_name(frame.module).c_str(),
               printable_name(frame.function).c_str(), static_cast<unsigned long long>(frame.offset));
}

void print_backtrace(const std::vector<FrameInfo>& frames) {
  for (size_t i = 0; i < std::min(frames.size(), kShownFrames); ++i) print_frame(i, frames[i]);
  if (frames.size() > kShownFrames) {
    std::fprintf(stderr, "       (at least %zu more frames)\n", frames.size() - kShownFrames);
  }
}

/// What allows more to a guest that trapped at a limit.
const char* remedy(TrapCode trap) {
  switch (trap) {
    case TrapCode::StackOverflow: return "; -W max-wasm-stack=SIZE gives the guest more";
    case TrapCode::OutOfMemory: return "; -W help lists the limits";
    default: return "";
  }
}

}  // namespace

std::string strf(const char* format, ...) {
  va_list args;
  va_start(args, format);
  char small[256];
  va_list again;
  va_copy(again, args);
  const int n = std::vsnprintf(small, sizeof small, format, args);
  va_end(args);
  std::string out;
  if (n >= 0 && static_cast<size_t>(n) < sizeof small) {
    out.assign(small, static_cast<size_t>(n));
  } else if (n > 0) {
    out.resize(static_cast<size_t>(n));
    std::vsnprintf(out.data(), out.size() + 1, format, again);
  }
  va_end(again);
  return out;
}

bool wants_colour(int fd) {
  if (!isatty(fd)) return false;
  const char* no = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (!no || !*no) && (!term || std::strcmp(term, "dumb") != 0);
}

int fail(std::string_view message) {
  print_line("error:", message);
  return kExitError;
}

int fail_usage(std::string_view message, std::string_view command) {
  std::string text(message);
  text += "; 'vmrun help";
  if (!command.empty()) (text += ' ') += command;
  text += "' lists what there is";
  print_line("", text);
  return kExitUsage;
}

void warn(std::string_view message) { print_line("warning:", message); }

int fail_trap(std::string_view message, const std::vector<FrameInfo>& backtrace) {
  print_line("trap:", message);
  print_backtrace(backtrace);
  return kExitTrap;
}

void fail_trap_at_once(const std::string& message) {
  // Another thread writes, since that may wait for ever, on a pipe for its reader. The streams' own locks may be taken
  // for as long, so it uses none.
  std::mutex mutex;
  std::condition_variable wake;
  bool written = false;
  std::thread writer([&, text = line("trap:", message)] {
    [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, text.data(), text.size());
    std::lock_guard lock(mutex);
    written = true;
    wake.notify_one();
  });
  constexpr std::chrono::milliseconds kPatience{200};
  {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, kPatience, [&] { return written; });
  }
  _exit(kExitTrap);
}

int flushed(int status) {
  // Both: what did not fit into the buffer has failed by itself.
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!written && status == kExitOk) return fail("cannot write to standard output");
  return status;
}

void leave(int status) {
  status = flushed(status);
  std::fflush(nullptr);
  _exit(status);
}

int fail(const Error& error) {
  switch (error.kind) {
    case ErrorKind::Exit: return error.exit_status & 0xff;
    case ErrorKind::Trap: {
      // A host function may have said more about it than the trap's name.
      std::string text(trap_message(error.trap));
      if (error.message != text && !error.message.empty()) text += ": " + error.message;
      return fail_trap(text + remedy(error.trap), error.backtrace);
    }
    case ErrorKind::Exception:
      print_line(error.message.empty() ? "uncaught exception" : "", error.message);
      print_backtrace(error.backtrace);
      return kExitTrap;
    case ErrorKind::Usage: print_line("error:", error.message); return kExitUsage;
    default:
      print_line("error:", error.message);
      print_backtrace(error.backtrace);
      return kExitError;
  }
}

}  // namespace vmrun::tools
