// The optimising tier's compiler and the library's way in.
//
// Threads: any number may compile at once. A compile has its own LLVM context, and a target machine for itself while it
// lasts; nothing is shared but LLVM's own read-only tables.
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/OptBisect.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <mutex>
#include <new>
#include <ranges>
#include <span>

#include "jit/opt/backend.h"
#include "jit/opt/limits.h"
#include "jit/opt/lower.h"
#include "jit/opt/pay_ahead.h"
#include "vm/base/assert.h"
#include "vm/runtime/memory.h"

namespace vmrun::jit::opt {
namespace {

/// LLVM's complaints about a unit. Without a handler it would print them and end the process.
struct Complaints {
  std::string frame;  // is too large
  std::string error;
  static void handle(const llvm::DiagnosticInfo* info, void* self) {
    auto* complaints = static_cast<Complaints*>(self);
    const bool frame = info->getKind() == llvm::DK_StackSize;
    if (!frame && info->getSeverity() != llvm::DS_Error) return;
    llvm::raw_string_ostream out(frame ? complaints->frame : complaints->error);
    llvm::DiagnosticPrinterRawOStream printer(out);
    info->print(printer);
  }
};

/// Lets code generation skip what it can once nobody wants the unit any more.
class Gate : public llvm::OptPassGate {
 public:
  explicit Gate(const std::atomic<bool>* cancelled) : cancelled_(cancelled) {}
  bool shouldRunPass(llvm::StringRef, llvm::StringRef) const override {
    return cancelled_ == nullptr || !cancelled_->load(std::memory_order_relaxed);
  }
  bool isEnabled() const override { return true; }

 private:
  const std::atomic<bool>* const cancelled_;
};

/// What LLVM calls when it cannot go on. Memory that is missing ends the compile, anything else the process: LLVM would
/// end it without a word of ours.
void handle_failures() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::install_bad_alloc_error_handler([](void*, const char*, bool) { throw std::bad_alloc(); });
    llvm::install_fatal_error_handler(
        [](void*, const char* reason, bool) { vm::assertion_failed("LLVM can go on", reason, __FILE__, __LINE__); });
  });
}

/// One unit on its way.
struct Unit {
  explicit Unit(const CompileRequest& request) : gate(request.cancelled), module("unit", context) {
    context.setDiscardValueNames(true);
    context.setOptPassGate(gate);
    context.setDiagnosticHandlerCallBack(&Complaints::handle, &complaints);
  }
  void lower(const CompileRequest& request) {
    LoweredUnit unit(request);
    Lowering lowering(module, unit);
    function = lowering.run();
    reason = lowering.reason();
    places = std::move(unit.places);
    charges = std::move(unit.charges);
  }
  llvm::LLVMContext context;
  Gate gate;
  Complaints complaints;
  llvm::Module module;
  llvm::Function* function = nullptr;
  std::string reason;
  std::vector<InlinedPlace> places;  // empty: nothing was inlined
  std::vector<llvm::Instruction*> charges;
};

class OptCompiler : public Compiler {
 public:
  vm::Tier tier() const override { return vm::Tier::opt; }
  CompileResult compile(const CompileRequest& request) override;

 private:
  /// Sets `inlined` where the unit contains callees.
  static CompileResult attempt(const CompileRequest& request, bool& inlined);
  static CompileResult compile(Unit& unit, const CompileRequest& request);
};

EmitOptions emit_options(const CompileRequest& request) {
  const vm::Module& image = *request.module;
  const bool guarded = !image.memories.empty() && !image.memories[0].shared &&
                       vm::memory_is_guarded(image.memories[0], !image.guarded_memories);
  return {.cancelled = request.cancelled, .polls = request.polls, .guarded = guarded};
}

/// Bytes of a compiled unit.
class OwnBytes final : public CodeStorage {
 public:
  explicit OwnBytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  std::span<const std::byte> bytes() const { return bytes_; }
  void release() noexcept override { delete this; }

 private:
  const std::vector<std::byte> bytes_;
};

CompileResult refused(std::string reason) { return {CompileResult::Status::unsupported, std::move(reason)}; }

CompileResult OptCompiler::compile(const CompileRequest& request) {
  // LLVM's frames clean up nothing when an exception passes them, and leave references to what was in them. So the unit
  // is lost then, and with it some memory.
  try {
    bool inlined = false;
    CompileResult result = attempt(request, inlined);
    if (result.status != CompileResult::Status::unsupported || !inlined) return result;
    // By itself it may be within the limits.
    CompileRequest alone = request;
    alone.inlining = Inlining::Off;
    return attempt(alone, inlined);
  } catch (const std::bad_alloc&) {
    return {CompileResult::Status::no_memory, "memory is exhausted"};
  }
}

CompileResult OptCompiler::attempt(const CompileRequest& request, bool& inlined) {
  auto* unit = new Unit(request);
  unit->lower(request);
  inlined = !unit->places.empty();
  CompileResult result = compile(*unit, request);
  delete unit;
  return result;
}

/// Keeps those of the places that marks name, and their callers, under new numbers.
std::vector<InlinedPlace> keep_named(std::span<SourceMark> marks, std::span<const InlinedPlace> places) {
  std::vector<InlinedPlace> kept;
  std::vector<uint32_t> numbers(places.size(), 0);  // new ones; 0: not kept
  auto number = [&](uint32_t place) {
    // Calls are placed before what stands in their callee.
    std::vector<uint32_t> chain;
    for (; (place & kInlined) != 0 && numbers[place & ~kInlined] == 0; place = places[place & ~kInlined].caller) {
      chain.push_back(place & ~kInlined);
    }
    for (const uint32_t index : chain | std::views::reverse) {
      InlinedPlace copy = places[index];
      if ((copy.caller & kInlined) != 0) copy.caller = numbers[copy.caller & ~kInlined];
      numbers[index] = kInlined | static_cast<uint32_t>(kept.size());
      kept.push_back(copy);
    }
  };
  for (SourceMark& mark : marks) {
    if ((mark.place & kInlined) == 0) continue;
    number(mark.place);
    mark.place = numbers[mark.place & ~kInlined];
  }
  return kept;
}

CompileResult OptCompiler::compile(Unit& unit, const CompileRequest& request) {
  if (unit.function == nullptr) return refused(unit.reason);
#ifdef VMRUN_ASSERTIONS
  VMRUN_ASSERT(!llvm::verifyModule(unit.module, &llvm::errs()), "lowering makes valid IR");
#endif
  const Measures measures = measure(*unit.function);
  if (measures.merged > kMaxMerged) return refused(std::to_string(measures.merged) + " values at merges");
  if (measures.loops > kMaxLoops) return refused(std::to_string(measures.loops) + " loops");
  if (measures.chain > kMaxChain) return refused("a chain of " + std::to_string(measures.chain) + " instructions");
  // It makes another copy of all.
  pay_ahead(*unit.function, unit.charges, 2 * measures.merged <= kMaxMerged && 2 * measures.loops <= kMaxLoops);
#ifdef VMRUN_ASSERTIONS
  VMRUN_ASSERT(!llvm::verifyModule(unit.module, &llvm::errs()), "paying ahead makes valid IR");
#endif
  TargetMachineLease machine(request.processor);
  Object object;
  const bool emitted = emit(*unit.function, *machine, emit_options(request), object);
  machine.give_back();
  if (!emitted) return {CompileResult::Status::cancelled};
  if (!unit.complaints.error.empty()) return bug_in_compile("LLVM: " + unit.complaints.error);
  if (!unit.complaints.frame.empty()) return refused(unit.complaints.frame);
  Tables tables;
  std::string error = read_tables(object, tables);
  if (!error.empty()) return bug_in_compile(error);
  Linked linked = link(object);
  if (!linked.error.empty()) return bug_in_compile(linked.error);

  CompileResult result{CompileResult::Status::done};
  CompiledCode& code = result.code;
  auto* storage = new OwnBytes(std::move(linked.bytes));
  code.storage.reset(storage);
  code.bytes = storage->bytes();
  code.text = tables.text;
  code.tier = vm::Tier::opt;
  code.func_index = request.func_index;
  code.unit = request.unit;
  code.entry = tables.entry;
  if (request.unit != kWholeFunction && !is_alone(request.unit)) code.osr.push_back({request.unit, tables.entry});
  code.marks = std::move(tables.marks);
  code.inlined = keep_named(code.marks, unit.places);
  code.pads = std::move(tables.pads);
  code.preempt = std::move(tables.preempt);
  code.types = std::move(linked.types);
  code.counts_runs = request.count_runs;
  return result;
}

std::string print_ir(const CompileRequest& request) {
  Unit unit(request);
  unit.lower(request);
  if (unit.function == nullptr) return unit.reason;
  std::string text;
  llvm::raw_string_ostream out(text);
  if (llvm::verifyModule(unit.module, &out)) return text;
  TargetMachineLease machine(request.processor);
  Object object;
  measure(*unit.function);
  pay_ahead(*unit.function, unit.charges, true);
  emit(*unit.function, *machine, emit_options(request), object);
  unit.module.print(out, nullptr);
  return text;
}

}  // namespace
}  // namespace vmrun::jit::opt

extern "C" __attribute__((visibility("default"))) const vmrun::jit::Plugin* vmrun_opt_compiler(uint64_t version) {
  using namespace vmrun::jit;
  if (version != kPluginVersion) return nullptr;
  opt::initialise_target();
  opt::handle_failures();
  static opt::OptCompiler compiler;
  static const Plugin plugin = {.compiler = &compiler,
                                .disassemble = &opt::disassemble,
                                .print_ir = &opt::print_ir,
                                .features_of = &opt::features_of,
                                .processors = &opt::processors};
  return &plugin;
}
