#include "serve/http_head.h"

#include <algorithm>

namespace vmrun::serve {

Head::Got Head::take(std::string_view& bytes, uint32_t upto) {
  upto = std::min(upto, max_bytes_);
  if (!text_ && !bytes.empty()) text_ = std::make_unique_for_overwrite<char[]>(max_bytes_);
  while (!bytes.empty()) {
    if (size_ >= upto) return Got::TooLong;
    const char c = bytes.front();
    bytes.remove_prefix(1);
    ++size_;
    if (c == '\n') {
      if (!after_cr_ && end_ == LineEnd::CrLf) return Got::BareLf;
      after_cr_ = false;
      line_ = {text_.get() + line_at_, stored_ - line_at_};
      line_at_ = stored_;
      return Got::Line;
    }
    if (after_cr_) return Got::BareCr;
    if (c == '\r') {
      after_cr_ = true;
    } else if (is_control(c)) {
      return Got::Control;
    } else {
      text_[stored_++] = c;
    }
  }
  return Got::Nothing;
}

Head::Added Head::add_field() {
  if (!line_.empty() && is_blank(line_.front())) return Added::Folded;
  const size_t colon = line_.find(':');
  if (colon == std::string_view::npos) return Added::NoColon;
  const std::string_view name = line_.substr(0, colon);
  if (!is_token(name)) return Added::BadName;
  if (fields_.size() >= max_fields_) return Added::TooMany;
  fields_.push_back({name, trim(line_.substr(colon + 1))});
  return Added::Field;
}

void Head::reset() {
  after_cr_ = false;
  size_ = stored_ = line_at_ = 0;
  line_ = {};
  fields_.clear();
}

}  // namespace vmrun::serve
