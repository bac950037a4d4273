// The head of an HTTP/1.1 request (RFC 9110, RFC 9112), out of bytes as they come.
//
// The parser is strict, because what one server takes for a body another takes for the next request: a head that two
// readers could read differently is refused. That is: lines end in CR LF and in nothing else; no line continues another;
// no white space stands before a colon; a length and a transfer coding exclude each other; two lengths are equal;
// `chunked` is the one transfer coding; HTTP/1.1 has one Host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "serve/http_head.h"
#include "serve/http_text.h"

namespace vmrun::serve {

/// What a request may cost. Beyond a limit it is refused with the status that is named.
struct RequestLimits {
  uint32_t head_bytes = 16 * 1024;    // the whole head, line ends counted: 431
  uint32_t line_bytes = 8 * 1024;     // the request line with its end: 414
  uint32_t fields = 100;              // header fields: 431
  uint64_t body_bytes = 64ull << 20;  // what Content-Length may say: 413
};

/// How the end of a request's body is known.
enum class BodyKind : uint8_t {
  None,     // there is no body
  Length,   // it has `content_length` bytes, maybe none
  Chunked,  // it is in the chunked transfer coding
};

/// A request's head. Views point into the parser.
struct Request {
  std::string_view method;     // a token, as it was sent: methods differ by case
  std::string_view path;       // begins with '/'; "*" for `OPTIONS *`. Escapes (%2F) are as they were sent
  std::string_view query;      // what stands behind the '?', as it was sent
  std::string_view authority;  // host[:port] of an absolute target, else the Host field; may be empty
  std::string_view host;       // the authority without the port; an IPv6 address keeps its brackets
  uint8_t minor = 1;           // HTTP/1.minor: 0 or 1. A higher one counts as 1 (RFC 9110, 2.5)
  std::span<const Field> fields;
  BodyKind body = BodyKind::None;
  uint64_t content_length = 0;   // BodyKind::Length: bytes of the body
  bool keep_alive = false;       // the client wants to send another request on this connection
  bool expect_continue = false;  // the client waits for `100 Continue` before it sends the body

  /// The first field of that name in any case of letters, or nullptr.
  const Field* find(std::string_view name) const;
};

/// Reads one head after the other from one connection. Memory: RequestLimits::head_bytes from the first byte on, and a
/// Field for each that was sent. Not to be moved: the request points into it. One thread at a time.
class RequestParser {
 public:
  enum class State : uint8_t {
    Reading,  // wants more bytes
    Done,     // request() is complete; the bytes that were not taken are the body's or the next request's
    Refused,  // refusal() says why. The connection is of no further use: nobody knows where a next request begins
  };

  explicit RequestParser(const RequestLimits& limits = {});
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Takes bytes until the head is complete or refused, and says how many. Done and Refused take none.
  size_t feed(std::string_view bytes);
  State state() const { return state_; }
  /// True while nothing of a request has come: a connection that ends here has ended well.
  bool idle() const { return state_ == State::Reading && head_.size() == (skipped_ ? 2 : 0); }
  /// State::Done: the request. Holds until reset().
  const Request& request() const { return request_; }
  /// State::Refused: 400, 413, 414, 417, 431, 501 or 505, and why.
  const Refusal& refusal() const { return refusal_; }
  /// Waits for the next head.
  void reset();

 private:
  Refusal take_line(Head::Got got);
  Refusal finish();
  RequestLimits limits_;
  Head head_;
  State state_ = State::Reading;
  bool started_ = false;  // the request line is complete
  bool skipped_ = false;  // an empty line came before it
  Request request_;
  Refusal refusal_;
};

}  // namespace vmrun::serve
