// From a function body to LLVM IR: a consumer of the decoder's events. Parts by kind of instruction: lower.cpp (frame,
// locals, entry), lower_control.cpp, lower_exceptions.cpp, lower_call.cpp, lower_inline.cpp, lower_fuel.cpp, lower_memory.cpp,
// lower_bulk.cpp, lower_atomic.cpp, lower_numeric.cpp, lower_simd*.cpp, lower_relaxed.cpp.
//
// VALUES. i32, i64, float and double stand for themselves, references are i64, v128 is <16 x i8>. Locals are allocas
// that the optimiser promotes; operands are SSA values, with phis at labels.
//
// EXACTNESS. An access to guarded memory traps by a fault, of which LLVM knows nothing. So it is volatile; and in a
// module with such a memory so is every other store that somebody may look at after a trap: to globals, tables and
// memories that are checked. LLVM neither drops nor duplicates volatile accesses, nor moves them past each other: a guest
// traps exactly where it should, and all stores before that are there then, and none behind it. Loads that cannot trap
// are free, since nobody sees when they happen. All other traps (divisions, conversions, checked accesses and so on) test
// first and branch to a call of Helper::trap, which to LLVM may look at everything that was stored; a module without
// guarded memory has no others, and its stores are free between calls.
//
// Loops that cannot fault get a copy whose accesses are plain, between barriers (loops.h): what such a loop has stored is
// there when it is left, on whichever way. A guest that is interrupted in the midst of one (vm::TrapCode::Interrupted)
// may leave stores of later iterations behind and others out.
//
// Each access that may fault, and each call, has a place of its own in the image, and is not merged with others
// (places.h). What arithmetic does to NaNs: quiet_nans.h.
//
// EXCEPTIONS. Inside a try every call is an invoke. Each try has one landing pad and one block that tries its clauses;
// what they do not take goes on at the enclosing try's block, or to Helper::resume_throw.
//
// OSR UNITS. The entry block loads the state at the wanted header and jumps there. The rest of the body is lowered as
// usual; what no longer is reachable (all that runs before the header only) falls away. Since the header is entered
// from two sides, operands are kept in allocas at it and at the headers of loops around it, and those beneath a frame
// that may contain it from the frame's begin to its end.
//
// LOOP UNITS (lower_unit.cpp). What stands before the loop is decoded for its types only, and decoding ends with the loop. The
// entry block loads locals and operands from the slots of baseline code's frame; a branch to a frame around the loop, a
// return and the loop's end lead to an exit each, which stores what the loop may have changed and returns its number.
//
// INLINING. A small callee's body is lowered in place of its call, by a lowering of its own that writes into the same
// LLVM function (lower_inline.cpp). It has no frame: places in it say by which calls they were reached (InlinedPlace),
// and walks over the stack make the frames of that which the callee would have had.
#pragma once

#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/IRBuilder.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/compiler.h"
#include "jit/crossing/abi.h"
#include "jit/opt/callees.h"
#include "vm/runtime/layout.h"
#include "vm/wasm/func_decoder.h"

namespace llvm {
class DIBuilder;
class DISubprogram;
class Module;
}  // namespace llvm

namespace vmrun::jit::opt {

namespace layout = vm::layout;

class Lowering;

struct LowerValue {
  llvm::Value* v = nullptr;
};

struct LowerControl {
  llvm::BasicBlock* label = nullptr;      // where a branch to the frame goes; null: out of the function
  llvm::BasicBlock* otherwise = nullptr;  // if: where the condition leads when it does not hold, until `else`; try:
                                          // where what was thrown and not taken yet is
  llvm::AllocaInst* exn = nullptr;        // catch: the reference of the exception, for rethrow
  llvm::CallBase* taken = nullptr;        // catch: what took it
  uint32_t saved = 0;                     // if: its parameters for `else`, an index into saved_
  uint32_t outer_try = 0;                 // try, try_table: the innermost try around it
  uint32_t region = 0;                    // the innermost try of its code
  bool in_allocas = false;                // loop of an OSR unit: takes its parameters in allocas
  bool spilled = false;                   // the operands beneath it are in their allocas
  uint32_t exit = 0;                      // around a loop unit: the number of the exit to it, from 1
};

/// Passes the decoder's events on: the decoder's own types depend on its consumer's.
struct LowerConsumer {
  using Value = LowerValue;
  using Control = LowerControl;
  static constexpr bool kTakesCharges = true;
  Lowering* to;
#define VMRUN_EVENT(name, parameters) void name(auto& d, auto&&... arguments);
#include "vm/wasm/func_events.def"
};

/// What the lowerings of a unit's own function and of what is inlined into it share.
struct LoweredUnit {
  explicit LoweredUnit(const CompileRequest& request) : request(request), callees(*request.module) {}
  const CompileRequest& request;
  Callees callees;
  std::vector<InlinedPlace> places;  // what synthetic places stand for
  std::optional<CallPlan> plan;      // where what is inlined is limited as usual
  uint64_t own_bytes = 0, inlined_bytes = 0, locals = 0;
  // Of what may be inlined, for calls that are still to come: in more loops than the one that is being lowered; in as many
  // or more, which what it brings in may not take for calls of its own.
  uint64_t reserved_bytes = 0, reserved_within = 0;
  // The block in which Vcpu::fuel has been given what is left, and nothing was charged since. Null: nobody knows.
  llvm::BasicBlock* fuel_saved_in = nullptr;
  std::vector<llvm::Instruction*> charges;  // what subtracts
  uint64_t merged = 0;                      // values at labels
  uint64_t travelling = 0;                  // values in the area
  uint64_t pieces = 0;                      // of ranges that are copied or filled in place
};

/// Lowers one unit into a function of an LLVM module, or a callee in place of a call. Used once.
class Lowering {
 public:
  Lowering(llvm::Module& module, LoweredUnit& unit);
  /// The function, or null: see reason().
  llvm::Function* run();
  const std::string& reason() const { return reason_; }

 private:
  /// Of `func_index`, in place of the call that `caller` is at, with so many open blocks around it.
  Lowering(Lowering& caller, uint32_t func_index, uint32_t open_blocks);
  friend LowerConsumer;
  using D = vm::FuncDecoder<LowerConsumer, false>;
  using V = D::Value;
  using C = D::Control;
  using Operands = D::Operands;
  using Results = D::Results;
  using Op = vm::Op;
  using Builder = llvm::IRBuilder<>;

  // --- events ---
#define VMRUN_EVENT(name, parameters) void name parameters;
#include "vm/wasm/func_events.def"

  // --- common (lower.cpp) ---
  /// Lowers an instruction by the part that its family belongs to. False: no part has it.
  bool lower(D& d, Op op, const vm::Immediate& imm, const V* args, V* results);
  /// The unit cannot be compiled: `what` says by which instruction or limit. Decoding ends.
  void unsupported(D& d, std::string what);
  /// So many values more travel to a label.
  void merge(D& d, size_t values);
  /// So many values are written to or read from the area.
  void travel(D& d, uint32_t values);
  /// Those of parameters or results.
  void travel(D& d, PlaceWalk walk, std::span<const vm::ValType> types);
  /// In builds with assertions: dies by an undefined instruction unless the register's upper half is zero.
  void assert_clean(llvm::Value* reg);
  void die_if(llvm::Value* wrong);
  /// Called at the beginning of each event that emits: the place in the image for what follows.
  void at(D& d) { at(static_cast<uint32_t>(d.offset())); }
  void at(uint32_t offset);
  llvm::Type* type(vm::ValType type);
  llvm::Constant* i32(uint32_t v) { return b_.getInt32(v); }
  llvm::Constant* i64(uint64_t v) { return b_.getInt64(v); }
  llvm::Value* zero(vm::ValType type);
  llvm::BasicBlock* new_block(const char* name);
  llvm::AllocaInst* new_alloca(llvm::Type* type);
  /// `base` + `offset` bytes.
  llvm::Value* offset(llvm::Value* base, uint64_t offset);
  /// A field of a runtime structure; `fixed`: it never changes while guest code can see it.
  llvm::Value* load_field(llvm::Type* type, llvm::Value* base, uint64_t at, bool fixed = false);
  llvm::Value* load_fixed_ptr(llvm::Value* base, uint64_t at) { return load_field(b_.getPtrTy(), base, at, true); }
  /// `base` + `index` * `scale`, where index is an integer value.
  llvm::Value* element(llvm::Value* base, llvm::Value* index, uint64_t scale);
  /// Between a value and its form in an integer or vector register.
  llvm::Value* to_register(llvm::Value* v, vm::ValType type);
  llvm::Value* from_register(llvm::Value* v, vm::ValType type);
  /// Values in canonical slots and in slots of the area, which hold them in their natural size.
  llvm::Value* load_slot(llvm::Value* at, vm::ValType type);
  llvm::StoreInst* store_slot(llvm::Value* at, llvm::Value* v, vm::ValType type);
  llvm::Value* area();

  /// Calls a helper; `args` follow the vCPU. With `may_throw`, exceptions land in the innermost try.
  llvm::CallBase* helper(Helper helper, llvm::Type* result, llvm::ArrayRef<llvm::Value*> args, bool may_throw = false);
  /// A helper that does not return; ends the block.
  void final_helper(Helper helper, llvm::ArrayRef<llvm::Value*> args, bool may_throw);
  /// Traps when `condition` holds, and goes on in a new block otherwise.
  void trap_if(llvm::Value* condition, vm::TrapCode code);
  void trap(vm::TrapCode code);
  llvm::MDNode* unlikely();
  /// What the stack pointer is compared with, for interrupts at back-edges.
  void poll();
  void count_run();
  // Fuel (lower_fuel.cpp).
  /// What is left is taken from Vcpu::fuel: after all that may have used some up or been given some.
  void read_fuel();
  void take_fuel(llvm::Value* left);
  /// Uses up so many units, of 64 bits, or traps. It is not among those that are paid for ahead: to them it is as a call.
  void pay(llvm::Value* units);
  /// In front of all that may look at Vcpu::fuel.
  void save_fuel();
  /// In builds with assertions: dies by an undefined instruction unless it is what Vcpu::fuel has.
  void assert_left(llvm::Value* left);
  /// Locals begin as zero.
  void zero_locals(D& d);

  // --- control (lower_control.cpp) ---
  /// Branches to a frame with `values` for its label.
  void branch_to(D& d, C& target, llvm::ArrayRef<llvm::Value*> values);
  void branch(D& d, uint32_t depth);
  /// The operands that a branch to `target` takes.
  llvm::SmallVector<llvm::Value*, 4> taken(D& d, const C& target) { return top(d, target.br_types().size()); }
  llvm::SmallVector<llvm::Value*, 4> top(D& d, size_t count);
  llvm::BasicBlock* new_label(std::span<const vm::ValType> types, const char* name);
  void emit_return(D& d, llvm::ArrayRef<llvm::Value*> values);
  void finish(D& d, C& c, Results results);
  /// Takes the results of an ended frame from its label's phis.
  void from_label(D& d, C& c, Results results);
  /// A frame begins.
  void open(D& d, C& c);
  /// Whether the header that an OSR unit is entered at may still come.
  bool before_unit(D& d) const { return is_entered() && d.offset() < request_.unit; }
  /// Whether this is the body of an OSR unit.
  bool is_entered() const { return request_.unit != kWholeFunction && !alone_; }
  /// The operands beneath a frame, when it goes on in a block that is entered from several sides.
  void reload_operands(D& d, const C& c);
  /// The alloca of operand `index` of the stack, for OSR units.
  llvm::AllocaInst* operand_alloca(size_t index, llvm::Type* type);
  void enter_unit(D& d, llvm::BasicBlock* header);
  llvm::Value* condition(const V& v) { return b_.CreateICmpNE(v.v, i32(0)); }

  // --- loop units (lower_unit.cpp) ---
  /// Whether an event is none of the unit's: its loop has not begun yet.
  bool skips(D& d, bool is_loop);
  /// The place of a canonical slot, or of the two of a v128, in baseline code's frame.
  llvm::Value* frame_slot(uint32_t slot, vm::ValType type);
  void load_locals(D& d);
  /// The unit's loop begins: its operands are loaded.
  void begin_alone(D& d);
  /// Leaves by an exit: `values` go into the slots of operands from `height` on.
  void leave(uint32_t number, size_t height, std::span<const vm::ValType> types, llvm::ArrayRef<llvm::Value*> values);
  /// Those that the loop may have changed go to their slots.
  void store_locals(D& d);
  void finish_exits(D& d);

  // --- exceptions (lower_exceptions.cpp) ---
  uint32_t open_try(D& d, C& c);
  void end_try(C& c);
  void begin_catch(D& d, C& c);
  void take(D& d, C& c);
  /// Compares the exception's tag; goes on where it matches. Returns where it does not.
  llvm::BasicBlock* match_tag(uint32_t tag);
  /// Before the exception is taken: its cell is in use no longer then.
  void load_payload(D& d, uint32_t tag, llvm::SmallVectorImpl<llvm::Value*>& values);
  llvm::Value* exception_cell();
  /// What this try's clauses do not take.
  void pass_on(uint32_t outer);
  /// The landing pad of the innermost try; null outside of all.
  llvm::BasicBlock* landing_pad();

  // --- calls (lower_call.cpp) ---
  struct Callee {
    llvm::Value* code;  // vm::FuncCode*; null: the unit itself
    llvm::Value* inst;
    llvm::Value* mem;
    llvm::Value* caller;  // the caller's instance, where the callee gets it
  };
  Callee direct(uint32_t func_index);
  Callee through(llvm::Value* record);
  /// Checks the index, and loads what the table holds there.
  llvm::Value* table_size(uint32_t table, llvm::Value* record);
  llvm::Value* table_entry(uint32_t table, llvm::Value* index);
  /// Checks that the entry is a function of that type.
  void check_entry(vm::TypeId type_id, llvm::Value* record);
  Callee callee_of(uint32_t func_index);
  /// The number that the engine has given a type, of 32 bits.
  llvm::Constant* number_of(vm::TypeId type, TypeUse::As as);
  /// Checks and finds the record for an indirect call.
  llvm::Value* indirect_record(vm::TypeId type_id, uint32_t table, llvm::Value* index);
  llvm::CallBase* emit_call(D& d, const vm::FuncType& type, const Callee& callee, Operands args, bool tail);
  void emit_call(D& d, const vm::FuncType& type, const Callee& callee, Operands args, Results results);
  void emit_tail_call(D& d, const vm::FuncType& type, const Callee& callee, Operands args);

  // --- inlining (lower_inline.cpp) ---
  /// Before a call of the unit's own function is lowered, which may bring in so many bytes.
  void reserve(D& d, uint64_t bytes);
  /// Whether a call of the function, from the instruction that is being lowered, is to be inlined.
  bool wants_inlined(D& d, uint32_t func_index, bool indirect);
  /// Stores the arguments of the call that the callee stands for.
  void begin_inlined(D& d);
  /// Lowers the body of the function in place of a call.
  void inline_call(D& d, uint32_t func_index, Operands args, Results results);
  /// An indirect call of one of the functions that the table is known to hold, or of another. False: nothing is known,
  /// and nothing was emitted.
  bool guess_call(D& d, vm::TypeId type_id, uint32_t table, const vm::FuncType& type, llvm::Value* index, Operands args,
                  Results results);
  /// How often the function is being lowered already, from the unit's own to this one.
  uint32_t recursions(uint32_t func_index) const;

  // --- memory (lower_memory.cpp) ---
  llvm::Value* memory(uint32_t index);  // MemoryInst*
  /// The address of `bytes` bytes, checked where faults do not do that.
  llvm::Value* address(const vm::MemArg& arg, llvm::Value* index, unsigned bytes);
  llvm::Value* memory_base(uint32_t index);
  /// Whether [from, from + bytes), both of 64 bits, does not lie in a memory whose accesses are checked. Of a 32-bit memory
  /// the sum does not wrap.
  llvm::Value* ends_beyond(uint32_t index, llvm::Value* from, llvm::Value* bytes);
  /// Whether accesses to the memory trap by a fault.
  bool is_guarded(uint32_t memory) const;
  /// An access to a memory: how it keeps its place among others.
  void keep_order(uint32_t memory, llvm::Instruction& access);
  /// A store that others may look at after a trap.
  void seen_by_others(llvm::StoreInst& store);
  llvm::Value* load(const vm::MemArg& arg, llvm::Value* index, llvm::Type* type);
  void store(const vm::MemArg& arg, llvm::Value* index, llvm::Value* value);
  bool memory_op(D& d, Op op, const vm::Immediate& imm, const V* args, V* results);
  /// Traps when `bad`. The value, of 64 bits, but 0 where the processor runs ahead of a check that fails.
  llvm::Value* zero_if(llvm::Value* bad, llvm::Value* value, vm::TrapCode code);
  /// The same 64 bits, of which the optimiser knows nothing.
  llvm::Value* opaque(llvm::Value* value);
  /// An index below `size`, in 64 bits, or a trap.
  llvm::Value* checked_index(llvm::Value* index, llvm::Value* size, vm::TrapCode code);
  /// Whether a reference is of `type`'s heap type.
  llvm::Value* is_of(llvm::Value* ref, vm::ValType type, bool nullable);
  llvm::Value* atomic_address(const vm::MemArg& arg, llvm::Value* index, unsigned bytes);
  bool atomic_op(Op op, const vm::Immediate& imm, const V* args, V* results);  // lower_atomic.cpp
  bool reference_op(D& d, Op op, const vm::Immediate& imm, const V* args, V* results);

  // --- ranges of memories (lower_bulk.cpp) ---
  struct Move;
  struct Access;
  bool bulk_op(D& d, Op op, const vm::Immediate& imm, const V* args);
  /// Moves `size` bytes, of 64 bits: in place, or by the call that `call` emits.
  void move_bytes(D& d, const Move& move, llvm::Value* size, llvm::function_ref<void()> call);
  /// Moves them in place. False: it is too many, or none, and nothing was emitted.
  bool move_constant(D& d, Move move, uint64_t size);
  /// Moves few bytes in place. Goes on where they are many, or none; returns where it goes on behind few. Null: nothing was
  /// emitted.
  llvm::BasicBlock* move_variable(Move move, llvm::Value* size);
  /// Whether the unit may have so many pieces more.
  bool may_move(unsigned pieces);
  /// The pointers of ranges with so many bytes, checked where faults do not do that.
  void find_ranges(Move& move, llvm::Value* size);
  llvm::Value* range(uint32_t memory, llvm::Value* index, llvm::Value* size);
  /// Moves pieces that cover a range from its first to its last byte, in the order of their places.
  void move_pieces(const Move& move, llvm::ArrayRef<Access> pieces);

  // --- numbers (lower_numeric.cpp) ---
  bool numeric_op(Op op, const vm::Immediate& imm, const V* args, V* results);
  llvm::Value* divide(llvm::Value* a, llvm::Value* b, bool is_signed, bool remainder);
  llvm::Value* truncate(llvm::Value* a, llvm::Type* to, bool is_signed);
  llvm::Value* float_min(llvm::Value* a, llvm::Value* b, bool max);

  // --- vectors (lower_simd*.cpp, lower_relaxed.cpp) ---
  /// The type of a vector's lanes.
  enum class Lane : uint8_t { i8, i16, i32, i64, f32, f64 };
  /// How a vector instruction is lowered: by which of the emitters below, on lanes of which type, by which instruction,
  /// predicate or intrinsic of LLVM; what is said of signed numbers and of high lanes is for emitters that ask.
  struct VectorRow {
    Op op;
    /// Returns the result, a vector in whatever lanes; null where there is none.
    llvm::Value* (Lowering::*emit)(const VectorRow& row, const vm::Immediate& imm, const V* args);
    Lane lane = Lane::i8;
    unsigned what = 0;
    bool is_signed = false, high = false;
  };
  static constexpr bool kSigned = true, kUnsigned = false, kHigh = true, kLow = false;
  static constexpr unsigned kMin = 0, kMax = 1;  // what of the extremes
  struct VectorTable;
  static std::span<const VectorRow> whole_rows();      // lower_simd.cpp
  static std::span<const VectorRow> integer_rows();    // lower_simd_int.cpp
  static std::span<const VectorRow> float_rows();      // lower_simd_float.cpp
  static std::span<const VectorRow> relaxed_rows();    // lower_relaxed.cpp
  static std::span<const VectorRow> in_memory_rows();  // lower_simd_memory.cpp
  // clang-format off
#define VMRUN_VECTOR_EMITTERS(X)                                                                                       \
  /* whole */ X(constant) X(shuffle) X(swizzle) X(splat) X(extract) X(replace) X(not_) X(andnot) X(bitselect)          \
  X(any_true)                                                                                                          \
  /* any lanes */ X(compare) X(binary) X(intrinsic1) X(intrinsic2)                                                     \
  /* int */ X(abs) X(neg) X(all_true) X(bitmask) X(shift) X(extend) X(extmul) X(pairwise) X(narrow) X(avgr)            \
  X(q15mulr) X(dot)                                                                                                    \
  /* float */ X(float_neg) X(min_max) X(pseudo) X(trunc_sat) X(convert) X(convert_low)                                 \
  /* relaxed */ X(madd) X(nmadd) X(dot_bytes) X(dot_bytes_add)                                                         \
  /* memory */ X(load) X(store) X(load_widened) X(load_splat) X(load_zero) X(load_lane) X(store_lane)
  // clang-format on
#define VMRUN_DECLARE(name) llvm::Value* vec_##name(const VectorRow& row, const vm::Immediate& imm, const V* args);
  VMRUN_VECTOR_EMITTERS(VMRUN_DECLARE)
#undef VMRUN_DECLARE
#undef VMRUN_VECTOR_EMITTERS
  /// The emitter of one row alone needs no name in the list: a lambda beside the row, which gets the lowering first.
  template <auto emitter>
  llvm::Value* alone(const VectorRow& row, const vm::Immediate& imm, const V* args) {
    return emitter(*this, row, imm, args);
  }
  bool vector_op(Op op, const vm::Immediate& imm, const V* args, V* results);
  llvm::Type* lane_type(Lane lane);
  llvm::FixedVectorType* lanes(llvm::Type* lane);
  /// A v128 as the row's lanes.
  llvm::Value* in_lanes(const VectorRow& row, const V& v) { return b_.CreateBitCast(v.v, lanes(lane_type(row.lane))); }
  llvm::Value* bytes(llvm::Value* v);
  /// Half a vector of integers, as integers of twice the width.
  llvm::Value* widened(llvm::Value* v, bool is_signed);
  /// The row's half of a vector, widened.
  llvm::Value* half(const VectorRow& row, const V& v);
  /// The first two lanes; two lanes and two zeros.
  llvm::Value* low_pair(const VectorRow& row, const V& v);
  llvm::Value* with_zeros(llvm::Value* pair);
  /// The first `count` lanes of even, and of odd numbers.
  std::pair<llvm::Value*, llvm::Value*> even_and_odd(llvm::Value* v, unsigned count);

  struct Try {
    llvm::BasicBlock* pad = nullptr;       // made at the first call inside
    llvm::BasicBlock* dispatch = nullptr;  // tries the clauses
  };

  llvm::Module& module_;
  LoweredUnit& unit_;
  const CompileRequest request_;  // of an inlined callee: as if it were a unit
  const vm::Module& image_;
  // Of an inlined callee:
  Lowering* const caller_ = nullptr;
  const uint32_t depth_ = 0;                      // of inlined calls, this one's included
  const uint32_t called_at_ = 0;                  // the place of the call
  const uint32_t nesting_ = 0;                    // open blocks around the call
  llvm::SmallVector<llvm::Value*, 8> arguments_;  //
  llvm::BasicBlock* behind_ = nullptr;            // where returns go, with a phi for each result
  llvm::LLVMContext& context_;
  Builder b_;
  llvm::Function* function_ = nullptr;
  llvm::DISubprogram* subprogram_ = nullptr;
  llvm::StructType* result_type_ = nullptr;
  llvm::FixedVectorType* v128_ = nullptr;
  llvm::FunctionType* guest_type_ = nullptr;
  llvm::BasicBlock* entry_ = nullptr;
  llvm::Value* cx_ = nullptr;
  llvm::Value* inst_ = nullptr;
  llvm::Value* mem_ = nullptr;
  const vm::FuncType* func_type_ = nullptr;
  std::vector<llvm::AllocaInst*> locals_;
  llvm::AllocaInst* fuel_ = nullptr;  // metered: what is left
  std::vector<llvm::Value*> saved_;
  std::vector<Try> tries_;  // [0] stands for none
  uint32_t inner_ = 0;      // the innermost
  std::map<std::pair<size_t, llvm::Type*>, llvm::AllocaInst*> operand_allocas_;
  uint32_t place_ = 0;    // of the instruction being lowered: see CodeTables
  bool entered_ = false;  // the loop of a unit that is no whole function was found
  // Of a loop unit:
  struct Exit {
    llvm::BasicBlock* block;  // with a phi for each value
    uint32_t slot;            // of the first of them
    std::vector<vm::ValType> types;
  };
  const bool alone_ = false;
  uint32_t unit_number_ = 0;             // the index of its frame
  llvm::Value* frame_ = nullptr;         // slot 0 of baseline code's frame
  std::vector<uint32_t> operand_slots_;  // of the operands at the header, and where the next one would be
  std::vector<bool> written_;            // by local: the loop sets it
  std::map<uint32_t, Exit> exits_;       // by number
  bool failed_ = false;
  std::string reason_;
};

#define VMRUN_EVENT(name, parameters)                                                                \
  void LowerConsumer::name(auto& d, auto&&... arguments) {                                           \
    if (!to->failed_ && !to->skips(d, std::string_view(#name) == "loop")) to->name(d, arguments...); \
  }
#include "vm/wasm/func_events.def"

}  // namespace vmrun::jit::opt
