// Images as bytes, for what the text format cannot say or would take long to say.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace vmrun::test {

inline std::string u32(uint64_t n) {
  std::string out;
  for (; n >= 0x80; n >>= 7) out += static_cast<char>(n | 0x80);
  return out += static_cast<char>(n);
}
/// A type index in place of a heap type, which is signed.
inline std::string s33(uint64_t n) {
  std::string out;
  for (; n >= 0x40; n >>= 7) out += static_cast<char>(n | 0x80);
  return out += static_cast<char>(n);
}
inline std::string bytes(std::initializer_list<int> list) {
  std::string out;
  for (int byte : list) out += static_cast<char>(byte);
  return out;
}
inline std::string name(std::string_view text) { return u32(text.size()) + std::string(text); }
inline std::string vec(const std::vector<std::string>& items) {
  std::string out = u32(items.size());
  for (const std::string& item : items) out += item;
  return out;
}
inline std::string section(int id, const std::string& contents) { return bytes({id}) + name(contents); }
inline std::string body(const std::string& code) { return name(bytes({0}) + code + bytes({0x0b})); }

inline const std::string kImageHead("\0asm\1\0\0\0", 8);
inline const std::string kNothingToNothing = bytes({0x60, 0, 0});  // a function type
inline const std::string kUnreachable = bytes({0});

}  // namespace vmrun::test
