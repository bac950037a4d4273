// One walk over a function body: decodes, validates and feeds typed events to a consumer. Validation alone, the
// interpreter's translation and the compilers are consumers of this one template.
//
// A consumer is a class with two payload types and one member function for each event (vm/wasm/func_events.def):
//
//   struct Value {};    // kept with every operand; default-constructible, trivially copyable
//   struct Control {};  // kept with every control frame
//
// One that executes code, by translating it, says so by a member `static constexpr bool kTakesCharges = true`: it is told
// what code of a metered module costs (vm/wasm/fuel.h).
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "vm/base/assert.h"
#include "vm/wasm/fuel.h"
#include "vm/wasm/func_decoder_base.h"

namespace vmrun::vm {

template <class Consumer, bool kValidate = true>
class FuncDecoder : public FuncDecoderBase {
 public:
  struct Value : Consumer::Value {
    ValType type;
  };
  struct Control : Consumer::Control {
    ControlKind kind = ControlKind::block;
    bool reachable = true;  // was the code reachable where the frame begins
    bool outer_polymorphic = false;
    uint32_t height = 0;       // operands below the frame's own, parameters excluded
    uint32_t init_height = 0;  // of set_in_frame_
    uint32_t in_table = 0;     // the br_table, counted from 1, that has named this label last
    std::span<const ValType> params, results;
    std::span<const ValType> br_types() const { return kind == ControlKind::loop ? params : results; }
  };

  using Operands = std::span<const Value>;
  using Results = std::span<Value>;

  /// With kValidate, `state` must be given. A decoder may be used for one function after another.
  FuncDecoder(const Module& module, Consumer& consumer, const ValidationState* state = nullptr)
      : FuncDecoderBase(module, state), consumer_(consumer), scratch_(16) {
    reallocate(256);
  }

  /// Decodes the body of an own function. False: see error(); without kValidate only after the consumer's stop().
  bool decode(uint32_t func_index);
  /// Validates a constant expression (already checked to contain constant instructions only) against its type.
  bool decode_constant(const uint8_t* begin, const uint8_t* end, ValType type);

  /// All live operands, oldest first. Payloads may be changed.
  std::span<Value> stack() { return {stack_.get(), sp_}; }
  /// The control frame that label `depth` means; 0 is the innermost.
  Control& control(uint32_t depth) { return controls_[controls_.size() - 1 - depth]; }
  uint32_t control_depth() const { return static_cast<uint32_t>(controls_.size()); }

 private:
  // --- operand stack ---------------------------------------------------------------------------------------------
  Operands top_operands(size_t count) const { return {sp_ - count, count}; }
  size_t stack_size() const { return static_cast<size_t>(sp_ - stack_.get()); }
  void reallocate(size_t capacity) {
    size_t size = stack_size(), floor = stack_ ? static_cast<size_t>(floor_ - stack_.get()) : 0;
    auto bigger = std::make_unique<Value[]>(capacity);
    std::copy(stack_.get(), sp_, bigger.get());
    stack_ = std::move(bigger);
    capacity_ = capacity;
    sp_ = stack_.get() + size;
    floor_ = stack_.get() + floor;
    limit_ = stack_.get() + capacity;
  }
  /// Sets `limit_` by the storage and by what the frame has room for. False when there are too many operands already.
  [[gnu::noinline]] bool bound_operands() {
    limit_ = stack_.get() + (kValidate ? std::min<size_t>(capacity_, max_operands()) : capacity_);
    return sp_ <= limit_ || too_many("stack slots", kMaxFrameSlots);
  }
  [[gnu::noinline]] bool grow(size_t more) {
    size_t size = stack_size();
    if (kValidate && more > max_operands() - size) return too_many("stack slots", kMaxFrameSlots);
    if (more > capacity_ - size) reallocate(std::max(capacity_ * 2, size + more + 64));
    return bound_operands();
  }
  /// Makes room for `n` operands. False, with an error, beyond the limit on slots.
  [[gnu::always_inline]] bool ensure(size_t n) {
    if (static_cast<size_t>(limit_ - sp_) < n) [[unlikely]]
      return grow(n);
    return true;
  }
  /// From here on each operand counts as two slots: one of them is a v128, or may become one.
  [[gnu::always_inline]] bool widen() {
    if (!kValidate || wide_) return true;
    wide_ = true;
    return bound_operands();
  }
  /// From here to the end of its frame a catch of an older try takes a slot.
  bool open_catch() {
    if (local_slots_ + open_catches_ == kMaxFrameSlots) return too_many("stack slots", kMaxFrameSlots);
    ++open_catches_;
    return bound_operands();
  }
  [[gnu::always_inline]] bool push(ValType type, const Value& value) {
    if (!ensure(1)) [[unlikely]]
      return false;
    *sp_ = value;
    sp_->type = type;
    ++sp_;
    return true;
  }
  bool push_types(std::span<const ValType> types, const Value* values) {
    if (!ensure(types.size())) [[unlikely]]
      return false;
    for (size_t i = 0; i < types.size(); ++i) {
      sp_[i] = values[i];
      sp_[i].type = types[i];
    }
    sp_ += types.size();
    return true;
  }
  /// Room for `types.size()` results with their types set.
  Value* results_for(std::span<const ValType> types) {
    if (types.size() > scratch_.size()) scratch_.resize(types.size());
    for (size_t i = 0; i < types.size(); ++i) scratch_[i].type = types[i];
    return scratch_.data();
  }

  /// Checks that the top operands match `types`; behind an unconditional branch the missing ones appear. With `retype`, they take on
  /// these types.
  [[gnu::always_inline]] bool check(const ValType* types, size_t n, bool retype = false) {
    if constexpr (kValidate) {
      bool equal = static_cast<size_t>(sp_ - floor_) >= n;
      if (equal) [[likely]] {
        for (size_t i = 0; i < n; ++i)
          equal &= sp_[static_cast<ptrdiff_t>(i) - static_cast<ptrdiff_t>(n)].type == types[i];
      }
      if (!equal) [[unlikely]]
        return check_slow(types, n, retype);
    } else if (retype) {
      for (size_t i = 0; i < n; ++i) sp_[static_cast<ptrdiff_t>(i) - static_cast<ptrdiff_t>(n)].type = types[i];
    }
    return true;
  }
  bool check(std::span<const ValType> types, bool retype = false) { return check(types.data(), types.size(), retype); }
  bool check1(ValType type) { return check(&type, 1); }
  [[gnu::noinline]] bool check_slow(const ValType* types, size_t n, bool retype);
  /// Makes sure of `n` operands in the frame: behind an unconditional branch those that lack appear, of
  /// unknown type.
  bool need_operands(size_t n, ValType for_message);
  /// The top operand must be a reference, which stays.
  bool need_ref();

  // --- control ----------------------------------------------------------------------------------------------------
  bool check_label(uint32_t depth) {
    if (kValidate && depth >= controls_.size()) [[unlikely]]
      return unknown("label", depth);
    return true;
  }
  bool push_control(ControlKind kind, const BlockType& type);
  void end_of_path() {  // the code that follows is unreachable
    sp_ = floor_;
    reachable_ = false;
    polymorphic_ = true;
    if constexpr (!kValidate) skip_dead_code();
  }
  bool check_fallthrough(const Control& c);
  bool restart_frame(Control& c, ControlKind kind, std::span<const ValType> types, const Value* values);
  bool pop_control(const Value* results);
  void undo_local_init(uint32_t height) {
    if (!has_uninitialized_) [[likely]]
      return;
    while (set_in_frame_.size() > height) {
      local_set_[set_in_frame_.back()] = 0;
      set_in_frame_.pop_back();
    }
  }

  bool walk();
  bool do_block(ControlKind kind);
  bool do_if();
  bool do_else();
  bool do_end();
  bool do_try_table();
  bool do_catch();
  bool do_catch_all();
  bool do_delegate();
  bool do_rethrow();
  bool do_throw();
  bool do_throw_ref();
  bool do_br();
  bool do_br_if();
  bool do_br_table();
  bool do_return();
  bool do_br_on_null();
  bool do_br_on_non_null();
  bool do_br_on_cast(Op op);

  // --- calls ------------------------------------------------------------------------------------------------------
  template <class Deliver>
  [[gnu::always_inline]] bool apply(const FuncType& type, Deliver deliver);
  template <class Deliver>
  bool apply_tail(const FuncType& type, Deliver deliver);
  bool read_func(uint32_t& index);
  bool read_func_type(uint32_t& index);  // a type index that names a function type
  bool do_call();
  bool do_call_indirect(bool tail);
  bool do_call_ref(bool tail);
  bool do_return_call();

  // --- variables and plain instructions ---------------------------------------------------------------------------
  [[gnu::always_inline]] bool read_local(uint32_t& index);
  bool do_local_get();
  bool do_local_set();
  bool do_local_tee();
  bool do_drop();
  bool do_global(Op op);
  bool do_select();
  bool do_select_t();

  /// A row of the opcode table that no case decodes: ours, not the image's.
  [[gnu::cold, gnu::noinline]] bool no_decoding(Op op) {
    return fail(ErrorKind::Unsupported, "no decoding of " + std::string(mnemonic(op)), op_);
  }
  /// An instruction whose signature stands in the table, its immediates decoded.
  template <auto kSig>
  [[gnu::always_inline]] bool simple(Op op, const Immediate& imm, ValType address = kI32);
  template <Op kOp>
  [[gnu::always_inline]] bool plain();
  bool simple_by_shape(Op op, const Immediate& imm, ValType address);
  [[gnu::always_inline]] bool read_memarg(uint32_t natural, bool atomic, MemArg& out);
  bool read_memory(uint32_t& index);
  bool read_table(uint32_t& index);
  bool prefixed(uint8_t prefix);

  /// An instruction with the given operands and results.
  bool general(Op op, const Immediate& imm, std::initializer_list<ValType> params,
               std::initializer_list<ValType> results);
  bool general(Op op, const Immediate& imm, std::span<const ValType> params, std::span<const ValType> results);
  bool check_data(uint32_t index);
  bool check_elem(uint32_t index);
  bool do_table(Op op);
  bool do_bulk(Op op);
  bool do_ref(Op op);
  bool do_gc(Op op);
  bool do_struct(Op op);
  bool do_array(Op op);
  bool do_array_bulk(Op op);
  bool read_def(uint32_t& index, TypeDef::Kind kind, const TypeDef*& def);

  // --- fuel -------------------------------------------------------------------------------------------------------
  static constexpr bool kCharges = !kValidate && requires { Consumer::kTakesCharges; };
  /// Finds out where a metered body is charged for.
  void find_charges() {
    charged_ = 0;
    segments_.clear();
    if (module_.metered) segments_ = fuel_segments(module_, func_index_);
    next_charge();
  }
  [[gnu::noinline]] void charge() {
    const FuelSegment segment = segments_[charged_++];
    VMRUN_ASSERT(reachable_, "what is never reached costs nothing");
    next_charge();
    consumer_.charge(*this, segment.units);
  }
  void next_charge() { charge_at_ = charged_ < segments_.size() ? image_ + segments_[charged_].offset : nullptr; }

  std::vector<FuelSegment> segments_;
  size_t charged_ = 0;                  // of the segments
  const uint8_t* charge_at_ = nullptr;  // where the next one begins

  Consumer& consumer_;
  std::unique_ptr<Value[]> stack_;
  Value* sp_ = nullptr;     // behind the top operand
  Value* floor_ = nullptr;  // the innermost frame's operands begin here
  Value* limit_ = nullptr;  // how far it may go without a look at storage and limits
  size_t capacity_ = 0;     // operands that there is storage for
  std::vector<Control> controls_;
  std::vector<Value> scratch_;
};

/// A consumer that wants to know nothing: validation alone.
struct NullConsumer {
  struct Value {};
  struct Control {};
#define VMRUN_EVENT(name, parameters) \
  void name(auto&&...) {}
#include "vm/wasm/func_events.def"
};

}  // namespace vmrun::vm

#include "vm/wasm/func_decoder_control.h"
#include "vm/wasm/func_decoder_plain.h"
#include "vm/wasm/func_decoder_ref.h"
#include "vm/wasm/func_decoder_walk.h"
