// The meaning of every vector instruction, written once (WebAssembly 3.0, 4.3.5 and the relaxed instructions): pure
// functions with the specification's mnemonics, the operands in stack order, lane immediates last.
//
// A vector travels as a `Vec`, sixteen bytes with lane 0 lowest, which the compiler keeps in a vector register. The
// definitions use the compiler's portable vectors, so that they serve every target, and are always inlined, so that a
// file may compile them for a newer instruction set than the rest of the program.
#pragma once

#include "vm/numeric/simd_float.h"
#include "vm/numeric/simd_int.h"
#include "vm/numeric/simd_lanes.h"
#include "vm/numeric/simd_relaxed.h"
