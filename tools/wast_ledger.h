// The ledger of expected failures: which commands of the suite fail, and why each may.
//
// A line is   SCRIPT:LINES REASON   where SCRIPT is the script's path below the suite without ".json" (a folder that holds
// the script of the same name counts once: "binary/binary.json" is "binary") and LINES are line numbers separated by
// commas, or * for every failure of that script. SCRIPT may end in /* for all scripts below a folder. '#' starts a comment.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "vmrun/result.h"

namespace vmrun::tools {

struct LedgerEntry {
  std::string script;        // without the final "*" when `prefix`
  bool prefix = false;       // SCRIPT ended in /*
  std::set<uint32_t> lines;  // empty: every line
  std::string reason;
  uint32_t ledger_line = 0;

  bool covers(std::string_view name) const { return prefix ? name.starts_with(script) : name == script; }
};

class Ledger {
 public:
  /// Errors: Io, Malformed (with the line).
  static Result<Ledger> load(const std::string& path);

  /// The entry that expects a failure of the command at `line` of `script`, or null.
  const LedgerEntry* find(std::string_view script, uint32_t line) const;
  const std::vector<LedgerEntry>& entries() const { return entries_; }

 private:
  std::vector<LedgerEntry> entries_;
};

}  // namespace vmrun::tools
