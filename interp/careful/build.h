// The careful translator's first half: a consumer of the function decoder that makes IR. Local reads stay lazy, constants
// are folded, a value goes straight into the local that takes it, and single-use definitions move into the instruction
// that uses them (fusion.cpp).
#pragma once

#include <span>

#include "interp/careful/ir.h"
#include "interp/careful/ir_reads.h"
#include "interp/careful/limits.h"
#include "interp/handlers/generic.h"
#include "vm/base/assert.h"
#include "vm/wasm/func_decoder.h"
#include "vm/wasm/module.h"

namespace vmrun::interp::ir {

class Builder {
 public:
  enum class Source : uint8_t { reg, local, constant };
  struct Value {
    uint64_t bits = 0;  // of a constant
    uint32_t reg = kNoReg;
    Source source = Source::reg;
    bool is_const() const { return source == Source::constant; }
  };
  struct Control {
    uint32_t label = kNone;       // where branches go
    uint32_t else_label = kNone;  // of an if without else so far
    uint32_t merge = kNoReg;      // first register of what branches carry (a loop's parameters, else the results)
    uint32_t params_reg = kNone;  // an if's parameters, kept for its else: first in Function::extra
    uint32_t table = 0;           // the last br_table that goes here by way of a landing, and that
    uint32_t landing = kNone;
  };
  static constexpr bool kTakesCharges = true;
  using D = vm::FuncDecoder<Builder, false>;
  using V = D::Value;
  using C = D::Control;
  using Operands = D::Operands;
  using Results = D::Results;

  Builder(const vm::Module& module, Function& f) : module_(module), f_(f), decoder_(module, *this) {}

  /// False: the function needs something this translator does not do.
  bool build(uint32_t func_index, MemoryMode memory0);
  /// Operands looked at on the stack by build(), over all instructions that do not just take theirs from it.
  uint64_t looks() const { return looks_; }

  // Events of the decoder.
#define VMRUN_EVENT(name, parameters) void name parameters;
#include "vm/wasm/func_events.def"

 private:
  static Content content_of(vm::ValType type) {
    switch (reg_class(type)) {
      case RegClass::floating: return {Class::floating};
      case RegClass::vector: return {Class::vector};
      case RegClass::integer: break;
    }
    return {Class::integer, type == vm::kI32};
  }
  Content content_of_reg(uint32_t reg) const { return {f_.regs[reg].cls, f_.regs[reg].i32}; }

  // ---- registers, labels, instructions --------------------------------------------------------------------------
  uint32_t new_reg(Content content, Place place = Place::any, uint32_t slot = kNone) {
    Reg& r = f_.regs.emplace_back();
    r.cls = content.cls;
    r.i32 = content.i32;
    r.place = place;
    r.slot = slot;
    if (f_.regs.size() > kCarefulRegs) decline();
    return static_cast<uint32_t>(f_.regs.size() - 1);
  }
  uint32_t new_regs(std::span<const vm::ValType> types);
  uint32_t new_label() {
    f_.label_block.push_back(kNone);
    return static_cast<uint32_t>(f_.label_block.size() - 1);
  }
  void start_block();
  void bind(uint32_t label) {
    start_block();
    f_.label_block[label] = static_cast<uint32_t>(f_.blocks.size() - 1);
  }
  int32_t size() const { return static_cast<int32_t>(f_.code.size()); }
  Inst make(Kind kind, vm::Op op = vm::Op::nop) {
    Inst x;
    x.kind = kind;
    x.op = op;
    x.where = where_;
    return x;
  }
  Inst& emit(Inst x);
  uint32_t emit_to_new(Inst x, Content content) {
    x.d = new_reg(content);
    emit(x);
    return x.d;
  }
  /// Makes `v`, whose type is known, the value of a register. An i32 is in a register with an upper half of zeros.
  void set_reg(V* v, uint32_t reg) {
    VMRUN_ASSERT(v->type != vm::kI32 || f_.regs[reg].i32, "an i32 in a register that may have an upper half");
    v->source = Source::reg;
    v->reg = reg;
  }
  void emit_result(V* result, Inst x) { set_reg(result, emit_to_new(x, content_of(result->type))); }
  static void set_const(V* v, uint64_t bits) {
    v->source = Source::constant;
    v->bits = bits;
    v->reg = kNoReg;
  }
  /// The register that holds `v`; a constant gets one.
  uint32_t reg_of(const V& v);
  void move_to(uint32_t reg, const V& v, bool may_retarget);
  /// Operands that are about to be looked at because of one instruction. They are counted: a function that wants far more
  /// of it than its size explains is declined.
  std::span<V> look_at(std::span<V> operands) {
    looks_ += operands.size();
    if (looks_ > kCarefulLooks) decline();
    return operands;
  }
  std::span<V> unsettled(D& d) const;
  /// Gives every lazy local read on the operand stack a register of its own (all, or those of one local).
  void settle(D& d);
  void settle_local(D& d, uint32_t local);

  // ---- fusion (fusion.cpp) ----------------------------------------------------------------------------------------
  /// The definition of the single-use value `v`, if it may be moved to the end of the code; else null.
  Inst* sinkable(const V& v);
  Inst* sinkable(const Use& use) { return use.is_const() ? nullptr : sinkable_reg(use.reg()); }
  Inst* sinkable_reg(uint32_t reg);
  /// The load that defines a register, if it may be moved to the end of the code.
  Inst* sinkable_load(uint32_t reg);
  static void kill(Inst* x);
  /// `v` as an operand of type i32 that is read in part, or of any other type.
  Use low_use(const V& v);
  static Use whole_use(const V& v) { return v.is_const() ? Use::constant(v.bits) : Use::whole(v.reg); }
  /// The same with a constant in a register.
  Use in_reg(const Use& use, Content content);
  /// The value that `use` is. Narrows what may have an upper half.
  void value_of(V* result, const Use& use);
  void binary(vm::Op op, const V* args, V* result);
  void float_binary(vm::Op op, const V& a, const V& b, V* result);
  bool binary_pair(vm::Op op, const Use& a, const Use& b, V* result);
  bool xor_pair(vm::Op op, Inst* x, Inst* y, V* result);
  bool float_pair(vm::Op op, const V& a, const V& b, V* result);
  bool load_pair(vm::Op op, const Use& a, const Use& b, V* result);
  void unary(vm::Op op, const V* args, V* results);
  void eqz(vm::Op op, const V* args, V* result);
  void select(const V* args, V* result);
  void load(D& d, vm::Op op, const vm::Immediate& imm, const V* args, V* result);
  void store(D& d, vm::Op op, const vm::Immediate& imm, const V* args);
  bool fuse_read_modify(Inst& st, const Use& value);
  void address(Inst& x, const V& base, uint64_t offset);
  bool wrapped_address(Inst& x, Inst* y);
  void global_set(uint32_t index, const V& v);
  /// The branch to `label` that is taken when `v` is non-zero (or zero, with `invert`); not yet emitted.
  Inst condition(const V& value, bool invert, uint32_t label);
  Inst test_bits(vm::Op op, Inst* y, uint32_t label);

  // ---- control ----------------------------------------------------------------------------------------------------
  void jump(D& d, uint32_t depth, bool may_retarget);
  bool needs_moves(const C& c) const { return c.kind == vm::ControlKind::func || !c.br_types().empty(); }
  void moves_for(D& d, std::span<const vm::ValType> types, uint32_t first, bool may_retarget);
  void emit_return(D& d);
  void place_args(Inst& x, const vm::FuncType& type, Operands args, bool tail);
  void emit_call(D& d, Inst x, const vm::FuncType& type, Operands args, Results results);
  void emit_tail_call(Inst x, const vm::FuncType& type, Operands args);
  void generic(vm::Op op, const vm::Immediate& imm, const V* args, V* results);
  void end_path() { start_block(); }

  const vm::Module& module_;
  Function& f_;
  D decoder_;
  MemoryMode memory0_ = MemoryMode::guarded;
  /// The function needs something this translator does not do: what follows would be built on operands without registers.
  void decline() {
    declined_ = true;
    decoder_.stop();
  }
  bool declined_ = false;
  uint32_t where_ = 0;
  uint32_t depth_ = 0;
  uint32_t tables_ = 0;
  int32_t block_begin_ = 0;   // first instruction of the current block
  int32_t last_effect_ = -1;  // last store, call, trap or other effect
  int32_t last_access_ =
      -1;  // the same or a load: what loads must not be moved across, or another trap would come first
  int32_t last_call_ = -1;
  uint64_t looks_ = 0;
  uint32_t settled_ = 0;       // no operand below this index is a lazy local read
  CodeVector<uint32_t> lazy_;  // per local: upper bound of lazy reads on the operand stack
  const vm::FuncType* type_ = nullptr;
};

}  // namespace vmrun::interp::ir
