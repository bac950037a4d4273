// The bodies of the helpers, and their table. A body has the name and the arguments of its row in VMRUN_HELPERS; what
// it may return instead of the row's result is in helper_entry_x86_64.h.
#include "jit/crossing/helpers.h"

#include <algorithm>
#include <type_traits>

#include "interp/interp.h"
#include "jit/crossing/abi.h"
#include "jit/crossing/unwind.h"
#if defined(__x86_64__)
#include "jit/crossing/helper_entry_x86_64.h"
#include "jit/stop/sample.h"
#endif
#include "vm/runtime/memory.h"
#include "vm/runtime/metering.h"
#include "vm/runtime/ref_test.h"
#include "vm/runtime/stop.h"
#include "vm/runtime/store.h"
#include "vm/runtime/table.h"
#include "vm/runtime/wait.h"
#include "vm/wasm/loops.h"

namespace vmrun::jit {
namespace helper {
namespace {

using vm::Instance;
using vm::Transfer;
using vm::TrapCode;
using vm::Vcpu;

Checked good(uint64_t value) { return {value, 0}; }
Checked checked(TrapCode trap, uint64_t value) { return {value, static_cast<uint64_t>(trap)}; }
uint32_t low(uint64_t pair) { return static_cast<uint32_t>(pair); }
uint32_t high(uint64_t pair) { return static_cast<uint32_t>(pair >> 32); }

// ---- leaving and polling --------------------------------------------------------------------------------------------

Transfer trap(Vcpu* cx, uint64_t code) { return vm::leave_by_trap(*cx, static_cast<TrapCode>(code)); }

TrapCode stack_poll(Vcpu* cx) {
  // The limits first, so that a request made in between is not lost.
  std::atomic_ref<std::byte*> stack(cx->stack_limit), native(cx->native_limit);
  std::byte* limit = native.exchange(cx->native_end, std::memory_order_seq_cst);
  if (limit == cx->native_end) return TrapCode::StackOverflow;  // nobody asked for a poll
  stack.store(cx->stack_end, std::memory_order_seq_cst);
  if (TrapCode code = vm::poll(*cx); code != TrapCode::None) return code;
  const bool room = static_cast<std::byte*>(cx->activation->sp) >= cx->native_end;
  return room ? TrapCode::None : TrapCode::StackOverflow;
}

// ---- exceptions -----------------------------------------------------------------------------------------------------

/// Before an exception sets out: a loop of throws gives signals no other chance.
Transfer poll_at_throw(Vcpu* cx) {
  if (!vm::stop_wanted(*cx)) [[likely]]
    return {};
  const TrapCode code = vm::poll_on_return(*cx);
  return code == TrapCode::None ? Transfer{} : vm::leave_by_trap(*cx, code);
}

[[gnu::noinline]] Transfer throw_slowly(Vcpu* cx, Instance* inst, uint32_t tag) {
  if (Transfer stop = poll_at_throw(cx); stop.to != nullptr) return stop;
  if (inst->module->count_runs) vm::count_throw(*cx);
  if (!vm::make_exception(*cx, inst->tags[tag], cx->area, cx->activation->top)) {
    return vm::leave_by_trap(*cx, TrapCode::OutOfMemory);
  }
  return vm::raise_exception(*cx);
}

Transfer throw_(Vcpu* cx, Instance* inst, uint32_t tag) {
  if (vm::stop_wanted(*cx) || inst->module->count_runs) [[unlikely]]
    return throw_slowly(cx, inst, tag);
  vm::TagInst* thrown = inst->tags[tag];
  vm::ExnCell* cell = cx->store->exns().make(thrown, cx->area, thrown->payload_slots, cx->activation->top);
  if (cell == nullptr) [[unlikely]]
    return vm::leave_by_trap(*cx, TrapCode::OutOfMemory);
  cx->exception = vm::Ref::of(cell);
  if (Transfer landing = land_quickly(*cx); landing.to != nullptr) [[likely]]
    return landing;
  return vm::raise_exception(*cx);
}

Transfer throw_ref(Vcpu* cx, uint64_t exn) {
  if (exn == 0) return vm::leave_by_trap(*cx, TrapCode::NullExceptionReference);
  if (Transfer stop = poll_at_throw(cx); stop.to != nullptr) return stop;
  cx->exception = vm::Ref{exn};
  if (Transfer landing = land_quickly(*cx); landing.to != nullptr) return landing;
  return vm::raise_exception(*cx);
}

Transfer resume_throw(Vcpu* cx) { return vm::resume_exception(*cx); }

/// Frees a cell whose payload is still wanted: says where one stands that has it, until the store makes the next cell.
uint64_t free_caught(Vcpu& cx, vm::ExnCell* cell) {
  vm::ExnHeap& heap = cx.store->exns();
  auto at = reinterpret_cast<uint64_t>(cell);
  if (!heap.is_small(*cell)) [[unlikely]] {
    std::copy_n(cell->payload(), cell->payload_slots, cx.area);
    at = reinterpret_cast<uint64_t>(cx.area) - sizeof(vm::ExnCell);
  }
  heap.free(cell);
  return at;
}

uint64_t take_exception(Vcpu* cx, uint64_t want_ref) {
  const vm::Ref exception = cx->exception;
  auto* cell = exception.as<vm::ExnCell>();
  cx->exception = {};
  if (want_ref != 0) {
    cell->escaped = true;
  } else if (!cell->escaped) {
    return free_caught(*cx, cell);
  }
  return exception.bits;
}

// ---- memories -------------------------------------------------------------------------------------------------------

/// What growth returns: the previous size, or -1 in the width of the index type; a trap if the store wants failures to.
Checked grown(const Vcpu* cx, uint64_t previous, bool is64) {
  if (previous == UINT64_MAX && cx->store->limits().trap_on_grow_failure) return checked(TrapCode::OutOfMemory, 0);
  return good(is64 ? previous : low(previous));
}

Checked memory_grow(Vcpu* cx, Instance* inst, uint32_t index, uint64_t pages) {
  vm::MemoryInst& memory = *inst->memories[index];
  return grown(cx, vm::memory_grow(memory, pages), memory.type.limits.is64);
}

TrapCode memory_copy(Vcpu* cx, Instance* inst, uint64_t memories, uint64_t to, uint64_t from, uint64_t size) {
  if (TrapCode trap = vm::pay_for_bytes(*cx, size); trap != TrapCode::None) return trap;
  return vm::memory_copy(cx, *inst->memories[low(memories)], *inst->memories[high(memories)], to, from, size);
}

TrapCode memory_fill(Vcpu* cx, Instance* inst, uint32_t memory, uint64_t address, uint32_t value, uint64_t size) {
  if (TrapCode trap = vm::pay_for_bytes(*cx, size); trap != TrapCode::None) return trap;
  return vm::memory_fill(cx, *inst->memories[memory], address, static_cast<uint8_t>(value), size);
}

TrapCode memory_init(Vcpu* cx, Instance* inst, uint64_t indices, uint64_t to, uint64_t from, uint64_t size) {
  if (TrapCode trap = vm::pay_for_bytes(*cx, size); trap != TrapCode::None) return trap;
  return vm::memory_init(cx, *inst, high(indices), *inst->memories[low(indices)], to, from, size);
}

void data_drop(Vcpu*, Instance* inst, uint32_t segment) { vm::data_drop(*inst, segment); }

Checked atomic_wait32(Vcpu* cx, Instance* inst, uint32_t memory, uint64_t address, uint32_t expected, int64_t timeout) {
  vm::WaitResult result{};
  const TrapCode code = vm::memory_wait32(*cx, *inst->memories[memory], address, expected, timeout, &result);
  return checked(code, static_cast<uint32_t>(result));
}

Checked atomic_wait64(Vcpu* cx, Instance* inst, uint32_t memory, uint64_t address, uint64_t expected, int64_t timeout) {
  vm::WaitResult result{};
  const TrapCode code = vm::memory_wait64(*cx, *inst->memories[memory], address, expected, timeout, &result);
  return checked(code, static_cast<uint32_t>(result));
}

Checked atomic_notify(Vcpu*, Instance* inst, uint32_t memory, uint64_t address, uint32_t count) {
  uint32_t woken = 0;
  const TrapCode code = vm::memory_notify(*inst->memories[memory], address, count, &woken);
  return checked(code, woken);
}

// ---- tables ---------------------------------------------------------------------------------------------------------

Checked table_get(Vcpu*, Instance* inst, uint32_t table, uint64_t index) {
  vm::Ref out{};
  const TrapCode code = vm::table_get(*inst->tables[table], index, &out);
  return checked(code, out.bits);
}

TrapCode table_set(Vcpu*, Instance* inst, uint32_t table, uint64_t index, uint64_t ref) {
  return vm::table_set(*inst->tables[table], index, vm::Ref{ref});
}

Checked table_grow(Vcpu* cx, Instance* inst, uint32_t index, uint64_t ref, uint64_t count) {
  vm::TableInst& table = *inst->tables[index];
  uint64_t previous = 0;
  if (TrapCode trap = vm::pay_for_growth(*cx, table, count); trap != TrapCode::None) return checked(trap, 0);
  if (TrapCode trap = vm::table_grow(cx, table, count, vm::Ref{ref}, &previous); trap != TrapCode::None)
    return checked(trap, 0);
  return grown(cx, previous, table.type.limits.is64);
}

TrapCode table_fill(Vcpu* cx, Instance* inst, uint32_t table, uint64_t index, uint64_t ref, uint64_t size) {
  if (TrapCode trap = vm::pay_for_elements(*cx, size); trap != TrapCode::None) return trap;
  return vm::table_fill(cx, *inst->tables[table], index, vm::Ref{ref}, size);
}

TrapCode table_copy(Vcpu* cx, Instance* inst, uint64_t tables, uint64_t to, uint64_t from, uint64_t size) {
  if (TrapCode trap = vm::pay_for_elements(*cx, size); trap != TrapCode::None) return trap;
  return vm::table_copy(cx, *inst->tables[low(tables)], *inst->tables[high(tables)], to, from, size);
}

TrapCode table_init(Vcpu* cx, Instance* inst, uint64_t indices, uint64_t to, uint64_t from, uint64_t size) {
  if (TrapCode trap = vm::pay_for_elements(*cx, size); trap != TrapCode::None) return trap;
  return vm::table_init(cx, *inst, high(indices), *inst->tables[low(indices)], to, from, size);
}

void elem_drop(Vcpu*, Instance* inst, uint32_t segment) { vm::elem_drop(*inst, segment); }

uint64_t ref_test(Vcpu*, Instance* inst, uint64_t heap, uint64_t ref) {
  if (ref == 0) return high(heap);
  return vm::ref_is(*inst->module->registry, vm::Ref{ref}, vm::HeapType::from_bits(low(heap))) ? 1 : 0;
}

TrapCode check_callee(Vcpu*, Instance* inst, vm::FuncRecord* record, uint32_t type) {
  const bool matches = inst->module->registry->matches(record->type, vm::TypeId{type});
  return matches ? TrapCode::None : TrapCode::IndirectCallTypeMismatch;
}

// ---- heat -----------------------------------------------------------------------------------------------------------

Prologue prologue_poll(Vcpu* cx, vm::FuncCode* code) {
  const TrapCode trap = stack_poll(cx);
  if (trap == TrapCode::None) decide_if_sampled(*code, true);
  return {trap};
}

Prologue hot_entry(Vcpu* cx, vm::FuncCode* code) {
  cx->budget = interp::slice_of(*code->module);
  vm::TierHooks* hooks = code->module->tiers;
  if (hooks != nullptr && hooks->hot_function != nullptr) hooks->hot_function(hooks, *code);
  return {TrapCode::None};
}

const void* hot_loop(Vcpu* cx, vm::FuncCode* code, uint64_t which) {
  const bool sampled = (which & kSampledLoop) != 0;
  const uint32_t loop_offset = low(which), slots = high(which & ~kSampledLoop);
  vm::TierHooks* hooks = code->module->tiers;
  vm::LoopTable* loops = vm::loops_of(*code);
  vm::LoopCode* loop = loops == nullptr ? nullptr : loops->find(loop_offset);
  bool heat = true;
  if (sampled) {
    heat = decide_if_sampled(*code, false);
    if (cx->budget < 0) ++cx->budget;
  } else {
    cx->budget = interp::slice_of(*code->module);
  }
  if (loop == nullptr) return nullptr;
  if (sampled) loop->polls.store(loop->polls.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (heat && hooks != nullptr && hooks->hot_loop != nullptr) hooks->hot_loop(hooks, *code, *loop, vm::Tier::baseline);
  // Entered from baseline code: only what is better counts.
  const void* entry = loop->entry.load(std::memory_order_acquire);
  const vm::Tier tier = loop->entry_tier.load(std::memory_order_relaxed);
  if (entry == nullptr || tier <= vm::Tier::baseline || slots > kMaxOsrSlots) return nullptr;
  auto* frame = reinterpret_cast<const uint64_t*>(static_cast<const std::byte*>(cx->activation->fp) + kBaselineSlots);
  for (uint32_t i = 0; i < slots; ++i) reinterpret_cast<uint64_t*>(cx->area)[i] = frame[-static_cast<ptrdiff_t>(i)];
  // Where runs are counted, the code itself counts its entries.
  vm::TierCounts* counts = code->counts.load(std::memory_order_acquire);
  // So does nobody where the loop alone is optimised: the frame stays in baseline code.
  const bool alone = loop->unit.load(std::memory_order_relaxed) != nullptr;
  if (counts != nullptr && !code->module->count_runs && !alone) {
    counts[static_cast<size_t>(tier)].osr_entries.fetch_add(1, std::memory_order_relaxed);
  }
  return entry;
}

void enter_loop(Vcpu* cx, const uint64_t* state, uint32_t slots) {
  auto* frame = reinterpret_cast<uint64_t*>(cx->activation->fp + kBaselineSlots);
  for (uint32_t i = 0; i < slots; ++i) frame[-static_cast<ptrdiff_t>(i)] = state[i];
}

}  // namespace
}  // namespace helper

namespace {

template <class F>
struct ResultOf;
template <class R, class... A>
struct ResultOf<R (*)(A...)> {
  using Type = R;
};

/// Whether a body that returns `Body` can serve as a helper whose result is `Row`.
template <class Body, class Row>
constexpr bool serves = std::is_same_v<Body, Row> || (std::is_same_v<Body, Checked> && std::is_same_v<Row, uint64_t>) ||
                        (std::is_void_v<Row> && (std::is_same_v<Body, vm::TrapCode> ||
                                                 std::is_same_v<Body, vm::Transfer> || std::is_same_v<Body, Prologue>));

#define VMRUN_ARGUMENTS(...) (vm::Vcpu * __VA_OPT__(, ) __VA_ARGS__)
#define X(name, result, params)                                                                                   \
  static_assert(serves<ResultOf<decltype(&helper::name)>::Type, result>, "result of helper " #name);              \
  static_assert(                                                                                                  \
      std::is_same_v<decltype(&helper::name), ResultOf<decltype(&helper::name)>::Type(*) VMRUN_ARGUMENTS params>, \
      "arguments of helper " #name);
VMRUN_HELPERS(X)
#undef X
#undef VMRUN_ARGUMENTS

}  // namespace

namespace {

/// kTailCallEntry.
__attribute__((naked)) void tail_call() {
  asm("movq %c0(%%r12), %%rax\n"
      "jmpq *%c1(%%r9)\n"
      :
      : "i"(vm::layout::vcpu::fuel), "i"(vm::layout::func_code::machine));
}

}  // namespace

const void* const* helper_table() {
  static const void* const table[] = {
#define X(name, result, params) \
  reinterpret_cast<const void*>(&HelperEntry<ResultOf<decltype(&helper::name)>::Type, &helper::name>::enter),
      VMRUN_HELPERS(X)
#undef X
          reinterpret_cast<const void*>(&tail_call),
  };
  static_assert(std::size(table) == kTailCallEntry + 1);
  return table;
}

}  // namespace vmrun::jit
