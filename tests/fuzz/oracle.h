// Node as another engine beside ours: it makes the calls of a plain run (exercise.h) and says what it sees. What both
// must agree on is less than what our ways must: node has no offsets in backtraces and fewer kinds of traps.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

#include "exercise.h"
#include "makers.h"

namespace vmrun::test {

/// A node process that answers one request after the other. Children of the process that started it may ask too, one
/// at a time.
class Oracle {
 public:
  /// Starts `node`. Without one, `works` is false.
  Oracle(const std::string& node, const std::string& script);
  ~Oracle();
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  bool works() const { return pid_ > 0; }

  /// What node sees of these calls, in the words of `in_node`. False, with the reason in `why`, when node does not
  /// take the module.
  bool run(const Image& image, const std::vector<std::string>& calls, const std::string& scratch, Trace& trace,
           std::string& why);

 private:
  pid_t pid_ = 0;
  FILE* to_ = nullptr;
  FILE* from_ = nullptr;
};

/// A trace of ours in the words that node's has: without backtraces, and traps by what both tell apart.
Trace in_node(const Trace& trace);

}  // namespace vmrun::test
