#include "serve/request_line.h"

#include <algorithm>

namespace vmrun::serve {

namespace {

constexpr size_t kMethodBytes = 32;

bool holds_only(std::string_view text, bool (*allowed)(char)) { return std::all_of(text.begin(), text.end(), allowed); }

bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

/// What RFC 3986 allows in a query, and what browsers leave there as it is.
bool is_query_char(char c) { return is_visible(c) && !is_one_of(c, "\"#<>"); }

/// The same of a path, which is stricter: a backslash must not pass for a slash.
bool is_path_char(char c) { return is_query_char(c) && !is_one_of(c, "?\\^`{}"); }

bool is_host_char(char c) { return is_alnum(c) || is_one_of(c, "-._~%!$&'()*+,;="); }

bool is_address_char(char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; }

/// Divides "/path?query". An empty path stays empty.
bool parse_path_and_query(std::string_view text, RequestLine& out) {
  const size_t mark = std::min(text.find('?'), text.size());
  out.path = text.substr(0, mark);
  out.query = mark < text.size() ? text.substr(mark + 1) : std::string_view();
  return holds_only(out.path, is_path_char) && holds_only(out.query, is_query_char);
}

Refusal parse_absolute(std::string_view target, RequestLine& out) {
  constexpr std::string_view kScheme = "http://";
  if (!same_word(target.substr(0, kScheme.size()), kScheme)) return {400, "the target is neither a path nor http://"};
  target.remove_prefix(kScheme.size());
  const size_t end = std::min(target.find_first_of("/?"), target.size());
  out.authority = target.substr(0, end);
  std::string_view host;
  if (!parse_authority(out.authority, host) || host.empty()) return {400, "the target's host is malformed"};
  if (!parse_path_and_query(target.substr(end), out)) return {400, "the target has a character that no URI has"};
  if (out.path.empty()) out.path = out.method == "OPTIONS" && end == target.size() ? "*" : "/";
  return {};
}

Refusal parse_target(std::string_view target, RequestLine& out) {
  if (out.method == "CONNECT") return {501, "this server opens no tunnels"};
  if (target == "*") {
    out.path = target;
    return out.method == "OPTIONS" ? Refusal{} : Refusal{400, "only OPTIONS has the target *"};
  }
  if (target.front() != '/') return parse_absolute(target, out);
  if (!parse_path_and_query(target, out)) return {400, "the target has a character that no URI has"};
  return {};
}

Refusal parse_version(std::string_view text, RequestLine& out) {
  if (text.size() != 8 || !text.starts_with("HTTP/") || !is_digit(text[5]) || text[6] != '.' || !is_digit(text[7])) {
    return {400, "the request line ends in no HTTP version"};
  }
  if (text[5] != '1') return {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
  out.minor = text[7] == '0' ? 0 : 1;
  return {};
}

}  // namespace

Refusal parse_request_line(std::string_view line, RequestLine& out) {
  out = {};
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return {400, "the request line has no three parts"};
  out.method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, second - first - 1);
  if (!is_token(out.method)) return {400, "the method is no token"};
  if (target.empty()) return {400, "the target is empty"};
  if (Refusal refusal = parse_version(line.substr(second + 1), out)) return refusal;
  if (out.method.size() > kMethodBytes) return {501, "the method is longer than any that is known"};
  return parse_target(target, out);
}

bool parse_authority(std::string_view text, std::string_view& host) {
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || close < 3 || !holds_only(text.substr(1, close - 1), is_address_char)) {
      return false;
    }
    host = text.substr(0, close + 1);
  } else {
    host = text.substr(0, text.find(':'));
    if (!holds_only(host, is_host_char) || !escapes_are_valid(host)) return false;
  }
  text.remove_prefix(host.size());
  if (text.empty()) return true;
  if (text.front() != ':') return false;
  text.remove_prefix(1);
  return text.empty() || (text.size() <= 5 && parse_decimal(text).digits && parse_decimal(text).value <= 65535);
}

}  // namespace vmrun::serve
