// Messages on standard error; see report.h.
#include "tools/report.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
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

std::string line(const char* label, std::string_view message, std::string_view who = {}) {
  const Style s = style();
  std::string out = "vmrun: " + printable(who) + (who.empty() ? "" : ": ");
  if (*label != 0) out += std::string(s.strong) + label + s.end + " ";
  return out + printable(message) + "\n";
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

std::string backtrace_text(const std::vector<FrameInfo>& frames, size_t most) {
  std::string out;
  std::vector<std::string> notes;
  size_t number = 0, frame = 0;
  for (; frame < frames.size() && number < most; ++frame) {
    for (const FrameText& text : frame_texts(frames[frame])) {
      out += strf("  %3zu: %s\n", number++, text.name.c_str());
      if (!text.place.empty()) out += "         at " + text.place + "\n";
    }
    const std::string& note = frames[frame].source_note;
    if (!note.empty() && std::ranges::find(notes, note) == notes.end()) notes.push_back(note);
  }
  if (frame < frames.size()) out += strf("       (at least %zu more frames)\n", frames.size() - frame);
  for (const std::string& note : notes) out += "  note: " + printable(note) + "\n";
  return out;
}

void print_lines(std::string_view text) {
  std::fflush(stdout);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

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
  print_lines(line("error:", message));
  return kExitError;
}

int fail_usage(std::string_view message, std::string_view command) {
  std::string text(message);
  text += "; 'vmrun help";
  if (!command.empty()) (text += ' ') += command;
  text += "' lists what there is";
  print_lines(line("", text));
  return kExitUsage;
}

void warn(std::string_view message) { print_lines(line("warning:", message)); }

void print_note(std::string_view message) { print_lines(line("", message)); }

Failure trap_failure(std::string_view message, const std::vector<FrameInfo>& backtrace, std::string_view who) {
  return {kExitTrap, line("trap:", message, who) + backtrace_text(backtrace, kShownFrames)};
}

int fail_trap(std::string_view message, const std::vector<FrameInfo>& backtrace) {
  print_lines(trap_failure(message, backtrace).text);
  return kExitTrap;
}

bool print_patiently(const std::string& text, std::chrono::milliseconds patience) {
  // Another thread writes, since that may wait for ever, on a pipe for its reader. The streams' own locks may be taken
  // for as long, so it uses none.
  struct Writing {
    std::mutex mutex;
    std::condition_variable wake;
    size_t written = 0;
    bool over = false;
  };
  const auto state = std::make_shared<Writing>();  // the thread may outlive this call
  const size_t size = text.size();
  const auto write_all = [state](const std::string& text) {
    for (ssize_t n = 1; n > 0 || (n < 0 && errno == EINTR);) {
      n = write(STDERR_FILENO, text.data() + state->written, text.size() - state->written);
      std::lock_guard lock(state->mutex);
      if (n > 0) state->written += static_cast<size_t>(n);
      if (state->written == text.size()) break;
    }
    std::lock_guard lock(state->mutex);
    state->over = true;
    state->wake.notify_one();
  };
  try {
    std::thread([write_all, text] { write_all(text); }).detach();
  } catch (const std::system_error&) {  // without a thread this one waits, if it comes to that
    write_all(text);
  }
  std::unique_lock lock(state->mutex);
  for (size_t seen = size; !state->over && seen != state->written;) {
    seen = state->written;
    state->wake.wait_for(lock, patience, [&] { return state->over; });
  }
  return state->written == size;
}

namespace {

struct SuddenEnd {
  std::mutex mutex;
  std::function<void()> work;
};
SuddenEnd& sudden_end() {
  static auto* one = new SuddenEnd;  // threads may end the process while it ends
  return *one;
}

}  // namespace

void before_sudden_end(std::function<void()> work) {
  SuddenEnd& end = sudden_end();
  std::lock_guard lock(end.mutex);
  end.work = std::move(work);
}

void fail_trap_at_once(const std::string& message) {
  print_patiently(line("trap:", message), std::chrono::milliseconds(200));
  {
    SuddenEnd& end = sudden_end();
    std::lock_guard lock(end.mutex);
    if (end.work) end.work();
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

Failure failure_of(const Error& error, std::string_view who) {
  switch (error.kind) {
    case ErrorKind::Exit: return {error.exit_status & 0xff, {}};
    case ErrorKind::Trap: {
      // A host function may have said more about it than the trap's name.
      std::string text(trap_message(error.trap));
      if (error.message != text && !error.message.empty()) text += ": " + error.message;
      return trap_failure(text + remedy(error.trap), error.backtrace, who);
    }
    case ErrorKind::Exception:
      return {kExitTrap, line(error.message.empty() ? "uncaught exception" : "", error.message, who) +
                             backtrace_text(error.backtrace, kShownFrames)};
    case ErrorKind::Usage: return {kExitUsage, line("error:", error.message, who)};
    default: return {kExitError, line("error:", error.message, who) + backtrace_text(error.backtrace, kShownFrames)};
  }
}

int fail(const Error& error) {
  const Failure failure = failure_of(error);
  print_lines(failure.text);
  return failure.status;
}

}  // namespace vmrun::tools
