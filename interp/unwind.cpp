// Interpreter frames in walks: what they are, and where an exception lands. See abi.h for frames and regions.
#include <algorithm>

#include "interp/code_store.h"
#include "interp/interp.h"
#include "interp/published.h"
#include "interp/runtime.h"
#include "vm/runtime/activation.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"

namespace vmrun::interp {

using vm::Activation;
using vm::ExnCell;
using vm::FrameAt;
using vm::FrameInfo;

namespace {

const Translation* translation_of_call(const Cell* pc) { return static_cast<const Translation*>(pc[1].q); }

/// Moves from a frame to its caller. The translation of the caller, or null when the frame was called from elsewhere.
[[gnu::always_inline]] inline const Translation* to_caller(const Cell*& pc, std::byte*& fp, vm::Instance*& inst) {
  const Link* link = link_of(fp);
  pc = link->pc;
  const Translation* caller = translation_of_call(pc);
  if (caller == nullptr) [[unlikely]] {
    if (pc != boundary_cell()) return nullptr;
    inst = link->inst;
    pc = link->outer;
    caller = translation_of_call(pc);
    if (caller == nullptr) return nullptr;
  }
  fp -= pc->imm;
  return caller;
}

// ---- walking --------------------------------------------------------------------------------------------------------

bool up(FrameAt& at) {
  auto* pc = static_cast<const Cell*>(at.pc);
  const Translation* caller = to_caller(pc, at.fp, at.instance);
  at.pc = pc;
  at.exact = false;
  return caller != nullptr;
}

bool begin(FrameAt& at) {
  acquire_cells();
  if (at.pc == nullptr) return up(at);
  return at.exact || translation_of_call(static_cast<const Cell*>(at.pc)) != nullptr;
}

bool describe(const FrameAt& at, FrameInfo& info) {
  auto* pc = static_cast<const Cell*>(at.pc);
  info.tier = vm::Tier::interp;
  info.instance = at.instance;
  info.pc = pc;
  const Translation* t = at.exact ? code_store(*at.instance->module).find(pc) : translation_of_call(pc);
  if (t != nullptr) {
    info.code = t->code;
    info.offset = source_offset(*t, static_cast<uint32_t>(pc - t->cells));
    return true;
  }
  if (pc->handler != translate_handler()) return false;
  // A function that was not translated yet: pc is its stub.
  auto* stub = reinterpret_cast<const std::byte*>(pc);
  info.code = const_cast<vm::FuncCode*>(reinterpret_cast<const vm::FuncCode*>(stub - offsetof(vm::FuncCode, stub)));
  info.offset = info.code->module->funcs[info.code->func_index].body.begin;
  return true;
}

vm::Transfer land(vm::Vcpu& cx, Activation& segment) {
  if (!land_exception(cx, segment)) return {};
  return {reinterpret_cast<const void*>(&landing), segment.native_sp};
}

constexpr vm::SegmentOps kFrames{begin, up, describe, land};

// ---- exceptions -----------------------------------------------------------------------------------------------------

/// The region from which the search starts.
uint32_t region_of(const Translation& t, uint32_t cell) {
  const TrySpan* after = std::upper_bound(t.spans, t.spans + t.span_count, cell,
                                          [](uint32_t c, const TrySpan& span) { return c < span.cell; });
  return after == t.spans ? kNone : after[-1].region;
}

const Catch* find_catch(const Translation& t, uint32_t cell, const vm::Instance& inst, const vm::TagInst* tag) {
  for (uint32_t i = region_of(t, cell); i != kNone; i = t.regions[i].next) {
    const TryRegion& region = t.regions[i];
    for (uint32_t k = region.first_catch; k < region.first_catch + region.catches; ++k) {
      const Catch& clause = t.catches[k];
      if (clause.tag == kNone || inst.tags[clause.tag] == tag) return &clause;
    }
  }
  return nullptr;
}

/// Gives the exception in flight to `clause` of the frame at `fp`.
void deliver(vm::Vcpu& cx, const Catch& clause, std::byte* fp) {
  auto* cell = cx.exception.as<ExnCell>();
  if (clause.slot != kNoSlot && clause.tag != kNone) {
    std::copy_n(cell->payload(), cell->payload_slots, reinterpret_cast<vm::Slot*>(fp) + clause.slot);
  }
  if (clause.exn_slot != kNoSlot) {
    cell->escaped = true;
    slot_set(fp, clause.exn_slot, cx.exception.bits);
  }
  if (!cell->escaped) cx.store->exns().free(cell);
  cx.exception = {};
}

}  // namespace

void register_frames() { vm::set_segment_ops(Activation::Kind::interp, &kFrames); }

bool make_exception(vm::Vcpu& cx, const Cell* pc, std::byte* fp, vm::Instance* inst) {
  if (inst->module->count_runs) [[unlikely]] {
    Activation* running = cx.activation;
    running->pc = pc;
    running->fp = fp;
    running->instance = inst;
    vm::count_throw(cx);
  }
  acquire_cells();
  return vm::make_exception(cx, inst->tags[pc[1].u], reinterpret_cast<const vm::Slot*>(fp + 8 * size_t{pc->a}),
                            fp + pc->imm);
}

bool land_exception(vm::Vcpu& cx, Activation& segment) {
  vm::check_thrown(cx);
  const vm::TagInst* tag = cx.exception.as<ExnCell>()->tag;
  auto* pc = static_cast<const Cell*>(segment.pc);
  std::byte* fp = segment.fp;
  vm::Instance* inst = segment.instance;
  acquire_cells();
  const Translation* t = pc == nullptr ? to_caller(pc, fp, inst) : translation_of_call(pc);
  for (; t != nullptr; t = to_caller(pc, fp, inst)) {
    // A guest decides how many frames there are, how much each has to search and how often it throws. Requests wait until
    // it lands: what they do may free code that positions of the backtrace lie in.
    const Cell* to = nullptr;
    if (cx.interrupt.load(std::memory_order_relaxed) != 0 && vm::poll(cx) != vm::TrapCode::None) [[unlikely]] {
      to = pc;
    } else if (t->span_count != 0) {
      const Catch* clause = find_catch(*t, static_cast<uint32_t>(pc - t->cells), *inst, tag);
      if (clause != nullptr) {
        deliver(cx, *clause, fp);
        to = t->cells + clause->target;
      }
    }
    if (to == nullptr) continue;
    segment.pc = to;
    segment.fp = fp;
    segment.instance = inst;
    return true;
  }
  return false;
}

}  // namespace vmrun::interp
