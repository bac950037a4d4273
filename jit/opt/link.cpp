// Linking: JITLink puts an object's text and constants into one block of code memory. The object calls nothing by name
// and refers to its own constants only, so no symbol is ever looked up. What the linker would register elsewhere
// (unwind information, call-site tables, lines) has been read into tables before and stays out.
#include <llvm/ExecutionEngine/JITLink/JITLink.h>
#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/SymbolStringPool.h>

#include "jit/opt/backend.h"

namespace vmrun::jit::opt {
namespace {

namespace jl = llvm::jitlink;

/// Places a graph's segments one behind the other in a block of code memory: executable ones first. They are written
/// through the writable mapping and fixed up for the executable one.
class BlockManager : public jl::JITLinkMemoryManager {
 public:
  BlockManager(const PluginHost& host, CodeArena* arena, Linked& linked)
      : host_(host), arena_(arena), linked_(linked) {}

  void allocate(const jl::JITLinkDylib*, jl::LinkGraph& graph, OnAllocatedFunction done) override {
    jl::BasicLayout layout(graph);
    size_t size = 0;
    auto each = [&](auto found) {
      for (const bool executable : {true, false}) {
        for (auto& [group, segment] : layout.segments()) {
          const bool is =
              (static_cast<unsigned>(group.getMemProt()) & static_cast<unsigned>(llvm::orc::MemProt::Exec)) != 0;
          if (is == executable) found(segment);
        }
      }
    };
    each([&](jl::BasicLayout::Segment& segment) {
      size = llvm::alignTo(size, segment.Alignment) + segment.ContentSize + segment.ZeroFillSize;
    });
    const CodeSpace::Block block = host_.allocate(size, arena_);
    linked_.block = block;
    linked_.size = static_cast<uint32_t>(size);
    if (!block) {
      linked_.no_memory = true;
      return done(llvm::make_error<jl::JITLinkError>("code memory is exhausted"));
    }
    size_t at = 0;
    each([&](jl::BasicLayout::Segment& segment) {
      at = llvm::alignTo(at, segment.Alignment);
      segment.Addr = llvm::orc::ExecutorAddr::fromPtr(block.rx + at);
      segment.WorkingMem = reinterpret_cast<char*>(block.rw + at);
      at += segment.ContentSize + segment.ZeroFillSize;
    });
    if (llvm::Error error = layout.apply()) return done(std::move(error));
    done(std::make_unique<InFlight>());
  }

  void deallocate(std::vector<FinalizedAlloc> allocations, OnDeallocatedFunction done) override {
    for (FinalizedAlloc& allocation : allocations) allocation.release();
    done(llvm::Error::success());
  }

 private:
  struct InFlight : InFlightAlloc {
    void abandon(OnAbandonedFunction done) override { done(llvm::Error::success()); }
    void finalize(OnFinalizedFunction done) override { done(FinalizedAlloc(llvm::orc::ExecutorAddr(1))); }
  };
  const PluginHost& host_;
  CodeArena* const arena_;
  Linked& linked_;
};

class Context : public jl::JITLinkContext {
 public:
  Context(BlockManager& memory, std::string& error) : JITLinkContext(nullptr), memory_(memory), error_(error) {}

  jl::JITLinkMemoryManager& getMemoryManager() override { return memory_; }
  void notifyFailed(llvm::Error error) override { error_ = llvm::toString(std::move(error)); }
  void lookup(const LookupMap& symbols, std::unique_ptr<jl::JITLinkAsyncLookupContinuation> on) override {
    // The code generator wants a function of the C library.
    std::string names;
    for (const auto& symbol : symbols) names += " " + (*symbol.first).str();
    on->run(llvm::make_error<jl::JITLinkError>("calls of" + names));
  }
  llvm::Error notifyResolved(jl::LinkGraph&) override { return llvm::Error::success(); }
  void notifyFinalized(jl::JITLinkMemoryManager::FinalizedAlloc allocation) override { allocation.release(); }
  bool shouldAddDefaultTargetPasses(const llvm::Triple&) const override { return false; }
  llvm::Error modifyPassConfig(jl::LinkGraph&, jl::PassConfiguration& passes) override {
    passes.PrePrunePasses.push_back([](jl::LinkGraph& graph) {
      llvm::SmallVector<jl::Section*, 8> dropped;
      for (jl::Section& section : graph.sections()) {
        const llvm::StringRef name = section.getName();
        if (!name.starts_with(".text") && !name.starts_with(".rodata")) dropped.push_back(&section);
      }
      for (jl::Section* section : dropped) graph.removeSection(*section);
      for (jl::Symbol* symbol : graph.defined_symbols()) symbol->setLive(true);
      return llvm::Error::success();
    });
    return llvm::Error::success();
  }

 private:
  BlockManager& memory_;
  std::string& error_;
};

}  // namespace

Linked link(const Object& object, const PluginHost& host, CodeArena* arena) {
  Linked linked;
  auto graph =
      jl::createLinkGraphFromObject(llvm::MemoryBufferRef(llvm::StringRef(object.data(), object.size()), "unit"),
                                    std::make_shared<llvm::orc::SymbolStringPool>());
  if (!graph) {
    linked.error = llvm::toString(graph.takeError());
    return linked;
  }
  BlockManager memory(host, arena, linked);
  jl::link(std::move(*graph), std::make_unique<Context>(memory, linked.error));
  if (!linked.error.empty() && linked.block) {
    host.free(linked.block);
    linked.block = {};
  }
  return linked;
}

}  // namespace vmrun::jit::opt
