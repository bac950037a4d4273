// The parts of the function decoder that no consumer sees: locals, block types, messages, and passing over dead code.
#include "vm/wasm/func_decoder.h"

#include "vm/wasm/image.h"
#include "vm/wasm/type_reader.h"

namespace vmrun::vm {

namespace {

// Block types of one result need a place for it to lie in: these, or the decoder's own list.
constexpr ValType kNumeric[] = {kV128, kF64, kF32, kI64, kI32};  // codes 0x7b to 0x7f

}  // namespace

bool FuncDecoderBase::fail(ErrorKind kind, std::string message, const uint8_t* at) {
  error_ = {kind, std::move(message), static_cast<uint64_t>(at - image_)};
  return false;
}

bool FuncDecoderBase::unknown(const char* what, uint64_t index) {
  return fail(ErrorKind::Invalid, std::string("unknown ") + what + " " + std::to_string(index), op_);
}

bool FuncDecoderBase::mismatch(ValType expected, ValType found) {
  return fail(ErrorKind::Invalid,
              "type mismatch: expected " + module_.type_name(expected) + ", found " + module_.type_name(found), op_);
}

bool FuncDecoderBase::missing_operand(ValType expected) {
  std::string what = expected == kBottom ? "a value" : module_.type_name(expected);
  return fail(ErrorKind::Invalid, "type mismatch: expected " + what + " but nothing is on the stack", op_);
}

bool FuncDecoderBase::too_many(const char* what, uint64_t limit) {
  return fail(ErrorKind::Limit, "function needs more than " + std::to_string(limit) + " " + what, op_);
}

bool FuncDecoderBase::read_val_type(ValType& out) {
  Reader r(image_, p_, end_);
  if (!vm::read_val_type(r, {module_.types}, out)) return error_ = std::move(r.error), false;
  p_ = r.p();
  return true;
}

bool FuncDecoderBase::read_heap_type(HeapType& out) {
  Reader r(image_, p_, end_);
  if (!vm::read_heap_type(r, {module_.types}, out)) return error_ = std::move(r.error), false;
  p_ = r.p();
  return true;
}

bool FuncDecoderBase::read_block_type(BlockType& out) {
  if (p_ == end_) return leb_error(LebStatus::unexpected_end, p_);
  uint8_t code = *p_;
  if (code == 0x40) {
    ++p_;
    out = {};
    return true;
  }
  if (code >= 0x7b && code <= 0x7f) {
    ++p_;
    out.params = {};
    out.results = {&kNumeric[code - 0x7b], 1};
    out.wide = code == 0x7b;
    return true;
  }
  if ((code & 0xc0) == 0x40) {  // a one-byte negative number: a reference type
    ValType type;
    if (!read_val_type(type)) return false;
    out.params = {};
    out.results = {&single_results_.emplace_back(type), 1};
    return true;
  }
  const uint8_t* at = p_;
  int64_t index;
  LebStatus status = read_leb<int64_t, 33>(p_, end_, index);
  if (status != LebStatus::ok) return leb_error(status, at);
  if (index < 0) return fail(ErrorKind::Malformed, "malformed block type", at);
  if (static_cast<uint64_t>(index) >= module_.types.size()) return unknown("type", static_cast<uint64_t>(index));
  const TypeDef& def = *module_.type_defs[static_cast<size_t>(index)];
  if (def.kind != TypeDef::Kind::func)
    return fail(ErrorKind::Invalid, "type mismatch: the block type is not a function type", at);
  out.params = def.func.params;
  out.results = def.func.results;
  out.wide = def.func.param_slots != out.params.size() || def.func.result_slots != out.results.size();
  return true;
}

bool FuncDecoderBase::read_locals(const FuncType& type) {
  // The first look at a body's bytes.
  module_.image->need(static_cast<uint32_t>(p_ - image_), static_cast<uint32_t>(end_ - image_));
  locals_.assign(type.params.begin(), type.params.end());
  local_slots_ = type.param_slots;
  // A branch to the function's own label may give unknown operands the types of its results.
  wide_ = type.param_slots != type.params.size() || type.result_slots != type.results.size();
  has_uninitialized_ = false;
  uint32_t groups;
  if (!u32(groups)) return false;
  uint64_t total = locals_.size();
  const uint8_t* beyond_limit = nullptr;  // the first group that is too many for us
  for (uint32_t i = 0; i < groups; ++i) {
    const uint8_t* at = p_;
    uint32_t count;
    ValType local;
    if (!u32(count)) return false;
    // The binary's own limit is 2^32 - 1, ours that of the JavaScript interface.
    total += count;
    if (total > 0xffffffffu) return fail(ErrorKind::Malformed, "too many locals: more than 4294967295", at);
    if (total > kMaxLocals && beyond_limit == nullptr) beyond_limit = at;
    if (p_ < end_ && *p_ >= 0x7b && *p_ <= 0x7f) {
      local = static_cast<ValType::Kind>(*p_++);
    } else if (!read_val_type(local)) {
      return false;
    }
    if (beyond_limit != nullptr) continue;
    local_slots_ += count * local.slots();
    wide_ |= local == kV128;
    if (!local.is_defaultable() && count > 0 && !has_uninitialized_) {
      has_uninitialized_ = true;
      local_set_.assign(locals_.size(), 1);
    }
    locals_.resize(locals_.size() + count, local);
    if (has_uninitialized_) local_set_.resize(locals_.size(), local.is_defaultable());
  }
  if (beyond_limit != nullptr) {
    return fail(ErrorKind::Limit, "too many locals: more than the limit of " + std::to_string(kMaxLocals),
                beyond_limit);
  }
  if (local_slots_ > kMaxFrameSlots) return too_many("stack slots", kMaxFrameSlots);
  op_ = p_;
  return true;
}

// --- dead code ----------------------------------------------------------------------------------------------------

namespace {

const uint8_t* skip_leb(const uint8_t* p) {
  while (*p++ & 0x80) {
  }
  return p;
}

const uint8_t* skip_val_type(const uint8_t* p) { return *p == 0x63 || *p == 0x64 ? skip_leb(p + 1) : p + 1; }

const uint8_t* skip_memarg(const uint8_t* p) {
  bool has_memory = (*p & 0x40) != 0;
  p = skip_leb(p);
  if (has_memory) p = skip_leb(p);
  return skip_leb(p);
}

const uint8_t* skip_block_type(const uint8_t* p) { return *p == 0x63 || *p == 0x64 ? skip_val_type(p) : skip_leb(p); }

uint32_t read_count(const uint8_t*& p) {
  uint32_t count = 0;
  read_leb<uint32_t, 32>(p, p + 5, count);
  return count;
}

}  // namespace

const uint8_t* skip_immediates(Imm kind, const uint8_t* p) {
  switch (kind) {
    case Imm::none: return p;
    case Imm::lane:
    case Imm::zero_byte: return p + 1;
    case Imm::f32: return p + 4;
    case Imm::f64: return p + 8;
    case Imm::v128:
    case Imm::lanes: return p + 16;
    case Imm::block: return skip_block_type(p);
    case Imm::memarg: return skip_memarg(p);
    case Imm::memarg_lane: return skip_memarg(p) + 1;
    case Imm::data:
    case Imm::elem:
    case Imm::func:
    case Imm::global:
    case Imm::heap_type:
    case Imm::i32:
    case Imm::i64:
    case Imm::label:
    case Imm::local:
    case Imm::memory:
    case Imm::table:
    case Imm::tag:
    case Imm::type: return skip_leb(p);
    case Imm::data_memory:
    case Imm::elem_table:
    case Imm::field:
    case Imm::memory_memory:
    case Imm::table_table:
    case Imm::type_count:
    case Imm::type_data:
    case Imm::type_elem:
    case Imm::type_table:
    case Imm::type_type: return skip_leb(skip_leb(p));
    case Imm::cast: return skip_leb(skip_leb(skip_leb(p + 1)));
    case Imm::br_table:
      for (uint32_t n = read_count(p) + 1; n > 0; --n) p = skip_leb(p);
      return p;
    case Imm::select_types:
      for (uint32_t n = read_count(p); n > 0; --n) p = skip_val_type(p);
      return p;
    case Imm::try_table:
      p = skip_block_type(p);
      for (uint32_t n = read_count(p); n > 0; --n) {
        bool has_tag = *p++ < 2;
        if (has_tag) p = skip_leb(p);
        p = skip_leb(p);
      }
      return p;
  }
  return p;
}

Op skip_instruction(const uint8_t*& p) {
  uint8_t code = *p++;
  uint16_t number = kOpByByte[code];
  if (number == kNoOp) {
    uint32_t sub = read_count(p);
    number = prefixed_op(code, sub);
  }
  p = skip_immediates(kOpInfo[number].imm, p);
  return static_cast<Op>(number);
}

const uint8_t* skip_locals(const uint8_t* p) {
  for (uint32_t n = read_count(p); n > 0; --n) p = skip_val_type(skip_leb(p));
  return p;
}

void FuncDecoderBase::skip_dead_code() {
  uint32_t depth = 0;
  for (;;) {
    const uint8_t* p = p_;
    switch (skip_instruction(p)) {
      case Op::block:
      case Op::loop:
      case Op::if_:
      case Op::try_:
      case Op::try_table: ++depth; break;
      case Op::end:
      case Op::delegate:
        if (depth == 0) return;
        --depth;
        break;
      case Op::else_:
      case Op::catch_:
      case Op::catch_all:
        if (depth == 0) return;
        break;
      default: break;
    }
    p_ = p;
  }
}

}  // namespace vmrun::vm
