// Values of test scripts against values of the machine.
#pragma once

#include <string>

#include "tools/wast_script.h"
#include "vmrun/store.h"
#include "vmrun/value.h"

namespace vmrun::tools {

/// The argument that `pattern` describes, for a parameter of type `type`. Host references hold their number.
Result<Val> to_value(Store& store, const Pattern& pattern, ValType type);

/// True when `value` is one of those that `pattern` allows (the suite's rules for NaNs and references).
bool matches(const Pattern& pattern, const Val& value);

/// For messages: "f32:0x7fc00000", "either(...)", "v128 i32 0x00000001 ...".
std::string describe(const Pattern& pattern);
std::string describe(const Val& value);

}  // namespace vmrun::tools
