// Disassembly by LLVM's MC layer.
#include "jit/opt/instructions.h"

#include <llvm/MC/MCAsmInfo.h>
#include <llvm/MC/MCContext.h>
#include <llvm/MC/MCDisassembler/MCDisassembler.h>
#include <llvm/MC/MCInst.h>
#include <llvm/MC/MCInstPrinter.h>
#include <llvm/MC/MCInstrDesc.h>
#include <llvm/MC/MCInstrInfo.h>
#include <llvm/MC/MCRegisterInfo.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/MCTargetOptions.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/Format.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/Triple.h>

#include <memory>
#include <string>

#include "jit/opt/backend.h"
#include "vm/base/assert.h"

namespace vmrun::jit::opt {
namespace {

/// A disassembler of one thread.
struct Disassembler {
  llvm::Triple triple{"x86_64-unknown-linux-gnu"};
  const llvm::Target* target;
  std::unique_ptr<const llvm::MCRegisterInfo> registers;
  std::unique_ptr<const llvm::MCAsmInfo> syntax;
  std::unique_ptr<const llvm::MCInstrInfo> instructions;
  std::unique_ptr<const llvm::MCSubtargetInfo> subtarget;
  std::unique_ptr<llvm::MCContext> context;
  std::unique_ptr<const llvm::MCDisassembler> disassembler;

  Disassembler() {
    initialise_target();
    std::string error;
    target = llvm::TargetRegistry::lookupTarget(triple, error);
    VMRUN_ASSERT(target != nullptr, "LLVM knows this target");
    registers.reset(target->createMCRegInfo(triple));
    syntax.reset(target->createMCAsmInfo(*registers, triple, llvm::MCTargetOptions()));
    instructions.reset(target->createMCInstrInfo());
    subtarget.reset(target->createMCSubtargetInfo(triple, "", ""));
    context = std::make_unique<llvm::MCContext>(triple, syntax.get(), registers.get(), subtarget.get());
    disassembler.reset(target->createMCDisassembler(*subtarget, *context));
  }

  template <class Found>
  bool walk(const uint8_t* code, size_t size, uint64_t address, Found found) const {
    for (uint64_t at = 0; at < size;) {
      llvm::MCInst inst;
      uint64_t length = 0;
      auto status =
          disassembler->getInstruction(inst, length, llvm::ArrayRef(code + at, size - at), address + at, llvm::nulls());
      if (status != llvm::MCDisassembler::Success) return false;
      found(at, length, inst);
      at += length;
    }
    return true;
  }
};

Disassembler& disassembler() {
  static thread_local Disassembler instance;
  return instance;
}

}  // namespace

bool walk_instructions(const uint8_t* code, size_t size, const std::function<void(uint64_t, uint64_t, bool)>& found) {
  Disassembler& d = disassembler();
  return d.walk(code, size, 0, [&](uint64_t at, uint64_t length, const llvm::MCInst& inst) {
    found(at, length,
          d.instructions->get(inst.getOpcode()).isCall() && !d.instructions->get(inst.getOpcode()).isReturn());
  });
}

std::string disassemble(const std::byte* code, size_t size, uint64_t address) {
  Disassembler& d = disassembler();
  std::unique_ptr<llvm::MCInstPrinter> printer(
      d.target->createMCInstPrinter(d.triple, 1, *d.syntax, *d.instructions, *d.registers));
  printer->setPrintBranchImmAsAddress(true);
  std::string text;
  llvm::raw_string_ostream out(text);
  d.walk(reinterpret_cast<const uint8_t*>(code), size, address,
         [&](uint64_t at, uint64_t length, const llvm::MCInst& inst) {
           out << llvm::format("%6x:", static_cast<unsigned>(at));
           printer->printInst(&inst, address + at + length, "", *d.subtarget, out);  // what branches are relative to
           out << '\n';
         });
  return text;
}

}  // namespace vmrun::jit::opt
