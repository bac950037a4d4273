// Reading test scripts; see wast_script.h.
#include "tools/wast_script.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/report.h"

namespace vmrun::tools {
namespace {

using Json = nlohmann::json;
using Type = Command::Type;

constexpr std::pair<const char*, Type> kTypes[] = {
    {"module", Type::module},
    {"module_definition", Type::module_definition},
    {"module_instance", Type::module_instance},
    {"register", Type::register_},
    {"action", Type::action},
    {"assert_return", Type::assert_return},
    {"assert_trap", Type::assert_trap},
    {"assert_exhaustion", Type::assert_exhaustion},
    {"assert_exception", Type::assert_exception},
    {"assert_invalid", Type::assert_invalid},
    {"assert_malformed", Type::assert_malformed},
    {"assert_unlinkable", Type::assert_unlinkable},
    {"assert_uninstantiable", Type::assert_uninstantiable},
    {"assert_invalid_custom", Type::assert_invalid_custom},
    {"assert_malformed_custom", Type::assert_malformed_custom},
};

/// What is wrong with a script. Thrown only within this file: nlohmann's accessors throw too, and one catch serves
/// both.
struct BadScript {
  std::string message;
};

std::string text_of(const Json& object, const char* key) {
  auto it = object.find(key);
  return it == object.end() || !it->is_string() ? std::string() : it->get<std::string>();
}

/// A decimal number of either sign, or a NaN class, in `bits` bits.
Lane parse_lane(const std::string& text, unsigned bits) {
  if (text == "nan:canonical") return {0, NanClass::canonical};
  if (text == "nan:arithmetic") return {0, NanClass::arithmetic};
  const char* first = text.data();
  const char* last = first + text.size();
  const bool negative = first != last && *first == '-';
  uint64_t n = 0;
  auto [end, failure] = std::from_chars(first + negative, last, n);
  if (failure != std::errc() || end != last) throw BadScript{"'" + text + "' is not a number"};
  if (negative) n = 0 - n;
  return {bits == 64 ? n : n & ((uint64_t{1} << bits) - 1), NanClass::exact};
}

Pattern parse_pattern(const Json& j) {
  Pattern p;
  const std::string type = text_of(j, "type");
  const auto value = j.find("value");
  const bool has_value = value != j.end();
  const auto scalar = [&](Pattern::Kind kind, unsigned bits) {
    p.kind = kind;
    if (has_value) p.scalar = parse_lane(value->get<std::string>(), bits);
  };
  if (type == "i32") {
    scalar(Pattern::Kind::i32, 32);
  } else if (type == "i64") {
    scalar(Pattern::Kind::i64, 64);
  } else if (type == "f32") {
    scalar(Pattern::Kind::f32, 32);
  } else if (type == "f64") {
    scalar(Pattern::Kind::f64, 64);
  } else if (type == "v128") {
    p.kind = Pattern::Kind::v128;
    const std::string lane = text_of(j, "lane_type");
    p.lane_float = !lane.empty() && lane[0] == 'f';
    p.lane_bits = lane == "i8" ? 8 : lane == "i16" ? 16 : lane == "i32" || lane == "f32" ? 32 : 64;
    for (const Json& item : *value) p.lanes.push_back(parse_lane(item.get<std::string>(), p.lane_bits));
    if (p.lanes.size() * p.lane_bits != 128) throw BadScript{"a v128 of " + std::to_string(p.lanes.size()) + " lanes"};
  } else if (type == "either") {
    p.kind = Pattern::Kind::either;
    for (const Json& choice : j.at("values")) p.choices.push_back(parse_pattern(choice));
  } else if (type.find("ref") != type.npos) {
    p.kind = Pattern::Kind::ref;
    p.ref_type = type;
    // "null..." types have null as their only value.
    p.ref_null = type.starts_with("null") || type == "refnull";
    if (has_value && *value == "null") {
      p.ref_null = true;
    } else if (has_value) {
      p.host = static_cast<uint32_t>(parse_lane(value->get<std::string>(), 32).bits);
    }
  } else {
    throw BadScript{"a value of type '" + type + "'"};
  }
  return p;
}

std::vector<Pattern> parse_patterns(const Json& object, const char* key) {
  std::vector<Pattern> out;
  if (auto it = object.find(key); it != object.end()) {
    for (const Json& item : *it) out.push_back(parse_pattern(item));
  }
  return out;
}

Command parse_command(const Json& j) {
  Command c;
  const std::string type = text_of(j, "type");
  c.line = j.at("line").get<uint32_t>();
  const auto* known = std::begin(kTypes);
  while (known != std::end(kTypes) && type != known->first) ++known;
  if (known == std::end(kTypes)) throw BadScript{strf("line %u: unknown command '%s'", c.line, type.c_str())};
  c.type = known->second;
  c.name = text_of(j, c.type == Type::module_instance ? "instance" : "name");
  c.module = text_of(j, "module");
  c.as = text_of(j, "as");
  c.text = text_of(j, "text");
  c.filename = text_of(j, "filename");
  c.is_text = text_of(j, "module_type") == "text";
  if (const std::string binary = text_of(j, "binary_filename"); c.is_text && !binary.empty()) {
    c.filename = binary;
    c.is_text = false;
  }
  if (auto action = j.find("action"); action != j.end()) {
    c.action.is_get = text_of(*action, "type") == "get";
    c.action.module = text_of(*action, "module");
    c.action.field = text_of(*action, "field");
    c.action.args = parse_patterns(*action, "args");
  }
  c.expected = parse_patterns(j, "expected");
  return c;
}

Result<std::string> read_file(const std::string& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) return Error(ErrorKind::Io, "cannot open '" + path + "': " + std::strerror(errno));
  std::string out;
  char block[1 << 16];
  while (size_t n = std::fread(block, 1, sizeof block, file.get())) out.append(block, n);
  if (std::ferror(file.get())) return Error(ErrorKind::Io, "cannot read '" + path + "': " + std::strerror(errno));
  return out;
}

/// What to do about a file that is no JSON from byte `at` on (counted from 1).
Error not_json(const std::string& path, std::string_view bytes, size_t at) {
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  const bool is_text = first != bytes.npos && (bytes[first] == '(' || bytes.substr(first).starts_with(";;"));
  if (is_text) {
    const std::string stem = path.substr(0, path.ends_with(".wast") ? path.size() - 5 : path.npos);
    return Error(ErrorKind::Malformed, "'" + path +
                                           "' is in the text format; translate it first: wast2json --enable-all '" +
                                           path + "' -o '" + stem + ".json', then run '" + stem + ".json'");
  }
  if (bytes.starts_with(std::string_view("\0asm", 4))) {
    return Error(ErrorKind::Malformed, "'" + path + "' is an image, not a test script; run it with 'vmrun run'");
  }
  bytes = bytes.substr(0, at > 0 ? at - 1 : 0);
  const auto line = 1 + std::count(bytes.begin(), bytes.end(), '\n');
  return Error(ErrorKind::Malformed, strf("'%s' is not a test script: line %lld is not JSON, as wast2json writes it",
                                          path.c_str(), static_cast<long long>(line)));
}

}  // namespace

const char* to_string(Command::Type type) {
  for (const auto& [name, value] : kTypes) {
    if (value == type) return name;
  }
  return "?";
}

Result<Script> load_script(const std::string& path) {
  auto bytes = read_file(path);
  if (!bytes) return bytes.error();
  Script script;
  script.path = path;
  try {
    const Json j = Json::parse(*bytes);
    script.source = text_of(j, "source_filename");
    for (const Json& command : j.at("commands")) script.commands.push_back(parse_command(command));
  } catch (const BadScript& bad) {
    return Error(ErrorKind::Malformed, "'" + path + "' is not a test script: " + bad.message);
  } catch (const Json::parse_error& bad) {
    return not_json(path, *bytes, bad.byte);
  } catch (const Json::exception&) {
    return Error(ErrorKind::Malformed,
                 "'" + path + "' is not a test script: it is JSON, but not what wast2json writes");
  }
  return script;
}

}  // namespace vmrun::tools
