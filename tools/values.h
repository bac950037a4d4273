// Guest values as text: arguments of --invoke in, results out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/func.h"
#include "vmrun/value.h"

namespace vmrun::tools {

/// Reads `text` as a value of `type`, as the text format writes numbers (tools/numbers.h); a v128 as an unsigned 128-bit
/// integer, or as a shape and its lanes: "i32x4 1 2 3 4". References cannot be written, except "null".
Result<Val> parse_value(ValType type, std::string_view text);

/// The arguments of a call of a function of type `type`. `name` is for messages.
Result<std::vector<Val>> parse_arguments(std::string_view name, const FuncType& type, std::span<char* const> texts);

/// As `wasmtime run --invoke` prints a result: integers signed in decimal, floats shortest without exponent, a v128 as
/// an unsigned 128-bit integer, references by kind.
std::string format_value(const Val& value);

}  // namespace vmrun::tools
