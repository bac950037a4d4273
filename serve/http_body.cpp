#include "serve/http_body.h"

#include <algorithm>

namespace vmrun::serve {

namespace {
constexpr uint8_t kSizeDigits = 16;  // leading zeros count
}

BodyDecoder::BodyDecoder(BodyKind kind, uint64_t length, const BodyLimits& limits)
    : limits_(limits), state_(State::Done), chunked_(kind == BodyKind::Chunked) {
  if (chunked_) state_ = State::Size;
  if (kind != BodyKind::Length || length == 0) return;
  left_ = length;
  state_ = State::Data;
  if (length > limits_.body_bytes) refuse(413, "the body is too long");
}

BodyDecoder::Step BodyDecoder::decode(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size() && state_ != State::Done && state_ != State::Refused) {
    if (state_ == State::Data) return take_data(bytes, at);
    take_framing(bytes[at++]);
  }
  return {at, {}};
}

BodyDecoder::Step BodyDecoder::take_data(std::string_view bytes, size_t skipped) {
  const auto size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size() - skipped));
  left_ -= size;
  total_ += size;
  if (left_ == 0) state_ = chunked_ ? State::DataCr : State::Done;
  return {skipped + size, bytes.substr(skipped, size)};
}

void BodyDecoder::take_size_digit(int digit) {
  const auto value = static_cast<uint64_t>(digit);
  const uint64_t most = limits_.body_bytes - total_;
  if (digits_ == kSizeDigits) return refuse(400, "a chunk's size has too many digits");
  if (left_ > most / 16 || value > most - left_ * 16) return refuse(413, "the body is too long");
  left_ = left_ * 16 + value;
  ++digits_;
  state_ = State::SizeDigits;
}

void BodyDecoder::take_framing(char c) {
  if (state_ >= State::TrailerStart && ++trailer_ > limits_.trailer_bytes) {
    return refuse(431, "the trailer is too long");
  }
  switch (state_) {
    case State::Size:
      if (hex_value(c) < 0) return refuse(400, "a chunk's size is no number");
      left_ = digits_ = 0;
      return take_size_digit(hex_value(c));
    case State::SizeDigits:
      if (hex_value(c) >= 0) return take_size_digit(hex_value(c));
      if (c == '\r') return void(state_ = State::SizeLf);
      [[fallthrough]];
    case State::Blank:
      if (!is_blank(c) && c != ';') return refuse(400, "neither a line end nor an extension follows a chunk's size");
      if (++extension_ > limits_.extension_bytes) return refuse(413, "the extensions of chunks are too long");
      return void(state_ = c == ';' ? State::Extension : State::Blank);
    case State::Extension:
      if (c == '\r') return void(state_ = State::SizeLf);
      if (is_control(c)) return refuse(400, "a control character stands in a chunk's extension");
      if (++extension_ > limits_.extension_bytes) return refuse(413, "the extensions of chunks are too long");
      return;
    case State::SizeLf:
      if (c != '\n') return refuse(400, "a carriage return stands without a line feed");
      return void(state_ = left_ > 0 ? State::Data : State::TrailerStart);
    case State::DataCr:
      if (c != '\r') return refuse(400, "a chunk is longer than its size");
      return void(state_ = State::DataLf);
    case State::DataLf:
      if (c != '\n') return refuse(400, "a chunk is longer than its size");
      return void(state_ = State::Size);
    case State::TrailerStart:
      if (c == '\r') return void(state_ = State::LastLf);
      if (!is_token_char(c)) return refuse(400, "a trailer name is no token");
      return void(state_ = State::TrailerName);
    case State::TrailerName:
      if (c == ':') return void(state_ = State::TrailerValue);
      if (!is_token_char(c)) return refuse(400, "a trailer name is no token");
      return;
    case State::TrailerValue:
      if (c == '\r') return void(state_ = State::TrailerLf);
      if (is_control(c)) return refuse(400, "a control character stands in the trailer");
      return;
    case State::TrailerLf:
    case State::LastLf:
      if (c != '\n') return refuse(400, "a carriage return stands without a line feed");
      return void(state_ = state_ == State::LastLf ? State::Done : State::TrailerStart);
    case State::Data:
    case State::Done:
    case State::Refused: return;
  }
}

void BodyDecoder::refuse(uint16_t status, std::string_view reason) {
  refusal_ = {status, reason};
  state_ = State::Refused;
}

}  // namespace vmrun::serve
