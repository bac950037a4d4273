// Function decoder: blocks, branches, exceptions and calls. Included by vm/wasm/func_decoder.h only.
#pragma once

#include "vm/wasm/func_decoder.h"

namespace vmrun::vm {

#define VMRUN_DECODER template <class Consumer, bool kValidate>

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::need_operands(size_t n, ValType for_message) {
  if constexpr (kValidate) {
    size_t available = static_cast<size_t>(sp_ - floor_);
    if (available < n) [[unlikely]] {
      if (!polymorphic_) return missing_operand(for_message);
      size_t missing = n - available;
      if (!ensure(missing)) return false;
      std::move_backward(floor_, sp_, sp_ + missing);
      std::fill(floor_, floor_ + missing, Value{});
      sp_ += missing;
    }
  }
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::check_slow(const ValType* types, size_t n, bool retype) {
  size_t available = static_cast<size_t>(sp_ - floor_);
  if (available < n && !need_operands(n, types[n - available - 1])) return false;
  Value* operands = sp_ - n;
  for (size_t i = n; i-- > 0;) {
    if (!registry_.matches(operands[i].type, types[i])) return mismatch(types[i], operands[i].type);
    if (retype) operands[i].type = types[i];
  }
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::need_ref() {
  ValType any_ref = ValType::ref(kBottomHeap, true);
  if (!need_operands(1, any_ref)) return false;
  if (kValidate && !sp_[-1].type.is_ref()) {
    if (sp_[-1].type != kBottom) return mismatch(any_ref, sp_[-1].type);
    sp_[-1].type = ValType::ref(kBottomHeap, false);
  }
  return true;
}

// --- frames -------------------------------------------------------------------------------------------------------

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::push_control(ControlKind kind, const BlockType& type) {
  if (kValidate && controls_.size() > kMaxNesting) [[unlikely]]
    return too_many("nested blocks", kMaxNesting);
  Control& c = controls_.emplace_back();
  c.kind = kind;
  c.reachable = reachable_;
  c.outer_polymorphic = polymorphic_;
  polymorphic_ = false;
  c.params = type.params;
  c.results = type.results;
  floor_ = sp_ - type.params.size();
  c.height = static_cast<uint32_t>(floor_ - stack_.get());
  c.init_height = static_cast<uint32_t>(set_in_frame_.size());
  return !type.wide || widen();
}

/// The operands left at the end of a frame's code must be exactly its results.
VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::check_fallthrough(const Control& c) {
  if constexpr (kValidate) {
    if (!check(c.results)) return false;
    if (static_cast<size_t>(sp_ - floor_) != c.results.size()) {
      return fail(ErrorKind::Invalid,
                  "type mismatch: " + std::to_string(sp_ - floor_) + " values at the end of a block with " +
                      std::to_string(c.results.size()) + " results",
                  op_);
    }
  }
  return true;
}

/// The frame goes on with a further part (else, catch), which begins with `types` on the stack.
VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::restart_frame(Control& c, ControlKind kind,
                                                                   std::span<const ValType> types,
                                                                   const Value* values) {
  undo_local_init(c.init_height);
  const bool first_catch = c.kind == ControlKind::try_;
  c.kind = kind;
  reachable_ = c.reachable;
  polymorphic_ = false;
  sp_ = floor_;
  if (kValidate && first_catch && !open_catch()) return false;
  return push_types(types, values);
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::pop_control(const Value* results) {
  Control& c = controls_.back();
  undo_local_init(c.init_height);
  if (kValidate && (c.kind == ControlKind::catch_ || c.kind == ControlKind::catch_all_)) --open_catches_;
  reachable_ = c.reachable;
  polymorphic_ = c.outer_polymorphic;
  sp_ = floor_;
  std::span<const ValType> types = c.results;
  controls_.pop_back();
  if (!controls_.empty()) [[likely]] {
    if (!push_types(types, results)) return false;
    floor_ = stack_.get() + controls_.back().height;
  }
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_block(ControlKind kind) {
  BlockType type;
  if (!read_block_type(type) || !check(type.params, true)) return false;
  if (!push_control(kind, type)) return false;
  if (reachable_) {
    if (kind == ControlKind::block) consumer_.block(*this, controls_.back());
    if (kind == ControlKind::loop) consumer_.loop(*this, controls_.back());
    if (kind == ControlKind::try_) consumer_.try_(*this, controls_.back());
  }
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_if() {
  BlockType type;
  if (!read_block_type(type) || !check1(kI32)) return false;
  Value condition = *--sp_;
  if (!check(type.params, true)) return false;
  if (!push_control(ControlKind::if_, type)) return false;
  if (reachable_) consumer_.if_(*this, controls_.back(), condition);
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_else() {
  Control& c = controls_.back();
  if (kValidate && c.kind != ControlKind::if_) return malformed("misplaced else: no if is open");
  if (!check_fallthrough(c)) return false;
  Value* params = results_for(c.params);
  if (c.reachable) consumer_.else_(*this, c, Results(params, c.params.size()));
  return restart_frame(c, ControlKind::else_, c.params, params);
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_end() {
  Control& c = controls_.back();
  if (!check_fallthrough(c)) return false;
  if (kValidate && c.kind == ControlKind::if_ &&
      !std::ranges::equal(c.params, c.results, [&](ValType p, ValType r) { return registry_.matches(p, r); })) {
    return invalid("type mismatch: an if without else must have results equal to its parameters");
  }
  Value* results = results_for(c.results);
  if (c.reachable) consumer_.end(*this, c, Results(results, c.results.size()));
  return pop_control(results);
}

// --- exceptions ---------------------------------------------------------------------------------------------------

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_try_table() {
  BlockType type;
  uint32_t count;
  if (!read_block_type(type) || !check(type.params, true) || !u32(count)) return false;
  if (kValidate && count > static_cast<size_t>(end_ - p_)) return leb_error(LebStatus::unexpected_end, p_);
  if (kValidate && count > kMaxCatches) return too_many("catch clauses in a try_table", kMaxCatches);
  clauses_.clear();
  for (uint32_t i = 0; i < count; ++i) {
    CatchClause clause{};
    uint8_t kind;
    if (!byte(kind)) return false;
    if (kValidate && kind > 3) return malformed("malformed catch clause");
    clause.kind = static_cast<CatchKind>(kind);
    std::span<const ValType> payload;
    if (clause.kind == CatchKind::catch_ || clause.kind == CatchKind::catch_ref) {
      if (!u32(clause.tag)) return false;
      if (kValidate && clause.tag >= module_.tags.size()) return unknown("tag", clause.tag);
      payload = registry_.get(module_.tags[clause.tag].type).func.params;
    }
    if (!u32(clause.depth) || !check_label(clause.depth)) return false;
    if constexpr (kValidate) {
      bool with_exn = clause.kind == CatchKind::catch_ref || clause.kind == CatchKind::catch_all_ref;
      std::span<const ValType> label = control(clause.depth).br_types();
      auto fits = [&](ValType t, ValType l) { return registry_.matches(t, l); };
      if (label.size() != payload.size() + with_exn ||
          !std::ranges::equal(payload, label.first(payload.size()), fits) ||
          (with_exn && !fits(ValType::ref(Heap::exn, false), label.back()))) {
        return invalid("type mismatch: a catch clause and its label");
      }
    }
    clauses_.push_back(clause);
  }
  if (!push_control(ControlKind::try_table, type)) return false;
  if (reachable_) consumer_.try_table(*this, controls_.back(), std::span<const CatchClause>(clauses_));
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_catch() {
  Control& c = controls_.back();
  uint32_t tag;
  if (!u32(tag)) return false;
  if constexpr (kValidate) {
    if (c.kind != ControlKind::try_ && c.kind != ControlKind::catch_)
      return malformed("misplaced catch: no try is open");
    if (tag >= module_.tags.size()) return unknown("tag", tag);
  }
  if (!check_fallthrough(c)) return false;
  const FuncType& carried = registry_.get(module_.tags[tag].type).func;
  std::span<const ValType> types = carried.params;
  if (carried.param_slots != types.size() && !widen()) return false;
  Value* params = results_for(types);
  if (c.reachable) consumer_.catch_(*this, c, tag, Results(params, types.size()));
  return restart_frame(c, ControlKind::catch_, types, params);
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_catch_all() {
  Control& c = controls_.back();
  if (kValidate && c.kind != ControlKind::try_ && c.kind != ControlKind::catch_)
    return malformed("misplaced catch_all: no try is open");
  if (!check_fallthrough(c)) return false;
  if (c.reachable) consumer_.catch_all(*this, c);
  return restart_frame(c, ControlKind::catch_all_, {}, nullptr);
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_delegate() {
  Control& c = controls_.back();
  uint32_t depth;
  if (!u32(depth)) return false;
  if constexpr (kValidate) {
    if (c.kind != ControlKind::try_) return malformed("misplaced delegate: no try is open");
    if (depth >= controls_.size() - 1) return unknown("label", depth);
  }
  if (!check_fallthrough(c)) return false;
  Value* results = results_for(c.results);
  if (c.reachable) consumer_.delegate(*this, c, depth, Results(results, c.results.size()));
  return pop_control(results);
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_rethrow() {
  uint32_t depth;
  if (!u32(depth) || !check_label(depth)) return false;
  if constexpr (kValidate) {
    ControlKind kind = control(depth).kind;
    if (kind != ControlKind::catch_ && kind != ControlKind::catch_all_) return invalid("invalid rethrow label");
  }
  if (reachable_) consumer_.rethrow(*this, depth);
  end_of_path();
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_throw() {
  uint32_t tag;
  if (!u32(tag)) return false;
  if (kValidate && tag >= module_.tags.size()) return unknown("tag", tag);
  const std::vector<ValType>& params = registry_.get(module_.tags[tag].type).func.params;
  if (!check(params)) return false;
  if (reachable_) consumer_.throw_(*this, tag, top_operands(params.size()));
  end_of_path();
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_throw_ref() {
  if (!check1(kExnRef)) return false;
  Value exn = *--sp_;
  if (reachable_) consumer_.throw_ref(*this, exn);
  end_of_path();
  return true;
}

// --- branches -----------------------------------------------------------------------------------------------------

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_br() {
  uint32_t depth;
  if (!u32(depth) || !check_label(depth) || !check(control(depth).br_types())) return false;
  if (reachable_) consumer_.br(*this, depth);
  end_of_path();
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_br_if() {
  uint32_t depth;
  if (!u32(depth) || !check_label(depth) || !check1(kI32)) return false;
  Value condition = *--sp_;
  if (!check(control(depth).br_types(), true)) return false;
  if (reachable_) consumer_.br_if(*this, condition, depth);
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_br_table() {
  uint32_t count;
  if (!u32(count)) return false;
  if (kValidate && count >= static_cast<size_t>(end_ - p_)) return leb_error(LebStatus::unexpected_end, p_);
  if (kValidate && count > kMaxBranchLabels) return too_many("labels in a br_table", kMaxBranchLabels);
  if (!check1(kI32)) return false;
  Value index = *--sp_;
  labels_.clear();
  labels_.reserve(count + size_t{1});
  ++branch_tables_;
  std::span<const ValType> types;  // of the label that was looked at last
  for (uint32_t i = 0; i <= count; ++i) {
    uint32_t depth;
    if (!u32(depth) || !check_label(depth)) return false;
    if constexpr (kValidate) {
      // Each label is looked at once, and not at all where it shares its list of types with the one before.
      Control& label = control(depth);
      if (label.in_table != branch_tables_) {
        label.in_table = branch_tables_;
        std::span<const ValType> before = std::exchange(types, label.br_types());
        if (i != 0 && types.size() != before.size())
          return invalid("type mismatch: br_table labels of different arity");
        if (types.data() != before.data() && !check(types)) return false;
      }
    }
    labels_.push_back(depth);
  }
  if (reachable_) consumer_.br_table(*this, index, std::span<const uint32_t>(labels_));
  end_of_path();
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_return() {
  if (!check(controls_.front().results)) return false;
  if (reachable_) consumer_.return_(*this);
  end_of_path();
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_br_on_null() {
  uint32_t depth;
  if (!u32(depth) || !check_label(depth) || !need_ref()) return false;
  Value ref = *--sp_;
  if (!check(control(depth).br_types(), true)) return false;
  Value result{};
  result.type = ValType::ref(ref.type.heap(), false);
  if (reachable_) consumer_.br_on_null(*this, ref, depth, &result);
  return push(ValType::ref(ref.type.heap(), false), result);
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_br_on_non_null() {
  uint32_t depth;
  if (!u32(depth) || !check_label(depth) || !need_ref()) return false;
  std::span<const ValType> types = control(depth).br_types();
  if constexpr (kValidate) {
    if (types.empty() || !types.back().is_ref())
      return invalid("type mismatch: the label of br_on_non_null takes no reference");
    sp_[-1].type = ValType::ref(sp_[-1].type.heap(), false);
  }
  if (!check(types, true)) return false;
  if (reachable_) consumer_.br_on_non_null(*this, static_cast<const Value&>(sp_[-1]), depth);
  --sp_;
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_br_on_cast(Op op) {
  Immediate imm;
  uint8_t flags;
  HeapType source, target;
  if (!byte(flags) || !u32(imm.index) || !read_heap_type(source) || !read_heap_type(target)) return false;
  if (kValidate && flags > 3) return malformed("malformed br_on_cast flags");
  imm.type2 = ValType::ref(source, (flags & 1) != 0);
  imm.type = ValType::ref(target, (flags & 2) != 0);
  if (!check_label(imm.index)) return false;
  // What the operand is when it is not of the target type: a null that the cast lets pass is gone.
  ValType rest = imm.type.nullable() ? ValType::ref(source, false) : imm.type2;
  std::span<const ValType> types = control(imm.index).br_types();
  ValType taken = op == Op::br_on_cast ? imm.type : rest;
  ValType kept = op == Op::br_on_cast ? rest : imm.type;
  if constexpr (kValidate) {
    if (!registry_.matches(imm.type, imm.type2))
      return invalid("type mismatch: the target of a cast must be a subtype of its source");
    if (types.empty() || !registry_.matches(taken, types.back()))
      return invalid("type mismatch: the label of a cast does not take its reference");
    if (!check1(imm.type2)) return false;
    sp_[-1].type = taken;
    if (!check(types, true)) return false;
  }
  Value result{};
  result.type = kept;
  if (reachable_) consumer_.br_on_cast(*this, op, imm, static_cast<const Value&>(sp_[-1]), imm.index, &result);
  --sp_;
  return push(kept, result);
}

// --- calls --------------------------------------------------------------------------------------------------------

/// Pops what `type` takes and pushes what it returns; `deliver(args, results)` in between.
VMRUN_DECODER template <class Deliver>
bool FuncDecoder<Consumer, kValidate>::apply(const FuncType& type, Deliver deliver) {
  if (!check(type.params)) return false;
  if (type.result_slots != type.results.size() && !widen()) [[unlikely]]
    return false;
  Value* results = results_for(type.results);
  if (reachable_) deliver(top_operands(type.params.size()), Results(results, type.results.size()));
  sp_ -= type.params.size();
  return push_types(type.results, results);
}

/// As `apply` for a tail call: the results must be what this function returns.
VMRUN_DECODER template <class Deliver>
bool FuncDecoder<Consumer, kValidate>::apply_tail(const FuncType& type, Deliver deliver) {
  if constexpr (kValidate) {
    if (!std::ranges::equal(type.results, controls_.front().results,
                            [&](ValType callee, ValType own) { return registry_.matches(callee, own); })) {
      return invalid("type mismatch: a tail call must return what its function returns");
    }
  }
  if (!check(type.params)) return false;
  if (reachable_) deliver(top_operands(type.params.size()));
  end_of_path();
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::read_func(uint32_t& index) {
  if (!u32(index)) return false;
  if (kValidate && index >= module_.funcs.size()) [[unlikely]]
    return unknown("function", index);
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::read_func_type(uint32_t& index) {
  if (!u32(index)) return false;
  if constexpr (kValidate) {
    if (index >= module_.types.size()) [[unlikely]]
      return unknown("type", index);
    if (module_.type_defs[index]->kind != TypeDef::Kind::func) [[unlikely]]
      return fail(ErrorKind::Invalid, "type mismatch: type " + std::to_string(index) + " is not a function type", op_);
  }
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_call() {
  uint32_t index;
  if (!read_func(index)) return false;
  const FuncType& type = module_.func_type(index);
  return apply(type, [&](Operands args, Results results) { consumer_.call(*this, index, type, args, results); });
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_return_call() {
  uint32_t index;
  if (!read_func(index)) return false;
  const FuncType& type = module_.func_type(index);
  return apply_tail(type, [&](Operands args) { consumer_.return_call(*this, index, type, args); });
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_call_indirect(bool tail) {
  uint32_t type_index, table;
  if (!read_func_type(type_index) || !read_table(table)) return false;
  if (kValidate && !registry_.matches(module_.tables[table].type.elem, kFuncRef)) [[unlikely]]
    return mismatch(kFuncRef, module_.tables[table].type.elem);
  if (!check1(table_address(table))) return false;
  Value index = *--sp_;
  TypeId id = module_.types[type_index];
  const FuncType& type = module_.type_defs[type_index]->func;
  if (tail) {
    return apply_tail(type,
                      [&](Operands args) { consumer_.return_call_indirect(*this, id, table, type, index, args); });
  }
  return apply(type, [&](Operands args, Results results) {
    consumer_.call_indirect(*this, id, table, type, index, args, results);
  });
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_call_ref(bool tail) {
  uint32_t type_index;
  if (!read_func_type(type_index)) return false;
  TypeId id = module_.types[type_index];
  if (!check1(ValType::ref(HeapType(id), true))) return false;
  Value ref = *--sp_;
  const FuncType& type = module_.type_defs[type_index]->func;
  if (tail) return apply_tail(type, [&](Operands args) { consumer_.return_call_ref(*this, id, type, ref, args); });
  return apply(type, [&](Operands args, Results results) { consumer_.call_ref(*this, id, type, ref, args, results); });
}

}  // namespace vmrun::vm
