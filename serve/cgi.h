// What a guest learns of a request: the variables of the Common Gateway Interface (RFC 3875, 4.1). The guest reads the
// body, without its transfer coding, from its standard input, and writes its answer to its standard output
// (cgi_output.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http_request.h"
#include "serve/http_text.h"

namespace vmrun::serve {

/// What the server knows beside the request.
struct CgiServer {
  std::string_view software = "vmrun";  // SERVER_SOFTWARE
  std::string_view name;                // SERVER_NAME where the request names no host: the address listened on
  uint16_t port = 0;                    // SERVER_PORT: the port listened on
  std::string_view remote_addr;         // REMOTE_ADDR: the client's address without port or brackets
  std::optional<uint64_t> body_bytes;   // CONTENT_LENGTH of a chunked body, where it was read before the guest starts
};

/// One variable of the guest's environment. Names are unique; values hold no NUL, but maybe bytes that are not UTF-8.
struct Variable {
  std::string name;
  std::string value;
};

/// Appends to `out` the variables of a request. They are, in this order:
///  - GATEWAY_INTERFACE, SERVER_SOFTWARE, SERVER_NAME, SERVER_PORT, SERVER_PROTOCOL, REMOTE_ADDR, REQUEST_METHOD;
///  - SCRIPT_NAME, empty: the guest answers for all paths;
///  - PATH_INFO, the path with its escapes decoded, and empty for `OPTIONS *`; dot segments stay;
///  - QUERY_STRING, as it was sent, maybe empty;
///  - CONTENT_LENGTH where there is a body whose length is known: without it a guest reads to the end of its input;
///  - CONTENT_TYPE where the request has one;
///  - HTTP_NAME for each other field `Name`, '-' written '_'. Fields of the same name make one variable: values are
///    joined by ", ", those of Cookie by "; ". HTTP_HOST is the host that counts, which is an absolute target's.
///    Left out are `Proxy` (HTTP_PROXY means something else to many programs), names with a character other than
///    letters, digits and '-' (X_A and X-A would be the same), Content-Length, Expect and the fields of the connection
///    (is_hop_by_hop). Authorization is passed on: it is the guest who checks it.
/// The size of it all is bounded by the request's head. The cost grows with the square of the number of fields, which
/// RequestLimits::fields bounds. Refuses with 400 a path with a malformed escape or with %00; `out` is then unchanged.
[[nodiscard]] Refusal cgi_variables(const Request& request, const CgiServer& server, std::vector<Variable>& out);

/// Replaces each %XX in `text` by its byte; '+' stays. Nothing where an escape is malformed or stands for NUL.
std::optional<std::string> decode_path(std::string_view text);

}  // namespace vmrun::serve
