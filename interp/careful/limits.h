// What the careful translator takes on; larger functions keep their quick code. It is no linear algorithm, and a guest
// must not be able to make it take seconds or gigabytes: the limits stand for some 0.1 s and 40 MB. None of the
// programs and images of bench/ has a function beyond them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmrun::interp {

inline constexpr size_t kCarefulInsts = size_t{1} << 18;
inline constexpr size_t kCarefulRegs = size_t{1} << 19;           // an empty block may have a thousand results
inline constexpr size_t kCarefulLivenessWords = size_t{1} << 20;  // of 64 values, at each block and edge
inline constexpr size_t kCarefulSegments = size_t{1} << 20;
inline constexpr int kCarefulPasses = 100;  // over all blocks, until liveness is known
/// Operands that loops find, and that branches and ends of loops carry, all together: for a loop or a branch of a few
/// bytes they may be thousands.
inline constexpr uint64_t kCarefulLooks = uint64_t{1} << 20;

}  // namespace vmrun::interp
