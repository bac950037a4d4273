// The body of a request (RFC 9112, 6 and 7.1), out of bytes as they come. Nothing is copied and nothing allocated: what
// comes out are spans of what went in.
//
// The chunked coding is read as strictly as the head (http_request.h): lines end in CR LF, sizes are hexadecimal digits,
// extensions and trailers are bounded, checked for what could end a line early, and dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "serve/http_request.h"
#include "serve/http_text.h"

namespace vmrun::serve {

/// What a body may cost. Beyond a limit it is refused with the status that is named.
struct BodyLimits {
  uint64_t body_bytes = 64ull << 20;     // data: 413, as soon as its length is known
  uint32_t extension_bytes = 16 * 1024;  // extensions of all chunks together: 413
  uint32_t trailer_bytes = 8 * 1024;     // trailer lines and the empty line, ends counted: 431
};

/// Decodes one body. Cheap to copy. One thread at a time.
class BodyDecoder {
 public:
  /// What one call did.
  struct Step {
    size_t taken = 0;       // bytes of the input that are used up
    std::string_view data;  // the body's next bytes, a part of those taken; may be empty
  };

  /// Begins with the body that `request` announces.
  explicit BodyDecoder(const Request& request, const BodyLimits& limits = {})
      : BodyDecoder(request.body, request.content_length, limits) {}
  /// `length` counts for BodyKind::Length only.
  BodyDecoder(BodyKind kind, uint64_t length, const BodyLimits& limits = {});

  /// Takes a part of `bytes`, at most up to the end of one span of data. Call it again with the rest until the rest is
  /// empty, or done(), or refusal(): until then each call takes a byte or more. Bytes behind the body stay.
  Step decode(std::string_view bytes);

  /// The body is complete. A connection that ends before cut it short.
  bool done() const { return state_ == State::Done; }
  /// Why the body was refused: 400, 413 or 431. The connection is of no further use.
  const Refusal& refusal() const { return refusal_; }
  /// Bytes of data given out so far.
  uint64_t total() const { return total_; }

 private:
  enum class State : uint8_t {
    Size,        // first digit of a chunk's size
    SizeDigits,  // further digits
    Blank,       // white space behind the size: an extension must follow
    Extension,   // behind the ';'
    SizeLf,      // behind the CR of a size line
    Data,        // data of a chunk, or of a body with a length
    DataCr,      // behind a chunk's data
    DataLf,
    TrailerStart,  // first byte of a trailer line
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,  // behind the CR of the empty line that ends the body
    Done,
    Refused,
  };

  void take_framing(char c);
  void take_size_digit(int digit);
  void refuse(uint16_t status, std::string_view reason);
  Step take_data(std::string_view bytes, size_t skipped);

  BodyLimits limits_;
  State state_;
  bool chunked_;
  uint8_t digits_ = 0;      // digits of this chunk's size
  uint32_t extension_ = 0;  // bytes of extensions so far
  uint32_t trailer_ = 0;    // bytes of trailers so far
  uint64_t left_ = 0;       // bytes that the chunk, or the body with a length, has left
  uint64_t total_ = 0;
  Refusal refusal_;
};

}  // namespace vmrun::serve
