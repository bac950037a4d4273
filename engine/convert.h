// Between the machine's types and the embedder's.
#pragma once

#include <bit>
#include <vector>

#include "vm/module.h"
#include "vm/types.h"
#include "vmrun/types.h"
#include "vmrun/value.h"

namespace vmrun::engine {

// The two value types have one encoding.
inline ValType to_public(vm::ValType type) { return ValType::from_bits(type.bits()); }
inline vm::ValType to_vm(ValType type) { return std::bit_cast<vm::ValType>(type.bits()); }

std::vector<ValType> to_public(const std::vector<vm::ValType>& types);
FuncType to_public(const vm::FuncType& type);
TableType to_public(const vm::TableType& type);
MemoryType to_public(const vm::MemoryType& type);
GlobalType to_public(const vm::GlobalType& type);

vm::TypeId intern(vm::TypeRegistry& registry, const FuncType& type);

/// Whether `value` may stand where `type` is wanted.
bool matches(const vm::TypeRegistry& registry, const Val& value, vm::ValType type);

/// The type of the import or export of `module` that has this kind and index.
ExternType extern_type(const vm::Module& module, vm::ExternKind kind, uint32_t index);

}  // namespace vmrun::engine
