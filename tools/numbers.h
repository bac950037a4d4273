// Numbers as the text format of WebAssembly writes them (6.3.1, 6.3.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace vmrun::tools {

/// An integer of `bits` (at most 64) bits, signed or unsigned: decimal or after 0x, with "_" between digits. The bits,
/// zero-extended; nothing when `text` is none or does not fit.
std::optional<uint64_t> parse_integer(std::string_view text, unsigned bits);

/// An unsigned integer of 128 bits.
std::optional<unsigned __int128> parse_unsigned(std::string_view text);

/// The bits of a float: decimal or hexadecimal, rounded to the nearest; inf, nan and nan:0x with the fraction's bits,
/// in any case. A value that rounds to infinity is none. ".5" and "5." are, too.
std::optional<uint32_t> parse_f32(std::string_view text);
std::optional<uint64_t> parse_f64(std::string_view text);

}  // namespace vmrun::tools
