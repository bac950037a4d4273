#include "serve/cgi.h"

#include <algorithm>
#include <utility>

namespace vmrun::serve {

namespace {

constexpr std::string_view kPrefix = "HTTP_";

/// True for a field that becomes an HTTP_ variable.
bool is_passed_on(std::string_view name) {
  for (std::string_view other : {"proxy", "content-length", "content-type", "host", "expect"}) {
    if (same_word(name, other)) return false;
  }
  return !is_hop_by_hop(name) && std::all_of(name.begin(), name.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

std::string variable_name(std::string_view field) {
  std::string name(kPrefix);
  for (char c : field) name += c == '-' ? '_' : to_upper(c);
  return name;
}

/// Adds the field's value to the variable `name`, one of those from `first` on or a new one.
void join(std::vector<Variable>& out, size_t first, std::string name, const Field& field) {
  const auto at = std::find_if(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                               [&](const Variable& variable) { return variable.name == name; });
  if (at == out.end()) {
    out.push_back({std::move(name), std::string(field.value)});
    return;
  }
  at->value += same_word(field.name, "cookie") ? "; " : ", ";
  at->value += field.value;
}

}  // namespace

std::optional<std::string> decode_path(std::string_view text) {
  if (!escapes_are_valid(text)) return std::nullopt;
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      c = static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    out += c;
  }
  return out;
}

Refusal cgi_variables(const Request& request, const CgiServer& server, std::vector<Variable>& out) {
  std::optional<std::string> path = decode_path(request.path == "*" ? std::string_view() : request.path);
  if (!path) return {400, "the path has a malformed escape"};

  const auto set = [&out](std::string_view name, std::string_view value) {
    out.push_back({std::string(name), std::string(value)});
  };
  const size_t first = out.size();
  set("GATEWAY_INTERFACE", "CGI/1.1");
  set("SERVER_SOFTWARE", server.software);
  set("SERVER_NAME", request.host.empty() ? server.name : request.host);
  set("SERVER_PORT", std::to_string(server.port));
  set("SERVER_PROTOCOL", request.minor == 0 ? "HTTP/1.0" : "HTTP/1.1");
  set("REMOTE_ADDR", server.remote_addr);
  set("REQUEST_METHOD", request.method);
  set("SCRIPT_NAME", "");
  set("PATH_INFO", *path);
  set("QUERY_STRING", request.query);
  if (request.body == BodyKind::Length) {
    set("CONTENT_LENGTH", std::to_string(request.content_length));
  } else if (request.body == BodyKind::Chunked && server.body_bytes) {
    set("CONTENT_LENGTH", std::to_string(*server.body_bytes));
  }
  if (!request.authority.empty()) set("HTTP_HOST", request.authority);
  for (const Field& field : request.fields) {
    if (same_word(field.name, "content-type")) {
      join(out, first, "CONTENT_TYPE", field);
    } else if (is_passed_on(field.name)) {
      join(out, first, variable_name(field.name), field);
    }
  }
  return {};
}

}  // namespace vmrun::serve
