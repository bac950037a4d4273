// Encodings: see assembler_x86_64.h. Sources: Intel SDM volume 2, chapters 2.1 to 2.3 and the instructions' pages.
#include "jit/baseline/assembler_x86_64.h"

#include <algorithm>
#include <new>

#include "vm/base/assert.h"

namespace vmrun::jit::baseline {
namespace {

namespace Inst = asmjit::x86::Inst;
using namespace encoding;

int64_t value(const Operand_& o) { return o.as<asmjit::Imm>().value(); }

uint8_t* mov(uint8_t* p, const Operand_& to, const Operand_& from) {
  if (is_int(to)) {
    const bool wide = is_wide(to);
    if (from.isReg()) return bits(to) == bits(from) ? with_reg(p, wide, 0x89, reg(from), reg(to)) : nullptr;
    if (is_mem(from)) return with_mem(p, wide, 0x8b, reg(to), from);
    if (!from.isImm()) return nullptr;
    const int64_t v = value(from);
    if (!wide || static_cast<uint64_t>(v) <= 0xffffffffu) {
      if (reg(to) >= 8) *p++ = 0x41;
      *p++ = static_cast<uint8_t>(0xb8 | (reg(to) & 7));
      return put(p, static_cast<uint32_t>(v));
    }
    if (fits32(v)) return put(with_reg(p, true, 0xc7, 0, reg(to)), static_cast<int32_t>(v));
    *p++ = static_cast<uint8_t>(0x48 | reg(to) >> 3);
    *p++ = static_cast<uint8_t>(0xb8 | (reg(to) & 7));
    return put(p, v);
  }
  if (!is_mem(to)) return nullptr;
  if (from.isReg()) {
    switch (bits(from)) {
      case kGpq: return with_mem(p, true, 0x89, reg(from), to);
      case kGpd: return with_mem(p, false, 0x89, reg(from), to);
      case kGpw: *p++ = 0x66; return with_mem(p, false, 0x89, reg(from), to);
      case kGpb: return with_mem(p, false, 0x88, reg(from), to, true);
      default: return nullptr;
    }
  }
  if (!from.isImm()) return nullptr;
  const int64_t v = value(from);
  switch (to.as<Mem>().size()) {
    case 1: return put(with_mem(p, false, 0xc6, 0, to), static_cast<int8_t>(v));
    case 2: *p++ = 0x66; return put(with_mem(p, false, 0xc7, 0, to), static_cast<int16_t>(v));
    case 4: return put(with_mem(p, false, 0xc7, 0, to), static_cast<int32_t>(v));
    case 8: return fits32(v) ? put(with_mem(p, true, 0xc7, 0, to), static_cast<int32_t>(v)) : nullptr;
    default: return nullptr;
  }
}

/// add, or, and, sub, xor, cmp: `n` is their number among the eight.
uint8_t* alu(uint8_t* p, unsigned n, const Operand_& to, const Operand_& from) {
  if (from.isImm()) {
    int64_t v = value(from);
    const bool in_memory = is_mem(to);
    const unsigned size = in_memory ? to.as<Mem>().size() : is_int(to) ? (is_wide(to) ? 8 : 4) : 0;
    if (size == 4) v = static_cast<int32_t>(v);
    if ((size != 4 && size != 8) || !fits32(v)) return nullptr;
    const unsigned code = fits8(v) ? 0x83 : 0x81;
    p = in_memory ? with_mem(p, size == 8, code, n, to) : with_reg(p, size == 8, code, n, reg(to));
    return code == 0x83 ? put(p, static_cast<int8_t>(v)) : put(p, static_cast<int32_t>(v));
  }
  if (is_int(to)) {
    if (is_mem(from)) return with_mem(p, is_wide(to), n << 3 | 3, reg(to), from);
    return bits(from) == bits(to) ? with_reg(p, is_wide(to), n << 3 | 1, reg(from), reg(to)) : nullptr;
  }
  return is_mem(to) && is_int(from) ? with_mem(p, is_wide(from), n << 3 | 1, reg(from), to) : nullptr;
}

/// Shifts by a constant.
uint8_t* shift(uint8_t* p, unsigned n, const Operand_& to, const Operand_& by) {
  if (!is_int(to) || !by.isImm() || value(by) == 1) return nullptr;
  return put(with_reg(p, is_wide(to), 0xc1, n, reg(to)), static_cast<int8_t>(value(by)));
}

/// inc and dec of memory.
uint8_t* step(uint8_t* p, unsigned n, const Operand_& o) {
  if (!is_mem(o)) return nullptr;
  const unsigned size = o.as<Mem>().size();
  return size == 4 || size == 8 ? with_mem(p, size == 8, 0xff, n, o) : nullptr;
}

/// movzx and movsx: `code` for bytes, the next one for two bytes.
uint8_t* extend(uint8_t* p, unsigned code, const Operand_& to, const Operand_& from) {
  if (!is_int(to)) return nullptr;
  const bool wide = is_wide(to);
  if (bits(from) == kGpb) return with_reg(p, wide, 0x0f00 | code, reg(to), reg(from), true);
  if (bits(from) == kGpw) return with_reg(p, wide, 0x0f00 | (code + 1), reg(to), reg(from));
  if (!is_mem(from)) return nullptr;
  switch (from.as<Mem>().size()) {
    case 1: return with_mem(p, wide, 0x0f00 | code, reg(to), from);
    case 2: return with_mem(p, wide, 0x0f00 | (code + 1), reg(to), from);
    default: return nullptr;
  }
}

/// vmovss, vmovsd, vmovups between a register and memory: `prefix` is VEX's two bits for 66, F3, F2.
uint8_t* move_vector(uint8_t* p, unsigned prefix, const Operand_& to, const Operand_& from) {
  const bool load = bits(to) == kXmm && is_mem(from);
  if (!load && !(is_mem(to) && bits(from) == kXmm)) return nullptr;
  const unsigned r = load ? reg(to) : reg(from);
  const Operand_& mem = load ? from : to;
  if (r >= 16) return nullptr;
  const ModRm place(mem);
  const unsigned rex = r >> 3 << 2 | place.rex();
  if ((rex & 3) == 0) {
    *p++ = 0xc5;
    *p++ = static_cast<uint8_t>(((~rex & 4) << 5) | 0x78 | prefix);
  } else {
    *p++ = 0xc4;
    *p++ = static_cast<uint8_t>((~rex & 7) << 5 | 1);
    *p++ = static_cast<uint8_t>(0x78 | prefix);
  }
  *p++ = load ? 0x10 : 0x11;
  return place.write(p, r);
}

}  // namespace

uint8_t* FastAssembler::encode(uint8_t* p, asmjit::InstId id, const Operand_& o0, const Operand_& o1) {
  switch (id) {
    case Inst::kIdMov: return baseline::mov(p, o0, o1);
    case Inst::kIdAdd: return alu(p, 0, o0, o1);
    case Inst::kIdOr: return alu(p, 1, o0, o1);
    case Inst::kIdAnd: return alu(p, 4, o0, o1);
    case Inst::kIdSub: return alu(p, 5, o0, o1);
    case Inst::kIdXor: return alu(p, 6, o0, o1);
    case Inst::kIdCmp: return alu(p, 7, o0, o1);
    case Inst::kIdTest:
      return is_int(o0) && bits(o0) == bits(o1) ? with_reg(p, is_wide(o0), 0x85, reg(o1), reg(o0)) : nullptr;
    case Inst::kIdLea: return is_int(o0) && is_mem(o1) ? with_mem(p, is_wide(o0), 0x8d, reg(o0), o1) : nullptr;
    case Inst::kIdMovzx: return extend(p, 0xb6, o0, o1);
    case Inst::kIdMovsx: return extend(p, 0xbe, o0, o1);
    case Inst::kIdMovsxd:
      if (bits(o0) != kGpq) return nullptr;
      if (bits(o1) == kGpd) return with_reg(p, true, 0x63, reg(o0), reg(o1));
      return is_mem(o1) ? with_mem(p, true, 0x63, reg(o0), o1) : nullptr;
    case Inst::kIdImul:
      if (!is_int(o0)) return nullptr;
      if (bits(o1) == bits(o0)) return with_reg(p, is_wide(o0), 0x0faf, reg(o0), reg(o1));
      return is_mem(o1) ? with_mem(p, is_wide(o0), 0x0faf, reg(o0), o1) : nullptr;
    case Inst::kIdShl: return shift(p, 4, o0, o1);
    case Inst::kIdShr: return shift(p, 5, o0, o1);
    case Inst::kIdSar: return shift(p, 7, o0, o1);
    case Inst::kIdDec: return step(p, 1, o0);
    case Inst::kIdInc: return step(p, 0, o0);
    case Inst::kIdCall: return is_mem(o0) ? with_mem(p, false, 0xff, 2, o0) : nullptr;
    case Inst::kIdVmovups: return move_vector(p, 0, o0, o1);
    case Inst::kIdVmovss: return move_vector(p, 2, o0, o1);
    case Inst::kIdVmovsd: return move_vector(p, 3, o0, o1);
    case Inst::kIdLeave: *p++ = 0xc9; return p;
    case Inst::kIdRet: return o0.isNone() ? (*p++ = 0xc3, p) : nullptr;
    default: return nullptr;
  }
}

void FastAssembler::update_size() {
  size_t& size = _section->_buffer._size;
  size = std::max(size, offset());
}

void FastAssembler::grow() {
  update_size();
  if (is_too_large()) throw CodeTooLarge();
  if (_code->growBuffer(&_section->_buffer, kLongest) != asmjit::kErrorOk) throw std::bad_alloc();
}

asmjit::Error FastAssembler::align(asmjit::AlignMode mode, uint32_t alignment) {
  update_size();
  return Assembler::align(mode, alignment);
}

// --- jumps --------------------------------------------------------------------------------------------------------------

void FastAssembler::j(Cond cond, Label label) {
  uint8_t* p = room();
  if (labels_.bound(label)) {
    const int64_t distance = static_cast<int64_t>(labels_.place(label)) - static_cast<int64_t>(offset() + 2);
    if (fits8(distance)) {
      p[0] = static_cast<uint8_t>(0x70 | static_cast<unsigned>(cond));
      p[1] = static_cast<uint8_t>(distance);
      _bufferPtr += 2;
      return;
    }
  }
  p[0] = 0x0f;
  p[1] = static_cast<uint8_t>(0x80 | static_cast<unsigned>(cond));
  labels_.refer(_bufferData, static_cast<uint32_t>(offset()) + 2, label);
  _bufferPtr += 6;
}

void FastAssembler::jmp(Label label) {
  uint8_t* p = room();
  if (labels_.bound(label)) {
    const int64_t distance = static_cast<int64_t>(labels_.place(label)) - static_cast<int64_t>(offset() + 2);
    if (fits8(distance)) {
      p[0] = 0xeb;
      p[1] = static_cast<uint8_t>(distance);
      _bufferPtr += 2;
      return;
    }
  }
  p[0] = 0xe9;
  labels_.refer(_bufferData, static_cast<uint32_t>(offset()) + 1, label);
  _bufferPtr += 5;
}

void FastAssembler::call(Label label) {
  *room() = 0xe8;
  labels_.refer(_bufferData, static_cast<uint32_t>(offset()) + 1, label);
  _bufferPtr += 5;
}

// --- other instructions -------------------------------------------------------------------------------------------------

void FastAssembler::arithmetic(unsigned n, const Operand& to, const Operand& from) {
  if (uint8_t* end = alu(room(), n, to, from)) [[likely]] {
    _bufferPtr = end;
    return;
  }
  constexpr asmjit::InstId kIds[8] = {Inst::kIdAdd, Inst::kIdOr,  Inst::kIdAdc, Inst::kIdSbb,
                                      Inst::kIdAnd, Inst::kIdSub, Inst::kIdXor, Inst::kIdCmp};
  by_asmjit(kIds[n], to, from, asmjit::Globals::none, nullptr);
}

void FastAssembler::move(unsigned code, const Gp& reg, const Mem& mem) {
  if (!is_int(reg) || !is_mem(mem)) [[unlikely]] {
    code == kLoad ? other(Inst::kIdMov, reg, mem) : other(Inst::kIdMov, mem, reg);
    return;
  }
  _bufferPtr = with_mem(room(), is_wide(reg), code, encoding::reg(reg), mem);
}

void FastAssembler::by_place(unsigned code, unsigned field, const Mem& place) {
  VMRUN_ASSERT(is_mem(place), "a place in memory that registers address");
  const bool wide = field < 2 && place.size() == 8;
  _bufferPtr = with_mem(room(), wide, code, field, place);
}

void FastAssembler::cmov(Cond cond, const Gp& to, const Operand& from) {
  const unsigned code = 0x0f40 | static_cast<unsigned>(cond);
  if (bits(from) == bits(to)) {
    _bufferPtr = with_reg(room(), is_wide(to), code, reg(to), reg(from));
  } else if (is_mem(from)) {
    _bufferPtr = with_mem(room(), is_wide(to), code, reg(to), from);
  } else {
    by_asmjit(Inst::cmovccFromCond(cond), to, from, asmjit::Globals::none, nullptr);
  }
}

void FastAssembler::short_form(unsigned code, const Gp& r) {
  uint8_t* p = room();
  *p = 0x41;
  p += reg(r) >> 3;
  *p = static_cast<uint8_t>(code | (reg(r) & 7));
  _bufferPtr = p + 1;
}

void FastAssembler::other(asmjit::InstId id, const Operand& o0, const Operand& o1) {
  if (uint8_t* end = encode(room(), id, o0, o1)) [[likely]] {
    _bufferPtr = end;
    return;
  }
  by_asmjit(id, o0, o1, asmjit::Globals::none, nullptr);
}

asmjit::Error FastAssembler::_emit(asmjit::InstId id, const Operand& o0, const Operand& o1, const Operand& o2,
                                   const Operand* more) {
  if (o2.isNone() && instOptions() == asmjit::InstOptions::kNone) {
    if (uint8_t* end = encode(room(), id, o0, o1)) [[likely]] {
      _bufferPtr = end;
      return asmjit::kErrorOk;
    }
  }
  return by_asmjit(id, o0, o1, o2, more);
}

asmjit::Error FastAssembler::by_asmjit(asmjit::InstId id, const Operand& o0, const Operand& o1, const Operand& o2,
                                       const Operand* more) {
  if (more == nullptr) {
    static constexpr asmjit::Operand kNone[3];
    more = kNone;
  }
  room();  // asmjit would make some itself, however much code there is
  update_size();
  const asmjit::Error error = Assembler::_emit(id, o0, o1, o2, more);
  // asmjit has written the label's number where the distance belongs.
  constexpr uint32_t kKind = uint32_t{OperandSignature::kOpTypeMask} | uint32_t{OperandSignature::kMemBaseTypeMask};
  constexpr uint32_t kAtLabel = static_cast<uint32_t>(asmjit::OperandType::kMem) |
                                static_cast<uint32_t>(asmjit::RegType::kX86_Rip) << OperandSignature::kMemBaseTypeShift;
  const Operand* place = nullptr;
  unsigned behind = 0;
  for (const Operand* o : {&o0, &o1, &o2, &more[0], &more[1], &more[2]}) {
    if (o->isNone()) break;
    if ((bits(*o) & kKind) == kAtLabel) place = o;
    if (o->isImm() || (place != nullptr && o == &more[0] && o->isReg())) behind = 1;
  }
  if (place == nullptr) [[likely]]
    return error;
  const auto label = static_cast<uint32_t>(place->as<Mem>().offsetLo32());
  const uint32_t field = static_cast<uint32_t>(offset()) - behind - 4;
  uint32_t written = 0;
  std::memcpy(&written, _bufferData + field, sizeof written);
  VMRUN_ASSERT(written == label, "the address of a label stands at the end of the instruction");
  labels_.refer(_bufferData, field, Label(label), behind);
  return error;
}

}  // namespace vmrun::jit::baseline
