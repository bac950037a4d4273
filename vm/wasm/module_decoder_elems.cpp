// Decoding of images: element segments and constant expressions.
#include "vm/wasm/module_decoder.h"

namespace vmrun::vm {

bool ModuleDecoder::element_section(Reader& r, uint32_t& items) {
  if (!r.count(items, kMaxElemSegments, "element segments")) return false;
  for (uint32_t i = 0; i < items; ++i)
    if (!element_segment(r, m_.elems.emplace_back())) return false;
  return true;
}

bool ModuleDecoder::element_segment(Reader& r, ElemSegment& out) {
  // Flags: 1 not active; 2 an explicit table, or declarative when not active; 4 expressions instead of indices.
  uint32_t flags, count;
  uint64_t at = r.offset();
  if (!r.u32(flags)) return false;
  if (flags > 7) return r.malformed("malformed elements segment kind", at);
  if (flags != 0 && !use(r, Feature::bulk_memory, at)) return false;
  bool active = (flags & 1) == 0, expressions = (flags & 4) != 0;
  out.mode = active ? SegmentMode::active : (flags & 2) ? SegmentMode::declarative : SegmentMode::passive;
  uint64_t table_at = r.offset();
  if (active && (flags & 2) && !r.u32(out.table)) return false;
  if (active) {
    if (out.table >= m_.tables.size()) return r.invalid("unknown table " + std::to_string(out.table), table_at);
    if (!const_expr(r, m_.tables[out.table].type.limits.is64 ? kI64 : kI32, out.offset)) return false;
  }

  uint64_t type_at = r.offset();
  if ((flags & 3) == 0) {
    out.type = expressions ? kFuncRef : ValType::ref(Heap::func, false);
  } else if (expressions) {
    if (!read_ref_type(r, {m_.types}, out.type) || !note_type(r, out.type, type_at)) return false;
  } else {
    uint8_t kind;
    if (!r.u8(kind)) return false;
    if (kind != 0) return r.malformed("malformed element kind", type_at);
    out.type = ValType::ref(Heap::func, false);
  }
  if (active && !m_.registry->matches(out.type, m_.tables[out.table].type.elem)) {
    return r.invalid("type mismatch: a table of " + m_.type_name(m_.tables[out.table].type.elem) +
                         " does not take elements of " + m_.type_name(out.type),
                     type_at);
  }

  uint64_t count_at = r.offset();
  if (!r.count(count, kMaxElements, "elements")) return false;
  if (count > kMaxElements - elements_) {
    return r.fail(ErrorKind::Limit, "more elements in all segments than the limit of " + std::to_string(kMaxElements),
                  count_at);
  }
  elements_ += count;
  if (!expressions) {
    out.funcs.resize(count);
    for (uint32_t& index : out.funcs)
      if (!func_ref(r, index)) return false;
    return true;
  }
  // Expressions that all are ref.func are kept as indices.
  bool all_funcs = true;
  out.exprs.resize(count);
  for (ConstExpr& expr : out.exprs) {
    all_funcs &= !r.at_end() && *r.p() == op_info(Op::ref_func).code;
    if (!const_expr(r, out.type, expr)) return false;
  }
  if (all_funcs && count > 0) {
    const uint8_t* image = m_.bytes();
    out.funcs.reserve(count);
    for (const ConstExpr& expr : out.exprs) {
      Reader body(image, image + expr.begin + 1, image + expr.end);
      uint32_t index;
      body.u32(index);
      out.funcs.push_back(index);
    }
    out.exprs = {};
  }
  return true;
}

/// Reads a function index that thereby becomes a declared reference.
bool ModuleDecoder::func_ref(Reader& r, uint32_t& index) {
  uint64_t at = r.offset();
  if (!r.u32(index)) return false;
  if (index >= m_.funcs.size()) return r.invalid("unknown function " + std::to_string(index), at);
  if (state_.declared_funcs.size() < m_.funcs.size()) state_.declared_funcs.resize(m_.funcs.size());
  state_.declared_funcs[index] = true;
  return true;
}

/// Reads a constant expression up to its end, checks that its instructions are constant (3.4.15), then its type.
namespace {

/// The end of an expression that is one constant of an integer type and nothing else, and the constant's bits; null: it is
/// another one, or wrong.
const uint8_t* past_lone_constant(const uint8_t* p, const uint8_t* end, ValType type, uint64_t& bits) {
  constexpr uint8_t kI32Const = 0x41, kI64Const = 0x42, kEnd = 0x0b;
  if (p == end) return nullptr;
  const uint8_t code = *p++;
  LebStatus status = LebStatus::too_long;
  if (type == kI32 && code == kI32Const) {
    int32_t value = 0;
    status = read_leb<int32_t, 32>(p, end, value);
    bits = static_cast<uint32_t>(value);
  } else if (type == kI64 && code == kI64Const) {
    int64_t value = 0;
    status = read_leb<int64_t, 64>(p, end, value);
    bits = static_cast<uint64_t>(value);
  }
  return status == LebStatus::ok && p != end && *p == kEnd ? p + 1 : nullptr;
}

}  // namespace

bool ModuleDecoder::const_expr(Reader& r, ValType type, ConstExpr& out, std::optional<uint64_t>* constant) {
  const uint8_t* begin = r.p();
  // As nearly all are; an image may have tens of thousands.
  uint64_t bits = 0;
  if (const uint8_t* past = past_lone_constant(begin, r.end(), type, bits)) {
    out = {static_cast<uint32_t>(r.offset_of(begin)), static_cast<uint32_t>(r.offset_of(past))};
    r.set_p(past);
    if (constant != nullptr) *constant = bits;
    return true;
  }
  for (bool done = false; !done;) {
    uint64_t at = r.offset();
    uint8_t code;
    if (!r.u8(code)) return false;
    uint16_t number = kOpByByte[code];
    if (is_prefix(code)) {
      uint32_t sub;
      if (!r.u32(sub)) return false;
      number = prefixed_op(code, sub);
    }
    if (number == kNoOp) return r.malformed("illegal opcode", at);
    Op op = static_cast<Op>(number);
    const OpInfo& info = op_info(op);
    if (!info.is_const())
      return r.invalid("constant expression required: " + std::string(info.mnemonic) + " is not constant", at);
    if (info.is_gc_object() && !m_.unsupported)
      m_.unsupported = UnsupportedOp{op, static_cast<uint32_t>(at), std::nullopt};
    if (info.feature != Feature::mvp && !use(r, info.feature, at)) return false;

    uint32_t index;
    const uint8_t* skipped;
    int32_t i32;
    int64_t i64;
    switch (info.imm) {
      case Imm::none:
        done = op == Op::end;
        if (!done && info.feature == Feature::mvp && !use(r, Feature::extended_const, at)) return false;
        break;
      case Imm::i32:
        if (!r.s32(i32)) return false;
        break;
      case Imm::i64:
        if (!r.s64(i64)) return false;
        break;
      case Imm::heap_type:
        if (!r.s33(i64)) return false;
        break;
      case Imm::f32:
        if (!r.bytes(4, skipped)) return false;
        break;
      case Imm::f64:
        if (!r.bytes(8, skipped)) return false;
        break;
      case Imm::v128:
        if (!r.bytes(16, skipped)) return false;
        break;
      case Imm::func:
        if (!func_ref(r, index)) return false;
        break;
      case Imm::global:
        if (!r.u32(index)) return false;
        if (index >= m_.globals.size()) return r.invalid("unknown global " + std::to_string(index), at);
        if (m_.globals[index].type.mutable_)
          return r.invalid("constant expression required: global " + std::to_string(index) + " is mutable", at);
        break;
      case Imm::type:
        if (!r.u32(index)) return false;
        break;
      default:  // type_count: array.new_fixed
        if (!r.u32(index) || !r.u32(index)) return false;
        break;
    }
  }
  out = {static_cast<uint32_t>(r.offset_of(begin)), static_cast<uint32_t>(r.offset())};
  if (!const_decoder_) const_decoder_ = std::make_unique<FuncDecoder<NullConsumer>>(m_, null_, &state_);
  if (const_decoder_->decode_constant(begin, r.p(), type)) return true;
  r.error = const_decoder_->error();
  return false;
}

}  // namespace vmrun::vm
