// Runs the built vmrun for tests and collects what it did.
#pragma once

#include <string>
#include <vector>

namespace vmrun::test {

struct CommandResult {
  int status = -1;  // exit status, or -signal
  std::string out, err;
};

/// A program that runs. The reading ends of its output belong to whoever asked for it.
struct Child {
  int pid = -1;  // it could not be started
  int out = -1, err = -1;
};
/// Starts `program` with `args` in the directory `cwd`. Its standard input is empty, and it hears Ctrl-C.
Child start_child(const char* program, const std::vector<std::string>& args, const std::string& cwd = {});

/// Runs vmrun with `args` in the directory `cwd` (the current one when empty). Its standard input is empty.
CommandResult run_vmrun(const std::vector<std::string>& args, const std::string& cwd = {});

/// The same, with Ctrl-C pressed `milliseconds` after the start.
CommandResult run_vmrun_with_ctrl_c(const std::vector<std::string>& args, int milliseconds);

/// Runs `script` by bash, with $vmrun as the command's path and `arguments` as $1 and on. Its standard input is empty.
CommandResult run_script(const std::string& script, const std::vector<std::string>& arguments = {});

/// Path of a fixture made by the build: fixture("cli_empty") is the image of tests/fixtures/cli_empty.wat.
std::string fixture(const std::string& name);

/// A directory that goes with its contents at the end of the scope.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }
  /// Writes a file in it and returns its path.
  std::string write(const std::string& name, const std::string& bytes) const;

 private:
  std::string path_;
};

}  // namespace vmrun::test
