// Guest values as text; see values.h.
#include "tools/values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "tools/numbers.h"
#include "tools/report.h"

namespace vmrun::tools {
namespace {

using U128 = unsigned __int128;

Error not_a(std::string_view text, const char* what) {
  return Error(ErrorKind::Usage, strf("'%.*s' is not %s", static_cast<int>(text.size()), text.data(), what));
}

/// The shapes of a vector constant.
struct Shape {
  std::string_view name;
  unsigned lane_bits;
  bool floats;
};
constexpr Shape kShapes[] = {{"i8x16", 8, false},  {"i16x8", 16, false}, {"i32x4", 32, false},
                             {"i64x2", 64, false}, {"f32x4", 32, true},  {"f64x2", 64, true}};

/// Takes the first word off `text`.
std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

/// A shape and its lanes, as after v128.const in the text format; or one unsigned integer.
std::optional<V128> parse_v128(std::string_view text) {
  std::string_view rest = text;
  const std::string_view first = next_word(rest);
  const auto shape = std::ranges::find(kShapes, first, &Shape::name);
  U128 out = 0;
  if (shape == std::end(kShapes)) {
    const std::optional<U128> n = parse_unsigned(text);
    if (!n) return std::nullopt;
    out = *n;
  } else {
    for (unsigned at = 0; at < 128; at += shape->lane_bits) {
      const std::string_view word = next_word(rest);
      std::optional<uint64_t> lane;
      if (!shape->floats) {
        lane = parse_integer(word, shape->lane_bits);
      } else if (shape->lane_bits == 32) {
        lane = parse_f32(word);
      } else {
        lane = parse_f64(word);
      }
      if (!lane) return std::nullopt;
      out |= static_cast<U128>(*lane) << at;
    }
    if (!next_word(rest).empty()) return std::nullopt;
  }
  return V128{static_cast<uint64_t>(out), static_cast<uint64_t>(out >> 64)};
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
  switch (type.kind()) {
    case ValKind::I32:
      if (const auto bits = parse_integer(text, 32)) return Val::i32(static_cast<int32_t>(*bits));
      return not_a(text, "an i32");
    case ValKind::I64:
      if (const auto bits = parse_integer(text, 64)) return Val::i64(static_cast<int64_t>(*bits));
      return not_a(text, "an i64");
    case ValKind::F32:
      if (const auto bits = parse_f32(text)) return Val::f32_bits(*bits);
      return not_a(text, "an f32");
    case ValKind::F64:
      if (const auto bits = parse_f64(text)) return Val::f64_bits(*bits);
      return not_a(text, "an f64");
    case ValKind::V128:
      if (const auto value = parse_v128(text)) return Val::v128(*value);
      return not_a(text, "a v128 (write it as one unsigned integer, or as 'i32x4 1 2 3 4')");
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
