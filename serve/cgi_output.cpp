#include "serve/cgi_output.h"

#include <algorithm>

namespace vmrun::serve {

namespace {

constexpr uint16_t kBadGateway = 502;

/// Reads "404" or "404 Not Found".
bool parse_status(std::string_view value, Reply& reply) {
  if (value.size() < 3 || (value.size() > 3 && !is_blank(value[3]))) return false;
  const Decimal code = parse_decimal(value.substr(0, 3));
  if (!code.digits || code.value < 200 || code.value > 599) return false;
  reply.status = static_cast<uint16_t>(code.value);
  reply.reason = trim(value.substr(3));
  return true;
}

/// Notes that a field was seen; false where it had been seen before.
bool first_time(bool& seen) {
  const bool first = !seen;
  seen = true;
  return first;
}

std::string_view reason_of(Head::Got got) {
  switch (got) {
    case Head::Got::TooLong: return "the guest's header is too long";
    case Head::Got::Control: return "a control character stands in the guest's header";
    case Head::Got::BareCr: return "a carriage return stands without a line feed in the guest's header";
    case Head::Got::BareLf:
    case Head::Got::Nothing:
    case Head::Got::Line: break;
  }
  return {};
}

std::string_view reason_of(Head::Added added) {
  switch (added) {
    case Head::Added::TooMany: return "the guest wrote too many header lines";
    case Head::Added::Folded: return "a header line of the guest begins with white space";
    case Head::Added::NoColon: return "a header line of the guest has no colon";
    case Head::Added::BadName: return "a header name of the guest is no token";
    case Head::Added::Field: break;
  }
  return {};
}

}  // namespace

CgiOutput::CgiOutput(const OutputLimits& limits) : head_(limits.head_bytes, limits.fields, Head::LineEnd::CrLfOrLf) {}

size_t CgiOutput::feed(std::string_view bytes) {
  std::string_view rest = bytes;
  while (state_ == State::Reading) {
    const Head::Got got = head_.take(rest);
    if (got == Head::Got::Nothing) break;
    refusal_ = take_line(got);
    if (refusal_) state_ = State::Refused;
  }
  return bytes.size() - rest.size();
}

void CgiOutput::end() {
  if (state_ != State::Reading) return;
  refusal_ = {kBadGateway, head_.size() == 0 ? "the guest wrote nothing" : "the guest's header has no end"};
  state_ = State::Refused;
}

Refusal CgiOutput::take_line(Head::Got got) {
  if (got != Head::Got::Line) return {kBadGateway, reason_of(got)};
  if (head_.line().empty()) return finish();
  const Head::Added added = head_.add_field();
  return added == Head::Added::Field ? Refusal{} : Refusal{kBadGateway, reason_of(added)};
}

Refusal CgiOutput::finish() {
  for (const Field& field : head_.fields()) {
    if (Refusal refusal = add_field(field)) return refusal;
  }
  if (!has_status_ && !has_type_ && !has_location_) {
    return {kBadGateway, "the guest named neither Content-Type nor Status nor Location"};
  }
  if (has_location_ && !has_status_) reply_.status = 302;
  reply_.fields = passed_;
  state_ = State::Done;
  return {};
}

Refusal CgiOutput::add_field(const Field& field) {
  if (same_word(field.name, "status")) {
    if (!first_time(has_status_)) return {kBadGateway, "the guest wrote two Status"};
    if (!parse_status(field.value, reply_)) return {kBadGateway, "the guest's Status is not 200 to 599"};
    return {};
  }
  if (same_word(field.name, "content-length")) {
    const Decimal length = parse_decimal(field.value);
    if (!length.digits) return {kBadGateway, "the guest's Content-Length is no number"};
    if (reply_.content_length) return {kBadGateway, "the guest wrote two Content-Length"};
    reply_.content_length = length.value;
    return {};
  }
  if (same_word(field.name, "location")) {
    if (!first_time(has_location_)) return {kBadGateway, "the guest wrote two Location"};
    if (field.value.empty() || !std::all_of(field.value.begin(), field.value.end(), is_visible)) {
      return {kBadGateway, "the guest's Location is no address"};
    }
  }
  if (same_word(field.name, "content-type") && !first_time(has_type_)) {
    return {kBadGateway, "the guest wrote two Content-Type"};
  }
  if (!is_hop_by_hop(field.name)) passed_.push_back(field);
  return {};
}

}  // namespace vmrun::serve
