// The parts of reading that are not worth inlining.
#include "vm/wasm/reader.h"

#include "vm/wasm/limits.h"

namespace vmrun::vm {

template LebStatus read_leb_any<uint32_t, 32>(const uint8_t*&, const uint8_t*, uint32_t&);
template LebStatus read_leb_any<uint64_t, 64>(const uint8_t*&, const uint8_t*, uint64_t&);
template LebStatus read_leb_any<int32_t, 32>(const uint8_t*&, const uint8_t*, int32_t&);
template LebStatus read_leb_any<int64_t, 64>(const uint8_t*&, const uint8_t*, int64_t&);
template LebStatus read_leb_any<int64_t, 33>(const uint8_t*&, const uint8_t*, int64_t&);

bool Reader::fail(ErrorKind kind, std::string message, uint64_t offset) {
  error = {kind, std::move(message), offset};
  return false;
}

bool Reader::count(uint32_t& out, uint32_t limit, const char* what) {
  uint64_t at = offset();
  if (!u32(out)) return false;
  if (out > remaining())
    return malformed("unexpected end of section or function: " + std::to_string(out) + " " + what, at);
  if (out > limit) {
    return fail(ErrorKind::Limit,
                std::to_string(out) + " " + what + ": more than the limit of " + std::to_string(limit), at);
  }
  return true;
}

bool Reader::name(std::string_view& out) {
  uint32_t size;
  const uint8_t* begin;
  uint64_t at = offset();
  if (!u32(size)) return false;
  if (size > remaining()) return malformed("unexpected end: length out of bounds", at);
  if (size > kMaxNameBytes) {
    return fail(ErrorKind::Limit, "a name is longer than the limit of " + std::to_string(kMaxNameBytes) + " bytes", at);
  }
  bytes(size, begin);
  out = {reinterpret_cast<const char*>(begin), size};
  return is_utf8(out) || malformed("malformed UTF-8 encoding", offset_of(begin));
}

bool is_utf8(std::string_view bytes) {
  auto* p = reinterpret_cast<const uint8_t*>(bytes.data());
  const uint8_t* end = p + bytes.size();
  while (p < end) {
    uint8_t first = *p++;
    if (first < 0x80) continue;
    int more;
    uint8_t low = 0x80, high = 0xbf;  // bounds of the second byte
    if (first >= 0xc2 && first <= 0xdf) {
      more = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    if (end - p < more || *p < low || *p > high) return false;
    for (int i = 1; i < more; ++i)
      if ((p[i] & 0xc0) != 0x80) return false;
    p += more;
  }
  return true;
}

}  // namespace vmrun::vm
