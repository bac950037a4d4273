// Dumps of --profile=FILE.json, read with suspicion: from another version, cut short, or made by somebody else.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "vmrun/base/result.h"

namespace vmrun::tools {

/// What is wrong of `value` by `schema`, with its place, or an empty string. Of JSON Schema it knows the words that our schemas
/// use.
std::string schema_problem(const nlohmann::json& value, const nlohmann::json& schema, const std::string& where = {});

/// A dump that is what docs/profile.schema.json says, and whose numbers of nodes and functions lead somewhere. Errors: Io,
/// Malformed, Unsupported (another version), Limit (256 MiB).
Result<nlohmann::json> read_dump(const std::string& path);

}  // namespace vmrun::tools
