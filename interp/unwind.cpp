// Walks frames: backtraces, and where an exception lands. See abi.h for frames and regions.
#include <algorithm>

#include "interp/code_store.h"
#include "interp/interp.h"
#include "interp/runtime.h"
#include "vm/store.h"

namespace vmrun::interp {

using vm::ExnCell;
using vm::Ref;

bool FrameCursor::up() {
  const Link* link = link_of(fp);
  const Cell* call = link->pc;
  if (call == boundary_cell()) {
    inst = link->inst;
    call = link->outer;
  }
  if (is_exit_cell(call)) return false;
  pc = call;
  fp -= call->imm;
  return true;
}

namespace {

constexpr size_t kMaxBacktrace = 256;

/// The translation that `pc` belongs to. A caller's frame stands at a call, whose second cell says it.
const Translation* translation_at(const FrameCursor& frame, bool innermost) {
  return innermost ? code_store(*frame.inst->module).find(frame.pc) : static_cast<const Translation*>(frame.pc[1].q);
}

void add_frames(std::vector<vm::Frame>& out, FrameCursor frame, size_t max) {
  bool innermost = true;
  do {
    if (const Translation* t = translation_at(frame, innermost)) {
      out.push_back({frame.inst->module, t->func_index, source_offset(*t, static_cast<uint32_t>(frame.pc - t->cells))});
    } else if (frame.pc->handler == translate_handler()) {
      auto* stub = reinterpret_cast<const std::byte*>(frame.pc);
      auto* code = reinterpret_cast<const vm::FuncCode*>(stub - offsetof(vm::FuncCode, stub));
      out.push_back({code->module, code->func_index, code->module->funcs[code->func_index].body.begin});
    }
    innermost = false;
  } while (out.size() < max && frame.up());
}

/// The frames of activations that wait for the host to return.
void add_activations(std::vector<vm::Frame>& out, const vm::Activation* activation, size_t max) {
  for (; activation != nullptr && out.size() < max; activation = activation->previous) {
    if (activation->pc == nullptr) continue;
    add_frames(out, {static_cast<const Cell*>(activation->pc), activation->fp, activation->instance}, max);
  }
}

/// The region from which the search starts: the innermost that contains `cell`.
uint32_t innermost_region(const Translation& t, uint32_t cell) {
  const TryRegion* end = t.regions + t.try_count;
  const TryRegion* after =
      std::upper_bound(t.regions, end, cell, [](uint32_t c, const TryRegion& region) { return c < region.begin; });
  if (after == t.regions) return kNone;
  auto region = static_cast<uint32_t>(after - t.regions - 1);
  while (region != kNone && cell >= t.regions[region].end) region = t.regions[region].outer;
  return region;
}

const Catch* find_catch(const Translation& t, uint32_t cell, const vm::Instance& inst, const vm::TagInst* tag) {
  for (uint32_t i = innermost_region(t, cell); i != kNone; i = t.regions[i].next) {
    const TryRegion& region = t.regions[i];
    for (uint32_t k = region.first_catch; k < region.first_catch + region.catches; ++k) {
      const Catch& clause = t.catches[k];
      if (clause.tag == kNone || inst.tags[clause.tag] == tag) return &clause;
    }
  }
  return nullptr;
}

}  // namespace

void record_backtrace(vm::Vcpu& vcpu, FrameCursor innermost) {
  // A host function that passes a guest's trap on comes with the backtrace of that guest already.
  if (!vcpu.backtrace.empty()) return;
  add_frames(vcpu.backtrace, innermost, kMaxBacktrace);
  if (vcpu.activation != nullptr) add_activations(vcpu.backtrace, vcpu.activation->previous, kMaxBacktrace);
}

std::vector<vm::Frame> backtrace(const vm::Vcpu& vcpu, size_t max) {
  std::vector<vm::Frame> out;
  add_activations(out, vcpu.activation, max);
  return out;
}

bool make_exception(vm::Vcpu& cx, const Cell* pc, std::byte* fp, vm::Instance* inst) {
  vm::TagInst* tag = inst->tags[pc[1].u];
  uint32_t slots = inst->module->registry->get(tag->type).func.param_slots;
  auto* payload = reinterpret_cast<const vm::Slot*>(fp + 8 * size_t{pc->a});
  ExnCell* cell = cx.store->exns().make(tag, payload, slots, fp + pc->imm);
  cx.exception = Ref::of(cell);
  return cell != nullptr;
}

bool land_exception(vm::Vcpu& cx, FrameCursor& frame) {
  auto* cell = cx.exception.as<ExnCell>();
  const FrameCursor origin = frame;
  if (!is_exit_cell(frame.pc)) {
    bool innermost = true;
    do {
      // Throw cells and calls of host functions may stand anywhere; a caller's pc is at a call.
      const Translation* t = translation_at(frame, innermost);
      innermost = false;
      if (t == nullptr || t->try_count == 0) continue;
      const Catch* clause = find_catch(*t, static_cast<uint32_t>(frame.pc - t->cells), *frame.inst, cell->tag);
      if (clause == nullptr) continue;
      if (clause->slot != kNoSlot && clause->tag != kNone) {
        std::copy_n(cell->payload(), cell->payload_slots, reinterpret_cast<vm::Slot*>(frame.fp) + clause->slot);
      }
      if (clause->exn_slot != kNoSlot) {
        cell->escaped = true;
        slot_set(frame.fp, clause->exn_slot, cx.exception.bits);
      }
      if (!cell->escaped) cx.store->exns().free(cell);
      cx.exception = {};
      frame.pc = t->cells + clause->target;
      return true;
    } while (frame.up());
    record_backtrace(cx, origin);
  }
  return false;
}

}  // namespace vmrun::interp
