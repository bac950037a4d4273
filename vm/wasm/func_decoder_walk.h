// Function decoder: the loop over a body's instructions. Included by vm/wasm/func_decoder.h only.
#pragma once

#include <cstdio>

#include "vm/wasm/func_decoder.h"

namespace vmrun::vm {

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::decode(uint32_t func_index) {
  const FuncDecl& decl = module_.funcs[func_index];
  const FuncType& type = module_.func_type(func_index);
  func_index_ = func_index;
  p_ = op_ = image_ + decl.body.begin;
  end_ = image_ + decl.body.end;
  reachable_ = true;
  polymorphic_ = false;
  sp_ = floor_ = stack_.get();
  controls_.clear();
  set_in_frame_.clear();
  single_results_.clear();
  branch_tables_ = 0;
  if (!read_locals(type) || !bound_operands() || !push_control(ControlKind::func, {})) return false;
  controls_.back().results = type.results;
  if constexpr (kCharges) find_charges();
  consumer_.begin(*this);
  if (!walk()) return false;
  consumer_.end_function(*this);
  return true;
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::decode_constant(const uint8_t* begin, const uint8_t* end,
                                                                     ValType type) {
  p_ = op_ = begin;
  end_ = end;
  reachable_ = true;
  polymorphic_ = false;
  sp_ = floor_ = stack_.get();
  controls_.clear();
  locals_.clear();
  has_uninitialized_ = false;
  wide_ = false;
  local_slots_ = 0;
  open_catches_ = 0;
  if (!bound_operands() || !push_control(ControlKind::func, {})) return false;
  controls_.back().results = std::span<const ValType>(&type, 1);
  return walk();
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::prefixed(uint8_t prefix) {
  uint32_t code;
  if (!u32(code)) return false;
  uint16_t number = prefixed_op(prefix, code);
  if (kValidate && number == kNoOp) {
    char text[32];
    std::snprintf(text, sizeof text, "illegal opcode %02x %02x", prefix, code);
    return malformed(text);
  }
  Op op = static_cast<Op>(number);
  if constexpr (kValidate) seen_.op[number] = 1;
  const OpInfo& info = op_info(op);
  switch (info.family) {
    case Family::control:  // br_on_cast and br_on_cast_fail
    case Family::reference:
    case Family::object: return do_gc(op);
    default: break;
  }
  Immediate imm;
  ValType address = kI32;
  switch (info.imm) {
    case Imm::none: break;
    case Imm::memarg:
    case Imm::memarg_lane:
      if (!read_memarg(info.access_log2, info.family == Family::atomic, imm.mem)) return false;
      address = memory_address(imm.mem.memory);
      if (info.imm == Imm::memarg_lane) {
        if (!byte(imm.lane)) return false;
        if (kValidate && imm.lane >= 16 >> info.access_log2) return invalid("invalid lane index");
      }
      break;
    case Imm::lane:
      if (!byte(imm.lane)) return false;
      if (kValidate && imm.lane >= 16 >> info.access_log2) return invalid("invalid lane index");
      break;
    case Imm::lanes:
      if (!fixed_bytes(imm.lanes)) return false;
      if (kValidate && std::ranges::any_of(imm.lanes, [](uint8_t lane) { return lane >= 32; }))
        return invalid("invalid lane index");
      break;
    case Imm::v128:
      if (!fixed_bytes(imm.v128)) return false;
      break;
    case Imm::memory: {
      uint32_t memory;
      if (!read_memory(memory)) return false;
      imm.mem.memory = memory;
      address = memory_address(memory);
      break;
    }
    case Imm::zero_byte: {
      uint8_t zero;
      if (!byte(zero)) return false;
      if (kValidate && zero != 0) return malformed("zero byte expected");
      break;
    }
    case Imm::table: return do_table(op);
    default: return do_bulk(op);
  }
  return simple_by_shape(op, imm, address);
}

namespace detail {
/// The opcode byte of an instruction that `plain` decodes, or a number that no byte equals.
constexpr uint32_t plain_code(Op op) {
  const OpInfo& info = op_info(op);
  bool plain = info.prefix == 0 && info.signature[0] != '*' && op != Op::nop &&
               (info.imm == Imm::none || info.imm == Imm::memarg);
  return plain ? info.code : 0x1000 + static_cast<uint32_t>(op);
}
}  // namespace detail

VMRUN_DECODER template <Op kOp>
bool FuncDecoder<Consumer, kValidate>::plain() {
  constexpr OpInfo kInfo = op_info(kOp);
  Immediate imm;
  if constexpr (kInfo.imm == Imm::memarg) {
    if (!read_memarg(kInfo.access_log2, false, imm.mem)) return false;
    return simple<Sig(kInfo.signature)>(kOp, imm, memory_address(imm.mem.memory));
  } else {
    return simple<Sig(kInfo.signature)>(kOp, imm);
  }
}

VMRUN_DECODER bool FuncDecoder<Consumer, kValidate>::walk() {
  using detail::plain_code;
#define VMRUN_CASE(name) case op_info(Op::name).code
#define VMRUN_TRY(...)             \
  if (!(__VA_ARGS__)) [[unlikely]] \
    return false;                  \
  break
  while (p_ < end_) [[likely]] {
    op_ = p_;
    if constexpr (kCharges) {
      if (p_ == charge_at_) [[unlikely]] {
        charge();
        if (p_ == end_) break;  // the consumer has had enough
      }
    }
    uint8_t code = *p_++;
    if constexpr (kValidate) seen_.byte[code] = 1;
    switch (uint32_t{code}) {
      VMRUN_CASE(unreachable) : if (reachable_) consumer_.unreachable(*this);
      end_of_path();
      break;
      VMRUN_CASE(nop) : break;
      VMRUN_CASE(block) : VMRUN_TRY(do_block(ControlKind::block));
      VMRUN_CASE(loop) : VMRUN_TRY(do_block(ControlKind::loop));
      VMRUN_CASE(try_) : VMRUN_TRY(do_block(ControlKind::try_));
      VMRUN_CASE(if_) : VMRUN_TRY(do_if());
      VMRUN_CASE(else_) : VMRUN_TRY(do_else());
      VMRUN_CASE(end) : if (!do_end()) [[unlikely]] return false;
      if (controls_.empty()) [[unlikely]] {
        if (p_ != end_) return fail(ErrorKind::Malformed, "unexpected content after the end of the code", p_);
        return true;
      }
      break;
      VMRUN_CASE(try_table) : VMRUN_TRY(do_try_table());
      VMRUN_CASE(catch_) : VMRUN_TRY(do_catch());
      VMRUN_CASE(catch_all) : VMRUN_TRY(do_catch_all());
      VMRUN_CASE(delegate) : VMRUN_TRY(do_delegate());
      VMRUN_CASE(rethrow) : VMRUN_TRY(do_rethrow());
      VMRUN_CASE(throw_) : VMRUN_TRY(do_throw());
      VMRUN_CASE(throw_ref) : VMRUN_TRY(do_throw_ref());
      VMRUN_CASE(br) : VMRUN_TRY(do_br());
      VMRUN_CASE(br_if) : VMRUN_TRY(do_br_if());
      VMRUN_CASE(br_table) : VMRUN_TRY(do_br_table());
      VMRUN_CASE(return_) : VMRUN_TRY(do_return());
      VMRUN_CASE(call) : VMRUN_TRY(do_call());
      VMRUN_CASE(call_indirect) : VMRUN_TRY(do_call_indirect(false));
      VMRUN_CASE(call_ref) : VMRUN_TRY(do_call_ref(false));
      VMRUN_CASE(return_call) : VMRUN_TRY(do_return_call());
      VMRUN_CASE(return_call_indirect) : VMRUN_TRY(do_call_indirect(true));
      VMRUN_CASE(return_call_ref) : VMRUN_TRY(do_call_ref(true));
      VMRUN_CASE(drop) : VMRUN_TRY(do_drop());
      VMRUN_CASE(select) : VMRUN_TRY(do_select());
      VMRUN_CASE(select_t) : VMRUN_TRY(do_select_t());
      VMRUN_CASE(local_get) : VMRUN_TRY(do_local_get());
      VMRUN_CASE(local_set) : VMRUN_TRY(do_local_set());
      VMRUN_CASE(local_tee) : VMRUN_TRY(do_local_tee());
      VMRUN_CASE(global_get) : VMRUN_TRY(do_global(Op::global_get));
      VMRUN_CASE(global_set) : VMRUN_TRY(do_global(Op::global_set));
      VMRUN_CASE(table_get) : VMRUN_TRY(do_table(Op::table_get));
      VMRUN_CASE(table_set) : VMRUN_TRY(do_table(Op::table_set));
      VMRUN_CASE(ref_null) : VMRUN_TRY(do_ref(Op::ref_null));
      VMRUN_CASE(ref_is_null) : VMRUN_TRY(do_ref(Op::ref_is_null));
      VMRUN_CASE(ref_func) : VMRUN_TRY(do_ref(Op::ref_func));
      VMRUN_CASE(ref_eq) : VMRUN_TRY(do_ref(Op::ref_eq));
      VMRUN_CASE(ref_as_non_null) : VMRUN_TRY(do_ref(Op::ref_as_non_null));
      VMRUN_CASE(br_on_null) : VMRUN_TRY(do_br_on_null());
      VMRUN_CASE(br_on_non_null) : VMRUN_TRY(do_br_on_non_null());
      case 0xfb:
      case 0xfc:
      case 0xfe: VMRUN_TRY(prefixed(code));
      case 0xfd:
        VMRUN_TRY(widen() && prefixed(code));

        VMRUN_CASE(i32_const) : {
          Immediate value;
          const uint8_t* at = p_;
          LebStatus status = read_leb<int32_t, 32>(p_, end_, value.i32);
          if (status != LebStatus::ok) [[unlikely]]
            return leb_error(status, at);
          VMRUN_TRY(simple<Sig(":i")>(Op::i32_const, value));
        }
        VMRUN_CASE(i64_const) : {
          Immediate value;
          const uint8_t* at = p_;
          LebStatus status = read_leb<int64_t, 64>(p_, end_, value.i64);
          if (status != LebStatus::ok) [[unlikely]]
            return leb_error(status, at);
          VMRUN_TRY(simple<Sig(":l")>(Op::i64_const, value));
        }
        VMRUN_CASE(f32_const) : {
          Immediate value;
          VMRUN_TRY(fixed_bytes(value.f32bits) && simple<Sig(":f")>(Op::f32_const, value));
        }
        VMRUN_CASE(f64_const) : {
          Immediate value;
          VMRUN_TRY(fixed_bytes(value.f64bits) && simple<Sig(":d")>(Op::f64_const, value));
        }
        VMRUN_CASE(memory_size) : {
          Immediate value;
          uint32_t memory;
          if (!read_memory(memory)) [[unlikely]]
            return false;
          value.mem.memory = memory;
          VMRUN_TRY(simple<Sig(":p")>(Op::memory_size, value, memory_address(memory)));
        }
        VMRUN_CASE(memory_grow) : {
          Immediate value;
          uint32_t memory;
          if (!read_memory(memory)) [[unlikely]]
            return false;
          value.mem.memory = memory;
          VMRUN_TRY(simple<Sig("p:p")>(Op::memory_grow, value, memory_address(memory)));
        }
// Whatever else has one byte and a signature in the table.
#define VMRUN_OP(prefix, number, name, ...)       \
  case plain_code(Op::name):                      \
    if constexpr (plain_code(Op::name) < 0x100) { \
      if (!plain<Op::name>()) [[unlikely]]        \
        return false;                             \
    }                                             \
    break;
#include "vm/wasm/opcodes.def"
#undef VMRUN_OP
      default: {
        char text[24];
        std::snprintf(text, sizeof text, "illegal opcode %02x", code);
        return malformed(text);
      }
    }
  }
  return fail(ErrorKind::Malformed, "unexpected end: END opcode expected", p_);
#undef VMRUN_CASE
#undef VMRUN_TRY
}

#undef VMRUN_DECODER

}  // namespace vmrun::vm
