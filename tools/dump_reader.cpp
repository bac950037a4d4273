// Reading and checking dumps; see dump_reader.h.
#include "tools/dump_reader.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "tools/page_texts.h"
#include "vmrun/base/text.h"

namespace vmrun::tools {
namespace {

using ParsedJson = nlohmann::json;

constexpr size_t kMostBytes = size_t{256} << 20;
/// Frames of a stack: more than any of ours has.
constexpr size_t kDeepest = 1000;

bool is_a(const ParsedJson& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  return type == "integer" && value.is_number_integer();
}

std::string short_text(const ParsedJson& value) {
  std::string text = value.dump(-1, ' ', true, ParsedJson::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 60) + "..." : text;
}

std::string object_problem(const ParsedJson& value, const ParsedJson& schema, const std::string& where) {
  if (schema.contains("required")) {
    for (const ParsedJson& name : schema["required"]) {
      if (!value.contains(name.get<std::string>()))
        return (where.empty() ? "the file" : where) + " has no " + name.get<std::string>();
    }
  }
  for (const auto& [name, item] : value.items()) {
    std::string its = where;
    if (!its.empty()) its += ".";
    its += printable_name(name);
    if (schema.contains("properties") && schema["properties"].contains(name)) {
      if (std::string problem = schema_problem(item, schema["properties"][name], its); !problem.empty()) return problem;
    } else if (schema.contains("additionalProperties") && schema["additionalProperties"] == false) {
      return its + " is unknown";
    }
  }
  return {};
}

std::string array_problem(const ParsedJson& value, const ParsedJson& schema, const std::string& where) {
  if (schema.contains("minItems") && value.size() < schema["minItems"].get<size_t>()) return where + " is too short";
  if (schema.contains("maxItems") && value.size() > schema["maxItems"].get<size_t>()) return where + " is too long";
  for (size_t i = 0; i < value.size(); ++i) {
    const bool own = schema.contains("prefixItems") && i < schema["prefixItems"].size();
    const ParsedJson& its = own ? schema["prefixItems"][i] : schema["items"];
    std::string problem = schema_problem(value[i], its, where + "[" + std::to_string(i) + "]");
    if (!problem.empty()) return problem;
  }
  return {};
}

/// What no schema can say.
std::string reference_problem(const ParsedJson& dump) {
  const ParsedJson& sampling = dump["sampling"];
  if (sampling.is_null()) return {};
  const ParsedJson& nodes = sampling["nodes"];
  if (nodes.empty()) return "sampling.nodes has no root";
  std::vector<size_t> depths(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const uint64_t parent = nodes[i][0];
    if (i != 0 && parent >= i) return "sampling.nodes[" + std::to_string(i) + "] has no parent";
    if (i != 0) depths[i] = depths[parent] + 1;
    if (depths[i] > kDeepest) return "sampling.nodes[" + std::to_string(i) + "] is nested too deeply";
    if (nodes[i][1].get<uint64_t>() >= sampling["functions"].size()) {
      return "sampling.nodes[" + std::to_string(i) + "] has no function";
    }
  }
  for (size_t i = 0; i < sampling["ticks"].size(); ++i) {
    if (sampling["ticks"][i][2].get<uint64_t>() >= nodes.size()) {
      return "sampling.ticks[" + std::to_string(i) + "] has no node";
    }
  }
  return {};
}

Result<std::string> read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return Error(ErrorKind::Io, "cannot read '" + path + "': " + std::strerror(errno));
  std::string out;
  char buffer[1 << 16];
  size_t n = 0;
  while (out.size() <= kMostBytes && (n = std::fread(buffer, 1, sizeof buffer, file)) != 0) out.append(buffer, n);
  const bool failed = std::ferror(file) != 0;
  const int error = errno;
  std::fclose(file);
  if (failed) return Error(ErrorKind::Io, "cannot read '" + path + "': " + std::strerror(error));
  if (out.size() > kMostBytes) return Error(ErrorKind::Limit, "'" + path + "' is larger than 256 MiB: no dump is");
  return out;
}

}  // namespace

std::string schema_problem(const ParsedJson& value, const ParsedJson& schema, const std::string& where) {
  const std::string place = where.empty() ? "the file" : where;
  if (schema == false) return place + " is too much";
  if (schema.contains("anyOf")) {
    std::string problem;
    for (const ParsedJson& one : schema["anyOf"]) {
      if ((problem = schema_problem(value, one, where)).empty()) return {};
      if (!value.is_null() && one != ParsedJson{{"type", "null"}}) return problem;  // of the one that is meant
    }
    return problem;
  }
  if (schema.contains("const") && value != schema["const"]) return place + " is " + short_text(value);
  if (schema.contains("enum")) {
    bool known = false;
    for (const ParsedJson& one : schema["enum"]) known |= value == one;
    if (!known) return place + " is " + short_text(value);
  }
  if (schema.contains("type") && !is_a(value, schema["type"])) {
    return place + " is no " + schema["type"].get<std::string>() + " but " + short_text(value);
  }
  if (schema.contains("minimum") && value < schema["minimum"]) return place + " is " + short_text(value);
  if (value.is_object()) return object_problem(value, schema, where);
  if (value.is_array()) return array_problem(value, schema, where);
  return {};
}

Result<ParsedJson> read_dump(const std::string& path) {
  auto text = read_file(path);
  if (!text) return text.error();
  // Depth is bounded by hand: the parser's own recursion is not.
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text->size(); ++i) {
    const char c = (*text)[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > 64) return Error(ErrorKind::Malformed, "'" + path + "' is no dump of vmrun: it nests too deeply");
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  ParsedJson json = ParsedJson::parse(*text, nullptr, false);
  if (json.is_discarded()) {
    const size_t first = text->find_first_not_of(" \t\r\n");
    const bool begun = first != text->npos && (*text)[first] == '{';
    return Error(ErrorKind::Malformed,
                 "'" + path + "' is " +
                     (begun && (depth > 0 || in_string)
                          ? "cut short: it ends at byte " + std::to_string(text->size()) + ", in the middle of its JSON"
                          : "no JSON, and so no dump of vmrun --profile=FILE.json"));
  }
  if (!json.is_object() || json.value("format", ParsedJson()) != "vmrun-profile") {
    const bool scope = json.is_object() && json.contains("$schema") && json.contains("profiles");
    return Error(ErrorKind::Malformed,
                 "'" + path + "' is no dump of vmrun: make one with --profile=FILE.json" +
                     (scope ? " (it is a profile for https://www.speedscope.app, which opens it)" : ""));
  }
  if (json.value("version", ParsedJson()) != 1) {
    return Error(ErrorKind::Unsupported, "'" + path + "' is a dump of version " +
                                             short_text(json.value("version", ParsedJson())) +
                                             "; this vmrun reads version 1: use the vmrun that made it");
  }
  static const ParsedJson schema = ParsedJson::parse(kDumpSchema);
  std::string problem = schema_problem(json, schema);
  if (problem.empty()) problem = reference_problem(json);
  if (!problem.empty()) return Error(ErrorKind::Malformed, "'" + path + "' is a damaged dump: " + problem);
  return json;
}

}  // namespace vmrun::tools
