// The meaning of every scalar numeric instruction, written once: pure functions with the specification's mnemonics
// ('_' for '.'), called by interpreter handlers, constant folding, constant expressions and tests
// (WebAssembly 3.0, 4.3).
//
// Integers travel as uint32_t and uint64_t whatever their interpretation, tests and comparisons give 0 or 1. An
// instruction that can trap returns a TrapCode and writes its result only when that is None.
#pragma once

#include "vm/numeric/numeric_convert.h"
#include "vm/numeric/numeric_float.h"
#include "vm/numeric/numeric_int.h"
