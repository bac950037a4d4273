// Numbers of the text format; see numbers.h.
#include "tools/numbers.h"

#include <bit>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <string>

namespace vmrun::tools {
namespace {

using U128 = unsigned __int128;

unsigned digit_of(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return 99;
}

/// Takes "0x" off; 16 or 10.
unsigned take_base(std::string_view& text) {
  if (!text.starts_with("0x") && !text.starts_with("0X")) return 10;
  text.remove_prefix(2);
  return 16;
}

/// Takes a sign off; true for minus.
bool take_sign(std::string_view& text) {
  const bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  return minus;
}

/// Takes digits with single "_" between them off `text`, and appends the digits to `out`. False when a "_" is not
/// between digits. No digits at all are fine.
bool take_digits(std::string_view& text, unsigned base, std::string& out) {
  bool after_digit = false;
  while (!text.empty()) {
    if (text[0] == '_') {
      if (!after_digit || text.size() < 2 || digit_of(text[1]) >= base) return false;
    } else if (digit_of(text[0]) < base) {
      out += text[0];
    } else {
      break;
    }
    after_digit = text[0] != '_';
    text.remove_prefix(1);
  }
  return true;
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(a[i])) != b[i]) return false;
  }
  return true;
}

/// A finite number without its sign, spelled as strtod reads it; nothing when it is none.
std::optional<std::string> spelled_for_c(std::string_view text) {
  const unsigned base = take_base(text);
  std::string out = base == 16 ? "0x" : "";
  const size_t prefix = out.size();
  if (!take_digits(text, base, out)) return std::nullopt;
  size_t digits = out.size() - prefix;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    out += '.';
    const size_t before = out.size();
    if (!take_digits(text, base, out)) return std::nullopt;
    digits += out.size() - before;
  }
  if (digits == 0) return std::nullopt;
  if (text.empty()) return out;
  if (std::tolower(static_cast<unsigned char>(text[0])) != (base == 16 ? 'p' : 'e')) return std::nullopt;
  out += text[0];
  text.remove_prefix(1);
  out += take_sign(text) ? '-' : '+';
  const size_t before = out.size();
  if (!take_digits(text, 10, out) || out.size() == before || !text.empty()) return std::nullopt;
  return out;
}

float round_to(const std::string& text, float) { return std::strtof(text.c_str(), nullptr); }
double round_to(const std::string& text, double) { return std::strtod(text.c_str(), nullptr); }

template <class Float, class Bits>
std::optional<Bits> parse_float(std::string_view text, unsigned fraction_bits) {
  constexpr unsigned kBits = sizeof(Bits) * 8;
  const Bits sign = take_sign(text) ? Bits{1} << (kBits - 1) : Bits{0};
  const Bits exponent = (~Bits{0} >> 1) & ~((Bits{1} << fraction_bits) - 1);
  if (equal_in_any_case(text, "inf")) return sign | exponent;
  if (equal_in_any_case(text, "nan")) return sign | exponent | Bits{1} << (fraction_bits - 1);
  if (text.size() > 4 && equal_in_any_case(text.substr(0, 4), "nan:")) {
    text.remove_prefix(4);
    if (!text.starts_with("0x")) return std::nullopt;
    const std::optional<U128> fraction = parse_unsigned(text);
    if (!fraction || *fraction == 0 || *fraction >= U128{1} << fraction_bits) return std::nullopt;
    return sign | exponent | static_cast<Bits>(*fraction);
  }
  const std::optional<std::string> spelled = spelled_for_c(text);
  if (!spelled) return std::nullopt;
  const Float value = round_to(*spelled, Float{});
  if (std::isinf(value)) return std::nullopt;
  return sign | std::bit_cast<Bits>(value);
}

}  // namespace

std::optional<U128> parse_unsigned(std::string_view text) {
  const unsigned base = take_base(text);
  std::string digits;
  if (!take_digits(text, base, digits) || digits.empty() || !text.empty()) return std::nullopt;
  U128 out = 0;
  for (char c : digits) {
    const unsigned digit = digit_of(c);
    if (out > (~U128{0} - digit) / base) return std::nullopt;
    out = out * base + digit;
  }
  return out;
}

std::optional<uint64_t> parse_integer(std::string_view text, unsigned bits) {
  const bool minus = take_sign(text);
  const std::optional<U128> n = parse_unsigned(text);
  const U128 all = (U128{1} << bits) - 1;
  if (!n || *n > (minus ? U128{1} << (bits - 1) : all)) return std::nullopt;
  return static_cast<uint64_t>((minus ? 0 - *n : *n) & all);
}

std::optional<uint32_t> parse_f32(std::string_view text) { return parse_float<float, uint32_t>(text, 23); }
std::optional<uint64_t> parse_f64(std::string_view text) { return parse_float<double, uint64_t>(text, 52); }

}  // namespace vmrun::tools
