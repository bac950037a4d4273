// What a guest answers: header lines, an empty line, a body (RFC 3875, 6), out of bytes as they come.
//
//   document   Content-Type: text/plain     [Status: 404 Not Found]
//   redirect   Location: /elsewhere         the client is sent there with 302, or with the Status beside it
//
// A guest's lines end in LF or CR LF. What follows the empty line is the body; it is passed on as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "serve/http_head.h"
#include "serve/http_text.h"

namespace vmrun::serve {

/// What the head of a guest's answer may cost. Beyond a limit it is refused with 502.
struct OutputLimits {
  uint32_t head_bytes = 64 * 1024;  // line ends counted
  uint32_t fields = 200;            // header lines
};

/// An answer without its body: what http_reply.h writes. Views of the parser that made it, or of literals.
struct Reply {
  uint16_t status = 200;                   // 200 to 599
  std::string_view reason;                 // the words behind the status; may be empty
  std::span<const Field> fields;           // Content-Type, Location and others, in the guest's order, repeated as there
  std::optional<uint64_t> content_length;  // what the guest's Content-Length says, which is none of the fields
};

/// Reads the head of one answer. Memory: OutputLimits::head_bytes from the first byte on, and at most two Fields for
/// each line. Not to be moved: the reply points into it. One thread at a time.
///
/// What is no such answer is refused with 502: a line that is no field; a control character; neither Content-Type nor
/// Status nor Location; one of these, or Content-Length, twice; a Status that is not 200 to 599; a Location that is empty
/// or holds anything but visible ASCII; an end before the empty line. Dropped are the fields of the connection (is_hop_by_hop):
/// the server frames the answer.
class CgiOutput {
 public:
  enum class State : uint8_t {
    Reading,  // wants more bytes
    Done,     // reply() is complete; the bytes that were not taken are the body's
    Refused,  // refusal() says why
  };

  explicit CgiOutput(const OutputLimits& limits = {});
  CgiOutput(const CgiOutput&) = delete;
  CgiOutput& operator=(const CgiOutput&) = delete;

  /// Takes bytes until the head is complete or refused, and says how many. Done and Refused take none.
  size_t feed(std::string_view bytes);
  /// The guest writes nothing more. Refuses the answer where its head is incomplete.
  void end();
  State state() const { return state_; }
  /// State::Done: the answer's head. Holds while the parser lives.
  const Reply& reply() const { return reply_; }
  /// State::Refused: 502, and why.
  const Refusal& refusal() const { return refusal_; }

 private:
  Refusal take_line(Head::Got got);
  Refusal finish();
  Refusal add_field(const Field& field);
  Head head_;
  State state_ = State::Reading;
  bool has_status_ = false, has_type_ = false, has_location_ = false;
  std::vector<Field> passed_;  // the fields that go to the client
  Reply reply_;
  Refusal refusal_;
};

}  // namespace vmrun::serve
