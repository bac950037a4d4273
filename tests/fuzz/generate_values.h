// Values of each type for aimed modules: made of two parameters, and taken from the stack into a sum.
#pragma once

#include "generate_code.h"

namespace vmrun::test::generate {

/// Where the locals are that such values are made of and collected in.
struct ValueLocals {
  uint32_t narrow = 0, wide = 1;  // an i32 and an i64
  uint32_t sum = 2;               // i64
  uint32_t vector = 3;            // v128, scratch
};

/// Puts a value of the type on the stack: a load, a local, a constant, a sum. Makes no NaN of its own; memory 0 has
/// 32-bit addresses. With `loads` it is a load wherever the type has one.
void push_value(Code& c, Random& r, Type type, const ValueLocals& locals, bool loads = false);
/// Adds the value of that type on top of the stack to the sum.
void add_to_sum(Code& c, Type type, const ValueLocals& locals);

}  // namespace vmrun::test::generate
