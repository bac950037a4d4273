#include "tools/page_request.h"

#include <arpa/inet.h>

#include <algorithm>

namespace vmrun::tools {
namespace {

const char* reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    case 505: return "HTTP Version Not Supported";
    default: return "Service Unavailable";
  }
}

/// Takes a line, without its end, from the front of `text`.
std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_named(std::string_view name, std::string_view wanted) {
  return std::ranges::equal(name, wanted, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

/// Whether a Host field names this machine as no other name can: an address, or localhost, with any port.
bool is_address_or_localhost(std::string_view host) {
  while (host.starts_with(' ') || host.starts_with('\t')) host.remove_prefix(1);
  while (host.ends_with(' ') || host.ends_with('\t')) host.remove_suffix(1);
  if (host.empty()) return true;  // as where there is none
  const bool v6 = host.starts_with('[');
  const size_t end = v6 ? host.find(']') : std::min(host.find(':'), host.size());
  if (end == host.npos) return false;
  const std::string name(host.substr(v6 ? 1 : 0, end - (v6 ? 1 : 0)));
  const std::string_view port = host.substr(v6 ? end + 1 : end);
  if (!port.empty() && (port[0] != ':' || port.find_first_not_of("0123456789", 1) != port.npos)) return false;
  in6_addr address;
  return ::inet_pton(v6 ? AF_INET6 : AF_INET, name.c_str(), &address) == 1 || (!v6 && is_named(name, "localhost"));
}

PageHead refused(int status, std::string why) { return {.status = status, .why = std::move(why), .request = {}}; }

PageHead parse_whole_head(std::string_view text) {
  const std::string_view line = take_line(text);
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == line.npos || first == last) return refused(400, "this is no HTTP request");
  const std::string_view method = line.substr(0, first), version = line.substr(last + 1);
  std::string_view target = line.substr(first + 1, last - first - 1);
  if (!version.starts_with("HTTP/")) return refused(400, "this is no HTTP request");
  if (!version.starts_with("HTTP/1.")) return refused(505, "HTTP/1.1 is spoken here");
  if (method != "GET" && method != "HEAD") return refused(405, "only GET and HEAD are answered");
  if (!target.starts_with('/') || target.find_first_of(" \t") != target.npos) return refused(400, "no path");
  PageHead out;
  out.no_body = method == "HEAD";
  const size_t mark = std::min(target.find('?'), target.size());
  out.request.path = target.substr(0, mark);
  out.request.query = target.substr(std::min(mark + 1, target.size()));
  while (!text.empty()) {
    const std::string_view field = take_line(text);
    const size_t colon = field.find(':');
    if (colon == field.npos) continue;
    const std::string_view name = field.substr(0, colon), value = field.substr(colon + 1);
    if (is_named(name, "accept")) out.request.open_metrics |= value.find("application/openmetrics-text") != value.npos;
    if (is_named(name, "host")) out.by_name |= !is_address_or_localhost(value);
  }
  return out;
}

}  // namespace

std::optional<PageHead> parse_page_head(std::string_view bytes, size_t most) {
  const std::string_view begin = bytes.substr(0, most);
  const size_t end = std::min(begin.find("\n\r\n"), begin.find("\n\n"));
  if (end != begin.npos) return parse_whole_head(begin.substr(0, end + 1));
  if (bytes.size() >= most) return refused(431, "the request is too long");
  return std::nullopt;
}

std::string page_answer(const Page& page, bool no_body) {
  std::string out = "HTTP/1.1 " + std::to_string(page.status) + " " + reason(page.status) + "\r\n";
  out += "Content-Type: " + page.type + "\r\nContent-Length: " + std::to_string(page.body.size()) + "\r\n";
  if (page.status == 405) out += "Allow: GET, HEAD\r\n";
  out += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
  if (!no_body) out += page.body;
  return out;
}

}  // namespace vmrun::tools
