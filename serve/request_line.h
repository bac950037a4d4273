// The first line of a request: method, target, version.
#pragma once

#include <cstdint>
#include <string_view>

#include "serve/http_text.h"

namespace vmrun::serve {

/// What the first line says. Views of the line, but for a path that the target leaves out: that is a literal.
struct RequestLine {
  std::string_view method;
  std::string_view path;       // begins with '/', or is "*"
  std::string_view query;      // without the '?'
  std::string_view authority;  // of an absolute target, else empty
  uint8_t minor = 1;           // 0 or 1
};

/// Reads the line, which is without its end and without control characters. Refuses with 400 what is no request line,
/// with 501 a method of more than 32 bytes and CONNECT, with 505 a version other than HTTP/1.x.
Refusal parse_request_line(std::string_view line, RequestLine& out);

/// True when `text` is "host", "host:port" or "[IPv6]:port" (RFC 3986, 3.2 without user information), the port maybe
/// empty and at most 65535. `host` becomes the part before the port, with its brackets. An empty text is one with an
/// empty host.
bool parse_authority(std::string_view text, std::string_view& host);

}  // namespace vmrun::serve
