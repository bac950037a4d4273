// Running the built vmrun; see command.h.
#include "tests/unit/tools/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

extern char** environ;

namespace vmrun::test {
namespace {

/// Reads both pipes until both are closed, so that neither can fill up and block the child, which is sent a SIGINT after
/// `ctrl_c_after` milliseconds (-1: never).
void drain(int out, int err, CommandResult& result, pid_t child, int ctrl_c_after) {
  std::array<pollfd, 2> fds{{{out, POLLIN, 0}, {err, POLLIN, 0}}};
  std::string* const texts[] = {&result.out, &result.err};
  for (int open = 2; open > 0;) {
    const int ready = poll(fds.data(), fds.size(), ctrl_c_after);
    if (ready == 0) {
      kill(child, SIGINT);
      ctrl_c_after = -1;
    }
    if (ready <= 0) continue;
    for (size_t i = 0; i < fds.size(); ++i) {
      if (!(fds[i].revents & (POLLIN | POLLHUP))) continue;
      char block[4096];
      const ssize_t n = read(fds[i].fd, block, sizeof block);
      if (n > 0) {
        texts[i]->append(block, static_cast<size_t>(n));
      } else {
        close(fds[i].fd);
        fds[i].fd = -1;
        --open;
      }
    }
  }
}

CommandResult spawn(const char* program, const std::vector<std::string>& args, const std::string& cwd,
                    int ctrl_c_after) {
  CommandResult result;
  const Child child = start_child(program, args, cwd);
  if (child.pid < 0) return result;
  drain(child.out, child.err, result, child.pid, ctrl_c_after);
  int status = 0;
  if (waitpid(child.pid, &status, 0) == child.pid) {
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  return result;
}

}  // namespace

Child start_child(const char* program, const std::vector<std::string>& args, const std::string& cwd) {
  // Not the user's cache of code. What a test expects of a first run, it expects of each.
  static const TemporaryDirectory home;
  setenv("XDG_CACHE_HOME", home.path().c_str(), 0);
  std::vector<char*> argv{const_cast<char*>(program)};
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (!cwd.empty()) posix_spawn_file_actions_addchdir_np(&actions, cwd.c_str());
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  // A test that runs in the background ignores Ctrl-C; the command must not inherit that.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t heard;
  sigemptyset(&heard);
  sigaddset(&heard, SIGINT);
  posix_spawnattr_setsigdefault(&attributes, &heard);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  Child child{.out = out[0], .err = err[0]};
  const int failure = posix_spawn(&child.pid, program, &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  close(err[1]);
  if (failure == 0) return child;
  close(out[0]);
  close(err[0]);
  return {};
}

CommandResult run_vmrun(const std::vector<std::string>& args, const std::string& cwd) {
  return spawn(VMRUN_COMMAND, args, cwd, -1);
}

CommandResult run_vmrun_with_ctrl_c(const std::vector<std::string>& args, int milliseconds) {
  return spawn(VMRUN_COMMAND, args, {}, milliseconds);
}

CommandResult run_script(const std::string& script, const std::vector<std::string>& arguments) {
  std::vector<std::string> args{"-c", "vmrun='" VMRUN_COMMAND "'; " + script, "script"};
  args.insert(args.end(), arguments.begin(), arguments.end());
  return spawn("/bin/bash", args, {}, -1);
}

std::string fixture(const std::string& name) { return VMRUN_FIXTURES "/" + name + ".wasm"; }

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "vmrun-test-XXXXXX").string();
  if (mkdtemp(pattern.data())) path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::write(const std::string& name, const std::string& bytes) const {
  std::string path = path_ + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

}  // namespace vmrun::test
