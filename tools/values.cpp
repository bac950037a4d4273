// Guest values as text; see values.h.
#include "tools/values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "tools/report.h"

namespace vmrun::tools {
namespace {

using U128 = unsigned __int128;

Error not_a(std::string_view text, const char* what) {
  return Error(ErrorKind::Usage, strf("'%.*s' is not %s", static_cast<int>(text.size()), text.data(), what));
}

/// An unsigned integer in decimal, or hexadecimal after 0x. False when it is none or does not fit.
bool parse_unsigned(std::string_view text, U128& out) {
  unsigned base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  }
  if (text.empty()) return false;
  out = 0;
  for (char c : text) {
    const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                           : c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A') + 10
                                                  : 99;
    if (digit >= base || out > (~U128{0} - digit) / base) return false;
    out = out * base + digit;
  }
  return true;
}

/// An integer of `bits` bits, signed or unsigned.
bool parse_integer(std::string_view text, unsigned bits, uint64_t& out) {
  const bool negative = text.starts_with('-');
  U128 n = 0;
  if (!parse_unsigned(text.substr(negative), n)) return false;
  const U128 limit = negative ? U128{1} << (bits - 1) : (U128{1} << bits) - 1;
  if (n > limit) return false;
  out = negative ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);
  if (bits == 32) out &= 0xffffffffu;
  return true;
}

template <class F>
bool parse_float(std::string_view text, F& out) {
  if (text.starts_with('+')) text.remove_prefix(1);
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (end != text.data() + text.size()) return false;
  if (failure == std::errc::result_out_of_range) {
    // Too large or too small to be told apart by from_chars: strtod rounds to infinity or zero as the format says.
    out = static_cast<F>(std::strtod(std::string(text).c_str(), nullptr));
    return true;
  }
  return failure == std::errc();
}

template <class F>
std::string format_float(F value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  // The longest: the smallest double has 17 digits after 323 zeros.
  char text[400];
  auto [end, failure] = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed);
  return failure == std::errc() ? std::string(text, end) : std::string("?");
}

std::string format_u128(V128 v) {
  U128 n = static_cast<U128>(v.hi) << 64 | v.lo;
  std::string out;
  do {
    out += static_cast<char>('0' + static_cast<unsigned>(n % 10));
    n /= 10;
  } while (n != 0);
  std::reverse(out.begin(), out.end());
  return out;
}

const char* ref_kind(ValType type) {
  switch (type.heap()) {
    case HeapKind::Extern:
    case HeapKind::NoExtern: return "externref";
    case HeapKind::Exn:
    case HeapKind::NoExn: return "exnref";
    case HeapKind::Func:
    case HeapKind::NoFunc:
    case HeapKind::Concrete: return "funcref";
    default: return "anyref";
  }
}

}  // namespace

Result<Val> parse_value(ValType type, std::string_view text) {
  uint64_t bits = 0;
  switch (type.kind()) {
    case ValKind::I32:
      if (!parse_integer(text, 32, bits)) return not_a(text, "an i32");
      return Val::i32(static_cast<int32_t>(bits));
    case ValKind::I64:
      if (!parse_integer(text, 64, bits)) return not_a(text, "an i64");
      return Val::i64(static_cast<int64_t>(bits));
    case ValKind::F32: {
      float value = 0;
      if (!parse_float(text, value)) return not_a(text, "an f32");
      return Val::f32(value);
    }
    case ValKind::F64: {
      double value = 0;
      if (!parse_float(text, value)) return not_a(text, "an f64");
      return Val::f64(value);
    }
    case ValKind::V128: {
      U128 n = 0;
      if (!parse_unsigned(text, n)) return not_a(text, "a v128 (write it as one unsigned integer)");
      return Val::v128({static_cast<uint64_t>(n), static_cast<uint64_t>(n >> 64)});
    }
    case ValKind::Ref:
      if (text == "null" && type.nullable()) return Val::zero(type);
      return Error(ErrorKind::Usage, "a reference cannot be given on a command line, except null");
  }
  return not_a(text, "a value");
}

Result<std::vector<Val>> parse_arguments(std::string_view name, const FuncType& type, std::span<char* const> texts) {
  const int length = static_cast<int>(name.size());
  if (texts.size() != type.params.size()) {
    return Error(ErrorKind::Usage,
                 strf("'%.*s' has type %s: it takes %zu argument%s, and %zu %s given", length, name.data(),
                      type.to_string().c_str(), type.params.size(), type.params.size() == 1 ? "" : "s", texts.size(),
                      texts.size() == 1 ? "was" : "were"));
  }
  std::vector<Val> out;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto value = parse_value(type.params[i], texts[i]);
    if (!value) {
      return Error(ErrorKind::Usage, strf("argument %zu of '%.*s', of type %s: %s", i + 1, length, name.data(),
                                          type.params[i].to_string().c_str(), value.error().message.c_str()));
    }
    out.push_back(*value);
  }
  return out;
}

std::string format_value(const Val& value) {
  switch (value.kind()) {
    case ValKind::I32: return std::to_string(value.as_i32());
    case ValKind::I64: return std::to_string(value.as_i64());
    case ValKind::F32: return format_float(value.as_f32());
    case ValKind::F64: return format_float(value.as_f64());
    case ValKind::V128: return format_u128(value.as_v128());
    case ValKind::Ref: return std::string(value.is_null() ? "<null " : "<") + ref_kind(value.type()) + ">";
  }
  return "?";
}

}  // namespace vmrun::tools
