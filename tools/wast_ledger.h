// The ledger of expected failures: which commands of the suite fail, and why each may.
//
// A line is   SCRIPT:LINES REASON   where SCRIPT is the script's path below the suite without ".json" (a folder that
// holds the script of the same name counts once: "binary/binary.json" is "binary") and LINES are line numbers separated
// by commas, or * for every failure of that script. SCRIPT may end in /* for all scripts below a folder. '#' starts a
// comment.
//
// A line   without FEATURE[,FEATURE...] SCRIPT   says that the script was written for a WebAssembly without these
// proposals, and is to be run so.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/features.h"

namespace vmrun::tools {

struct LedgerEntry {
  std::string script;        // without the final "*" when `prefix`
  bool prefix = false;       // SCRIPT ended in /*
  std::set<uint32_t> lines;  // empty: every line
  std::string reason;
  uint32_t ledger_line = 0;

  bool covers(std::string_view name) const { return prefix ? name.starts_with(script) : name == script; }
};

/// Scripts that are to be run without some proposals.
struct LedgerFeatures {
  std::string script;
  bool prefix = false;
  FeatureSet without;

  bool covers(std::string_view name) const { return prefix ? name.starts_with(script) : name == script; }
};

class Ledger {
 public:
  /// Errors: Io, Malformed (with the line).
  static Result<Ledger> load(const std::string& path);

  /// The entry that expects a failure of the command at `line` of `script`, or null.
  const LedgerEntry* find(std::string_view script, uint32_t line) const;
  /// The proposals that `script` is to be run without.
  FeatureSet without(std::string_view script) const;
  const std::vector<LedgerEntry>& entries() const { return entries_; }

 private:
  std::vector<LedgerEntry> entries_;
  std::vector<LedgerFeatures> features_;
};

}  // namespace vmrun::tools
