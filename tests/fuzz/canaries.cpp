#include "canaries.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "engine/engine_impl.h"
#include "generate_writer.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/memory.h"

namespace vmrun::test {
namespace {

constexpr size_t kPage = 4096, kBlock = 64u << 10;
constexpr size_t kEmpty = size_t{512} << 30;  // before and behind a memory
constexpr uint64_t kGlobal = 0x5ca1ab1e0ddba115;

/// ThreadSanitizer allows mappings in a small part of the address space only.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool kMayStandAlone = false;
#else
constexpr bool kMayStandAlone = true;
#endif
#endif

/// Known bytes, never zero, that differ from their neighbours.
const std::byte* pattern() {
  static const std::vector<std::byte> bytes = [] {
    std::vector<std::byte> made(kBlock);
    for (size_t i = 0; i < made.size(); ++i) made[i] = static_cast<std::byte>(i * 197 + i / 256 | 1);
    return made;
  }();
  return bytes.data();
}

void fill(std::byte* to, size_t size) {
  for (size_t done = 0; done < size; done += kBlock) std::memcpy(to + done, pattern(), std::min(kBlock, size - done));
}
bool filled(const std::byte* from, size_t size) {
  for (size_t done = 0; done < size; done += kBlock) {
    if (std::memcmp(from + done, pattern(), std::min(kBlock, size - done)) != 0) return false;
  }
  return true;
}

/// Memories of both kinds, a table with functions and nulls, and globals.
std::vector<uint8_t> image() {
  using namespace generate;
  ModuleWriter w;
  const uint32_t func = w.func({{}, {i32}});
  w.define(func, Code().i32(77).end());
  w.memory({.pages = 1, .max = 1});
  w.memory({.is64 = true, .pages = 1, .max = 1});
  w.table({funcref, 16, 16});
  w.elements(0, {func, func, func, func, func, func, func, func});
  for (Type type : {i64, i64, i64, i64}) w.global(type, kGlobal);
  return w.build();
}

std::byte* map(size_t bytes, int protection) {
  void* p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : static_cast<std::byte*>(p);
}

}  // namespace

struct Canaries::Neighbour {
  std::vector<Memory> memories;
  std::vector<Global> globals;
  std::vector<Table> tables;
};

Canaries::Canaries(const Engine& engine, size_t memories, size_t stores, size_t stack_bytes) : engine_(engine) {
  Result<Module> module = Module::compile(engine_, image(), "canary");
  if (module) module_ = std::make_unique<Module>(*module);
  join(stores_.emplace_back(engine_));
  add_blocks();
  for (size_t i = 0; i < stores; ++i) place_stack(stack_bytes);
  for (size_t i = 0; i < memories; ++i) place_memory();
}

Canaries::~Canaries() {
  // The pool has what lies inside.
  for (const Area& area : areas_) {
    munmap(area.begin, area.before);
    munmap(area.begin + area.before + area.inner, area.behind);
  }
}

/// A reservation for the pool in the middle of emptiness, which the next guarded memory gets.
void Canaries::place_memory() {
  if (engine_.config().dense_memory || !kMayStandAlone) return;
  const size_t inner = (vm::kFaultReservation + kPage - 1) & -kPage;
  std::byte* begin = map(kEmpty + inner + kEmpty, PROT_NONE);
  if (begin == nullptr) return;
  areas_.push_back({begin, kEmpty, inner, kEmpty, false});
  vm::MemoryMapping mapping;
  mapping.base = begin + kEmpty;
  mapping.reserved = 4ull << 30;
  mapping.guarded = true;
  mapping.pooled = true;
  vm::fault_add_reservation(mapping.base);
  engine_.impl()->pool->release(mapping);
}

/// A stack between canaries, which the next store gets.
void Canaries::place_stack(size_t bytes) {
  bytes = (bytes + kPage - 1) & -kPage;
  // As MemoryPool::acquire_stack makes it: the stack, what lies beyond it, and a page that nobody may touch.
  const size_t usable = bytes + vm::kStackRedZone + vm::kAreaBytes, inner = usable + kPage;
  std::byte* begin = map(kBlock + inner + kBlock, PROT_READ | PROT_WRITE);
  if (begin == nullptr) return;
  mprotect(begin + kBlock + usable, kPage, PROT_NONE);
  fill(begin, kBlock);
  fill(begin + kBlock + inner, kBlock);
  areas_.push_back({begin, kBlock, inner, kBlock, true});
  engine_.impl()->pool->release_stack(begin + kBlock, bytes);
}

void Canaries::add_blocks() {
  for (size_t size = 16; size <= 16384; size *= 4) {
    blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(size));
    fill(blocks_.back().get(), size);
  }
}

void Canaries::join(Store& store) {
  if (module_ == nullptr) return;
  Result<Instance> instance = Instance::instantiate(store, *module_, {});
  if (!instance) return;  // the guest's store has a limit
  Neighbour& neighbour = neighbours_.emplace_back();
  for (const auto& [name, item] : instance->exports()) {
    if (const Memory* memory = item.memory()) neighbour.memories.push_back(*memory);
    if (const Global* global = item.global()) neighbour.globals.push_back(*global);
    if (const Table* table = item.table()) neighbour.tables.push_back(*table);
  }
  for (Memory memory : neighbour.memories) fill(memory.data().data(), memory.data().size());
}

void Canaries::close() {
  join(stores_.emplace_back(engine_));
  add_blocks();
}

void Canaries::watch(Memory memory) {
  watched_.push_back(memory);
  guarded_ += vm::memory_is_guarded(memory.impl()->type, engine_.config().dense_memory);
  for (const Area& area : areas_) alone_ += memory.data().data() == area.begin + area.before;
}

std::string Canaries::check() const {
  for (const Neighbour& neighbour : neighbours_) {
    for (const Memory& memory : neighbour.memories) {
      if (memory.size_bytes() != kBlock || !filled(memory.data().data(), kBlock)) return "another instance's memory";
    }
    for (const Global& global : neighbour.globals) {
      if (static_cast<uint64_t>(global.get().as_i64()) != kGlobal) return "another instance's global";
    }
    for (const Table& table : neighbour.tables) {
      if (table.size() != 16) return "another instance's table";
      for (uint64_t i = 0; i < 16; ++i) {
        const Result<Val> entry = table.get(i);
        if (!entry || entry->is_null() != (i >= 8)) return "another instance's table";
      }
    }
  }
  size_t size = 16;
  for (const auto& block : blocks_) {
    if (!filled(block.get(), size)) return "a block of the host's heap";
    size = size == 16384 ? 16 : size * 4;
  }
  for (const Area& area : areas_) {
    if (!area.filled) continue;
    if (!filled(area.begin, area.before)) return "what lies before the stack";
    if (!filled(area.begin + area.before + area.inner, area.behind)) return "what lies behind the stack";
  }
  for (const Memory& memory : watched_) {
    const vm::MemoryInst& inst = *memory.impl();
    if (inst.type.limits.is64 || !engine_.config().dense_memory) continue;
    const std::byte* behind = memory.data().data() + memory.size_bytes();
    if (memory.size_bytes() + kBlock > engine_.config().dense_memory_max_bytes) continue;
    if (std::any_of(behind, behind + kBlock, [](std::byte b) { return b != std::byte{0}; })) {
      return "what lies behind a dense memory";
    }
  }
  return {};
}

}  // namespace vmrun::test
