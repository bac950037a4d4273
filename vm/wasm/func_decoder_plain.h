// Function decoder: variables, memory accesses and the instructions whose signature stands in the opcode table.
// Included by vm/wasm/func_decoder.h only.
#pragma once

#include "vm/wasm/func_decoder.h"
#include "vm/wasm/signature.h"

namespace vmrun::vm {

// --- variables ----------------------------------------------------------------------------------------------------

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::read_local(uint32_t& index) {
  if (!u32(index)) return false;
  if (kValidate && index >= locals_.size()) [[unlikely]]
    return unknown("local", index);
  return true;
}

VMRUN_DECODER [[gnu::always_inline]] inline bool FuncDecoder<Consumer, kValidate>::do_local_get() {
  uint32_t index;
  if (!read_local(index)) return false;
  if (kValidate && has_uninitialized_ && !local_set_[index]) [[unlikely]]
    return fail(ErrorKind::Invalid, "uninitialized local " + std::to_string(index), op_);
  ValType type = locals_[index];
  Value result{};
  result.type = type;
  if (reachable_) consumer_.local_get(*this, index, &result);
  return push(type, result);
}

VMRUN_DECODER [[gnu::always_inline]] inline bool FuncDecoder<Consumer, kValidate>::do_local_set() {
  uint32_t index;
  if (!read_local(index) || !check1(locals_[index])) return false;
  if (kValidate && has_uninitialized_ && !local_set_[index]) [[unlikely]] {
    local_set_[index] = 1;
    set_in_frame_.push_back(index);
  }
  if (reachable_) consumer_.local_set(*this, index, static_cast<const Value&>(sp_[-1]));
  --sp_;
  return true;
}

VMRUN_DECODER [[gnu::always_inline]] inline bool FuncDecoder<Consumer, kValidate>::do_local_tee() {
  uint32_t index;
  if (!read_local(index) || !check1(locals_[index])) return false;
  if (kValidate && has_uninitialized_ && !local_set_[index]) [[unlikely]] {
    local_set_[index] = 1;
    set_in_frame_.push_back(index);
  }
  ValType type = locals_[index];
  Value result{};
  result.type = type;
  if (reachable_) consumer_.local_tee(*this, index, static_cast<const Value&>(sp_[-1]), &result);
  sp_[-1] = result;
  sp_[-1].type = type;
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_drop() {
  if (!need_operands(1, kBottom)) return false;
  if (reachable_) consumer_.drop(*this, static_cast<const Value&>(sp_[-1]));
  --sp_;
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_global(Op op) {
  Immediate imm;
  if (!u32(imm.index)) return false;
  if (kValidate && imm.index >= module_.globals.size()) [[unlikely]]
    return unknown("global", imm.index);
  const GlobalType& global = module_.globals[imm.index].type;
  if (op == Op::global_get) {
    Value result{};
    result.type = global.type;
    if (global.type == kV128 && !widen()) return false;
    if (reachable_) consumer_.op(*this, op, imm, Operands(), Results(&result, 1));
    return push(global.type, result);
  }
  if (kValidate && !global.mutable_) [[unlikely]]
    return fail(ErrorKind::Invalid, "immutable global " + std::to_string(imm.index), op_);
  if (!check1(global.type)) return false;
  if (reachable_) consumer_.op(*this, op, imm, Operands(sp_ - 1, 1), Results());
  --sp_;
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_select() {
  Immediate imm;
  if (!check1(kI32) || !need_operands(3, kI32)) return false;
  ValType first = sp_[-3].type, second = sp_[-2].type, type = first == kBottom ? second : first;
  if constexpr (kValidate) {
    if (type.is_ref() || second.is_ref()) [[unlikely]]
      return invalid("type mismatch: select without a type takes no references");
    if (second != type && second != kBottom) [[unlikely]]
      return mismatch(type, second);
  }
  imm.type = type;
  Value result{};
  result.type = type;
  if (reachable_) consumer_.op(*this, Op::select, imm, Operands(sp_ - 3, 3), Results(&result, 1));
  sp_ -= 3;
  return push(type, result);
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_select_t() {
  Immediate imm;
  uint32_t count;
  if (!u32(count)) return false;
  if (kValidate && count != 1) return invalid("invalid result arity: select takes exactly one type");
  if (!read_val_type(imm.type)) return false;
  return general(Op::select_t, imm, {imm.type, imm.type, kI32}, {imm.type});
}

// --- plain instructions -------------------------------------------------------------------------------------------

VMRUN_DECODER template <auto kSig>
bool FuncDecoder<Consumer, kValidate>::simple(Op op, const Immediate& imm, ValType address) {
  constexpr int kParams = kSig.params, kResults = kSig.results;
  if constexpr (kValidate && kParams > 0) {
    bool equal = sp_ - floor_ >= kParams;
    if (equal) [[likely]] {
      for (int i = 0; i < kParams; ++i) equal &= sp_[i - kParams].type == letter_type(kSig.param[i], address);
    }
    if (!equal) [[unlikely]] {
      ValType types[kParams];
      for (int i = 0; i < kParams; ++i) types[i] = letter_type(kSig.param[i], address);
      if (!check_slow(types, kParams, false)) return false;
    }
  }
  Value results[kResults + 1] = {};
  for (int i = 0; i < kResults; ++i) results[i].type = letter_type(kSig.result[i], address);
  if (reachable_) consumer_.op(*this, op, imm, Operands(sp_ - kParams, kParams), Results(results, kResults));
  sp_ -= kParams;
  if constexpr (kResults > kParams) {
    if (!ensure(kResults - kParams)) [[unlikely]]
      return false;
  }
  for (int i = 0; i < kResults; ++i) {
    *sp_ = results[i];
    sp_->type = letter_type(kSig.result[i], address);
    ++sp_;
  }
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::simple_by_shape(Op op, const Immediate& imm, ValType address) {
  switch (kShapes[static_cast<size_t>(op)]) {
#define VMRUN_SHAPE(name, text) \
  case Shape::name: return simple<Sig(text)>(op, imm, address);
    VMRUN_SHAPES(VMRUN_SHAPE)
#undef VMRUN_SHAPE
    case Shape::other: break;
  }
  return no_decoding(op);
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::general(Op op, const Immediate& imm,
                                                             std::span<const ValType> params,
                                                             std::span<const ValType> types) {
  if (!check(params)) return false;
  if (std::ranges::find(types, kV128) != types.end() && !widen()) return false;
  Value* results = results_for(types);
  if (reachable_) consumer_.op(*this, op, imm, top_operands(params.size()), Results(results, types.size()));
  sp_ -= params.size();
  return push_types(types, results);
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::general(Op op, const Immediate& imm,
                                                             std::initializer_list<ValType> params,
                                                             std::initializer_list<ValType> results) {
  return general(op, imm, std::span(params.begin(), params.size()), std::span(results.begin(), results.size()));
}

// --- memory -------------------------------------------------------------------------------------------------------

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::read_memarg(uint32_t natural, bool atomic, MemArg& out) {
  uint32_t flags;
  if (!u32(flags)) return false;
  out.memory = 0;
  out.align = flags;
  if (flags >= 0x40) [[unlikely]] {
    if (flags >= 0x80) return malformed("malformed memop flags");
    out.align = flags & 0x3f;
    if (!u32(out.memory)) return false;
  }
  // The offset is a u64 in the binary; most take one byte.
  if (p_ < end_ && *p_ < 0x80) [[likely]] {
    out.offset = *p_++;
  } else if (!u64(out.offset)) {
    return false;
  }
  if constexpr (kValidate) {
    if (out.memory >= module_.memories.size()) [[unlikely]]
      return unknown("memory", out.memory);
    if (out.align > natural) [[unlikely]]
      return invalid("alignment must not be larger than natural");
    if (atomic && out.align != natural) return invalid("atomic alignment must be natural");
    if (out.offset >> 32 != 0 && !module_.memories[out.memory].limits.is64) [[unlikely]]
      return invalid("offset out of range");
  }
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::read_memory(uint32_t& index) {
  if (!u32(index)) return false;
  if (kValidate && index >= module_.memories.size()) return unknown("memory", index);
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::read_table(uint32_t& index) {
  if (!u32(index)) return false;
  if (kValidate && index >= module_.tables.size()) return unknown("table", index);
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::check_data(uint32_t index) {
  if (kValidate && !state_->has_data_count) return malformed("data count section required");
  if (kValidate && index >= module_.datas.size()) return unknown("data segment", index);
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::check_elem(uint32_t index) {
  if (kValidate && index >= module_.elems.size()) return unknown("elem segment", index);
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_table(Op op) {
  Immediate imm;
  if (!read_table(imm.index)) return false;
  ValType elem = module_.tables[imm.index].type.elem, address = table_address(imm.index);
  switch (op) {
    case Op::table_get: return general(op, imm, {address}, {elem});
    case Op::table_set: return general(op, imm, {address, elem}, {});
    case Op::table_size: return general(op, imm, {}, {address});
    case Op::table_grow: return general(op, imm, {elem, address}, {address});
    case Op::table_fill: return general(op, imm, {address, elem, address}, {});
    default: return no_decoding(op);
  }
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::do_bulk(Op op) {
  Immediate imm;
  switch (op) {
    case Op::memory_init: {
      uint32_t memory;
      if (!u32(imm.index) || !read_memory(memory) || !check_data(imm.index)) return false;
      imm.mem.memory = memory;
      return general(op, imm, {memory_address(memory), kI32, kI32}, {});
    }
    case Op::data_drop: return u32(imm.index) && check_data(imm.index) && general(op, imm, {}, {});
    case Op::memory_copy: {
      uint32_t to, from;
      if (!read_memory(to) || !read_memory(from)) return false;
      imm.mem.memory = to;
      imm.index2 = from;
      ValType a = memory_address(to), b = memory_address(from);
      return general(op, imm, {a, b, a == kI64 ? b : a}, {});
    }
    case Op::table_init:
      if (!u32(imm.index) || !read_table(imm.index2) || !check_elem(imm.index)) return false;
      if (kValidate && !registry_.matches(module_.elems[imm.index].type, module_.tables[imm.index2].type.elem))
        return mismatch(module_.tables[imm.index2].type.elem, module_.elems[imm.index].type);
      return general(op, imm, {table_address(imm.index2), kI32, kI32}, {});
    case Op::elem_drop: return u32(imm.index) && check_elem(imm.index) && general(op, imm, {}, {});
    case Op::table_copy: {
      if (!read_table(imm.index) || !read_table(imm.index2)) return false;
      if (kValidate && !registry_.matches(module_.tables[imm.index2].type.elem, module_.tables[imm.index].type.elem))
        return mismatch(module_.tables[imm.index].type.elem, module_.tables[imm.index2].type.elem);
      ValType a = table_address(imm.index), b = table_address(imm.index2);
      return general(op, imm, {a, b, a == kI64 ? b : a}, {});
    }
    default: return no_decoding(op);
  }
}

}  // namespace vmrun::vm
