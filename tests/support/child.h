// Test cases that end their process run in a child: the same executable, asked for that one case, which is marked
// doctest::skip() so that nobody else runs it.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <string>

namespace vmrun::test {

/// How a child ended.
struct Ended {
  int status = -1;   // exit status, or -signal
  std::string text;  // what it wrote to standard error
};

/// Runs the skipped test case `name` in a child. A case that comes to its end gives status 0, or 1 if a check failed.
inline Ended in_child(const std::string& name) {
  int pipe_ends[2];
  REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDERR_FILENO);
  const std::string filter = "--test-case=" + name;
  const char* const args[] = {"child", "--no-skip", "--minimal", filter.c_str(), nullptr};
  pid_t child = -1;
  const int failed =
      ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, const_cast<char* const*>(args), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_ends[1]);
  REQUIRE(failed == 0);
  Ended ended;
  char buffer[4096];
  for (ssize_t n; (n = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
    ended.text.append(buffer, static_cast<size_t>(n));
  ::close(pipe_ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  CAPTURE(ended.text);
  return ended;
}

/// The signal by which a child ends that writes to `at`; 0: it goes on.
inline int signal_of_writing(std::byte* at) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    *const_cast<volatile std::byte*>(at) = std::byte{1};
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/// Whether `text` says `part`.
inline bool says(const Ended& ended, const std::string& part) { return ended.text.find(part) != std::string::npos; }

}  // namespace vmrun::test
