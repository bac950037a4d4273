// Code made by hand has no tier manager to give it up: it is noted here, and discarded when the test case is over.
#pragma once

#include "jit/code/code.h"

namespace vmrun::jit::test {

/// Discards `object` at the end of the running test case, when no guest of it is left.
const CodeObject* until_end_of_case(const CodeObject* object);

}  // namespace vmrun::jit::test
