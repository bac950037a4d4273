// Lines on standard error that hold nobody up.
#pragma once

#include <memory>
#include <string_view>

namespace vmrun::tools {

/// Writes lines by a thread of its own. Where nobody reads them, further ones are dropped and counted.
class LineLog {
 public:
  LineLog();
  /// Waits a moment for lines that have not been written; a line that cannot be written is left.
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  /// "vmrun: LINE". Any thread; never waits for a reader.
  void add(std::string_view line);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vmrun::tools
