// The limits of what an image decides: how many of everything a module may have, how large and how deep. An image beyond
// one of them is refused with ErrorKind::Limit and the offset, so that whoever works on a decoded module may count on
// them. docs/limits.md lists them for users, with the limits that a running guest meets.
//
// Two reasons for a value recur. "The web's" means the limits that the WebAssembly JavaScript interface states and that
// browsers keep: producers stay below them. "Ours" bounds the memory or time that a small image can cost; each lies far
// beyond what compilers make.
#pragma once

#include <cstdint>

namespace vmrun::vm {

// --- the image ----------------------------------------------------------------------------------------------------

/// Bytes of an image. The web's. All offsets fit 32 bits.
inline constexpr uint64_t kMaxImageBytes = uint64_t{1} << 30;
/// Custom sections of an image. Ours: an empty one has three bytes, its record 44. Images with debug information have
/// two dozen.
inline constexpr uint32_t kMaxCustomSections = 100'000;
/// Bytes of the name of an import, an export or a custom section. As other engines: names end up in messages.
inline constexpr uint32_t kMaxNameBytes = 100'000;

// --- types --------------------------------------------------------------------------------------------------------

/// Types of a module, all recursive groups together. The web's.
inline constexpr uint32_t kMaxTypes = 1'000'000;
/// Parameters of a function type; also values that a block or a tag takes. The web's.
inline constexpr uint32_t kMaxParams = 1000;
/// Results of a function type or a block. The web's.
inline constexpr uint32_t kMaxResults = 1000;
/// Fields of a struct type; operands of array.new_fixed. The web's.
inline constexpr uint32_t kMaxStructFields = 10'000;
/// Supertypes above a type. The web's.
inline constexpr uint32_t kMaxSubtypeDepth = 63;
/// Parameters, results and fields of all types of a module together. Ours: a byte of the image becomes eight in memory.
inline constexpr uint32_t kMaxTypeParts = 10'000'000;
/// Types that an engine holds for all its modules (equal ones once). Ours: ids fit 22 bits.
inline constexpr uint32_t kMaxEngineTypes = 1u << 22;
/// Parameters, results and fields of all types that an engine holds. Ours: 8 bytes each, for as long as the engine lives.
inline constexpr uint64_t kMaxEngineTypeParts = 40'000'000;

// --- index spaces -------------------------------------------------------------------------------------------------

/// Functions of a module, imported ones included. The web's.
inline constexpr uint32_t kMaxFunctions = 1'000'000;
/// Imports and exports. The web's.
inline constexpr uint32_t kMaxImports = 1'000'000, kMaxExports = 1'000'000;
/// Globals and tags, imported ones included. The web's.
inline constexpr uint32_t kMaxGlobals = 1'000'000, kMaxTags = 1'000'000;
/// Tables, imported ones included. The web's.
inline constexpr uint32_t kMaxTables = 100'000;
/// Memories, imported ones included. The web's.
inline constexpr uint32_t kMaxMemories = 100;
/// Data segments. The web's.
inline constexpr uint32_t kMaxDataSegments = 100'000;
/// Element segments. As Wasmtime: an empty one has three bytes, its record 72.
inline constexpr uint32_t kMaxElemSegments = 100'000;
/// Elements of all element segments together. The web's for a table.
inline constexpr uint32_t kMaxElements = 10'000'000;

// --- functions ----------------------------------------------------------------------------------------------------

/// Bytes of a function's body, local declarations included. The web's.
inline constexpr uint32_t kMaxBodyBytes = 7'654'321;
/// Locals of a function, parameters included. The web's.
inline constexpr uint32_t kMaxLocals = 50'000;
/// Slots of 8 bytes that a function's locals and operands take at once, in unreachable code too: a v128 takes two, and
/// so does each operand of a function in which a v128 may be on the stack. Ours: no tier makes a frame above 400 KB from
/// it, and no compiler's table of operands grows with the body's bytes times the results of a block.
inline constexpr uint32_t kMaxFrameSlots = 50'000;
/// Blocks inside one another. Ours: a compiler's record of a block has some 100 bytes, the block two.
inline constexpr uint32_t kMaxNesting = 100'000;
/// Labels of a br_table beside the default. As V8.
inline constexpr uint32_t kMaxBranchLabels = 65'520;
/// Catch clauses of a try_table. As Wasmtime.
inline constexpr uint32_t kMaxCatches = 10'000;

}  // namespace vmrun::vm
