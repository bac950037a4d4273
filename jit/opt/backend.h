// What happens to a unit's IR: optimisation, code, tables, linking. One header for the parts; each is one .cpp with
// its own LLVM headers.
#pragma once

#include <llvm/ADT/SmallVector.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jit/compiler.h"
#include "jit/plugin.h"

namespace llvm {
class Function;
class Module;
class TargetMachine;
}  // namespace llvm

namespace vmrun::jit::opt {

/// Makes LLVM's x86-64 target known, once per process.
void initialise_target();

/// A target machine for a processor by LLVM's name (null: this machine's), position-independent, that one compile has for
/// itself. They are kept: making one takes as long as optimising 100 bytes of wasm.
class TargetMachineLease {
 public:
  explicit TargetMachineLease(const std::string* processor);
  ~TargetMachineLease();
  TargetMachineLease(const TargetMachineLease&) = delete;
  TargetMachineLease& operator=(const TargetMachineLease&) = delete;
  llvm::TargetMachine& operator*() const { return *machine_; }
  /// The compile is over, and the machine may serve another. One that an exception has left in the middle may not.
  void give_back();

 private:
  const std::string processor_;
  std::unique_ptr<llvm::TargetMachine> machine_;
};

/// For Plugin.
std::vector<std::string> features_of(std::string_view processor);
std::vector<std::string> processors();

struct EmitOptions {
  const std::atomic<bool>* cancelled = nullptr;
  bool polls = false;
  bool guarded = false;  // volatile accesses to memory 0 may fault, and no other thread sees them
};

using Object = llvm::SmallVector<char, 0>;  // an ELF file

struct Measures {
  uint64_t merged = 0;  // operands of phis
  uint32_t loops = 0;
  uint32_t chain = 0;  // instructions each of which waits for the one before
};
/// Makes SSA values of the locals, and measures what LLVM's time depends on. When `merged` is more than kMaxMerged, it
/// stops half-way.
Measures measure(llvm::Function& unit);

/// Optimises the module of `unit` and emits it. False: cancelled.
bool emit(llvm::Function& unit, llvm::TargetMachine& machine, const EmitOptions& options, Object& object);

/// What a code object says about its text; offsets from its first byte.
struct Tables {
  uint32_t entry = 0;
  uint32_t text = 0;  // bytes of instructions
  std::vector<SourceMark> marks;
  std::vector<PadMark> pads;
  std::vector<PreemptRange> preempt;
};
/// Reads them from an object file: lines, call-site table, unwind information, and the instructions themselves.
/// An error's text, or "".
std::string read_tables(const Object& object, Tables& tables);

/// How an object refers to a type by the number that the engine has given it: the address of a symbol that is called
/// so. (Were it a constant, the optimiser would leave nobody a place where it stands.)
std::string type_symbol(vm::TypeId type, TypeUse::As as);

struct Linked {
  std::vector<std::byte> bytes;
  std::vector<TypeUse> types;
  std::string error;  // what went wrong, or ""
};
/// Lays out text and constants, text first, and makes references between them: they may lie at any multiple of
/// kCodeAlignment.
Linked link(const Object& object);

/// One line per instruction of `code`, which runs at `address`: offset, instruction.
std::string disassemble(const std::byte* code, size_t size, uint64_t address);

}  // namespace vmrun::jit::opt
