// A vmrun that runs while the test goes on: servers, and guests that are interrupted.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/tools/command.h"

namespace vmrun::test {

class Background {
 public:
  /// Starts `program` with `args`. Its standard input is empty; what it prints is read when the test reads.
  explicit Background(const std::vector<std::string>& args, const char* program = VMRUN_COMMAND);
  /// Ends it, if nobody has waited for it.
  ~Background();
  Background(const Background&) = delete;

  /// Reads standard error until it has `text`; false at its end, or when it says nothing for a minute.
  bool says(const std::string& text);
  /// Reads up to `size` bytes of standard output; what there was.
  std::string read_some(size_t size);
  void signal(int number) const;
  /// The number behind `before`, for which it waits; 0 at its end.
  unsigned port(const std::string& before = "listening on 127.0.0.1:");
  /// Its process.
  int pid() const { return child_; }
  /// Reads all that is left and waits for its end.
  CommandResult wait();

 private:
  int child_ = -1;
  int out_ = -1, err_ = -1;
  CommandResult result_;
};

/// Asks the HTTP server at `port` of this machine `count` times on `connections` connections at a time, of which each is
/// used once (`again`: as long as it lives). How many answers were 200 and ended in `body`.
int ask(unsigned port, int count, int connections, bool again, const std::string& body);

}  // namespace vmrun::test
