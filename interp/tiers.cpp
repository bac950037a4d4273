// Which code a function runs: translation at the first call, promotion from quick to careful, and entry into better
// code at a loop header.
//
// Threads: several vCPUs may meet the same stub or the same hot function. Each translates with buffers of its own
// thread; the code store lets the first result stand.
#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "interp/bridge.h"
#include "interp/careful/careful.h"
#include "interp/code_store.h"
#include "interp/interp.h"
#include "interp/quick/quick.h"
#include "interp/runtime.h"
#include "vm/base/assert.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/fault.h"
#include "vm/runtime/machine_entry.h"
#include "vm/runtime/stop.h"
#include "vm/wasm/loops.h"

namespace vmrun::interp {
namespace {

using vm::FuncCode;
using vm::Module;

struct Buffers {
  QuickTranslator quick;
  CarefulTranslator careful;
  Draft draft;
};

/// This thread's translators, once it has translated. Nothing suspends while one is in use.
thread_local std::unique_ptr<Buffers> this_threads_buffers;

}  // namespace

void prepare_thread() { asm volatile("" : : "r"(&this_threads_buffers)); }

namespace {

MemoryMode memory0_mode(const Module& module) {
  if (module.memories.empty()) return MemoryMode::guarded;
  const vm::MemoryType& type = module.memories[0];
  bool guarded = module.guarded_memories && !type.limits.is64 && type.page_log2 == 16;
  return guarded ? MemoryMode::guarded : MemoryMode::checked;
}

/// Null: the effort is too much for this function, publishing it found no room, or this thread's guest shall end. Throws
/// std::bad_alloc.
const Translation* try_translate(const Module& module, FuncCode& code, Effort effort) {
  if (this_threads_buffers == nullptr) this_threads_buffers = std::make_unique<Buffers>();
  Buffers& b = *this_threads_buffers;
  // Careful translations are short, whatever they are made of.
  const std::atomic<uint8_t>* interrupt = vm::running_vcpu != nullptr ? &vm::running_vcpu->interrupt : nullptr;
  bool done = effort == Effort::Careful
                  ? b.careful.translate(module, code.func_index, memory0_mode(module), b.draft)
                  : b.quick.translate(module, code.func_index, memory0_mode(module), b.draft, interrupt);
  if (!done) {
    if (effort == Effort::Careful || b.quick.interrupted()) return nullptr;
    // A frame beyond the reach of 16-bit slots, half a megabyte: no compiler makes one.
    b.draft.clear();
    Cell cell{};
    cell.handler = select_stack_overflow();
    b.draft.cells.push_back(cell);
  }
  auto [translation, fresh] = code_store(module).publish(code, b.draft, effort);
  if (fresh) {
    auto& count = effort == Effort::Careful ? module.translations.careful : module.translations.quick;
    count.fetch_add(1, std::memory_order_relaxed);
    module.translations.bytes.fetch_add(module.funcs[code.func_index].body.size(), std::memory_order_relaxed);
  }
  return translation;
}

/// Null also when there is no memory or no room. Handlers call this: nothing is thrown through them.
const Translation* translate(const Module& module, FuncCode& code, Effort effort) noexcept {
  const Translation* translation = nullptr;
  bool keep = false;
  try {
    translation = try_translate(module, code, effort);
    keep = buffer_bytes() <= kFreeBufferBytes;
  } catch (const std::bad_alloc&) {  // half of a translation is in the buffers
  }
  if (!keep) this_threads_buffers.reset();
  return translation;
}

FuncCode* code_of_stub(const Cell* stub) {
  auto* bytes = reinterpret_cast<const std::byte*>(stub) - offsetof(FuncCode, stub);
  return const_cast<FuncCode*>(reinterpret_cast<const FuncCode*>(bytes));
}

}  // namespace

void attach(Module& module) {
  static const bool registered = (register_faults(), register_frames(), true);
  (void)registered;
  module.interp = new CodeStore;
  uint32_t count = static_cast<uint32_t>(module.funcs.size()) - module.imported_funcs;
  for (uint32_t i = 0; i < count; ++i) {
    FuncCode& code = module.codes[i];
    code.module = &module;
    code.func_index = module.imported_funcs + i;
    auto* stub = new (code.stub) Cell{};
    stub->handler = translate_handler();
    code.interp.store(nullptr, std::memory_order_relaxed);
    code.heat.store(0, std::memory_order_relaxed);
    code.machine.store(vm::lazy_machine_entry(), std::memory_order_relaxed);
    code.entry.store(stub, std::memory_order_release);
  }
}

void detach(Module& module) {
  delete static_cast<CodeStore*>(module.interp);
  module.interp = nullptr;
}

const Cell* translate_at_first_call(const Cell* stub) {
  FuncCode* code = code_of_stub(stub);
  // Another vCPU may have been faster than this one's look at the entry.
  auto* entry = static_cast<const Cell*>(code->entry.load(std::memory_order_acquire));
  if (entry != stub) return entry;
  const Module& module = *code->module;
  if (module.tiers != nullptr && module.tiers->first_call != nullptr) {
    module.tiers->first_call(module.tiers, *code);
    entry = static_cast<const Cell*>(code->entry.load(std::memory_order_acquire));
    if (entry != stub) return entry;
  }
  const Translation* translation = nullptr;
  if (module.effort == Effort::Careful) translation = translate(module, *code, Effort::Careful);
  if (translation == nullptr) translation = translate(module, *code, Effort::Quick);
  if (translation == nullptr) {
    vm::Vcpu* cx = vm::running_vcpu;
    const bool interrupted = cx != nullptr && vm::take_interrupt(*cx);
    return interrupted ? interrupted_cell() : out_of_memory_cell();
  }
  return translation->cells;
}

bool promote_careful(FuncCode& code) { return translate(*code.module, code, Effort::Careful) != nullptr; }

void promote_entered(FuncCode* code) {
  const Module& module = *code->module;
  if (vm::TierHooks* tiers = module.tiers; tiers != nullptr) {
    // Entries of the interpreter's code are counted here and, what is left, in the heat itself.
    const uint32_t heat = code->heat.exchange(0, std::memory_order_relaxed);
    if (module.count_runs) {
      if (vm::TierCounts* counts = vm::counts_of(*code)) counts[0].runs.fetch_add(heat, std::memory_order_relaxed);
    }
    if (tiers->hot_function != nullptr) tiers->hot_function(tiers, *code);
    return;
  }
  auto* current = static_cast<const Translation*>(code->interp.load(std::memory_order_acquire));
  bool wanted = module.effort == Effort::Auto && current->effort == Effort::Quick;
  if (wanted) wanted = promote_careful(*code);
  code->heat.store(wanted ? 0 : policy::kNeverHot, std::memory_order_relaxed);
}

// ---- bridges --------------------------------------------------------------------------------------------------------

void prepare_bridge(FuncCode& code, const MachineEntries& entries) {
  // Once: vCPUs may be reading it from an earlier time, and it never changes.
  auto* cell = reinterpret_cast<Cell*>(code.bridge);
  if (cell->p == nullptr) new (cell) Cell(entries.bridge);
}

void set_bridge(FuncCode& code, const MachineEntries& entries) {
  prepare_bridge(code, entries);
  code.entry.store(bridge_cell(code), std::memory_order_release);
}

void unset_bridge(FuncCode& code) {
  auto* best = static_cast<const Translation*>(code.interp.load(std::memory_order_acquire));
  const void* cells = best != nullptr ? static_cast<const void*>(best->cells) : code.stub;
  const void* entry = bridge_cell(code);
  code.entry.compare_exchange_strong(entry, cells, std::memory_order_acq_rel);
}

// ---- slices ---------------------------------------------------------------------------------------------------------

namespace {

/// The same loop in careful code, or null.
const Cell* careful_loop(const FuncCode& code, uint32_t offset) {
  auto* best = static_cast<const Translation*>(code.interp.load(std::memory_order_acquire));
  if (best->effort != Effort::Careful) return nullptr;
  const LoopMark* end = best->loops + best->loop_count;
  const LoopMark* entry =
      std::lower_bound(best->loops, end, offset, [](const LoopMark& m, uint32_t o) { return m.offset < o; });
  return entry != end && entry->offset == offset ? best->cells + entry->cell : nullptr;
}

/// The loop's machine code and its tier, after telling the tier manager; null when there is none. Read once: other
/// threads may drop it at any time.
std::pair<const void*, vm::Tier> machine_loop(vm::TierHooks* tiers, FuncCode& code, uint32_t offset) {
  vm::LoopTable* table = vm::loops_of(code);
  vm::LoopCode* loop = table != nullptr ? table->find(offset) : nullptr;
  if (loop == nullptr) return {};
  if (tiers->hot_loop != nullptr && loop->entry.load(std::memory_order_relaxed) == nullptr) {
    tiers->hot_loop(tiers, code, *loop, vm::Tier::interp);
  }
  const void* entry = loop->entry.load(std::memory_order_acquire);
  // Where the loop alone is optimised, the frame's code is baseline's.
  const bool alone = loop->unit.load(std::memory_order_relaxed) != nullptr;
  return {entry,
          std::min(loop->entry_tier.load(std::memory_order_relaxed), alone ? vm::Tier::baseline : vm::Tier::opt)};
}

}  // namespace

SliceEnd slice_ended(vm::Vcpu& cx, const vm::Instance* inst, const Cell* target) {
  const Module& module = *inst->module;
  cx.budget = slice_of(module);
  const Translation* running = code_store(module).find(target);
  if (running == nullptr || running->effort == Effort::Careful) return {target};
  FuncCode& code = *running->code;
  const uint32_t heat = code.heat.load(std::memory_order_relaxed) + policy::kSliceHeat;
  code.heat.store(heat, std::memory_order_relaxed);
  if (module.count_runs) {
    if (vm::TierCounts* counts = vm::counts_of(code))
      counts[0].runs.fetch_sub(policy::kSliceHeat, std::memory_order_relaxed);
  }
  if (static_cast<int32_t>(heat) >= static_cast<int32_t>(policy::kHotEntries)) promote_entered(&code);

  auto cell = static_cast<uint32_t>(target - running->cells);
  const LoopMark* end = running->loops + running->loop_count;
  // Quick code has its loops in the order of their headers.
  const LoopMark* header =
      std::lower_bound(running->loops, end, cell, [](const LoopMark& m, uint32_t c) { return m.cell < c; });
  if (header == end || header->cell != cell) return {target};
  // On-stack replacement.
  if (module.tiers != nullptr) {
    if (const auto [entry, tier] = machine_loop(module.tiers, code, header->offset); entry != nullptr) {
      // Where runs are counted, machine code itself counts its entries.
      if (vm::TierCounts* counts = code.counts.load(std::memory_order_acquire);
          counts != nullptr && !module.count_runs) {
        counts[static_cast<size_t>(tier)].osr_entries.fetch_add(1, std::memory_order_relaxed);
      }
      return {&machine_entries(code).osr, &code, entry};
    }
  }
  const Cell* better = careful_loop(code, header->offset);
  return {better != nullptr ? better : target};
}

}  // namespace vmrun::interp
