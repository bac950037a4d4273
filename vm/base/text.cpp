// Escapes in names; see vmrun/base/text.h.
#include "vmrun/base/text.h"

#include <cstdint>
#include <cstdio>

namespace vmrun {
namespace {

/// A character and the bytes it takes; no bytes where there is no valid one.
struct Character {
  uint32_t code = 0;
  size_t size = 0;
};

Character first_of(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  uint32_t code = lead & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, size};
}

struct Range {
  uint32_t first, last;
};
constexpr Range kEscaped[] = {
    {0x0, 0x1f},         // C0
    {0x7f, 0x9f},        // DEL and C1
    {0xad, 0xad},        // the soft hyphen, invisible
    {0x61c, 0x61c},      // a mark of direction
    {0x180e, 0x180e},    // an invisible separator
    {0x200b, 0x200f},    // of no width, and marks of direction
    {0x2028, 0x202e},    // ends of lines and paragraphs; embeddings and overrides of direction
    {0x2060, 0x206f},    // invisible operators; isolates of direction
    {0xfeff, 0xfeff},    // the byte order mark
    {0xfff9, 0xfffb},    // annotations
    {0xe0000, 0xe0fff},  // tags and selectors, invisible
    {0xfffe, 0xffff},    // no characters
};

bool is_escaped(uint32_t code) {
  for (const Range& range : kEscaped) {
    if (code >= range.first && code <= range.last) return true;
  }
  return false;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_of(text);
    const size_t size = c.size == 0 ? 1 : c.size;
    if (c.size != 0 && !is_escaped(c.code)) {
      out += text.substr(0, size);
    } else {
      char escape[16];
      const bool is_byte = c.size <= 1;
      std::snprintf(escape, sizeof escape, is_byte ? "\\x%02x" : "\\u{%x}",
                    is_byte ? static_cast<unsigned>(static_cast<uint8_t>(text[0])) : static_cast<unsigned>(c.code));
      out += escape;
    }
    text.remove_prefix(size);
  }
  return out;
}

std::string printable_name(std::string_view name) {
  constexpr size_t kMostBytes = 400;
  if (name.size() <= kMostBytes) return printable(name);
  size_t end = kMostBytes;
  while (end > kMostBytes - 3 && (static_cast<uint8_t>(name[end]) & 0xc0) == 0x80) --end;  // not inside a character
  return printable(name.substr(0, end)) + "...";
}

}  // namespace vmrun
