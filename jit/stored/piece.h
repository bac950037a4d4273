// A unit of stored code as a piece of bytes: its tables and its code; see format.h.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "jit/code/compiled.h"
#include "jit/stored/format.h"
#include "vm/wasm/module.h"

namespace vmrun::jit::stored {

/// The piece of a unit of `module` whose code lies in `code`. Empty: a type of it is none of the module's, or it is too
/// large.
std::vector<std::byte> make_piece(const CodeTables& tables, std::span<const std::byte> code, const vm::Module& module);

/// Puts the same behind what is in `out`, and returns its size; 0: it is as it was.
size_t append_piece(std::vector<std::byte>& out, const CodeTables& tables, std::span<const std::byte> code,
                    const vm::Module& module);

/// What a piece says, with the module's types in it by their numbers here. Every number in it is checked: whatever the
/// bytes are, using what comes back stays inside of it. Nothing, where they make no sense. `record` is the piece's.
std::optional<CompiledCode> read_piece(std::vector<std::byte> piece, const UnitRecord& record,
                                       const vm::Module& module);
/// The same of a piece that lies elsewhere and stays there: the code is not copied, and has no types in it until it is
/// installed (write_types).
std::optional<CompiledCode> view_piece(std::span<const std::byte> piece, const UnitRecord& record,
                                       const vm::Module& module);

}  // namespace vmrun::jit::stored
