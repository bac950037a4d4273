#include "serve/http_text.h"

#include <algorithm>
#include <limits>

namespace vmrun::serve {

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char); }

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool escapes_are_valid(std::string_view text) {
  for (size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
    if (text.size() - at < 3 || hex_value(text[at + 1]) < 0 || hex_value(text[at + 2]) < 0) return false;
  }
  return true;
}

Decimal parse_decimal(std::string_view text) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  Decimal out;
  for (char c : text) {
    if (!is_digit(c)) return {};
    const auto digit = static_cast<uint64_t>(c - '0');
    out.value = out.value > (kMost - digit) / 10 ? kMost : out.value * 10 + digit;
  }
  out.digits = !text.empty();
  return out;
}

std::optional<std::string_view> next_member(std::optional<std::string_view>& list) {
  if (!list) return std::nullopt;
  const size_t comma = list->find(',');
  const std::string_view member = trim(list->substr(0, comma));
  if (comma == std::string_view::npos) {
    list.reset();
  } else {
    list->remove_prefix(comma + 1);
  }
  return member;
}

bool is_hop_by_hop(std::string_view name) {
  constexpr std::string_view kNames[] = {"connection", "keep-alive",        "proxy-connection", "te",
                                         "trailer",    "transfer-encoding", "upgrade"};
  return std::any_of(std::begin(kNames), std::end(kNames), [name](std::string_view n) { return same_word(n, name); });
}

}  // namespace vmrun::serve
