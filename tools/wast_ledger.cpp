// Reading the ledger of expected failures; see wast_ledger.h.
#include "tools/wast_ledger.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tools/options.h"
#include "tools/report.h"

namespace vmrun::tools {
namespace {

template <class Entry>
void set_script(Entry& entry, std::string_view script) {
  entry.prefix = script.ends_with("/*");
  if (entry.prefix) script.remove_suffix(1);
  entry.script = script;
}

/// What follows "without ".
Result<LedgerFeatures> parse_features(std::string_view text) {
  const size_t blank = text.find_first_of(" \t");
  if (blank == text.npos) return usage_error("expected 'without FEATURE[,FEATURE...] SCRIPT'");
  LedgerFeatures out;
  set_script(out, text.substr(text.find_first_not_of(" \t", blank)));
  std::string_view names = text.substr(0, blank);
  while (true) {
    const size_t comma = names.find(',');
    const auto feature = feature_named(names.substr(0, comma));
    if (!feature) return usage_error("there is no proposal '" + std::string(names.substr(0, comma)) + "'");
    out.without.insert(*feature);
    if (comma == names.npos) return out;
    names.remove_prefix(comma + 1);
  }
}

Result<LedgerEntry> parse_line(std::string_view text) {
  const size_t blank = text.find_first_of(" \t");
  const size_t colon = text.substr(0, blank).rfind(':');
  if (colon == text.npos || blank == text.npos) return usage_error("expected 'SCRIPT:LINES REASON'");
  LedgerEntry entry;
  set_script(entry, text.substr(0, colon));
  entry.reason = text.substr(text.find_first_not_of(" \t", blank));
  std::string_view lines = text.substr(colon + 1, blank - colon - 1);
  while (lines != "*") {
    const size_t comma = lines.find(',');
    auto line = parse_count(lines.substr(0, comma));
    if (!line) return line.error();
    entry.lines.insert(static_cast<uint32_t>(*line));
    if (comma == lines.npos) break;
    lines.remove_prefix(comma + 1);
  }
  return entry;
}

}  // namespace

Result<Ledger> Ledger::load(const std::string& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "r"), std::fclose);
  if (!file) return Error(ErrorKind::Io, "cannot open the ledger '" + path + "': " + std::strerror(errno));
  Ledger ledger;
  char* buffer = nullptr;
  size_t capacity = 0;
  uint32_t number = 0;
  Result<void> outcome;
  const auto complain = [&](const Error& error) {
    outcome =
        Error(ErrorKind::Malformed, strf("ledger '%s', line %u: %s", path.c_str(), number, error.message.c_str()));
  };
  while (getline(&buffer, &capacity, file.get()) >= 0) {
    ++number;
    std::string_view text = buffer;
    text = text.substr(0, text.find('#'));
    const size_t last = text.find_last_not_of(" \t\r\n");
    if (last == text.npos) continue;
    text = text.substr(0, last + 1);
    text = text.substr(text.find_first_not_of(" \t"));
    if (constexpr std::string_view kWithout = "without "; text.starts_with(kWithout)) {
      auto features = parse_features(text.substr(kWithout.size()));
      if (!features) {
        complain(features.error());
        break;
      }
      ledger.features_.push_back(std::move(*features));
      continue;
    }
    auto entry = parse_line(text);
    if (!entry) {
      complain(entry.error());
      break;
    }
    entry->ledger_line = number;
    ledger.entries_.push_back(std::move(*entry));
  }
  std::free(buffer);
  if (!outcome) return outcome.error();
  return ledger;
}

FeatureSet Ledger::without(std::string_view script) const {
  FeatureSet out;
  for (const LedgerFeatures& row : features_) {
    if (row.covers(script)) out = out | row.without;
  }
  return out;
}

const LedgerEntry* Ledger::find(std::string_view script, uint32_t line) const {
  const LedgerEntry* found = nullptr;
  for (const LedgerEntry& entry : entries_) {
    if (!entry.covers(script)) continue;
    if (entry.lines.contains(line)) return &entry;
    if (entry.lines.empty()) found = &entry;
  }
  return found;
}

}  // namespace vmrun::tools
