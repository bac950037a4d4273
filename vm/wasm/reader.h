// Reading the binary format: a cursor over a range of the image that never passes its end, LEB128 integers with the
// specification's length rules (5.2.2), and the first error with its place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vmrun/base/error.h"

namespace vmrun::vm {

/// What made decoding or validation fail, and where: the byte offset in the image.
struct DecodeError {
  ErrorKind kind = ErrorKind::Malformed;
  std::string message;
  uint64_t offset = 0;
};

enum class LebStatus : uint8_t { ok, unexpected_end, too_long, too_large };

/// The specification's words for a bad integer.
constexpr const char* leb_message(LebStatus status) {
  switch (status) {
    case LebStatus::ok: break;
    case LebStatus::unexpected_end: return "unexpected end of section or function";
    case LebStatus::too_long: return "integer representation too long";
    case LebStatus::too_large: return "integer too large";
  }
  return "";
}

/// Reads a LEB128 integer of kBits significant bits into `out`, signed when T is. Leaves `p` behind what it looked at.
template <class T, int kBits>
LebStatus read_leb_any(const uint8_t*& p, const uint8_t* end, T& out) {
  constexpr bool kSigned = static_cast<T>(-1) < 0;
  constexpr int kMaxBytes = (kBits + 6) / 7;
  constexpr int kLastBits = kBits - 7 * (kMaxBytes - 1);  // significant bits of the last possible byte
  uint64_t value = 0;
  for (int i = 0, shift = 0; i < kMaxBytes; ++i, shift += 7) {
    if (p == end) return LebStatus::unexpected_end;
    uint8_t byte = *p++;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (i == kMaxBytes - 1) {
      if constexpr (kSigned) {
        uint8_t rest = static_cast<uint8_t>((byte & 0x7f) >> (kLastBits - 1));  // sign bit and what lies above it
        if (rest != 0 && rest != 0x7f >> (kLastBits - 1)) return LebStatus::too_large;
      } else if (kLastBits < 7 && (byte & 0x7f) >> kLastBits != 0) {
        return LebStatus::too_large;
      }
      if (byte & 0x80) return LebStatus::too_long;
    }
    if (!(byte & 0x80)) {
      if (kSigned && (byte & 0x40) && shift + 7 < 64) value |= ~uint64_t{0} << (shift + 7);
      break;
    }
  }
  out = static_cast<T>(value);
  return LebStatus::ok;
}

extern template LebStatus read_leb_any<uint32_t, 32>(const uint8_t*&, const uint8_t*, uint32_t&);
extern template LebStatus read_leb_any<uint64_t, 64>(const uint8_t*&, const uint8_t*, uint64_t&);
extern template LebStatus read_leb_any<int32_t, 32>(const uint8_t*&, const uint8_t*, int32_t&);
extern template LebStatus read_leb_any<int64_t, 64>(const uint8_t*&, const uint8_t*, int64_t&);
extern template LebStatus read_leb_any<int64_t, 33>(const uint8_t*&, const uint8_t*, int64_t&);

/// As read_leb_any, with the single byte in line.
template <class T, int kBits>
[[gnu::always_inline]] inline LebStatus read_leb(const uint8_t*& p, const uint8_t* end, T& out) {
  if (p < end && *p < 0x80) [[likely]] {
    uint8_t byte = *p++;
    if constexpr (static_cast<T>(-1) < 0) {
      out = static_cast<T>(static_cast<int8_t>(byte << 1) >> 1);
    } else {
      out = byte;
    }
    return LebStatus::ok;
  }
  return read_leb_any<T, kBits>(p, end, out);
}

/// A cursor over [p, end) of the image that starts at `image`. Reads return false at the first error, which stays in
/// `error`; nothing is read after that by convention.
class Reader {
 public:
  Reader(const uint8_t* image, const uint8_t* begin, const uint8_t* end) : image_(image), p_(begin), end_(end) {}

  const uint8_t* p() const { return p_; }
  const uint8_t* end() const { return end_; }
  void set_p(const uint8_t* p) { p_ = p; }
  bool at_end() const { return p_ == end_; }
  uint64_t offset() const { return offset_of(p_); }
  uint64_t offset_of(const uint8_t* at) const { return static_cast<uint64_t>(at - image_); }
  size_t remaining() const { return static_cast<size_t>(end_ - p_); }

  bool u8(uint8_t& out) {
    if (p_ == end_) return end_error();
    out = *p_++;
    return true;
  }
  bool u32(uint32_t& out) { return leb<uint32_t, 32>(out); }
  bool u64(uint64_t& out) { return leb<uint64_t, 64>(out); }
  bool s32(int32_t& out) { return leb<int32_t, 32>(out); }
  bool s64(int64_t& out) { return leb<int64_t, 64>(out); }
  bool s33(int64_t& out) { return leb<int64_t, 33>(out); }

  /// `count` bytes in place; checked against what remains before anything else happens.
  bool bytes(size_t count, const uint8_t*& out) {
    if (count > remaining()) return end_error();
    out = p_;
    p_ += count;
    return true;
  }

  /// A vector's length, each element of which takes at least one byte: more than remain is an error at once, so that
  /// callers may reserve.
  bool count(uint32_t& out, uint32_t limit, const char* what);

  /// A name (5.2.4): length and valid UTF-8, in place. Longer ones than kMaxNameBytes are an error of kind Limit.
  bool name(std::string_view& out);

  bool fail(ErrorKind kind, std::string message, uint64_t offset);
  bool malformed(std::string message, uint64_t offset) {
    return fail(ErrorKind::Malformed, std::move(message), offset);
  }
  bool invalid(std::string message, uint64_t offset) { return fail(ErrorKind::Invalid, std::move(message), offset); }

  DecodeError error;

 private:
  template <class T, int kBits>
  bool leb(T& out) {
    const uint8_t* start = p_;
    LebStatus status = read_leb<T, kBits>(p_, end_, out);
    return status == LebStatus::ok || malformed(leb_message(status), offset_of(start));
  }
  bool end_error() { return malformed(leb_message(LebStatus::unexpected_end), offset()); }

  const uint8_t* image_;
  const uint8_t* p_;
  const uint8_t* end_;
};

/// Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7).
bool is_utf8(std::string_view bytes);

}  // namespace vmrun::vm
