// See install.h.
#include "jit/code/install.h"

#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "vm/base/assert.h"
#include "vm/wasm/loops.h"

namespace vmrun::jit {
namespace {

/// A block of code memory, given back unless it is published.
struct Unpublished {
  CodeSpace& space;
  CodeSpace::Block block;
  ~Unpublished() { space.free(block); }
};

}  // namespace

const CodeObject* install(CodeSpace& space, CompiledCode code, const vm::Module& module, CodeArena* arena) try {
  static_assert(CodeSpace::kGranule % kCodeAlignment == 0);
  VMRUN_ASSERT(!code.bytes.empty() && code.text <= code.bytes.size(), "compiled code has bytes");
  vm::FuncCode& func = module.code(code.func_index);
  if (code.counts_runs && vm::counts_of(func) == nullptr) return nullptr;
  if (!code.profile.empty() && !vm::add_profile(func, code.profile, code.profile_words)) return nullptr;
  const size_t size = code.bytes.size();
  Unpublished to{space, space.allocate(size, CodeSpace::Use::function, arena)};
  if (!to.block) return nullptr;
  std::memcpy(to.block.rw, code.bytes.data(), size);
  write_types(code, {to.block.rw, size});  // stored code has none
  code.bytes = {};
  code.storage = nullptr;  // the next compile may have it
  auto object = std::make_unique<CodeObject>();
  static_cast<CodeTables&>(*object) = std::move(code);
  object->begin = to.block.rx;
  object->size = static_cast<uint32_t>(size);
  object->func = &func;
  const CodeObject* published = space.publish(std::move(object), to.block);
  to.block = {};
  return published;
} catch (const std::bad_alloc&) {
  return nullptr;
}

void write_types(const CodeTables& tables, std::span<std::byte> code) {
  for (const TypeUse& use : tables.types) {
    const uint32_t value = use.value(use.type);
    std::memcpy(code.data() + use.at, &value, sizeof value);
  }
}

}  // namespace vmrun::jit
