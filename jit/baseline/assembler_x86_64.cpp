// Encodings: see assembler_x86_64.h. Sources: Intel SDM volume 2, chapters 2.1 to 2.3 and the instructions' pages.
#include "jit/baseline/assembler_x86_64.h"

#include <cstring>

namespace vmrun::jit::baseline {
namespace {

namespace Inst = asmjit::x86::Inst;
using asmjit::Operand_;
using asmjit::OperandSignature;
using asmjit::RegType;
using asmjit::x86::Gp;
using asmjit::x86::Mem;

constexpr uint32_t kGpq = asmjit::x86::Gpq::kSignature;
constexpr uint32_t kGpd = asmjit::x86::Gpd::kSignature;
constexpr uint32_t kGpw = asmjit::x86::Gpw::kSignature;
constexpr uint32_t kGpb = asmjit::x86::GpbLo::kSignature;
constexpr uint32_t kXmm = asmjit::x86::Xmm::kSignature;

// A memory operand without its size and shift: base alone, or base and index, both 64-bit registers.
constexpr uint32_t kMemIgnored =
    uint32_t{OperandSignature::kSizeMask} | uint32_t{Mem::kSignatureMemShiftValueMask};
constexpr uint32_t kMemBase = static_cast<uint32_t>(asmjit::OperandType::kMem) |
                              static_cast<uint32_t>(RegType::kX86_Gpq) << OperandSignature::kMemBaseTypeShift;
constexpr uint32_t kMemIndexed =
    kMemBase | static_cast<uint32_t>(RegType::kX86_Gpq) << OperandSignature::kMemIndexTypeShift;

uint32_t bits(const Operand_& o) { return o.signature().bits(); }
bool is_mem(const Operand_& o) {
  const uint32_t kind = bits(o) & ~kMemIgnored;
  return kind == kMemBase || kind == kMemIndexed;
}
bool indexed(const Operand_& o) { return (bits(o) & OperandSignature::kMemIndexTypeMask) != 0; }
unsigned reg(const Operand_& o) { return o.id(); }
int64_t value(const Operand_& o) { return o.as<asmjit::Imm>().value(); }
bool fits8(int64_t v) { return v == static_cast<int8_t>(v); }
bool fits32(int64_t v) { return v == static_cast<int32_t>(v); }
/// Whether a register is one of integer operands of 4 or 8 bytes, and which.
bool is_int(const Operand_& o) { return bits(o) == kGpq || bits(o) == kGpd; }
bool is_wide(const Operand_& o) { return bits(o) == kGpq; }

template <class T>
uint8_t* put(uint8_t* p, T v) {
  std::memcpy(p, &v, sizeof v);
  return p + sizeof v;
}

/// ModRM, SIB and displacement.
uint8_t* memory(uint8_t* p, unsigned field, const Operand_& o) {
  const Mem& mem = o.as<Mem>();
  const unsigned base = mem.baseId() & 7;
  const int32_t distance = mem.offsetLo32();
  const unsigned mod = distance == 0 && base != 5 ? 0 : fits8(distance) ? 1 : 2;
  field = (field & 7) << 3;
  if (indexed(o)) {
    *p++ = static_cast<uint8_t>(mod << 6 | field | 4);
    *p++ = static_cast<uint8_t>(mem.shift() << 6 | (mem.indexId() & 7) << 3 | base);
  } else {
    *p++ = static_cast<uint8_t>(mod << 6 | field | base);
    if (base == 4) *p++ = 0x24;
  }
  if (mod == 1) *p++ = static_cast<uint8_t>(distance);
  if (mod == 2) p = put(p, distance);
  return p;
}

/// X and B of a REX prefix.
unsigned rex_of(const Operand_& o) {
  const Mem& mem = o.as<Mem>();
  return (indexed(o) ? mem.indexId() >> 3 << 1 : 0) | mem.baseId() >> 3;
}

/// With a register in r/m.
uint8_t* with_reg(uint8_t* p, bool wide, unsigned escape, unsigned code, unsigned field, unsigned rm, bool bytes = false) {
  const unsigned rex = static_cast<unsigned>(wide) << 3 | field >> 3 << 2 | rm >> 3;
  if (rex != 0 || (bytes && rm >= 4)) *p++ = static_cast<uint8_t>(0x40 | rex);
  if (escape != 0) *p++ = static_cast<uint8_t>(escape);
  *p++ = static_cast<uint8_t>(code);
  *p++ = static_cast<uint8_t>(0xc0 | (field & 7) << 3 | (rm & 7));
  return p;
}
/// With memory in r/m.
uint8_t* with_mem(uint8_t* p, bool wide, unsigned escape, unsigned code, unsigned field, const Operand_& mem,
                  bool bytes = false) {
  const unsigned rex = static_cast<unsigned>(wide) << 3 | field >> 3 << 2 | rex_of(mem);
  if (rex != 0 || (bytes && field >= 4)) *p++ = static_cast<uint8_t>(0x40 | rex);
  if (escape != 0) *p++ = static_cast<uint8_t>(escape);
  *p++ = static_cast<uint8_t>(code);
  return memory(p, field, mem);
}

uint8_t* mov(uint8_t* p, const Operand_& to, const Operand_& from) {
  if (is_int(to)) {
    const bool wide = is_wide(to);
    if (from.isReg()) return bits(to) == bits(from) ? with_reg(p, wide, 0, 0x89, reg(from), reg(to)) : nullptr;
    if (is_mem(from)) return with_mem(p, wide, 0, 0x8b, reg(to), from);
    if (!from.isImm()) return nullptr;
    const int64_t v = value(from);
    if (!wide || static_cast<uint64_t>(v) <= 0xffffffffu) {
      if (reg(to) >= 8) *p++ = 0x41;
      *p++ = static_cast<uint8_t>(0xb8 | (reg(to) & 7));
      return put(p, static_cast<uint32_t>(v));
    }
    if (fits32(v)) return put(with_reg(p, true, 0, 0xc7, 0, reg(to)), static_cast<int32_t>(v));
    *p++ = static_cast<uint8_t>(0x48 | reg(to) >> 3);
    *p++ = static_cast<uint8_t>(0xb8 | (reg(to) & 7));
    return put(p, v);
  }
  if (!is_mem(to)) return nullptr;
  if (from.isReg()) {
    switch (bits(from)) {
      case kGpq: return with_mem(p, true, 0, 0x89, reg(from), to);
      case kGpd: return with_mem(p, false, 0, 0x89, reg(from), to);
      case kGpw: *p++ = 0x66; return with_mem(p, false, 0, 0x89, reg(from), to);
      case kGpb: return with_mem(p, false, 0, 0x88, reg(from), to, true);
      default: return nullptr;
    }
  }
  if (!from.isImm()) return nullptr;
  const int64_t v = value(from);
  switch (to.as<Mem>().size()) {
    case 1: return put(with_mem(p, false, 0, 0xc6, 0, to), static_cast<int8_t>(v));
    case 2: *p++ = 0x66; return put(with_mem(p, false, 0, 0xc7, 0, to), static_cast<int16_t>(v));
    case 4: return put(with_mem(p, false, 0, 0xc7, 0, to), static_cast<int32_t>(v));
    case 8: return fits32(v) ? put(with_mem(p, true, 0, 0xc7, 0, to), static_cast<int32_t>(v)) : nullptr;
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
    p = in_memory ? with_mem(p, size == 8, 0, code, n, to) : with_reg(p, size == 8, 0, code, n, reg(to));
    return code == 0x83 ? put(p, static_cast<int8_t>(v)) : put(p, static_cast<int32_t>(v));
  }
  if (is_int(to)) {
    if (is_mem(from)) return with_mem(p, is_wide(to), 0, n << 3 | 3, reg(to), from);
    return bits(from) == bits(to) ? with_reg(p, is_wide(to), 0, n << 3 | 1, reg(from), reg(to)) : nullptr;
  }
  return is_mem(to) && is_int(from) ? with_mem(p, is_wide(from), 0, n << 3 | 1, reg(from), to) : nullptr;
}

/// inc and dec of memory.
uint8_t* step(uint8_t* p, unsigned n, const Operand_& o) {
  if (!is_mem(o)) return nullptr;
  const unsigned size = o.as<Mem>().size();
  return size == 4 || size == 8 ? with_mem(p, size == 8, 0, 0xff, n, o) : nullptr;
}

/// movzx and movsx: `code` for bytes, the next one for two bytes.
uint8_t* extend(uint8_t* p, unsigned code, const Operand_& to, const Operand_& from) {
  if (!is_int(to)) return nullptr;
  const bool wide = is_wide(to);
  if (bits(from) == kGpb) return with_reg(p, wide, 0x0f, code, reg(to), reg(from), true);
  if (bits(from) == kGpw) return with_reg(p, wide, 0x0f, code + 1, reg(to), reg(from));
  if (!is_mem(from)) return nullptr;
  switch (from.as<Mem>().size()) {
    case 1: return with_mem(p, wide, 0x0f, code, reg(to), from);
    case 2: return with_mem(p, wide, 0x0f, code + 1, reg(to), from);
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
  const unsigned rex = r >> 3 << 2 | rex_of(mem);
  if ((rex & 3) == 0) {
    *p++ = 0xc5;
    *p++ = static_cast<uint8_t>(((~rex & 4) << 5) | 0x78 | prefix);
  } else {
    *p++ = 0xc4;
    *p++ = static_cast<uint8_t>((~rex & 7) << 5 | 1);
    *p++ = static_cast<uint8_t>(0x78 | prefix);
  }
  *p++ = load ? 0x10 : 0x11;
  return memory(p, r, mem);
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
      return is_int(o0) && bits(o0) == bits(o1) ? with_reg(p, is_wide(o0), 0, 0x85, reg(o1), reg(o0)) : nullptr;
    case Inst::kIdLea: return is_int(o0) && is_mem(o1) ? with_mem(p, is_wide(o0), 0, 0x8d, reg(o0), o1) : nullptr;
    case Inst::kIdMovzx: return extend(p, 0xb6, o0, o1);
    case Inst::kIdMovsx: return extend(p, 0xbe, o0, o1);
    case Inst::kIdMovsxd:
      if (bits(o0) != kGpq) return nullptr;
      if (bits(o1) == kGpd) return with_reg(p, true, 0, 0x63, reg(o0), reg(o1));
      return is_mem(o1) ? with_mem(p, true, 0, 0x63, reg(o0), o1) : nullptr;
    case Inst::kIdDec: return step(p, 1, o0);
    case Inst::kIdInc: return step(p, 0, o0);
    case Inst::kIdCall: return is_mem(o0) ? with_mem(p, false, 0, 0xff, 2, o0) : nullptr;
    case Inst::kIdVmovups: return move_vector(p, 0, o0, o1);
    case Inst::kIdVmovss: return move_vector(p, 2, o0, o1);
    case Inst::kIdVmovsd: return move_vector(p, 3, o0, o1);
    case Inst::kIdLeave: *p++ = 0xc9; return p;
    case Inst::kIdRet: return o0.isNone() ? (*p++ = 0xc3, p) : nullptr;
    default: return nullptr;
  }
}

inline bool FastAssembler::has_room() const {
  constexpr size_t kLongest = 16;
  return remainingSpace() >= kLongest && instOptions() == asmjit::InstOptions::kNone;
}

inline asmjit::Error FastAssembler::wrote(uint8_t* end) {
  _bufferPtr = end;
  asmjit::CodeBuffer& buffer = _section->_buffer;
  const auto size = static_cast<size_t>(end - _bufferData);
  if (size > buffer._size) buffer._size = size;
  return asmjit::kErrorOk;
}

asmjit::Error FastAssembler::mov(const Gp& to, const Gp& from) {
  if (!has_room() || !is_int(to) || bits(to) != bits(from)) [[unlikely]] return Assembler::mov(to, from);
  return wrote(with_reg(_bufferPtr, is_wide(to), 0, 0x89, reg(from), reg(to)));
}

asmjit::Error FastAssembler::mov(const Gp& to, const Mem& from) {
  if (!has_room() || !is_int(to) || !is_mem(from)) [[unlikely]] return Assembler::mov(to, from);
  return wrote(with_mem(_bufferPtr, is_wide(to), 0, 0x8b, reg(to), from));
}

asmjit::Error FastAssembler::mov(const Mem& to, const Gp& from) {
  if (!has_room() || !is_int(from) || !is_mem(to)) [[unlikely]] return Assembler::mov(to, from);
  return wrote(with_mem(_bufferPtr, is_wide(from), 0, 0x89, reg(from), to));
}

asmjit::Error FastAssembler::_emit(asmjit::InstId id, const Operand_& o0, const Operand_& o1, const Operand_& o2,
                                   const Operand_* more) {
  if (o2.isNone() && has_room()) [[likely]] {
    if (uint8_t* end = encode(_bufferPtr, id, o0, o1)) return wrote(end);
  }
  return Assembler::_emit(id, o0, o1, o2, more);
}

}  // namespace vmrun::jit::baseline
