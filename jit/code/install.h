// Compiled code becomes code that can be entered: the one place where functions' code is written into code memory.
#pragma once

#include "jit/code/code.h"
#include "jit/code/compiled.h"
#include "vm/wasm/module.h"

namespace vmrun::jit {

/// Puts `code`, which is of `module`'s function, into a chunk of `arena`'s (null: among what belongs to nobody) and makes
/// find() know it; nothing enters it yet (publish.h). What the code counts in is made before. Null: there is no memory,
/// or the system refuses executable memory, and nothing stays behind. The space owns the object. Any thread.
const CodeObject* install(CodeSpace& space, CompiledCode code, const vm::Module& module, CodeArena* arena);

/// Writes the numbers of the types that code uses into a copy of it (TypeUse).
void write_types(const CodeTables& tables, std::span<std::byte> code);

}  // namespace vmrun::jit
