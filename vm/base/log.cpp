// Reads VMRUN_LOG and writes messages.
#include "vm/base/log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <string>

#include "vmrun/base/log.h"
#include "vmrun/base/text.h"

namespace vmrun {
namespace vm {
namespace {

constexpr std::array<std::string_view, 5> kLevels = {"error", "warn", "info", "debug", "trace"};

/// One part of a setting: a level for a component.
struct Entry {
  std::string_view component, level;
};

/// Takes the first part off `setting`.
Entry next_entry(std::string_view& setting) {
  const size_t comma = setting.find(',');
  const std::string_view text = setting.substr(0, comma);
  setting = comma == std::string_view::npos ? std::string_view() : setting.substr(comma + 1);
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return {"all", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// The level that the setting gives to `component`; the last word on it counts.
LogLevel level_for(std::string_view setting, std::string_view component) {
  LogLevel level = LogLevel::warn;
  while (!setting.empty()) {
    const Entry entry = next_entry(setting);
    if (entry.component != "all" && entry.component != component) continue;
    const auto known = std::ranges::find(kLevels, entry.level);
    if (known != kLevels.end()) level = static_cast<LogLevel>(known - kLevels.begin());
  }
  return level;
}

}  // namespace

Log::Log(LogComponent component) : component_(component.name()), level_(LogLevel::warn) {
  const char* setting = std::getenv("VMRUN_LOG");
  if (setting == nullptr || *setting == 0) return;
  level_ = level_for(setting, component_);
  static std::atomic<bool> checked{false};
  if (checked.exchange(true, std::memory_order_relaxed)) return;
  if (const Result<void> fine = check_log_setting(setting); !fine) {
    VMRUN_LOG_AT(*this, warn, "VMRUN_LOG: {}", fine.error().message);
  }
}

void Log::write(LogLevel level, fmt::string_view format, fmt::format_args args) const {
  fmt::memory_buffer text;
  fmt::vformat_to(std::back_inserter(text), format, args);
  std::string line = std::string("[") + component_ + "] " + std::string(kLevels[static_cast<size_t>(level)]) + ": ";
  line += printable({text.data(), text.size()});
  line += '\n';
  // A log that cannot be written has nobody to tell.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace vm

Result<void> check_log_setting(std::string_view setting) {
  const auto list = [](const auto& names) {
    std::string out;
    for (std::string_view name : names) (out += out.empty() ? "" : ", ") += name;
    return out;
  };
  if (setting.empty()) return Error(ErrorKind::Usage, "expected COMPONENT=LEVEL");
  while (!setting.empty()) {
    const vm::Entry entry = vm::next_entry(setting);
    if (entry.component != "all" &&
        std::ranges::find(vm::kLogComponents, entry.component) == std::end(vm::kLogComponents)) {
      return Error(ErrorKind::Usage, "no component '" + printable(entry.component) + "' has messages; there are " +
                                         list(vm::kLogComponents) + " and all");
    }
    if (std::ranges::find(vm::kLevels, entry.level) == vm::kLevels.end()) {
      return Error(ErrorKind::Usage,
                   "there is no level '" + printable(entry.level) + "'; there are " + list(vm::kLevels));
    }
  }
  return {};
}

}  // namespace vmrun
