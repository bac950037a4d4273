// The walk over activations: see activation.h.
#include "vm/runtime/activation.h"

#include <atomic>
#include <new>

#include "vm/base/assert.h"
#include "vm/base/tally.h"
#include "vm/runtime/native_stack.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/wasm/fuel.h"
#include "vm/wasm/loops.h"
#include "vm/wasm/module.h"

namespace vmrun::vm {

constinit thread_local Vcpu* running_vcpu = nullptr;

namespace {

constinit std::atomic<const SegmentOps*> segment_ops[2] = {nullptr, nullptr};

const SegmentOps& ops_of(const Activation& activation) {
  return *segment_ops[static_cast<size_t>(activation.kind)].load(std::memory_order_acquire);
}

/// What the guest's frame at a position is.
bool describe(const SegmentOps& ops, const FrameAt& at, FrameInfo& info) {
  info.call = 0;
  if (!ops.describe(at, info)) return false;
  // Stopped before the first instruction that anything is known about.
  if (info.offset == 0 && info.code->module != nullptr) {
    info.offset = info.code->module->funcs[info.code->func_index].body.begin;
    info.instance = nullptr;  // the frame is not whole yet
  }
  return true;
}

/// Adds the guest's frames at a position, innermost first, until there are `max` in all.
void add_frames(const SegmentOps& ops, FrameAt at, size_t max, std::vector<Frame>& out) {
  FrameInfo info;
  while (out.size() < max && describe(ops, at, info)) {
    out.push_back({info.code->module, info.code->func_index, info.offset, info.instance});
    if (info.call == 0) return;
    at.call = info.call;
  }
}

/// Counts what happened to the newest frame, where its module asked for that.
void count(const Vcpu& cx, std::atomic<uint64_t> TierCounts::* what) {
  FrameWalk walk(cx.activation);
  FrameInfo info;
  if (!walk.valid() || !walk.describe(info) || info.code->module == nullptr || !info.code->module->count_runs) return;
  TierCounts* counts = counts_of(*info.code);
  if (counts == nullptr) return;
  (counts[static_cast<size_t>(info.tier)].*what).fetch_add(1, std::memory_order_relaxed);
}

/// The newest frame trapped in the midst of a segment, all of which was charged: the rest of it is given back. It is not
/// where a segment could not be paid for, and not where the guest was stopped from outside, at a position that is only about right.
void give_back_fuel(Vcpu& cx) try {
  if (cx.trap == TrapCode::OutOfFuel || cx.trap == TrapCode::Interrupted || cx.trap == TrapCode::StackOverflow) return;
  FrameWalk walk(cx.activation);
  FrameInfo info;
  if (!walk.valid() || !walk.describe(info) || info.code->module == nullptr) return;
  cx.fuel += unspent_fuel(*info.code->module, info.code->func_index, info.offset);
} catch (const std::bad_alloc&) {  // then it stays charged
}

/// Ends everything newer than `entry`, which the host is to see as `outcome`.
Transfer leave_at(Vcpu& cx, Activation* entry, Outcome outcome) {
  pop_activations(cx, entry);
  entry->outcome = outcome;
  auto* at = static_cast<const void**>(entry->native_sp);
  return {*at, at + 1};
}

}  // namespace

void set_segment_ops(Activation::Kind kind, const SegmentOps* ops) {
  segment_ops[static_cast<size_t>(kind)].store(ops, std::memory_order_release);
}

// ---- walking --------------------------------------------------------------------------------------------------------

FrameWalk::FrameWalk(const Activation* newest) { enter(newest); }

void FrameWalk::enter(const Activation* activation) {
  for (; activation != nullptr; activation = activation->previous) {
    at_ = {activation, activation->pc, activation->fp, activation->sp, activation->instance, activation->exact, 0};
    if (ops_of(*activation).begin(at_)) return;
  }
  at_.activation = nullptr;
}

bool FrameWalk::describe(FrameInfo& info) const { return vm::describe(ops_of(*at_.activation), at_, info); }

bool FrameWalk::describe_caller(uint32_t call, FrameInfo& info) const {
  FrameAt at = at_;
  at.call = call;
  return vm::describe(ops_of(*at.activation), at, info);
}

void FrameWalk::next() {
  const SegmentOps& ops = ops_of(*at_.activation);
  const bool joined = ops.joined != nullptr && ops.joined(at_);
  if (!ops.up(at_) || (joined && !ops.up(at_))) enter(at_.activation->previous);
}

std::vector<Frame> backtrace(const Vcpu& cx, size_t max) { return backtrace(cx.activation, max); }

std::vector<Frame> backtrace(const Activation* newest, size_t max) {
  std::vector<Frame> out;
  for (FrameWalk walk(newest); walk.valid() && out.size() < max; walk.next()) {
    add_frames(ops_of(*walk.at().activation), walk.at(), max, out);
  }
  return out;
}

void record_backtrace(Vcpu& cx) try {
  if (cx.backtrace.empty()) cx.backtrace = backtrace(cx);
} catch (const std::bad_alloc&) {  // then there is none
}

void machine_pcs(const Vcpu& cx, std::vector<const void*>& out) {
  for (const Activation* a = cx.activation; a != nullptr; a = a->previous) {
    if (a->kind != Activation::Kind::machine) continue;
    FrameAt at{a, a->pc, a->fp, a->sp, nullptr, a->exact, 0};
    if (!ops_of(*a).begin(at)) continue;
    do {
      out.push_back(at.pc);
    } while (ops_of(*a).up(at));
    out.push_back(at.pc);  // where the oldest frame returns to
  }
}

// ---- leaving --------------------------------------------------------------------------------------------------------

Activation* host_entry(const Vcpu& cx) {
  Activation* activation = cx.activation;
  while (!activation->from_host) activation = activation->previous;
  return activation;
}

void pop_activations(Vcpu& cx, Activation* activation) {
  if (cx.activation == activation) return;
  std::byte *stack_end = cx.stack_end, *native_end = cx.native_end;
  for (Activation* a = cx.activation; a != activation; a = a->previous) {
    stack_end = a->saved_stack_end;
    native_end = a->saved_native_end;
  }
  std::atomic_ref(cx.activation).store(activation, std::memory_order_relaxed);
  set_limits(cx, stack_end, native_end);
}

Transfer leave_to_host(Vcpu& cx, Outcome outcome) {
  serve_sample(cx);
  if (outcome == Outcome::Trap) {
    count(cx, &TierCounts::traps);
    count(tally.traps[std::min<size_t>(static_cast<size_t>(cx.trap), kTrapCodes - 1)]);
    if (cx.metered) give_back_fuel(cx);
  }
  record_backtrace(cx);
  return leave_at(cx, host_entry(cx), outcome);
}

Transfer leave_by_trap(Vcpu& cx, TrapCode code) {
  cx.trap = code;
  return leave_to_host(cx, Outcome::Trap);
}

namespace {

/// Backtrace of an exception that leaves by `entry`, some of whose frames are gone.
void record_unwound(Vcpu& cx, const Activation& entry) try {
  if (!cx.backtrace.empty()) return;
  for (const Unwound::Position& p : cx.store->unwound()) {
    const SegmentOps& ops = *segment_ops[static_cast<size_t>(p.kind)].load(std::memory_order_acquire);
    add_frames(ops, {nullptr, p.pc, nullptr, nullptr, p.instance, p.exact, 0}, kMaxBacktrace, cx.backtrace);
  }
  const std::vector<Frame> rest = backtrace(entry.previous, kMaxBacktrace - cx.backtrace.size());
  cx.backtrace.insert(cx.backtrace.end(), rest.begin(), rest.end());
} catch (const std::bad_alloc&) {  // then it ends where memory did
}

/// The search has come by all of a segment.
void pass(Unwound& unwound, const Activation& segment) {
  if (segment.kind == Activation::Kind::machine) return;  // done by land
  FrameAt at{&segment, segment.pc, segment.fp, segment.sp, segment.instance, segment.exact, 0};
  if (!ops_of(segment).begin(at)) return;
  do {
    unwound.add({at.pc, at.instance, segment.kind, at.exact});
  } while (ops_of(segment).up(at));
}

Transfer search(Vcpu& cx, bool newest_searched) {
  Unwound& unwound = cx.store->unwound();
  for (Activation* a = cx.activation;; a = a->previous) {
    // What throws, in whatever tier, may throw again at once. Requests wait until the guest lands: what they do may free code
    // that the positions in `unwound` lie in.
    if (cx.interrupt.load(std::memory_order_relaxed) != 0) [[unlikely]] {
      if (const TrapCode code = poll(cx); code != TrapCode::None) {
        cx.exception = {};
        return leave_by_trap(cx, code);
      }
    }
    if (!newest_searched) {
      Transfer landing = ops_of(*a).land(cx, *a);
      if (landing.to != nullptr) {
        unwound.landed();
        pop_activations(cx, a);
        return landing;
      }
    }
    newest_searched = false;
    pass(unwound, *a);
    if (!a->from_host) continue;
    unwound.needed() ? record_unwound(cx, *a) : record_backtrace(cx);
    return leave_at(cx, a, Outcome::Exception);
  }
}

}  // namespace

void check_thrown(const Vcpu& cx) {
  if (cx.exception.is_null()) [[unlikely]] {
    misuse("a host function returned Outcome::Exception without Caller::throw_exception");
  }
}

Transfer raise_exception(Vcpu& cx, bool newest_searched) {
  cx.store->unwound().clear();
  return search(cx, newest_searched);
}

Transfer resume_exception(Vcpu& cx) {
  cx.store->unwound().resumed();
  return search(cx, false);
}

void count_throw(const Vcpu& cx) { count(cx, &TierCounts::throws); }

Transfer host_failed(Vcpu& cx, Outcome outcome) {
  if (outcome != Outcome::Exception) return leave_to_host(cx, outcome);
  check_thrown(cx);
  return raise_exception(cx);
}

bool make_exception(Vcpu& cx, TagInst* tag, const Slot* payload, const std::byte* stack_top) {
  ExnCell* cell = cx.store->exns().make(tag, payload, tag->payload_slots, stack_top);
  cx.exception = Ref::of(cell);
  return cell != nullptr;
}

}  // namespace vmrun::vm
