// The small words of HTTP: which bytes may stand where, numbers, lists, and what a refusal is. Pure functions; none
// allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace vmrun::serve {

/// Why a message was refused: the status to answer with and a short reason in plain words, a literal, which names no
/// byte of the message. Status 0 says that nothing was refused; `if (refusal)` asks.
struct Refusal {
  uint16_t status = 0;
  std::string_view reason;
  explicit operator bool() const { return status != 0; }
};

/// One header field: a name, which is a token, and a value without white space around it. Views of the text that the
/// parser holds.
struct Field {
  std::string_view name;
  std::string_view value;
};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
constexpr bool is_alnum(char c) { return is_digit(c) || is_alpha(c); }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
/// Printable ASCII without the space.
constexpr bool is_visible(char c) { return c > ' ' && c < '\x7f'; }
/// A byte that may stand in no line: a control character other than the tab.
constexpr bool is_control(char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f'; }
/// A byte of a token (RFC 9110, 5.6.2).
constexpr bool is_token_char(char c) {
  return is_alnum(c) || (is_visible(c) && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
/// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// True for one token byte or more.
bool is_token(std::string_view text);
/// True when both are the same but for the case of ASCII letters.
bool same_word(std::string_view a, std::string_view b);
/// `text` without spaces and tabs at both ends.
std::string_view trim(std::string_view text);
/// True when each '%' in `text` is followed by two hexadecimal digits.
bool escapes_are_valid(std::string_view text);

/// A decimal number as HTTP writes lengths.
struct Decimal {
  bool digits = false;  // the text is one digit or more and nothing else
  uint64_t value = 0;   // the number, or UINT64_MAX where it is greater
};
Decimal parse_decimal(std::string_view text);

/// Takes the next member off a list with commas: what stands before the first comma, trimmed, maybe empty. Nothing once
/// the list has ended. A quoted string is no exception: its commas divide too.
std::optional<std::string_view> next_member(std::optional<std::string_view>& list);

/// True for a field that concerns one connection only, or the framing of its messages (RFC 9110, 7.6.1): Connection,
/// Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade.
bool is_hop_by_hop(std::string_view name);

}  // namespace vmrun::serve
