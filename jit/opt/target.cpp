// LLVM's x86-64 target, and target machines that wait for the next compile.
#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/SubtargetFeature.h>
#include <llvm/TargetParser/X86TargetParser.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "jit/opt/backend.h"
#include "vm/base/assert.h"

namespace vmrun::jit::opt {

/// In LLVM's units, some half an instruction each.
constexpr int kLeastGainOfVectors = 10;

/// Bytes: a loop of a few instructions lies in one of the pieces that the processor fetches, wherever its function ends up.
/// Its code begins at a multiple of kCodeAlignment.
constexpr unsigned kLoopAlignment = 32;
static_assert(kCodeAlignment % kLoopAlignment == 0);

void initialise_target() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86Disassembler();
    // It turns conditional moves into branches where a prediction would be faster. The guest's compiler, which saw
    // more, has chosen select: left alone, an edit distance takes 0.20 s instead of 0.44.
    // Code generation's strength reduction makes more values that move with a loop, which are cheap in registers and
    // dear where a call keeps none: ReduceStrength does it where it helps.
    auto& options = llvm::cl::getRegisteredOptions();
    // Straight code becomes vectors where that gains much, as in what was unrolled. Where it gains an instruction or two
    // by LLVM's estimate, it loses: hashes and passes over arrays took 1.03 of their time.
    auto threshold = options.find("slp-threshold");
    VMRUN_ASSERT(threshold != options.end(), "LLVM has this option");
    static_cast<llvm::cl::opt<int>*>(threshold->second)->setValue(kLeastGainOfVectors);
    for (const auto& [name, value] : {std::pair("x86-cmov-converter", false), std::pair("disable-lsr", true)}) {
      auto option = options.find(name);
      VMRUN_ASSERT(option != options.end(), "LLVM has this option");
      static_cast<llvm::cl::opt<bool>*>(option->second)->setValue(value);
    }
  });
}

namespace {

/// What a feature string turns off takes with it what needs that: all of AVX-512.
constexpr const char* kWithout512 = "-avx512f";

std::unique_ptr<llvm::TargetMachine> make_machine(const std::string& named) {
  static const std::string features = [] {
    llvm::SubtargetFeatures list;
    for (const auto& feature : llvm::sys::getHostCPUFeatures()) {
      // Vectors of 512 bits are of no use where loops over guarded memory stay scalar, and scalar selects through mask
      // registers cost: a ray tracer takes 0.31 s without, 0.47 with them.
      const bool wanted = !feature.first().starts_with("avx512") && !feature.first().starts_with("avx10");
      list.AddFeature(feature.first(), feature.second && wanted);
    }
    return list.getString();
  }();
  const llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, error);
  VMRUN_ASSERT(target != nullptr, "LLVM knows this target");
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  options.TrapUnreachable = true;  // a return address of a call that never returns still lies in its function
  options.ExceptionModel = llvm::ExceptionHandling::DwarfCFI;
  options.LoopAlignment = kLoopAlignment;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, named.empty() ? llvm::sys::getHostCPUName().str() : named, named.empty() ? features : kWithout512,
      options, llvm::Reloc::PIC_, llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default, true));
}

/// Those that nobody has, by processor (empty: this machine's). As many as there were compiles at once.
struct Machines {
  std::mutex mutex;
  std::map<std::string, std::vector<std::unique_ptr<llvm::TargetMachine>>, std::less<>> free;
};
Machines& machines() {
  static auto* all = new Machines;  // compile threads of an engine that nobody destroys may outlive static objects
  return *all;
}

}  // namespace

std::vector<std::string> features_of(std::string_view processor) {
  llvm::SmallVector<llvm::StringRef, 0> known, named;
  llvm::X86::fillValidCPUArchList(known, true);
  if (std::ranges::find(known, llvm::StringRef(processor)) == known.end()) return {};
  llvm::X86::getFeaturesForCPU(processor, named);
  llvm::StringMap<bool> all;
  for (const llvm::StringRef feature : named) {
    all[feature] = true;
    llvm::X86::updateImpliedFeatures(feature, true, all);
  }
  llvm::X86::updateImpliedFeatures("avx512f", false, all);
  all["avx512f"] = false;
  std::vector<std::string> out;
  for (const auto& feature : all) {
    if (feature.second) out.push_back(feature.first().str());
  }
  return out;
}

std::vector<std::string> processors() {
  llvm::SmallVector<llvm::StringRef, 0> known;
  llvm::X86::fillValidCPUArchList(known, true);
  return {known.begin(), known.end()};
}

TargetMachineLease::TargetMachineLease(const std::string* processor)
    : processor_(processor != nullptr ? *processor : std::string()) {
  std::unique_lock lock(machines().mutex);
  auto& free = machines().free[processor_];
  if (!free.empty()) {
    machine_ = std::move(free.back());
    free.pop_back();
    return;
  }
  lock.unlock();
  machine_ = make_machine(processor_);
}

TargetMachineLease::~TargetMachineLease() = default;

void TargetMachineLease::give_back() {
  std::lock_guard lock(machines().mutex);
  machines().free[processor_].push_back(std::move(machine_));
}

}  // namespace vmrun::jit::opt
