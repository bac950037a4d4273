// Loop records: see loops.h.
#include "vm/wasm/loops.h"

#include <memory>
#include <new>
#include <vector>

#include "vm/blocks/profile.h"
#include "vm/wasm/func_decoder_base.h"
#include "vm/wasm/image.h"
#include "vm/wasm/module.h"
#include "vm/wasm/opcode.h"

namespace vmrun::vm {
namespace {

std::vector<uint32_t> loop_offsets(const Module& module, const ByteRange& body) {
  std::vector<uint32_t> offsets;
  need_bytes(module, body);
  const uint8_t* p = skip_locals(module.bytes() + body.begin);
  const uint8_t* end = module.bytes() + body.end;
  while (p < end) {
    const auto offset = static_cast<uint32_t>(p - module.bytes());
    if (skip_instruction(p) == Op::loop) offsets.push_back(offset);
  }
  return offsets;
}

void free_table(LoopTable* table) {
  if (table == nullptr) return;
  delete[] table->loops;
  delete table;
}

}  // namespace

LoopTable* loops_of(FuncCode& code) {
  LoopTable* table = code.loops.load(std::memory_order_acquire);
  if (table != nullptr) return table;
  return loops_of(code, loop_offsets(*code.module, code.module->funcs[code.func_index].body));
}

LoopTable* loops_of(FuncCode& code, std::span<const uint32_t> offsets) {
  LoopTable* table = code.loops.load(std::memory_order_acquire);
  if (table != nullptr) return table;
  std::unique_ptr<LoopTable> fresh(new (std::nothrow) LoopTable);
  if (fresh == nullptr) return nullptr;
  fresh->loops = new (std::nothrow) LoopCode[offsets.size()];
  if (fresh->loops == nullptr) return nullptr;
  fresh->count = static_cast<uint32_t>(offsets.size());
  for (uint32_t i = 0; i < fresh->count; ++i) fresh->loops[i].offset = offsets[i];
  if (code.loops.compare_exchange_strong(table, fresh.get(), std::memory_order_acq_rel)) return fresh.release();
  free_table(fresh.release());
  return table;
}

TierCounts* counts_of(FuncCode& code) {
  TierCounts* counts = code.counts.load(std::memory_order_acquire);
  if (counts != nullptr) return counts;
  CountsBlock* fresh = make_counts({}, 0);
  if (fresh == nullptr) return nullptr;
  if (code.counts.compare_exchange_strong(counts, fresh->tiers, std::memory_order_acq_rel)) return fresh->tiers;
  free_counts(fresh->tiers);
  return counts;
}

void free_block_records(Module& module) {
  const size_t own = module.funcs.size() - module.imported_funcs;
  for (size_t i = 0; i < own; ++i) {
    FuncCode& code = module.codes[i];
    free_table(code.loops.exchange(nullptr, std::memory_order_acq_rel));
    free_counts(code.counts.exchange(nullptr, std::memory_order_acq_rel));
  }
}

}  // namespace vmrun::vm
