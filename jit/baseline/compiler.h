// The baseline compiler: one pass over a function body, straight to x86-64 code.
//
// VALUES. An operand is a constant, the name of a local, a temporary register, or in its canonical slot. Names of locals
// are resolved when they are used, so a local.get costs nothing; a write to the local first gives pending names a place.
//
// LOCALS. The locals that a look ahead (scan.h) finds most used have a home register for the whole function. A state
// (HomeState) says which homes are loaded and which are newer than the local's slot. Calls clobber all registers: dirty
// homes are stored before, and loaded again when next used; but for those that nobody reads any more (BodyScan::live),
// which are in no state of a label either. All other locals live in their slots.
//
// MERGES. A label's state is that of the first branch to it; whoever comes later conforms with loads and stores. A loop
// header's state follows from what the loop uses and writes. At a label, operands beneath the label's own are constants
// or in their slots; a label with one result takes it in rax or xmm0, any other label takes its values in slots.
//
// FRAME. [rbp-8] vCPU, [rbp-16] instance, [rbp-24] memory base, then canonical slots downwards: slot i is at
// rbp - 32 - 8i, and a v128 in slots i and i+1 has its low half at slot i+1's address.
//
// CONDITIONS. A comparison right before its branch or select leaves its result in the flags. Nothing between the two
// may change flags: constants are loaded by mov.
//
// I32. The upper half of a register that holds an i32 is zero: whatever this code computes or loads is so by the
// instructions that it uses, and copies of an i32 are copies of 32 bits. What others put into registers is not relied on:
// a parameter in its home (HomeState::raw) and a result of a call (BaselineValue::raw) are cleared where all 64 bits are
// used, or carried into a loop; they may be handed on to others as they came. So are operands' slots clean. The slot of a
// local need not be: it is read by loads of 32 bits. Only an Index, which index_of() alone makes, gets into an address.
//
// SCRATCH. r11 and xmm7 never hold operands: whatever moves values between places may use them.
#pragma once

#include <asmjit/x86.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jit/baseline/assembler_x86_64.h"
#include "jit/baseline/scan.h"
#include "jit/baseline/state.h"
#include "jit/code/compiled.h"
#include "jit/compiler.h"
#include "jit/crossing/abi.h"
#include "jit/pieces.h"
#include "vm/blocks/profile.h"
#include "vm/runtime/layout.h"
#include "vm/wasm/func_decoder.h"

namespace vmrun::jit::baseline {

namespace layout = vm::layout;

/// 16-byte slots of the area that one call may use.
inline constexpr uint32_t kMaxAreaSlots = 2000;
static_assert(kMaxAreaSlots * kAreaSlot <= vm::kAreaBytes);
/// Canonical slots of a frame, at most: functions with more stay in the interpreter.
inline constexpr uint32_t kMaxFrameSlots = 1 << 16;
/// Bytes of a frame with so many slots, below the saved rbp.
constexpr uint64_t frame_bytes(uint64_t slots) { return (24 + 8 * slots + 15) & ~uint64_t{15}; }
static_assert(frame_bytes(kMaxFrameSlots) < 0x7ffffff0);  // what stands there until the size is known
/// Where a slot begins, from rbp.
constexpr int64_t slot_offset(int64_t slot) { return kBaselineSlots - 8 * slot; }
static_assert(slot_offset(kMaxFrameSlots) == static_cast<int32_t>(slot_offset(kMaxFrameSlots)));
/// Machine code of a function with a body of so many bytes, at most: functions that need more stay in the interpreter.
/// Most need 3 bytes for one; a call with a thousand values takes some 40,000, of which small functions may have a few.
constexpr size_t most_code(size_t body) { return (size_t{512} << 10) + 64 * body; }
/// Values at blocks and branches of a function with a body of so many bytes, at most: operands that a block or a label
/// takes, counted at each. Most functions have less than one a byte; but two bytes make a block with a thousand, each of
/// which takes some 7 ns although no code may come of it. A small function may have a few such blocks. A body of the
/// largest size may take a quarter of a second for it, and that is what an interrupt may have to wait for.
constexpr uint64_t most_carried(size_t body) { return (uint64_t{1} << 20) + 4 * uint64_t{body}; }
/// So many targets of a switch, at most, are told apart by compares. A jump through a table takes seven instructions, and
/// is foreseen worse than branches are.
inline constexpr uint32_t kMostCompared = 4;
/// The prologue of a larger frame compares before it makes the frame: only 64 KiB below the limit are always there.
inline constexpr uint32_t kSmallFrameBytes = 32 << 10;

/// Passes the decoder's events on until the function turns out to be unsupported.
struct Events {
  using Value = BaselineValue;
  using Control = BaselineControl;
  static constexpr bool kTakesCharges = true;
  FunctionCompiler* to;
#define VMRUN_EVENT(name, parameters) void name(auto& d, auto&&... arguments);
#include "vm/wasm/func_events.def"
};

/// Compiles one function after another and keeps its buffers between them. One per thread.
class FunctionCompiler {
 public:
  FunctionCompiler();
  /// The code's bytes are in the buffer that the next compile writes to; the result says nothing of who keeps it.
  CompileResult compile(const CompileRequest& request);
  /// Nobody reads the bytes any more: a large buffer goes.
  void drop_code();

 private:
  friend Events;
  using D = vm::FuncDecoder<Events, false>;
  using V = D::Value;
  using C = D::Control;
  using Operands = D::Operands;
  using Results = D::Results;
  using Kind = BaselineValue::Kind;
  using Op = vm::Op;
  using ValType = vm::ValType;
  using FuncType = vm::FuncType;
  using Imm = vm::Immediate;
  using Gp = asmjit::x86::Gp;
  using Xmm = asmjit::x86::Xmm;
  using Mem = asmjit::x86::Mem;
  using InstId = asmjit::InstId;
  using Cond = asmjit::x86::CondCode;
  using TrapCode = vm::TrapCode;

  // --- events ---
#define VMRUN_EVENT(name, parameters) void name parameters;
#include "vm/wasm/func_events.def"

  // --- assembly (values.cpp) ---
  static Gp q(uint8_t reg) { return asmjit::x86::gpq(reg); }
  static Gp w(uint8_t reg) { return asmjit::x86::gpd(reg); }
  static Gp gp(uint8_t reg, bool wide) { return wide ? q(reg) : w(reg); }
  static Xmm x(uint8_t reg) { return asmjit::x86::xmm(reg); }
  static Mem at(uint8_t base, int32_t offset) { return asmjit::x86::ptr(q(base), offset); }
  static bool is_vec(ValType type) {
    ValType::Kind k = type.kind();
    return k == ValType::Kind::f32 || k == ValType::Kind::f64 || k == ValType::Kind::v128;
  }
  static bool is_wide(ValType type) { return type.kind() != ValType::Kind::i32; }
  Mem slot_mem(uint32_t slot, ValType type) {
    uint32_t last = slot + type.slots() - 1;
    if (last >= max_slot_ && !has_slots(uint64_t{last} + 1)) last = 0;
    return at(rbp, static_cast<int32_t>(slot_offset(last)));
  }
  /// Makes the frame as large as `slots` need. False: it may not be, and the function is unsupported.
  bool has_slots(uint64_t slots);
  /// The entry of a table, with an offset of 32 bits; the function is unsupported where it does not fit.
  Mem entry_at(uint8_t table, uint64_t index, uint64_t entry_bytes) { return at(table, offset_of(index, entry_bytes)); }
  int32_t offset_of(uint64_t index, uint64_t entry_bytes) {
    const uint64_t offset = index * entry_bytes;
    if (index <= UINT32_MAX && offset <= INT32_MAX) [[likely]]
      return static_cast<int32_t>(offset);
    return too_far(index);
  }
  int32_t too_far(uint64_t index);
  uint32_t here() const { return static_cast<uint32_t>(a_.offset()); }
  /// Records that the code that ends here (a call) or begins here (an access) belongs to the current instruction.
  void mark(D& d) { made_.marks.push_back({here(), static_cast<uint32_t>(d.offset())}); }
  /// Records that the four bytes at `at` say which type is meant.
  void uses_type(uint32_t at, vm::TypeId type, TypeUse::As as);
  /// A constant in the pool behind the code.
  Mem pool(uint64_t lo, uint64_t hi = 0, unsigned size = 8);
  Mem pool(const vm::V128& v) { return pool(v.lo, v.hi, 16); }
  /// A constant vector: its bits are 0 when it is zero, else the place of its value in vectors_, from 1.
  vm::V128 vector_of(const V& constant) const { return constant.bits == 0 ? vm::V128{} : vectors_[constant.bits - 1]; }
  void set_vector(V& value, const vm::V128& constant) {
    const bool zero = constant.lo == 0 && constant.hi == 0;
    if (!zero) vectors_.push_back(constant);
    set_const(value, zero ? 0 : vectors_.size(), value.slot);
  }
  void preempt_off();
  void preempt_on();

  // --- operands (values.cpp) ---
  static constexpr uint8_t kNoHome = 0xff;
  uint32_t top(D& d);
  static void set_slot(V& value, uint32_t slot) { value.kind = Kind::slot, value.slot = slot; }
  static void set_reg(V& value, uint8_t reg, uint32_t slot) {
    value.kind = Kind::reg, value.reg = reg, value.raw = false, value.slot = slot;
  }
  static void set_const(V& value, uint64_t bits, uint32_t slot) {
    value.kind = Kind::constant, value.bits = bits, value.slot = slot;
  }
  /// Begins an instruction: the registers of `args` are given back by finish_op.
  void begin_op(D&, const V* args, size_t count) {
    for (size_t i = 0; i < count; ++i) own(args[i]);
  }
  void own(const V& value) {
    if (value.kind == Kind::reg) (is_vec(value.type) ? owned_vec_ : owned_int_) |= 1u << value.reg;
  }
  void finish_op() {
    free_int_ |= owned_int_ & all_int_;
    free_vec_ |= owned_vec_ & all_vec_;
    owned_int_ = owned_vec_ = 0;
  }
  /// The result of the instruction is in `reg`, which is a temporary of the instruction or the home that hint() named.
  void result_reg(V& result, uint8_t reg);
  /// Takes a temporary for the rest of the instruction. May spill an operand that the instruction does not use.
  uint8_t take(bool vec);
  uint8_t take_int() { return take(false); }
  uint8_t take_vec() { return take(true); }
  /// Makes `reg` a temporary of the instruction, for what the processor wants in this register. An operand beneath the
  /// instruction's moves elsewhere. So does one of the instruction's own that is among `args`, copies that the instruction
  /// uses from now on; any other of its own stays there until it is overwritten. Comes before operands are fetched and
  /// before anything is decided by what is free.
  void take_fixed(uint8_t reg, std::span<V> args = {});
  void spill_one(bool vec);
  void to_slot(V& value);
  void load_home(uint8_t home);
  void store_home(uint8_t home);
  /// Moves an operand's value without changing what is known about it. Uses no register but the target; no flags.
  void move_to_int(uint8_t reg, const V& value);
  void move_to_vec(uint8_t reg, const V& value);
  void move_to(uint8_t reg, const V& value) { is_vec(value.type) ? move_to_vec(reg, value) : move_to_int(reg, value); }
  /// Stores an operand's value. Uses the scratch registers; no flags.
  void store_to(const Mem& to, const V& value);
  /// The same, to a place that r11 is needed to address.
  void store_to_area(const Mem& to, const V& value);
  void move_int(uint8_t to, uint8_t from) {
    if (to != from) a_.mov(q(to), q(from));
  }
  /// An i32 that others have put into `from`: its upper half becomes zero.
  void move_clean(uint8_t to, uint8_t from) { a_.mov(w(to), w(from)); }
  /// Whether the upper half of an i32 operand's register, which may be its local's home, is not known to be zero.
  bool is_raw(const V& value) const {
    if (value.kind == Kind::reg) return value.raw;
    if (value.kind != Kind::local || state_.raw == 0) return false;
    const uint8_t h = home_of(static_cast<uint32_t>(value.bits));
    return h != kNoHome && (state_.raw >> h & 1) != 0;
  }
  /// Clears the upper half of `reg`, which the operand is in, where that is not known to be zero. No flags.
  void clean(const V& value, uint8_t reg) {
    if (is_raw(value)) [[unlikely]]
      move_clean(reg, reg);
  }
  void move_vec(uint8_t to, uint8_t from) {
    if (to != from) a_.vmovaps(x(to), x(from));
  }
  void load_int(uint8_t reg, const Mem& from, ValType type) { a_.mov(gp(reg, is_wide(type)), from); }
  void load_vec(uint8_t reg, const Mem& from, ValType type);
  void store_int(const Mem& to, uint8_t reg) { a_.mov(to, q(reg)); }
  /// From the area into a slot, by way of xmm7; an i32 with a clean upper half.
  void copy_from_area(uint32_t slot, const Mem& from, ValType type);
  void store_vec(const Mem& to, uint8_t reg, ValType type);
  void load_const(uint8_t reg, uint64_t bits);
  /// The operand in a register, for reading only.
  static constexpr uint8_t kNoRegister = 0xff;
  uint8_t register_of(const V& value);
  uint8_t fetch_int(const V& value);
  /// `in_scratch`: the caller makes the address at once, and r11 may be the index.
  Index index_of(const V& value, bool in_scratch = false) {
    const uint8_t reg = fetch_int(value);
    if (is_raw(value)) [[unlikely]]
      return cleared_index(value, reg, in_scratch);
    if (request_.check_merges) [[unlikely]]
      check_upper(reg, value.type);
    return Index(reg);
  }
  Index cleared_index(const V& value, uint8_t reg, bool in_scratch);
  uint8_t fetch_vec(const V& value);
  /// The operand as the last source of an instruction: register, memory or (integers only) a constant of 32 bits.
  asmjit::Operand source_int(const V& value, bool wide);
  asmjit::Operand source_vec(const V& value);
  /// A register for the result: the home of the local that the next instruction sets, else a register of an operand
  /// that ends here (`a`, then `b`), else a new one. Never the register `not_this`.
  uint8_t target(D& d, bool vec, size_t args, const V* a, const V* b, uint8_t not_this = kNoHome);
  /// The home of the local that the next instruction sets, if any. Its register may be written from now on.
  uint8_t hint(D& d, bool vec, size_t args);
  bool owned(const V& value) const { return value.kind == Kind::reg; }
  void detach_local(D& d, uint32_t local, size_t skip);
  void flush_registers(D& d, size_t skip);
  void flush_all(D& d);
  void flush_frame(D& d, bool constants);
  /// An operand is about to be pushed at `index` of the stack. No more than kUnsettled operands are outside their slots,
  /// so that instructions which look through them do not take longer the deeper the stack is.
  static constexpr size_t kUnsettled = 64;
  void pushes(size_t index) {
    if (index - settled_ > kUnsettled) [[unlikely]]
      move_settled(index);
  }
  void move_settled(size_t index);
  /// The code that follows is reached by ways on which no more constants have their slots filled than where `c` began.
  void forget_filled(const C& c) {
    if (filled_ > c.filled) filled_ = c.filled;
  }
  void settle(size_t end);
  /// Homes go to their slots: those that are newer, but for such as nobody reads any more.
  void store_dirty(HomeMask live = kAllHomes);
  void forget_homes() { state_ = {}; }
  void conform(const HomeState& from, const HomeState& to);
  void conform(const HomeState& from, const Target& to);
  static bool conforms(const HomeState& from, const Target& to) { return conforms(from.only(to.live), to.state); }
  static bool conforms(const HomeState& from, const HomeState& to) {
    return (to.loaded & ~from.loaded) == 0 && (from.dirty & ~to.dirty) == 0 && (from.raw & to.loaded & ~to.raw) == 0;
  }
  uint8_t home_of(uint32_t local) const { return home_of_[local]; }

  // --- control (control.cpp) ---
  void enter_frame(D& d, C& c);
  /// Counts values that a block or a label takes: the function is unsupported when there are too many (most_carried).
  void carry(size_t values) {
    carried_ += values;
    if (carried_ > most_carried_) [[unlikely]]
      unsupported("more values at blocks than are worth carrying");
  }
  void branch_state(Target& target);
  bool in_register(const C& c) const { return c.kind != vm::ControlKind::loop && c.br_types().size() == 1; }
  bool is_plain_edge(D& d, C& c);
  void take_edge(D& d, uint32_t depth);
  void move_results(D& d, const C& target);
  void bind(Target& target, bool falls_through);
  void begin_results(const C& c, Results results);
  void back_edge(const LoopSite& site);
  bool has_slow_back_edges() const { return request_.count_heat || request_.sample_heat || request_.polls; }
  void emit_return(D& d);
  void return_values(const V* values);
  void epilogue();
  /// The condition in the flags; the code says when it is not zero.
  Cond test(const V& condition);
  void branch_if(D& d, Cond cond, uint32_t depth);
  void switch_to(D& d, const V& index, std::span<const uint32_t> depths);
  void short_br_table(D& d, const V& index, std::span<const uint32_t> depths, uint32_t otherwise);
  void finish_block(D& d, C& c, Results results);
  void trap_if(D& d, Cond cond, TrapCode code);
  void trap(D& d, TrapCode code);
  Label trap_label(D& d, TrapCode code);

  // --- frame (frame.cpp) ---
  D& decoder_for(const vm::Module& module);
  void choose_homes(D& d);
  void find_loop_homes();
  void emit_frame_setup();
  void emit_frame_end();
  void emit_params(D& d);
  void emit_zeros(D& d);
  void emit_loop_stubs();
  void emit_osr_entries();
  void emit_polls();
  void emit_traps();
  void emit_pool();
  /// Copies of a v128 at loop headers that one function may have.
  static constexpr size_t kMaxVectorCopies = size_t{1} << 18;
  void copy_vector(uint8_t area, uint32_t slot, bool out);
  void copy_vectors(uint8_t area, const LoopSite& loop, bool out);
  void count_run(int32_t counter);
  /// The address of the block record of one of the module's own functions.
  void own_code(uint8_t reg, uint32_t func_index) {
    a_.mov(q(reg), at(r13, layout::instance::codes));
    const int32_t distance = offset_of(func_index - module_->imported_funcs, layout::func_code::bytes);
    if (distance != 0) a_.add(q(reg), distance);
  }
  void own_record(uint8_t reg);
  int32_t counters(uint8_t reg, uint32_t offset, vm::ProfileKind kind);  // profile.cpp
  void count(uint32_t offset, vm::ProfileKind kind, uint8_t reg = kScratch);
  void count_target(D& d, uint8_t record);
  CompileResult finish();

  // --- checks (check.cpp) ---
  void check_operands(D& d, const char* event);
  void check_record();
  void check_merge(D& d, bool constants = false);
  /// Homes that are newer than their slots, and that nobody is to read any more: whoever did would find something else.
  void spoil_slots(HomeMask homes);
  /// A register with a value crosses into other code or an address: its upper half must be zero if it is an i32. Changes
  /// flags.
  void check_upper(uint8_t reg, ValType type, uint8_t scratch = kScratch) {
    if (request_.check_merges && type == vm::kI32) [[unlikely]]
      emit_upper_check(reg, scratch);
  }
  void emit_upper_check(uint8_t reg, uint8_t scratch);
  void check_params(const FuncType& type, uint8_t scratch);
  void emit_check_failure();
  Label check_failed_;
  size_t checked_operands_ = 0, checked_constants_ = 0;  // so far

  // --- calls (calls.cpp) ---
  enum class CalleeKind : uint8_t { direct, record };
  void place_args(D& d, const FuncType& type, Operands args, uint8_t record);
  HomeMask live_after(D& d, size_t args);
  void emit_call(D& d, CalleeKind kind, uint32_t func_index, const FuncType& type, Operands args, Results results,
                 uint8_t record, bool tail);
  void take_results(D& d, const FuncType& type, uint32_t base, Results results);
  void any_call(D& d, uint32_t func_index, const FuncType& type, Operands args, Results results, bool tail);
  uint8_t find_record(D& d, vm::TypeId type_id, uint32_t table, const V& index);
  void reload_context();
  void call_site(D& d);
  void call_in_region(uint32_t in);
  /// Calls a helper whose further arguments are in place. All registers but r12 to r15, rbx and rbp are clobbered.
  void call_helper(Helper helper);
  struct Move {
    uint8_t to, from;
    bool narrow = false;  // an i32: its lower half
  };
  void parallel_moves(std::vector<Move>& moves, bool vec);

  // --- loops as units (units.cpp) ---
  void begin_unit(D& d, uint32_t loop);
  void end_unit(D& d, C& c);
  /// The instruction, which has been compiled, branches there.
  void note_exit(D& d, uint32_t depth) {
    if (!open_units_.empty()) [[unlikely]]
      add_exit(d, depth);
  }
  void add_exit(D& d, uint32_t depth);
  void emit_unit_calls();

  // --- exceptions (exceptions.cpp) ---
  uint32_t open_region(D& d, C& c);
  void emit_pads(D& d);
  void emit_clause(D& d, const Region& region, const Clause& clause);
  void end_try_part(D& d, C& c);
  void begin_catch(D& d, C& c, uint32_t tag, Results params);

  // --- instructions ---
  void unsupported(D& d, Op op);
  /// The rest of the body is not looked at.
  void unsupported(std::string reason) {
    failed_ = true, reason_ = std::move(reason);
    decoder_->stop();
  }
  /// How one instruction is compiled: by which of the emitters below, from which machine instructions, with which
  /// immediate (kNoImm: without) or number that the emitter wants. How wide operands are is told by their types.
  struct Row {
    Op op;
    void (FunctionCompiler::*emit)(D& d, const Row& row, const Imm& imm, const V* args, V* results);
    InstId id = 0, id2 = 0;
    uint8_t imm = kNoImm;
  };
  static constexpr uint8_t kNoImm = 0x80;
  /// The row of each instruction; null where there is none.
  struct Table;
  static const Table& table();
  // Parts of the table, each in the file of its name (ops_int.cpp and so on).
  static std::span<const Row> value_rows();
  static std::span<const Row> int_rows();
  static std::span<const Row> float_rows();
  static std::span<const Row> memory_rows();
  static std::span<const Row> atomic_rows();
  static std::span<const Row> other_rows();
  static std::span<const Row> vector_int_rows();
  static std::span<const Row> vector_shift_rows();
  static std::span<const Row> vector_float_rows();
  static std::span<const Row> vector_lane_rows();
  static std::span<const Row> vector_memory_rows();
  // clang-format off
#define VMRUN_EMITTERS(X)                                                                                              \
  /* values */ X(nothing) X(const_i32) X(const_i64) X(const_f32) X(const_f64) X(null) X(select)                        \
  /* int */ X(int_binary) X(int_add_sub) X(int_shift) X(int_rotate) X(int_divide) X(int_compare) X(int_eqz)            \
  X(int_unary) X(int_extend) X(int_widen) X(int_add_sub_128) X(int_mul_wide)                                           \
  /* float */ X(float_unary) X(float_binary) X(float_min_max) X(float_equal) X(float_order) X(float_sign)              \
  X(float_copysign) X(truncate) X(int_to_float) X(reinterpret)                                                         \
  /* memory */ X(int_load) X(int_load_extended) X(float_load) X(int_store) X(float_store)                              \
  X(global_get) X(global_set) X(table_get) X(table_set)                                                                \
  /* other */ X(ref_eq) X(ref_func) X(ref_same) X(ref_test) X(ref_cast)                                                \
  X(memory_size) X(table_size)                                                                                         \
  /* atomic */ X(atomic_fence) X(atomic_load) X(atomic_store) X(atomic_add) X(atomic_sub) X(atomic_exchange)           \
  X(atomic_change) X(atomic_cmpxchg)
#define VMRUN_VECTOR_EMITTERS(X)                                                                                       \
  /* plain */ X(unary) X(binary) X(swapped) X(binary_not) X(swapped_not) X(order) X(order_not) X(with_pool)            \
  /* int */ X(negate) X(abs_quad) X(popcnt) X(all_true) X(mask) X(mask_words) X(mul_quad) X(extend_high)               \
  X(extend_high_u) X(extmul_bytes) X(extmul_words) X(extmul_dwords) X(times_one) X(pairs_bytes_s) X(pairs_words_u)     \
  X(q15mulr) X(dot_bytes) X(dot_bytes_add)                                                                             \
  /* shift */ X(shift) X(shift_left_bytes) X(shift_right_bytes) X(shift_right_quad)                                    \
  /* float */ X(min_max) X(madd) X(nmadd) X(trunc_s) X(trunc_u) X(trunc_f64_s) X(trunc_f64_u) X(convert_u)             \
  X(convert_f64_u)                                                                                                     \
  /* lane */ X(constant) X(not_) X(bitselect) X(any_true) X(splat) X(splat_float) X(extract) X(extract_float)          \
  X(replace) X(replace_f32) X(replace_f64) X(swizzle) X(shuffle)                                                       \
  /* memory */ X(load) X(load_lane) X(store_lane)
// clang-format on
#define VMRUN_DECLARE(name) void name(D& d, const Row& row, const Imm& imm, const V* args, V* results);
  VMRUN_EMITTERS(VMRUN_DECLARE)
#undef VMRUN_DECLARE
#define VMRUN_DECLARE(name) void vec_##name(D& d, const Row& row, const Imm& imm, const V* args, V* results);
  VMRUN_VECTOR_EMITTERS(VMRUN_DECLARE)
#undef VMRUN_DECLARE
#undef VMRUN_EMITTERS
#undef VMRUN_VECTOR_EMITTERS
  /// The emitter of one row alone needs no name in the list: a lambda beside the row, which gets the compiler first.
  template <auto emitter>
  void alone(D& d, const Row& row, const Imm& imm, const V* args, V* results) {
    emitter(*this, d, row, imm, args, results);
  }
  /// Has the runtime do it; the helper's immediate is what the instruction's kind of immediate says. With as many
  /// operands.
  template <Helper which, uint8_t operands>
  void ask(D& d, const Row& row, const Imm& imm, const V* args, V* results);
  template <Helper which, uint8_t operands>
  void atomic_ask(D& d, const Row& row, const Imm& imm, const V* args, V* results);

  // --- what emitters share ---
  /// The same constant in every lane of `lane_bits`.
  Mem pool_lanes(uint64_t value, unsigned lane_bits);
  void shift_count(const V& count, unsigned bits, unsigned more);
  void load_vector(uint8_t to, const vm::V128& value);
  Mem vector_access(D& d, const Row& row, const Imm& imm, const V& index);
  /// Sums of the products of neighbouring signed bytes, wrapped to 16 bits.
  void dot_of_bytes(Xmm to, const V* args);
  void shuffle_one(Xmm to, Xmm from, const std::array<uint8_t, 16>& lanes);
  bool shuffle_two(Xmm to, Xmm a, Xmm b, const std::array<uint8_t, 16>& lanes);

  // Ranges of memory 0 (ops_bulk.cpp). False: the range may be long, or accesses are checked, and nothing was emitted.
  bool copy_in_place(D& d, const Imm& imm, const V* args);
  bool fill_in_place(D& d, const Imm& imm, const V* args);
  /// Whether ranges of this size are moved in place.
  bool is_short(const V& size) const;
  Mem range(const V& index);
  void load_piece(uint8_t to, const Mem& range, const Piece& piece);
  void store_piece(const Mem& range, const Piece& piece, uint8_t from);

  bool divide_by_constant(D& d, bool is_signed, bool remainder, bool wide, const V* args, V* result);  // ops_divide.cpp
  void divide_unsigned_by_power(D& d, unsigned log2, bool remainder, bool wide, const V* args, V* result);
  void divide_by_power(D& d, unsigned log2, bool negative, bool remainder, bool wide, const V* args, V* result);
  void divide_unsigned(D& d, uint64_t divisor, bool remainder, bool wide, const V* args, V* result);
  void divide_signed32(D& d, uint32_t divisor, bool negative, bool remainder, const V* args, V* result);
  void divide_signed64(D& d, uint64_t divisor, bool negative, bool remainder, const V* args, V* result);
  void result_in(D& d, uint8_t from, V* result);
  void compare(D& d, Cond cond, bool wide, const V* args, V* result);
  void set_flags(D& d, Cond cond, size_t args, V* result);
  /// Whether the next instruction takes its condition from the flags (wide: by way of i64.eqz).
  bool condition_is_next(D& d, bool wide = false) const;
  void sign_masks(bool f64, Mem& sign, Mem& rest);
  /// Numbers of rows.
  static constexpr uint8_t kSigned = 1, kSaturates = 2;
  static constexpr uint8_t kAbove = static_cast<uint8_t>(Cond::kA), kNotBelow = static_cast<uint8_t>(Cond::kAE);
  /// How many bytes of memory the instruction accesses.
  static unsigned access_size(const Row& row) { return 1u << vm::op_info(row.op).access_log2; }

  /// The address of an access to a memory, checked where faults do not guard it.
  Mem address(D& d, const vm::MemArg& mem, const V& index, unsigned size);
  /// The address of an atomic access, which must be aligned. r11 holds it until the access; no other temporary does.
  Mem atomic_address(D& d, const vm::MemArg& mem, const V& index, unsigned size);
  /// Adds the offset to an index, into r11; where the sum may wrap, a trap if it does.
  void add_offset(D& d, Index index, uint64_t offset, bool traps);
  /// Compares the address in r11 with the current size, traps or leaves it, and says where the access goes.
  Mem checked_address(D& d, uint32_t memory, uint8_t limit, unsigned size);
  /// Adds `value` to what is in memory; the result is what was there.
  void add_locked(D& d, const Row& row, const Imm& imm, const V& index, uint8_t value, V* result);
  /// Zero-extends a value of `size` bytes.
  void zero_extend(uint8_t reg, unsigned size);
  /// The part of a register that an access of `size` bytes names.
  static Gp sized(uint8_t reg, unsigned size);
  /// Where a global's value is. Uses r11.
  Mem global_place(uint32_t index);
  void wants_heap(uint64_t wanted);
  uint8_t table_entry(D& d, uint32_t table, const V& index, TrapCode code);
  void check_index(D& d, uint32_t table, uint8_t entry, Index index, TrapCode code);
  Mem table_of(uint32_t table, uint8_t reg);
  /// Calls a helper with the instance, `immediate` and the operands as arguments, and takes its result, if any. The
  /// offset is added to the first operand.
  void helper_op(D& d, Helper helper, uint64_t immediate, std::span<const V> operands, V* result,
                 const vm::MemArg* offset_of_first = nullptr);
  void test_reference(D& d, const Imm& imm, const V* args, V* result);

  const Table& table_;
  asmjit::CodeHolder code_;
  FastAssembler a_;
  std::unique_ptr<asmjit::ErrorHandler> errors_;
  BodyScan scan_;
  const vm::Module* module_ = nullptr;
  const uint8_t* image_ = nullptr;  // its bytes
  const FuncType* type_ = nullptr;
  Events events_;
  std::optional<D> decoder_;  // for `decoded_`: a module, its bytes and its types
  std::array<const void*, 3> decoded_{};
  CompileRequest request_;
  CodeTables made_;
  std::vector<TypeUse> types_;
  std::string reason_;
  bool failed_ = false;
  uint64_t carried_ = 0, most_carried_ = 0;  // see most_carried()
  bool began_ = false;                       // the first instruction is there
  bool memory0_guarded_ = false;
  bool large_frame_ = false;

  uint32_t free_int_ = 0, free_vec_ = 0;    // temporaries that hold nothing
  uint32_t owned_int_ = 0, owned_vec_ = 0;  // temporaries of the current instruction
  uint32_t all_int_ = 0, all_vec_ = 0;      // all temporaries
  HomeState state_;
  std::vector<Home> homes_;
  std::vector<uint8_t> home_of_;       // by local
  std::vector<HomeState> loop_homes_;  // by loop of scan_: homes that it uses, and of these the ones that it writes
  std::vector<BodyScan::LoopUse> loop_uses_;  // the same for the look ahead
  std::vector<uint32_t> local_slot_;          // by local
  uint32_t operand_base_ = 0;                 // canonical slot of the first operand
  uint32_t max_slot_ = 0;                     // canonical slots of the frame
  uint32_t lazy_ = 0;                         // operands that may name locals are not below this index of the stack
  size_t settled_ = 0;                        // operands below this index of the stack are constants or in their slots
  size_t filled_ = 0;                         // below this one (at most settled_), constants have their slots filled
  uint32_t region_ = kNone;
  size_t next_loop_ = 0;

  std::vector<TrapSite> traps_;
  std::vector<vm::ProfileSite> profile_;
  uint32_t profile_words_ = 0;
  std::vector<PoolEntry> pool_;
  std::vector<vm::V128> vectors_;  // constant operands
  std::vector<LoopSite> loops_;
  std::vector<uint32_t> local_vectors_;  // slots of locals that are a v128
  std::vector<size_t> settled_vectors_;  // settled operands that are, by index of the stack
  std::vector<uint32_t> loop_vectors_;   // of loops' headers: slots of operands that are
  size_t vector_copies_ = 0;
  std::vector<BrTable> tables_;
  std::vector<UnitSite> units_;
  std::vector<uint32_t> open_units_;  // of units_, those whose loop has not ended
  std::vector<Region> regions_;
  std::vector<uint32_t> frame_size_fixups_;  // offsets of 32-bit frame sizes in the code
  std::vector<Move> moves_;
  std::vector<uint32_t> open_loops_;
  uint32_t preempt_begin_ = kNone;
  std::vector<Poll> polls_;
};

#define VMRUN_EVENT(name, parameters)                             \
  void Events::name(auto& d, auto&&... arguments) {               \
    if (to->failed_) [[unlikely]]                                 \
      return;                                                     \
    if constexpr (kCheckInvariants) to->check_operands(d, #name); \
    if (to->request_.every_mark && to->began_) [[unlikely]]       \
      to->mark(d);                                                \
    to->name(d, arguments...);                                    \
  }
#include "vm/wasm/func_events.def"

}  // namespace vmrun::jit::baseline
