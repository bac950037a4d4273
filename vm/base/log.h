// Log messages to stderr, chosen by the environment: VMRUN_LOG=component=level[,component=level...], where the
// component may be "all" and the level is error, warn, info, debug or trace ("VMRUN_LOG=wasi=trace"). Without it,
// warnings and errors. What is wrong in a setting is warned of once; vmrun/base/log.h checks one.
//
//   static vm::Log log("wasi");
//   VMRUN_LOG_AT(log, trace, "fd_write({}, {}) = {}", fd, bytes, error);
//
// The arguments are evaluated only when the message is wanted. Any thread; a message is one write.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace vmrun::vm {

enum class LogLevel : uint8_t { error, warn, info, debug, trace };

/// The components that have messages; a setting that names another is wrong.
inline constexpr std::string_view kLogComponents[] = {"cache", "io", "memory", "serve", "tiering", "wasi"};

/// The name of one of them; another does not compile.
class LogComponent {
 public:
  consteval LogComponent(const char* name) : name_(name) {
    if (std::ranges::find(kLogComponents, name) == std::end(kLogComponents)) throw "no such component";
  }
  const char* name() const { return name_; }

 private:
  const char* name_;
};

/// A component's log. Make it static: the setting is read once.
class Log {
 public:
  explicit Log(LogComponent component);
  bool on(LogLevel level) const { return level <= level_; }
  /// Writes one line: what a guest's names could break it with is escaped.
  void write(LogLevel level, fmt::string_view format, fmt::format_args args) const;

 private:
  const char* component_;
  LogLevel level_;
};

}  // namespace vmrun::vm

#define VMRUN_LOG_AT(log, level, format, ...)                                                            \
  do {                                                                                                   \
    if ((log).on(::vmrun::vm::LogLevel::level)) [[unlikely]]                                             \
      (log).write(::vmrun::vm::LogLevel::level, FMT_STRING(format), fmt::make_format_args(__VA_ARGS__)); \
  } while (0)
