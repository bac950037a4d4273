// What somebody may have meant: the nearest of the names there are, and what vmrun has for names of other engines.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vmrun::tools {

/// The candidate that differs from `name` in the fewest letters (one too many, missing, wrong, or two in the wrong
/// order; "_" is "-"), else one that begins with it. Nothing when all are too far off to be meant.
std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates);

/// "; the nearest is 'NAME'", or "" when there is none.
std::string nearest_hint(std::string_view name, std::span<const std::string_view> candidates);

/// The options of a command, as far as finding what was meant goes.
struct KnownOption {
  std::string_view name;
  char letter = 0;                     // of a group, or 0
  std::vector<std::string_view> keys;  // of a group
  std::vector<std::string> uses;       // how each key is written: "tier=TIER"
};

/// What to append to the message about the option `text` (as on the command line, "--evn=x" or "-mount"), which is none
/// of `known`: what to use instead, or "".
std::string option_hint(std::string_view text, std::span<const KnownOption> known);

/// The same for `key`, which group `letter` of `known` does not have.
std::string key_hint(char letter, std::string_view key, std::span<const KnownOption> known);

/// The same for `name` in place of a command, where `commands` are those there are.
std::string command_hint(std::string_view name, std::span<const std::string_view> commands);

}  // namespace vmrun::tools
