// The optimising tier's compiler and the library's way in.
//
// Threads: any number may compile at once. A compile has its own LLVM context and target machine; nothing is shared but
// LLVM's own read-only tables.
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include "jit/opt/backend.h"
#include "jit/opt/lower.h"
#include "vm/assert.h"
#include "vm/memory.h"

namespace vmrun::jit::opt {
namespace {

const PluginHost* host = nullptr;

/// LLVM's complaints about a unit. Without a handler it would print them and end the process.
struct Complaints {
  std::string text;
  static void handle(const llvm::DiagnosticInfo* info, void* self) {
    auto* complaints = static_cast<Complaints*>(self);
    const bool frame = info->getKind() == llvm::DK_StackSize;
    if (!frame && info->getSeverity() != llvm::DS_Error) return;
    llvm::raw_string_ostream out(complaints->text);
    llvm::DiagnosticPrinterRawOStream printer(out);
    info->print(printer);
  }
};

/// One unit on its way.
struct Unit {
  explicit Unit(const CompileRequest& request) : module("unit", context) {
    context.setDiscardValueNames(true);
    context.setDiagnosticHandlerCallBack(&Complaints::handle, &complaints);
    Lowering lowering(module, request);
    function = lowering.run();
    reason = lowering.reason();
  }
  llvm::LLVMContext context;
  Complaints complaints;
  llvm::Module module;
  llvm::Function* function = nullptr;
  std::string reason;
};

class OptCompiler : public Compiler {
 public:
  vm::Tier tier() const override { return vm::Tier::opt; }
  CompileResult compile(const CompileRequest& request) override;
};

EmitOptions emit_options(const CompileRequest& request) {
  const vm::Module& image = *request.module;
  const bool guarded = !image.memories.empty() && !image.memories[0].shared &&
                       vm::memory_is_guarded(image.memories[0], !image.guarded_memories);
  return {.cancelled = request.cancelled, .polls = request.polls, .guarded = guarded};
}

CompileResult refused(std::string reason) { return {CompileResult::Status::unsupported, nullptr, std::move(reason)}; }

CompileResult OptCompiler::compile(const CompileRequest& request) {
  Unit unit(request);
  if (unit.function == nullptr) return refused(unit.reason);
#ifdef VMRUN_ASSERTIONS
  VMRUN_ASSERT(!llvm::verifyModule(unit.module, &llvm::errs()), "lowering makes valid IR");
#endif
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine();
  Object object;
  if (!emit(*unit.function, *machine, emit_options(request), object)) {
    return {CompileResult::Status::cancelled, nullptr, ""};
  }
  if (!unit.complaints.text.empty()) return refused(unit.complaints.text);
  Tables tables;
  std::string error = read_tables(object, tables);
  if (!error.empty()) return refused(error);
  const Linked linked = link(object, *host, request.arena);
  if (linked.no_memory) return {CompileResult::Status::no_memory, nullptr, linked.error};
  if (!linked.error.empty()) return refused(linked.error);

  auto code = std::make_unique<CodeObject>();
  code->begin = linked.block.rx;
  code->size = linked.size;
  code->text = tables.text;
  code->tier = vm::Tier::opt;
  code->func = &request.module->code(request.func_index);
  code->unit = request.unit;
  code->entry = tables.entry;
  if (request.unit != kWholeFunction) code->osr.push_back({request.unit, tables.entry});
  code->marks = std::move(tables.marks);
  code->pads = std::move(tables.pads);
  code->preempt = std::move(tables.preempt);
  return {CompileResult::Status::done, host->publish(std::move(code), linked.block), ""};
}

std::string print_ir(const CompileRequest& request) {
  Unit unit(request);
  if (unit.function == nullptr) return unit.reason;
  std::string text;
  llvm::raw_string_ostream out(text);
  if (llvm::verifyModule(unit.module, &out)) return text;
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine();
  Object object;
  emit(*unit.function, *machine, emit_options(request), object);
  unit.module.print(out, nullptr);
  return text;
}

}  // namespace
}  // namespace vmrun::jit::opt

extern "C" __attribute__((visibility("default"))) const vmrun::jit::Plugin* vmrun_opt_plugin(
    const vmrun::jit::PluginHost* process) {
  using namespace vmrun::jit;
  if (process->version != kPluginVersion) return nullptr;
  opt::initialise_target();
  opt::host = process;
  static opt::OptCompiler compiler;
  static const Plugin plugin = {.compiler = &compiler, .disassemble = &opt::disassemble, .print_ir = &opt::print_ir};
  return &plugin;
}
