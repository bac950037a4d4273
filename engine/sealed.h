// Compiled images and entries with a MAC: the bytes, and behind them a trailer with the MAC of what it is for, of its
// length and of the bytes. The reader of the format never sees the trailer. Bytes whose MAC is asked for are read once, into
// memory of this process, and used from there: what somebody writes into the file later is not seen.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "jit/stored/source.h"
#include "jit/stored/writer.h"
#include "vm/base/hmac.h"
#include "vmrun/base/result.h"
#include "vmrun/stored.h"

namespace vmrun::engine {

/// What a MAC is for: no entry of a cache passes for a compiled image, nor for one of another name.
inline constexpr std::string_view kCompiledImage = "compiled image";

/// Computes the MAC of what goes through it to `sink`.
class Sealing {
 public:
  Sealing(const MacKey& key, std::string_view purpose, jit::stored::Sink sink);
  /// False: the sink refused.
  bool write(std::span<const std::byte> bytes);
  /// Writes the trailer.
  bool finish();

 private:
  vm::HmacSha256 mac_;
  jit::stored::Sink sink_;
};

/// The source without its trailer, if it has one.
struct Unsealed {
  std::unique_ptr<jit::stored::Source> source;
  bool has_mac = false;
};
Unsealed without_mac(std::unique_ptr<jit::stored::Source> source);

/// The bytes of a source, if its MAC is right under the key. Errors: Malformed, Io, Limit.
Result<std::vector<std::byte>> verified(std::unique_ptr<jit::stored::Source> source, std::string_view purpose,
                                        const MacKey& key);

}  // namespace vmrun::engine
