// The parts of option parsing that do not depend on what is being set; see options.h.
#include "tools/options.h"

#include <charconv>
#include <cmath>

namespace vmrun::tools {
namespace {

std::string padded(std::string left, const char* help) {
  constexpr size_t kHelpColumn = 34;
  left.resize(std::max(left.size() + 2, kHelpColumn), ' ');
  // Further lines of a help text stand under its first one.
  for (const char* c = help; *c; ++c) {
    left += *c;
    if (*c == '\n') left.append(kHelpColumn, ' ');
  }
  return left += '\n';
}

}  // namespace

Error usage_error(std::string message) { return Error(ErrorKind::Usage, std::move(message)); }

OptionText split_option(std::string_view arg) {
  OptionText text;
  if (arg.size() < 2 || arg[0] != '-') return text;
  text.is_option = true;
  if (arg == "--") {
    text.ends = true;
  } else if (arg[1] == '-') {
    arg.remove_prefix(2);
    const size_t equals = arg.find('=');
    text.name = arg.substr(0, equals);
    text.has_value = equals != arg.npos;
    if (text.has_value) text.value = arg.substr(equals + 1);
  } else {
    text.is_short = true;
    text.name = arg.substr(1, 1);
    text.has_value = arg.size() > 2;
    text.value = arg.substr(2);
  }
  return text;
}

std::string group_help_line(const char* key, const char* value, const char* help) {
  return padded(std::string("  ") + key + (value ? std::string("=") + value : "[=y|n]"), help);
}

std::string option_help_line(char letter, const char* name, const char* value, const char* help) {
  std::string left = letter ? std::string("  -") + letter + ", --" + name : std::string("      --") + name;
  if (value) (left += ' ') += value;
  return padded(left, help);
}

std::string markdown_row(const std::string& left, const char* help) {
  std::string out = "| `";
  for (char c : left) out += c == '|' ? std::string("\\|") : std::string(1, c);
  out += "` | ";
  for (const char* c = help; *c; ++c) out += *c == '\n' ? ' ' : *c;
  return out + " |\n";
}

Result<bool> parse_switch(std::string_view v) {
  if (v.empty() || v == "y" || v == "yes" || v == "true" || v == "on" || v == "1") return true;
  if (v == "n" || v == "no" || v == "false" || v == "off" || v == "0") return false;
  return usage_error("'" + std::string(v) + "' is neither y nor n");
}

Result<uint64_t> parse_count(std::string_view v) {
  uint64_t n = 0;
  auto [end, failure] = std::from_chars(v.data(), v.data() + v.size(), n);
  if (failure == std::errc::result_out_of_range) return usage_error("'" + std::string(v) + "' is too large");
  if (failure != std::errc() || end != v.data() + v.size()) {
    return usage_error("'" + std::string(v) + "' is not a number");
  }
  return n;
}

Result<uint64_t> parse_count_from_1(std::string_view v, uint64_t most) {
  auto n = parse_count(v);
  if (n && (*n == 0 || *n > most)) return usage_error("must be from 1 to " + std::to_string(most));
  return n;
}

Result<uint64_t> parse_size(std::string_view v) {
  std::string_view digits = v.substr(0, v.find_first_not_of("0123456789"));
  std::string_view unit = v.substr(digits.size());
  unsigned shift = 0;
  if (!unit.empty()) {
    const size_t which = std::string_view("kKmMgGtT").find(unit[0]);
    shift = which == std::string_view::npos ? 0 : 10 * (static_cast<unsigned>(which) / 2 + 1);
    const std::string_view tail = unit.substr(shift ? 1 : 0);
    if (!(tail.empty() || tail == "B" || (shift && (tail == "i" || tail == "iB")))) {
      return usage_error("'" + std::string(v) + "' is not a size such as 65536, 64K or 1G");
    }
  }
  if (digits.empty()) return usage_error("'" + std::string(v) + "' is not a size such as 65536, 64K or 1G");
  auto n = parse_count(digits);
  if (!n) return n;
  if (*n > (UINT64_MAX >> shift)) return usage_error("'" + std::string(v) + "' is too large");
  return *n << shift;
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view v) {
  struct Unit {
    std::string_view name;
    double ns;
  };
  static constexpr Unit kUnits[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6},  {"s", 1e9},
                                    {"", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  double n = 0;
  auto [end, failure] = std::from_chars(v.data(), v.data() + v.size(), n, std::chars_format::fixed);
  const std::string_view name(end, static_cast<size_t>(v.data() + v.size() - end));
  for (const Unit& unit : kUnits) {
    if (failure != std::errc() || name != unit.name || !std::isfinite(n) || !(n > 0)) continue;
    const double ns = n * unit.ns;
    if (ns < 1) return usage_error("'" + std::string(v) + "' is too short: the least is 1ns");
    if (ns > 9e18) return usage_error("'" + std::string(v) + "' is too long");
    return std::chrono::nanoseconds(static_cast<int64_t>(ns));
  }
  return usage_error("'" + std::string(v) + "' is not a length of time such as 500ms, 10s or 5m");
}

std::string duration_text(std::chrono::nanoseconds time) {
  struct Unit {
    const char* name;
    int64_t ns;
  };
  constexpr Unit kUnits[] = {
      {"h", 3'600'000'000'000}, {"m", 60'000'000'000}, {"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}};
  if (time.count() == 0) return "0s";
  for (const Unit& unit : kUnits) {
    if (time.count() % unit.ns == 0) return std::to_string(time.count() / unit.ns) + unit.name;
  }
  return std::to_string(time.count()) + "ns";
}

}  // namespace vmrun::tools
