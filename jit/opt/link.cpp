// Linking: JITLink lays an object's text and constants out in a buffer, as if its first byte were at address 0. Nothing in
// the buffer depends on that: each reference is looked at, and all are distances between places in it, except for the
// numbers of types, which are listed. What the linker would register elsewhere (unwind information, call-site tables,
// lines) has been read into tables before and stays out.
#include <llvm/ExecutionEngine/JITLink/JITLink.h>
#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/JITLink/x86_64.h>
#include <llvm/ExecutionEngine/Orc/SymbolStringPool.h>

#include <algorithm>
#include <optional>

#include "jit/opt/backend.h"

namespace vmrun::jit::opt {
namespace {

namespace jl = llvm::jitlink;

constexpr std::byte kBreakpoint{0xcc};  // between segments, as code memory has it
constexpr llvm::StringLiteral kTypePrefix = "type.", kHeapPrefix = "heap.";

/// The type that a symbol of type_symbol() stands for.
struct NamedType {
  vm::TypeId type;
  TypeUse::As as;
};
std::optional<NamedType> named_type(llvm::StringRef name) {
  NamedType out{{}, TypeUse::As::id};
  if (name.consume_front(kHeapPrefix)) {
    out.as = TypeUse::As::heap;
  } else if (!name.consume_front(kTypePrefix)) {
    return std::nullopt;
  }
  uint32_t number;
  if (name.getAsInteger(10, number)) return std::nullopt;
  out.type = vm::TypeId{number};
  return out;
}

/// Whether the reference is the distance between two places of the graph: the same wherever it lies.
bool is_distance(const jl::Edge& edge) {
  switch (edge.getKind()) {
    case jl::x86_64::Delta64:
    case jl::x86_64::Delta32:
    case jl::x86_64::Delta16:
    case jl::x86_64::Delta8:
    case jl::x86_64::NegDelta64:
    case jl::x86_64::NegDelta32:
    case jl::x86_64::PCRel32:
    case jl::x86_64::BranchPCRel32: return edge.getTarget().isDefined();
    default: return false;
  }
}

/// The number of a type in four or eight bytes, by itself; nothing else is a use of one.
std::optional<NamedType> type_in(const jl::Edge& edge) {
  const bool whole = edge.getKind() == jl::x86_64::Pointer32 || edge.getKind() == jl::x86_64::Pointer32Signed ||
                     edge.getKind() == jl::x86_64::Pointer64;
  if (!whole || edge.getAddend() != 0 || !edge.getTarget().isExternal() || !edge.getTarget().hasName()) {
    return std::nullopt;
  }
  return named_type(*edge.getTarget().getName());
}

/// Looks at every reference, right before they are written.
llvm::Error check_references(jl::LinkGraph& graph, std::vector<TypeUse>& types) {
  for (const jl::Block* block : graph.blocks()) {
    for (const jl::Edge& edge : block->edges()) {
      if (!edge.isRelocation() || is_distance(edge)) continue;
      const std::optional<NamedType> named = type_in(edge);
      if (!named) {
        const std::string name = edge.getTarget().hasName() ? (*edge.getTarget().getName()).str() : "a place";
        return llvm::make_error<jl::JITLinkError>(std::string("code that depends on its place: ") +
                                                  graph.getEdgeKindName(edge.getKind()) + " to " + name);
      }
      types.push_back({static_cast<uint32_t>(block->getFixupAddress(edge).getValue()), named->type, named->as});
    }
  }
  std::ranges::sort(types, {}, &TypeUse::at);
  return llvm::Error::success();
}

/// Places a graph's segments one behind the other in a buffer: executable ones first.
class BufferManager : public jl::JITLinkMemoryManager {
 public:
  explicit BufferManager(std::vector<std::byte>& bytes) : bytes_(bytes) {}

  void allocate(const jl::JITLinkDylib*, jl::LinkGraph& graph, OnAllocatedFunction done) override {
    jl::BasicLayout layout(graph);
    auto each = [&](auto found) {
      for (const bool executable : {true, false}) {
        for (auto& [group, segment] : layout.segments()) {
          const bool is =
              (static_cast<unsigned>(group.getMemProt()) & static_cast<unsigned>(llvm::orc::MemProt::Exec)) != 0;
          if (is == executable) found(segment);
        }
      }
    };
    size_t size = 0, alignment = 1, zeroed = 0;
    each([&](jl::BasicLayout::Segment& segment) {
      size = llvm::alignTo(size, segment.Alignment);
      segment.Addr = llvm::orc::ExecutorAddr(size);
      size += segment.ContentSize;
      zeroed += segment.ZeroFillSize;
      alignment = std::max<size_t>(alignment, segment.Alignment.value());
    });
    if (zeroed != 0)
      return done(llvm::make_error<jl::JITLinkError>("data that begins as zero, which code has none of"));
    if (alignment > kCodeAlignment) {
      return done(llvm::make_error<jl::JITLinkError>("constants that want to lie at a multiple of " +
                                                     std::to_string(alignment)));
    }
    bytes_.assign(size, kBreakpoint);
    each([&](jl::BasicLayout::Segment& segment) {
      segment.WorkingMem = reinterpret_cast<char*>(bytes_.data() + segment.Addr.getValue());
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
  std::vector<std::byte>& bytes_;
};

class Context : public jl::JITLinkContext {
 public:
  Context(BufferManager& memory, Linked& linked) : JITLinkContext(nullptr), memory_(memory), linked_(linked) {}

  jl::JITLinkMemoryManager& getMemoryManager() override { return memory_; }
  void notifyFailed(llvm::Error error) override { linked_.error = llvm::toString(std::move(error)); }
  void lookup(const LookupMap& symbols, std::unique_ptr<jl::JITLinkAsyncLookupContinuation> on) override {
    jl::AsyncLookupResult found;
    std::string names;  // functions of the C library that the code generator wants
    for (const auto& symbol : symbols) {
      if (const std::optional<NamedType> named = named_type(*symbol.first)) {
        const TypeUse use{0, named->type, named->as};
        found[symbol.first] = {llvm::orc::ExecutorAddr(use.value(named->type)), llvm::JITSymbolFlags::Exported};
      } else {
        names += " " + (*symbol.first).str();
      }
    }
    if (!names.empty()) return on->run(llvm::make_error<jl::JITLinkError>("calls of" + names));
    on->run(std::move(found));
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
    passes.PreFixupPasses.push_back(
        [&linked = linked_](jl::LinkGraph& graph) { return check_references(graph, linked.types); });
    return llvm::Error::success();
  }

 private:
  BufferManager& memory_;
  Linked& linked_;
};

}  // namespace

std::string type_symbol(vm::TypeId type, TypeUse::As as) {
  const llvm::StringLiteral prefix = as == TypeUse::As::heap ? kHeapPrefix : kTypePrefix;
  return prefix.str() + std::to_string(static_cast<uint32_t>(type));
}

Linked link(const Object& object) {
  Linked linked;
  // The graph ends while the linker, and lookup() above, still have names of its pool.
  const auto names = std::make_shared<llvm::orc::SymbolStringPool>();
  auto graph = jl::createLinkGraphFromObject(
      llvm::MemoryBufferRef(llvm::StringRef(object.data(), object.size()), "unit"), names);
  if (!graph) {
    linked.error = llvm::toString(graph.takeError());
    return linked;
  }
  BufferManager memory(linked.bytes);
  jl::link(std::move(*graph), std::make_unique<Context>(memory, linked));
  return linked;
}

}  // namespace vmrun::jit::opt
