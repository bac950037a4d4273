// Command lines from tables. A command states its options as rows; parsing, abbreviations of spelling (-Wkey, -W key,
// --name=value, --name value) and the help text come from the rows. Grouped options (-W, -O, -S, -D) take KEY[=VALUE]
// lists separated by commas, each key being a row of its group's table.
//
// Written by hand because a general library costs more at start than this whole file (0.17 ms of the 2 ms that running
// an empty image may take).
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/nearest.h"
#include "vmrun/base/result.h"

namespace vmrun::tools {

using Args = std::span<char* const>;

/// One key of an option group. `set` receives the value as written, or "" when there was no '='.
template <class T>
struct GroupKey {
  const char* key;
  const char* value;  // what stands after '=' in the help; nullptr for a switch (y or n, nothing means y)
  const char* help;
  Result<void> (*set)(T& options, std::string_view value);
  std::string (*values_help)() = nullptr;  // instead of `help`, where the values bring theirs
};
template <class T>
std::string help_of(const GroupKey<T>& key) {
  return key.values_help ? key.values_help() : key.help;
}

/// One option of a command: a switch, an option with a value, or a group of keys.
template <class T>
struct OptionRow {
  char letter;        // 'W' for -W, 0 for none
  const char* name;   // "wasm" for --wasm
  const char* value;  // what follows in the help; nullptr for a switch
  const char* help;
  Result<void> (*set)(T& options, std::string_view value);
  std::span<const GroupKey<T>> keys = {};
};

/// What parsing found.
struct Parsed {
  std::vector<std::string_view> positional;
  size_t rest = 0;         // index of the first argument that parsing left alone
  bool help = false;       // --help was given
  std::string group_help;  // non-empty: the text of `-X help`
};

/// One argument taken apart; an implementation detail of parse().
struct OptionText {
  bool is_option = false, is_short = false, has_value = false, ends = false;
  std::string_view name, value;
};
OptionText split_option(std::string_view arg);
std::string group_help_line(const char* key, const char* value, const char* help);
std::string option_help_line(char letter, const char* name, const char* value, const char* help);
Error usage_error(std::string message);

/// y, yes, true, on, 1, nothing: true. n, no, false, off, 0: false.
Result<bool> parse_switch(std::string_view value);
/// A count of bytes with an optional K, M, G or T (powers of 1024; Ki, KiB and KB are taken too).
Result<uint64_t> parse_size(std::string_view value);
Result<uint64_t> parse_count(std::string_view value);
/// A count from 1 to `most`.
Result<uint64_t> parse_count_from_1(std::string_view value, uint64_t most);
/// A length of time: a number with ns, us, ms, s, m or h; seconds when there is no unit.
Result<std::chrono::nanoseconds> parse_duration(std::string_view value);
/// A length of time in the largest unit of which it is a whole number: "1500ms".
std::string duration_text(std::chrono::nanoseconds time);

template <class T>
std::string group_help(const OptionRow<T>& row) {
  std::string out = std::string("-") + row.letter + " KEY[=VALUE][,...]: " + row.help + "\n";
  for (const auto& key : row.keys) out += group_help_line(key.key, key.value, help_of(key).c_str());
  return out;
}

/// The rows by name alone, to find what somebody meant.
template <class T>
std::vector<KnownOption> known_options(std::span<const OptionRow<T>> rows) {
  std::vector<KnownOption> out;
  for (const auto& row : rows) {
    KnownOption& option = out.emplace_back(KnownOption{row.name, row.letter, {}, {}});
    for (const auto& key : row.keys) {
      option.keys.push_back(key.key);
      option.uses.push_back(key.value ? std::string(key.key) + "=" + key.value : std::string(key.key));
    }
  }
  return out;
}

template <class T>
Result<void> parse_group(std::span<const OptionRow<T>> rows, const OptionRow<T>& row, T& options, std::string_view list,
                         Parsed& parsed) {
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view item = list.substr(0, comma);
    const size_t equals = item.find('=');
    const std::string_view name = item.substr(0, equals);
    const std::string_view value = equals == item.npos ? std::string_view{} : item.substr(equals + 1);
    const GroupKey<T>* found = nullptr;
    for (const auto& key : row.keys) {
      if (name == key.key) found = &key;
    }
    if (name == "help") {
      parsed.group_help = group_help(row);
    } else if (!found) {
      return usage_error(std::string("-") + row.letter + " has no key '" + std::string(name) + "'" +
                         key_hint(row.letter, name, known_options(rows)) + " ('-" + row.letter + " help' lists them)");
    } else if (found->value && equals == item.npos) {
      return usage_error(std::string("-") + row.letter + " " + found->key + " needs a value: " + found->key + "=" +
                         found->value);
    } else if (auto set = found->set(options, value); !set) {
      return usage_error(std::string("-") + row.letter + " " + std::string(item) + ": " + set.error().message);
    }
    if (comma == list.npos) return {};
    list.remove_prefix(comma + 1);
  }
}

/// Parses `args` by `rows` into `options`. With `first_ends`, the first argument that is no option ends the parsing and
/// everything after it is left alone (a guest's arguments are the guest's).
template <class T>
Result<Parsed> parse(std::span<const OptionRow<T>> rows, T& options, Args args, bool first_ends) {
  Parsed parsed;
  size_t i = 0;
  bool options_over = false;
  for (; i < args.size(); ++i) {
    const OptionText text = split_option(args[i]);
    if (options_over || !text.is_option) {
      parsed.positional.emplace_back(args[i]);
      if (first_ends) {
        ++i;
        break;
      }
      continue;
    }
    if (text.ends) {
      options_over = true;
      continue;
    }
    if (text.name == "help" || (text.is_short && text.name == "h")) {
      parsed.help = true;
      continue;
    }
    const OptionRow<T>* row = nullptr;
    for (const auto& candidate : rows) {
      if (text.is_short ? text.name[0] == candidate.letter : text.name == candidate.name) row = &candidate;
    }
    if (!row) {
      const std::string_view arg = args[i];
      return usage_error("unknown option '" + std::string(arg) + "'" + option_hint(arg, known_options(rows)));
    }
    std::string_view value = text.value;
    if (row->value && !text.has_value) {
      if (i + 1 == args.size()) return usage_error("'" + std::string(args[i]) + "' needs a value: " + row->value);
      value = args[++i];
    } else if (!row->value && text.has_value) {
      return usage_error("'--" + std::string(row->name) + "' takes no value");
    }
    if (!row->keys.empty()) {
      if (auto group = parse_group(rows, *row, options, value, parsed); !group) return group.error();
    } else if (auto set = row->set(options, value); !set) {
      return usage_error("'--" + std::string(row->name) + "': " + set.error().message);
    }
  }
  parsed.rest = i;
  return parsed;
}

std::string markdown_row(const std::string& left, const char* help);

/// The rows as Markdown tables, groups after the options, for docs/cli.md.
template <class T>
std::string options_markdown(std::span<const OptionRow<T>> rows) {
  constexpr const char* kHead = "| option | |\n|---|---|\n";
  std::string out = kHead;
  for (const auto& row : rows) {
    std::string left = row.letter ? std::string("-") + row.letter + ", --" + row.name : std::string("--") + row.name;
    if (row.value) (left += ' ') += row.value;
    out += markdown_row(left, row.help);
  }
  for (const auto& row : rows) {
    if (row.keys.empty()) continue;
    out += std::string("\n`-") + row.letter + "`: " + row.help + "\n\n" + "| key | |\n|---|---|\n";
    for (const auto& key : row.keys) {
      out += markdown_row(std::string(key.key) + (key.value ? std::string("=") + key.value : "[=y|n]"),
                          help_of(key).c_str());
    }
  }
  return out;
}

/// One line per option, for `vmrun help COMMAND`.
template <class T>
std::string options_help(std::span<const OptionRow<T>> rows) {
  std::string out;
  for (const auto& row : rows) out += option_help_line(row.letter, row.name, row.value, row.help);
  return out;
}

}  // namespace vmrun::tools
