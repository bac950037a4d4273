// What vmrun says to people: one line per failure on standard error, and the exit status that goes with it. What guests
// call things is escaped (vmrun/base/text.h), so that a line stays a line.
#pragma once

#include <chrono>
#include <cstdarg>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "vmrun/base/error.h"

namespace vmrun::tools {

/// Exit statuses of the command that are not the guest's own.
enum ExitStatus : int {
  kExitOk = 0,
  kExitError = 1,    // vmrun could not do what it was asked to
  kExitUsage = 2,    // the command line is wrong
  kExitCtrlC = 130,  // the guest was ended by Ctrl-C
  kExitTrap = 134,   // the guest trapped, or threw an exception that nobody caught, or its time was over
};

/// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string strf(const char* format, ...);

/// True when `fd` is a terminal that wants colour (NO_COLOR unset, TERM not "dumb").
bool wants_colour(int fd);

/// Prints "vmrun: error: MESSAGE" on standard error, flushing standard output first. Returns kExitError.
int fail(std::string_view message);

/// Prints "vmrun: MESSAGE" and where to find help. Returns kExitUsage.
int fail_usage(std::string_view message, std::string_view command = {});

/// Prints "vmrun: warning: MESSAGE".
void warn(std::string_view message);

/// Prints a failure that came out of a guest or the library, in the way its kind asks for, and returns the exit status:
/// the guest's own for Exit, kExitTrap with a backtrace for Trap and Exception, kExitUsage for Usage, else kExitError.
int fail(const Error& error);

/// A failure in words, "vmrun: error: MESSAGE", or "vmrun: WHO: error: MESSAGE", with its backtrace and exit status.
struct Failure {
  int status = kExitOk;
  std::string text;  // whole lines; none for a guest that ended by itself
};
/// What fail(error) prints and returns.
Failure failure_of(const Error& error, std::string_view who = {});
/// A trap's.
Failure trap_failure(std::string_view message, const std::vector<FrameInfo>& backtrace, std::string_view who = {});

/// The frames, a line each, innermost first, at most `most`.
std::string backtrace_text(const std::vector<FrameInfo>& frames, size_t most);

/// Prints `text` on standard error, flushing standard output first.
void print_lines(std::string_view text);
/// Writes `text` to standard error, whatever other threads are doing there, as long as somebody reads it: gives up after
/// `patience` in which nothing could be written. Whether all was.
bool print_patiently(const std::string& text, std::chrono::milliseconds patience);
/// Prints "vmrun: MESSAGE".
void print_note(std::string_view message);

/// Prints "vmrun: trap: MESSAGE" and the backtrace. Returns kExitTrap.
int fail_trap(std::string_view message, const std::vector<FrameInfo>& backtrace = {});

/// Ends the process with kExitTrap after at most a moment, in which it tries to print "vmrun: trap: MESSAGE", whatever
/// other threads are doing and whether or not anybody reads standard error.
[[noreturn]] void fail_trap_at_once(const std::string& message);

/// What fail_trap_at_once does before it ends the process, on its thread; empty: nothing. It may take a moment, not more.
void before_sudden_end(std::function<void()> work);

/// The exit status when all else is done: results that could not be written (a full disk, a closed pipe) are not a
/// success.
int flushed(int status);

/// Ends the process at once, with what was written so far, and without waiting for other threads.
[[noreturn]] void leave(int status);

}  // namespace vmrun::tools
