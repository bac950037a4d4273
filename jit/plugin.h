// Between the process and the optimising tier's library. The library holds LLVM and copies of nothing that has state, and
// makes code without knowing code memory. Both sides are built from the same tree; the version says so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jit/compiler.h"
#include "jit/crossing/abi.h"
#include "vm/runtime/instance.h"
#include "vm/runtime/layout.h"
#include "vm/wasm/opcode.h"

namespace vmrun::jit {

/// Changes whenever the two sides would understand a structure differently.
inline constexpr uint64_t kPluginVersion = [] {
  uint64_t version = 3;
  for (uint64_t part :
       {sizeof(vm::Vcpu), sizeof(vm::Instance), sizeof(vm::FuncCode), sizeof(vm::FuncRecord), sizeof(vm::Module),
        sizeof(vm::FuncDecl), sizeof(vm::TypeDef), sizeof(vm::MemoryInst), sizeof(vm::TableInst), sizeof(CompiledCode),
        sizeof(CompileRequest), sizeof(CompileResult), size_t{vm::layout::vcpu::helpers},
        size_t{vm::layout::vcpu::exception}, vm::kOpCount, static_cast<size_t>(Helper::count)}) {
    version = (version ^ part) * 0x100000001b3;
  }
#define X(name, result, params) \
  for (char c : #name #result #params) version = (version ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  VMRUN_HELPERS(X)
#undef X
  return version;
}();

/// What the library gives. It stays loaded for as long as the process lives.
struct Plugin {
  uint64_t version = kPluginVersion;
  Compiler* compiler = nullptr;
  std::string (*disassemble)(const std::byte* code, size_t size, uint64_t address) = nullptr;
  /// The unit's optimised IR as text, or why there is none; for tests and for people.
  std::string (*print_ir)(const CompileRequest& request) = nullptr;
  /// What code for a processor may use, by LLVM's names, those included that follow from others. Empty: LLVM does not know
  /// the processor.
  std::vector<std::string> (*features_of)(std::string_view processor) = nullptr;
  /// All that LLVM knows of 64 bits.
  std::vector<std::string> (*processors)() = nullptr;
};

/// The library's one exported function, by this name: takes the process's kPluginVersion. Null when the versions differ.
using PluginEntry = const Plugin* (*)(uint64_t version);
inline constexpr const char* kPluginEntry = "vmrun_opt_compiler";

/// Loads the library at the first call, on the calling thread; null, with the reason in `*why`, when that fails.
const Plugin* load_plugin(std::string* why);

}  // namespace vmrun::jit
