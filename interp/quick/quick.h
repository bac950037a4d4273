// The quick translator: one pass over a function body, at its first call. Locals live in their canonical slots;
// operands live as constants, as names of locals, or in registers until the end of their basic block, and in canonical
// slots at every label. At most one instruction is held back, so that the next one can say where its result goes or
// swallow it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "interp/draft.h"
#include "interp/emitter.h"
#include "interp/handlers/calls.h"
#include "interp/handlers/generic.h"
#include "vm/wasm/func_decoder.h"
#include "vm/wasm/module.h"

namespace vmrun::interp {

class QuickTranslator;

/// Where an operand is.
struct QuickValue {
  enum class Kind : uint8_t { slot, local, constant, reg, pending };
  Kind kind = Kind::slot;
  uint8_t reg = 0;    // kind reg: 1..4 of the file of its type
  uint16_t slot = 0;  // its canonical slot
  uint16_t at = 0;    // kinds slot and local: the slot that holds it
  uint64_t bits = 0;  // kind constant
};

struct QuickControl {
  uint32_t base = 0;        // canonical slot of the first result (loops: parameter)
  uint32_t body_base = 0;   // canonical slot of the first operand of the part being translated
  uint32_t fixups = kNone;  // list of branches to the end
  uint32_t else_site = kNone;
  uint32_t header = 0;      // loops: their first cell
  uint32_t region = kNone;  // the try region that code in here belongs to
  uint32_t own_region = kNone;
  uint32_t first_catch = kNone, last_catch = kNone;  // older exceptions: list of clauses
  uint32_t table_id = 0, table_stub = 0;             // the last br_table with this label, and the stub for it or kNone
};

/// Passes the decoder's events on: the decoder's own types depend on its consumer's.
template <class Translator>
struct EventsTo {
  using Value = QuickValue;
  using Control = QuickControl;
  static constexpr bool kTakesCharges = true;
  Translator* to;
#define VMRUN_EVENT(name, parameters) \
  void name(auto& d, auto&&... arguments) { to->name(d, arguments...); }
#include "vm/wasm/func_events.def"
};

using QuickConsumer = EventsTo<QuickTranslator>;

/// Translates one function after another and keeps its buffers between them. One per thread.
class QuickTranslator {
 public:
  /// Translates own function `func_index` of `module` (validated) into `draft`. False: its frame would be too large, or
  /// somebody has set `interrupt` meanwhile; then `draft` is unspecified.
  bool translate(const vm::Module& module, uint32_t func_index, MemoryMode memory0, Draft& draft,
                 const std::atomic<uint8_t>* interrupt = nullptr);
  /// Whether the last translation was given up because of `interrupt`.
  bool interrupted() const { return interrupted_; }

 private:
  friend QuickConsumer;
  using D = vm::FuncDecoder<QuickConsumer, false>;
  using V = D::Value;
  using C = D::Control;
  using Operands = D::Operands;
  using Results = D::Results;
  using Kind = QuickValue::Kind;
  using Op = vm::Op;

  // --- events ---
#define VMRUN_EVENT(name, parameters) void name parameters;
#include "vm/wasm/func_events.def"

  // --- operands (values.cpp) ---
  static bool is_float(vm::ValType type) { return reg_class(type) == RegClass::floating; }
  static bool is_vector(vm::ValType type) { return type == vm::kV128; }
  uint32_t here() const { return static_cast<uint32_t>(emit_.here()); }
  void mark(D& d) { draft_->marks.push_back({here(), static_cast<uint32_t>(d.offset())}); }
  /// The canonical slot of the next operand.
  uint32_t top(D& d);
  void check_slot(uint32_t slot) { failed_ |= slot > kMaxOperandSlot; }
  int take_register(bool is_float);
  void release(const V& value);
  void release(Operand operand, bool is_float);
  /// Gives back the registers that the instruction held back reads.
  void release_pending();
  /// Emits the instruction held back, if any, into a register or its canonical slot.
  void settle(D& d);
  /// Emits it into `dest`; its value is no longer on the stack.
  void settle_into(D& d, Operand dest);
  void emit_pending(Operand dest);
  void check_pending();
  /// An operand for a cell. The value must not be pending. Registers stay taken.
  static Operand operand(const V& value);
  /// Of a popped value: emits it first if it is pending.
  Operand operand(D& d, const V& popped);
  /// Gives `value` (not pending) its canonical slot.
  void to_slot(V& value);
  uint16_t slot_of(D& d, V& value);
  void move_to(uint32_t slot, const V& value);
  /// Puts operands into their canonical slots, from the frame that is `frames` out on.
  void flush(D& d, uint32_t frames = 0);
  /// The same before a branch with this (popped) condition, whose instruction may stay held back: it reads none of those.
  void flush_below(D& d, const V& condition, uint32_t frames);
  /// Operand `index` is now something else than its slot, perhaps a register.
  void unsettled(size_t index) {
    in_slots_ = std::min(in_slots_, static_cast<uint32_t>(index));
    no_registers_ = std::min(no_registers_, static_cast<uint32_t>(index));
  }
  /// Before local `index` changes: gives operands that stand for it their own slots.
  void detach_local(D& d, uint32_t slot);
  void to_canonical(Results results, uint32_t slot);
  void reset_registers() { free_ints_ = free_floats_ = 0xf; }
  void hold(D& d, const V* first_arg, uint32_t slot, V* result);
  void compute(D& d, Op op, const V* args, V* result);
  void generic(D& d, Op op, const vm::Immediate& imm, Operands args, Results results);
  void load(D& d, Op op, const vm::Immediate& imm, const V* args, V* results);
  void store(D& d, Op op, const vm::Immediate& imm, const V* args);
  void select(D& d, const V* args, V* results);

  // --- control (control.cpp) ---
  struct Fixup {
    uint32_t cell, base;  // base kNone: `cell` is the index of a Catch
    uint32_t next;
  };
  struct PendingCatch {
    Catch clause;
    uint32_t next;
  };
  struct Landing {
    uint32_t clause;  // index of a Catch
    uint32_t header;  // loop header, or kNone: return from the function
  };
  /// Gives the translation up when somebody wants the guest to end. At what a few bytes of body may make long: a block, a
  /// branch or a call with a thousand values. All others together take no longer than the body is.
  void look(D& d) {
    if (interrupt_ == nullptr || interrupt_->load(std::memory_order_relaxed) == 0) [[likely]]
      return;
    interrupted_ = true;
    d.stop();
  }
  void enter_frame(D& d, C& c);
  void flush_outer(D& d);
  void flush_many(D& d, const V& condition, const C& target);
  void add_fixup(C& c, uint32_t cell, uint32_t base);
  void bind(C& c);
  bool in_place(D& d, const C& target, size_t count);
  void move_results(D& d, const C& target);
  void jump(D& d, C& target);
  /// Emits the moves and the branch to `depth`, leaving the operands' description alone.
  void take_branch(D& d, uint32_t depth);
  void emit_return(D& d);
  void return_from(std::span<const vm::ValType> types, uint32_t slot);
  /// Emits a branch if `condition` (popped, perhaps pending) is (not) zero.
  Emitter::Site branch_on(D& d, const V& condition, bool nonzero, bool back);
  template <class Test>
  void branch_if(D& d, uint32_t depth, Test test);
  /// Code from here on is in `region`.
  void enter_region(uint32_t region);
  TryRegion& open_region(C& c);
  void end_try_part(D& d, C& c);
  void begin_catch(D& d, C& c, uint32_t tag);
  void finish(D& d, C& c, Results results);

  // --- calls (calls.cpp) ---
  struct Callee {
    CallKind kind;
    Operand operand;  // of indirect and ref
    uint64_t data;
  };
  Callee callee_of(D& d, uint32_t func_index);
  void emit_call(D& d, Callee callee, const vm::FuncType& type, Operands args, Results results, const V* target);
  void emit_tail_call(D& d, Callee callee, const vm::FuncType& type, Operands args, const V* target);

  /// Frames end here at the latest: leaves room for an outgoing call's link and arguments.
  static constexpr uint32_t kMaxOperandSlot = kMaxSlots - 6000;
  /// More values than these move together, by one cell: no code can make each of many branches or calls grow to a cell
  /// for each of a thousand values.
  static constexpr size_t kManyValues = 8;

  struct Pending {
    enum class What : uint8_t {
      none,
      binary,
      unary,
      load,
      load_wrapped,
      load_indexed,
      select,
      global
    } what = What::none;
    bool is_float = false;   // the result's register file
    bool arg_float = false;  // the operands'
    bool traps = false;
    bool own = false;  // global
    Op op{};
    Operand a, b, c;
    uint64_t offset = 0;  // load: offset or delta; global: where it is
    uint32_t index = 0;   // of the result on the operand stack
    uint32_t source = 0;  // byte offset
    uint16_t slot = 0;
  };

  const vm::Module* module_ = nullptr;
  const vm::FuncType* type_ = nullptr;
  Draft* draft_ = nullptr;
  CodeVector<Cell> no_cells_;
  Emitter emit_{no_cells_, 0};
  MemoryMode memory0_ = MemoryMode::guarded;
  Pending pending_;
  unsigned free_ints_ = 0, free_floats_ = 0;
  uint32_t local_slots_ = 0;
  uint32_t lazy_from_ = 0;  // no operand below this index stands for a local
  // All operands below this index are in their slots; none below the second is in a register. No code can make every
  // block and every call walk over a deep operand stack.
  uint32_t in_slots_ = 0, no_registers_ = 0;
  uint32_t last_generic_ = kNone;  // first cell of the generic instruction just emitted, whose result is redirectable
  uint32_t last_generic_end_ = 0;
  uint32_t region_ = kNone;
  uint32_t table_count_ = 0;
  bool failed_ = false, interrupted_ = false;
  const std::atomic<uint8_t>* interrupt_ = nullptr;
  CodeVector<uint32_t> local_slot_;  // by local index
  CodeVector<Fixup> fixups_;
  CodeVector<PendingCatch> pending_catches_;
  CodeVector<Landing> landings_;
};

}  // namespace vmrun::interp
