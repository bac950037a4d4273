// Reads VMRUN_LOG and writes messages.
#include "vm/log.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iterator>
#include <string>

namespace vmrun::vm {
namespace {

constexpr std::array<std::string_view, 5> kLevels = {"error", "warn", "info", "debug", "trace"};

/// The level that the setting gives to `component`; the last word on it counts.
LogLevel level_for(std::string_view setting, std::string_view component) {
  LogLevel level = LogLevel::warn;
  while (!setting.empty()) {
    const size_t comma = setting.find(',');
    const std::string_view entry = setting.substr(0, comma);
    setting = comma == std::string_view::npos ? std::string_view() : setting.substr(comma + 1);
    const size_t equals = entry.find('=');
    const std::string_view name = equals == std::string_view::npos ? "all" : entry.substr(0, equals);
    const std::string_view wanted = equals == std::string_view::npos ? entry : entry.substr(equals + 1);
    if (name != "all" && name != component) continue;
    for (size_t i = 0; i < kLevels.size(); ++i) {
      if (kLevels[i] == wanted) level = static_cast<LogLevel>(i);
    }
  }
  return level;
}

}  // namespace

Log::Log(const char* component) : component_(component), level_(LogLevel::warn) {
  if (const char* setting = std::getenv("VMRUN_LOG")) level_ = level_for(setting, component);
}

void Log::write(LogLevel level, fmt::string_view format, fmt::format_args args) const {
  fmt::memory_buffer line;
  fmt::format_to(std::back_inserter(line), "[{}] {}: ", component_, kLevels[static_cast<size_t>(level)]);
  fmt::vformat_to(std::back_inserter(line), format, args);
  line.push_back('\n');
  // A log that cannot be written has nobody to tell.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace vmrun::vm
