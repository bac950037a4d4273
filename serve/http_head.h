// The head of a message as it arrives: lines, an empty line last. This part knows bytes, lines and fields; what a first
// line or a field means is the parsers' matter (http_request.h, cgi_output.h).
//
// What comes out depends on the bytes alone, not on the pieces in which they come: bytes are looked at one by one, in
// order, and the first that breaks a rule ends the head.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "serve/http_text.h"

namespace vmrun::serve {

/// Lines and fields of one head. It owns their text: one block of `max_bytes`, allocated with the first byte and kept
/// until the object dies, and at most `max_fields` fields. Views into it hold until reset(). One thread at a time.
class Head {
 public:
  enum class LineEnd : uint8_t {
    CrLf,      // as in HTTP
    CrLfOrLf,  // as guests write; either is an end
  };
  /// What take() found.
  enum class Got : uint8_t {
    Nothing,  // the bytes are used up, the line is not complete
    Line,     // line() is complete; it may be empty
    TooLong,  // the line does not end within `upto` bytes of the head
    Control,  // a control character
    BareCr,   // a carriage return without a line feed behind it
    BareLf,   // a line feed without a carriage return before it, where LineEnd is CrLf
  };
  /// What add_field() found.
  enum class Added : uint8_t {
    Field,
    TooMany,  // there are `max_fields` already
    Folded,   // the line begins with white space: it continues the one before (obs-fold)
    NoColon,  // not "name: value"
    BadName,  // the name is empty or no token; white space before the colon is the usual case
  };

  Head(uint32_t max_bytes, uint32_t max_fields, LineEnd end)
      : max_bytes_(max_bytes), max_fields_(max_fields), end_(end) {}

  /// Takes bytes off `bytes` until a line is complete or a byte breaks a rule. `upto` is the greatest number of bytes
  /// that the head may have by the end of this line, line ends counted; `max_bytes` holds beside it.
  Got take(std::string_view& bytes, uint32_t upto = UINT32_MAX);
  /// The last complete line without its end.
  std::string_view line() const { return line_; }
  /// Takes the last complete line for a field and keeps it.
  Added add_field();

  /// Fields in the order in which they came.
  std::span<const Field> fields() const { return fields_; }
  /// Bytes taken since the start, line ends counted.
  uint32_t size() const { return size_; }
  /// Starts over. The block of text stays.
  void reset();

 private:
  uint32_t max_bytes_, max_fields_;
  LineEnd end_;
  bool after_cr_ = false;
  uint32_t size_ = 0;     // bytes taken
  uint32_t stored_ = 0;   // bytes of text_ in use: those taken without line ends
  uint32_t line_at_ = 0;  // where in text_ the line begins that is being read
  std::unique_ptr<char[]> text_;
  std::string_view line_;
  std::vector<Field> fields_;
};

}  // namespace vmrun::serve
