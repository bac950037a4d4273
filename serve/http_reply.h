// Answers as bytes: the head, the framing of the body, and what the server answers on its own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "serve/cgi_output.h"
#include "serve/http_text.h"

namespace vmrun::serve {

/// How a body is sent behind its head.
enum class Framing : uint8_t {
  None,        // not at all: what the guest writes is dropped
  Length,      // as it is, exactly ReplyContext::body_bytes
  Chunked,     // each piece between chunk_head() and kChunkEnd, kLastChunk last
  UntilClose,  // as it is; the end of the connection ends it
};

/// What an answer depends on beside itself.
struct ReplyContext {
  uint8_t minor = 1;                   // of the request: HTTP/1.minor
  bool head = false;                   // the request's method is HEAD
  bool keep_alive = false;             // client and server want to keep the connection
  std::string_view date;               // for the Date field, such as "Sun, 06 Nov 1994 08:49:37 GMT"; empty for none
  std::optional<uint64_t> body_bytes;  // the body's length, where the guest has written all of it
};

/// How to go on behind the head.
struct ReplyPlan {
  Framing framing = Framing::None;
  bool keep_alive = false;  // false: the connection is to be closed behind the answer
};

/// Sent when a body is wanted for which the client waits (Request::expect_continue).
inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
/// Behind the data of each chunk.
inline constexpr std::string_view kChunkEnd = "\r\n";
/// Behind the last chunk.
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// The bytes before a chunk's data of `size` bytes, which is not 0: a chunk of no bytes would end the body. They are
/// written into `buffer`.
std::string_view chunk_head(uint64_t size, std::span<char, 18> buffer);

/// Appends the head of an answer to `out`: status line, the reply's fields, Date where the guest wrote none, Connection
/// where it is not as the client expects, and the body's framing. An answer to HEAD, a 204 and a 304 have no body, a 205
/// has an empty one. The guest's Content-Length is sent to HEAD only, and only where the guest wrote no body; elsewhere
/// the length is that of the body, or the body is chunked, or, for HTTP/1.0, ends with the connection.
ReplyPlan write_head(const Reply& reply, const ReplyContext& context, std::string& out);

/// Appends a whole answer to `out` that says in one line of plain text why a request, or a guest's answer, was refused.
/// Of the context, body_bytes does not count. Returns whether the connection can be kept.
bool write_refusal(const Refusal& refusal, const ReplyContext& context, std::string& out);

/// The usual words for a status, such as "Not Found"; those of its class where it has none of its own.
std::string_view status_text(uint16_t status);

}  // namespace vmrun::serve
