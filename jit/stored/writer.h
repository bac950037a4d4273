// Makes a file of stored code, in pieces that are written as they come.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "jit/stored/format.h"
#include "vm/wasm/module.h"

namespace vmrun::jit::stored {

/// A unit to be stored. Of two with the same function, unit and tier the first one is kept.
struct Unit {
  uint32_t func_index = 0, unit = 0;
  vm::Tier tier = vm::Tier::baseline;
  uint32_t idle = 0;
  uint32_t code_size = 0;
  std::vector<std::byte> piece;
};

/// What else the file says.
struct About {
  const vm::Module* module = nullptr;
  vm::Digest content;
  Settings settings;
  ProcessorBits processor = this_processor();  // what the code needs
  std::span<const uint8_t> image;              // empty: it is left out
};

/// Takes the next bytes of the file; false: they could not be written, and nothing more is.
using Sink = std::function<bool(std::span<const std::byte>)>;

/// The parts of a header that do not depend on what is in the file.
Header header_of(const About& about);
/// Gives a header its hash, when all else stands in it.
void seal(Header& header);
inline uint64_t to_page(uint64_t at) { return (at + kPage - 1) & ~(kPage - 1); }

/// Units in the order in which their code is to lie. False: the sink refused, or the file would be too large. The bytes
/// depend on nothing but what is given.
bool write(const About& about, std::vector<Unit> units, const Sink& sink);

}  // namespace vmrun::jit::stored
