#include "serve/http_request.h"

#include <optional>

#include "serve/request_line.h"

namespace vmrun::serve {

namespace {

/// What the fields say about the message, gathered in one pass over them.
struct FramingFields {
  unsigned hosts = 0;
  std::string_view host;
  bool has_length = false, has_coding = false, coding_known = true;
  bool chunked = false;  // `chunked` was the last coding so far
  uint64_t length = 0;
  bool close = false, keep_alive = false;
  bool expect_continue = false;
};

Refusal add_length(std::string_view value, FramingFields& framing) {
  std::optional<std::string_view> list = value;
  while (auto member = next_member(list)) {
    const Decimal number = parse_decimal(*member);
    if (!number.digits) return {400, "Content-Length is no number"};
    if (framing.has_length && framing.length != number.value) return {400, "two Content-Length differ"};
    framing.has_length = true;
    framing.length = number.value;
  }
  return {};
}

/// Only `chunked`, once and last, tells where a request ends (RFC 9112, 6.3).
Refusal add_coding(std::string_view value, FramingFields& framing) {
  framing.has_coding = true;
  std::optional<std::string_view> list = value;
  while (auto member = next_member(list)) {
    if (framing.chunked) return {400, "a transfer coding stands behind chunked"};
    if (same_word(*member, "chunked")) {
      framing.chunked = true;
    } else if (is_token(*member)) {
      framing.coding_known = false;
    } else {
      return {400, "Transfer-Encoding is malformed"};
    }
  }
  return {};
}

Refusal add_expectation(std::string_view value, FramingFields& framing) {
  std::optional<std::string_view> list = value;
  while (auto member = next_member(list)) {
    if (member->empty()) continue;
    if (!same_word(*member, "100-continue")) return {417, "the only known expectation is 100-continue"};
    framing.expect_continue = true;
  }
  return {};
}

void add_connection(std::string_view value, FramingFields& framing) {
  std::optional<std::string_view> list = value;
  while (auto member = next_member(list)) {
    if (same_word(*member, "close")) framing.close = true;
    if (same_word(*member, "keep-alive")) framing.keep_alive = true;
  }
}

Refusal add_framing(const Field& field, FramingFields& framing) {
  if (same_word(field.name, "content-length")) return add_length(field.value, framing);
  if (same_word(field.name, "transfer-encoding")) return add_coding(field.value, framing);
  if (same_word(field.name, "expect")) return add_expectation(field.value, framing);
  if (same_word(field.name, "connection")) add_connection(field.value, framing);
  if (same_word(field.name, "host")) {
    framing.host = field.value;
    ++framing.hosts;
  }
  return {};
}

Refusal refusal_of(Head::Got got, bool in_first_line) {
  switch (got) {
    case Head::Got::TooLong:
      return in_first_line ? Refusal{414, "the request line is too long"} : Refusal{431, "the head is too long"};
    case Head::Got::Control: return {400, "a control character stands in the head"};
    case Head::Got::BareCr: return {400, "a carriage return stands without a line feed"};
    case Head::Got::BareLf: return {400, "a line feed stands without a carriage return"};
    case Head::Got::Nothing:
    case Head::Got::Line: break;
  }
  return {};
}

Refusal refusal_of(Head::Added added) {
  switch (added) {
    case Head::Added::TooMany: return {431, "there are too many header fields"};
    case Head::Added::Folded: return {400, "a header line begins with white space"};
    case Head::Added::NoColon: return {400, "a header line has no colon"};
    case Head::Added::BadName: return {400, "a header name is no token"};
    case Head::Added::Field: break;
  }
  return {};
}

}  // namespace

const Field* Request::find(std::string_view name) const {
  for (const Field& field : fields) {
    if (same_word(field.name, name)) return &field;
  }
  return nullptr;
}

RequestParser::RequestParser(const RequestLimits& limits)
    : limits_(limits), head_(limits.head_bytes, limits.fields, Head::LineEnd::CrLf) {}

size_t RequestParser::feed(std::string_view bytes) {
  std::string_view rest = bytes;
  while (state_ == State::Reading) {
    const Head::Got got = head_.take(rest, started_ ? UINT32_MAX : limits_.line_bytes);
    if (got == Head::Got::Nothing) break;
    refusal_ = take_line(got);
    if (refusal_) state_ = State::Refused;
  }
  return bytes.size() - rest.size();
}

Refusal RequestParser::take_line(Head::Got got) {
  if (got != Head::Got::Line) return refusal_of(got, !started_);
  const std::string_view line = head_.line();
  if (started_) return line.empty() ? finish() : refusal_of(head_.add_field());
  // One empty line may come before a request: some clients send one behind a body (RFC 9112, 2.2).
  if (line.empty()) {
    if (skipped_) return {400, "the request line is empty"};
    skipped_ = true;
    return {};
  }
  RequestLine first;
  if (Refusal refusal = parse_request_line(line, first)) return refusal;
  started_ = true;
  request_.method = first.method;
  request_.path = first.path;
  request_.query = first.query;
  request_.authority = first.authority;
  request_.minor = first.minor;
  return {};
}

Refusal RequestParser::finish() {
  FramingFields framing;
  request_.fields = head_.fields();
  for (const Field& field : request_.fields) {
    if (Refusal refusal = add_framing(field, framing)) return refusal;
  }

  if (framing.hosts > 1) return {400, "there is more than one Host"};
  if (framing.hosts == 0 && request_.minor > 0) return {400, "HTTP/1.1 wants a Host"};
  if (!parse_authority(framing.host, request_.host)) return {400, "Host is malformed"};
  // An absolute target outweighs Host (RFC 9112, 3.2.2).
  if (request_.authority.empty()) request_.authority = framing.host;
  parse_authority(request_.authority, request_.host);

  if (framing.has_coding) {
    if (framing.has_length) return {400, "Content-Length and Transfer-Encoding exclude each other"};
    if (request_.minor == 0) return {400, "HTTP/1.0 has no Transfer-Encoding"};
    if (!framing.chunked) return {400, "the last transfer coding is not chunked"};
    if (!framing.coding_known) return {501, "the only known transfer coding is chunked"};
    request_.body = BodyKind::Chunked;
  } else if (framing.has_length) {
    if (framing.length > limits_.body_bytes) return {413, "the body is too long"};
    request_.body = BodyKind::Length;
    request_.content_length = framing.length;
  }

  request_.keep_alive = !framing.close && (request_.minor > 0 || framing.keep_alive);
  const bool has_body =
      request_.body == BodyKind::Chunked || (request_.body == BodyKind::Length && request_.content_length > 0);
  request_.expect_continue = framing.expect_continue && has_body && request_.minor > 0;
  state_ = State::Done;
  return {};
}

void RequestParser::reset() {
  head_.reset();
  state_ = State::Reading;
  started_ = skipped_ = false;
  request_ = {};
  refusal_ = {};
}

}  // namespace vmrun::serve
