// Between the machine's types and the embedder's.
#pragma once

#include <bit>
#include <string_view>
#include <vector>

#include "vm/runtime/store.h"
#include "vm/wasm/module.h"
#include "vm/wasm/types.h"
#include "vmrun/base/error.h"
#include "vmrun/base/result.h"
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

/// The id of `type` in `registry`. Error: Limit, when the registry is full.
Result<vm::TypeId> intern(vm::TypeRegistry& registry, const FuncType& type);

/// Whether a value may enter a store.
enum class Fit : uint8_t { yes, wrong_type, foreign };
/// Whether `value` may stand where `store` wants `type`. The one gate for values from outside: a reference must be of
/// this store, or whoever follows it later follows it into another store, which may be gone by then.
Fit fits(vm::Store& store, const Val& value, vm::ValType type);
/// Whether `ref`, of the hierarchy whose top is `top`, is null, a number in a reference, or of this store.
bool is_of(vm::Store& store, Ref ref, vm::HeapType top);
/// What to say about a value that does not fit: `what` ("argument 0") is what it was to be.
Error unfit(Fit fit, std::string_view what, const Val& value, vm::ValType type);

/// The type of the import or export of `module` that has this kind and index.
ExternType extern_type(const vm::Module& module, vm::ExternKind kind, uint32_t index);

}  // namespace vmrun::engine
