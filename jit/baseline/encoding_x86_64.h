// How instructions with one opcode byte, behind 0f or not, are written. Each function writes at `p`, at most kLongest
// bytes, and returns the end of the instruction; what lies beyond may have been written to as well.
// Source: Intel SDM volume 2, chapters 2.1 and 2.2.
#pragma once

#include <asmjit/x86.h>

#include <cstdint>
#include <cstring>

namespace vmrun::jit::baseline::encoding {

using asmjit::Operand_;
using asmjit::OperandSignature;
using asmjit::x86::Mem;

inline constexpr size_t kLongest = 16;

inline constexpr uint32_t kGpq = asmjit::x86::Gpq::kSignature;
inline constexpr uint32_t kGpd = asmjit::x86::Gpd::kSignature;
inline constexpr uint32_t kGpw = asmjit::x86::Gpw::kSignature;
inline constexpr uint32_t kGpb = asmjit::x86::GpbLo::kSignature;
inline constexpr uint32_t kXmm = asmjit::x86::Xmm::kSignature;

// A memory operand without its size and shift: base alone, or base and index, both 64-bit registers.
inline constexpr uint32_t kMemIgnored =
    uint32_t{OperandSignature::kSizeMask} | uint32_t{Mem::kSignatureMemShiftValueMask};
inline constexpr uint32_t kMemBase =
    static_cast<uint32_t>(asmjit::OperandType::kMem) | static_cast<uint32_t>(asmjit::RegType::kX86_Gpq)
                                                           << OperandSignature::kMemBaseTypeShift;
inline constexpr uint32_t kMemIndexed = kMemBase | static_cast<uint32_t>(asmjit::RegType::kX86_Gpq)
                                                       << OperandSignature::kMemIndexTypeShift;

inline uint32_t bits(const Operand_& o) { return o.signature().bits(); }
inline bool is_mem(const Operand_& o) {
  const uint32_t kind = bits(o) & ~kMemIgnored;
  return kind == kMemBase || kind == kMemIndexed;
}
inline bool has_base_only(const Operand_& o) { return (bits(o) & ~kMemIgnored) == kMemBase; }
inline bool indexed(const Operand_& o) { return (bits(o) & OperandSignature::kMemIndexTypeMask) != 0; }
inline unsigned reg(const Operand_& o) { return o.id(); }
/// Whether a register is one of integer operands of 4 or 8 bytes, and which.
inline bool is_int(const Operand_& o) { return bits(o) == kGpq || bits(o) == kGpd; }
inline bool is_wide(const Operand_& o) { return bits(o) == kGpq; }
inline bool fits8(int64_t v) { return v == static_cast<int8_t>(v); }
inline bool fits32(int64_t v) { return v == static_cast<int32_t>(v); }

template <class T>
uint8_t* put(uint8_t* p, T v) {
  std::memcpy(p, &v, sizeof v);
  return p + sizeof v;
}

/// With memory in r/m that a base register alone addresses: for register numbers that the compiler may know.
[[gnu::always_inline]] inline uint8_t* with_base(uint8_t* p, bool wide, unsigned code, unsigned field, unsigned base,
                                                 int32_t distance) {
  const unsigned rex = static_cast<unsigned>(wide) << 3 | field >> 3 << 2 | base >> 3;
  const unsigned low = base & 7;
  *p = static_cast<uint8_t>(0x40 | rex);
  p += rex != 0;
  p[0] = static_cast<uint8_t>(code);
  const unsigned mod = !fits8(distance) ? 2 : distance != 0 || low == 5 ? 1 : 0;
  p[1] = static_cast<uint8_t>(mod << 6 | (field & 7) << 3 | low);
  p[2] = 0x24;
  p += low == 4 ? 3 : 2;
  put(p, distance);
  return p + mod * mod;
}

/// A memory operand, read before anything is written: bytes of code could be the operand's for all the compiler knows.
struct ModRm {
  unsigned base, index, shift;  // index 4: none
  int32_t distance;
  [[gnu::always_inline]] explicit ModRm(const Operand_& o) {
    const Mem& mem = o.as<Mem>();
    base = mem.baseId();
    index = indexed(o) ? mem.indexId() : 4;
    shift = mem.shift();
    distance = mem.offsetLo32();
  }
  /// X and B of a REX prefix.
  unsigned rex() const { return index >> 3 << 1 | base >> 3; }
  /// ModRM, SIB and displacement.
  [[gnu::always_inline]] uint8_t* write(uint8_t* p, unsigned field) const {
    const unsigned low = base & 7;
    const unsigned mod = !fits8(distance) ? 2 : distance != 0 || low == 5 ? 1 : 0;
    const bool sib = index != 4 || low == 4;
    p[0] = static_cast<uint8_t>(mod << 6 | (field & 7) << 3 | (sib ? 4 : low));
    p[1] = static_cast<uint8_t>(shift << 6 | (index & 7) << 3 | low);
    p += 1 + static_cast<unsigned>(sib);
    put(p, distance);
    return p + mod * mod;  // 0, 1 or 4 bytes
  }
};

/// With a register in r/m. `code` is the opcode, 0x0f00 added where 0f comes first; `bytes`: r/m is a byte register.
[[gnu::always_inline]] inline uint8_t* with_reg(uint8_t* p, bool wide, unsigned code, unsigned field, unsigned rm,
                                                bool bytes = false) {
  const unsigned rex = static_cast<unsigned>(wide) << 3 | field >> 3 << 2 | rm >> 3;
  *p = static_cast<uint8_t>(0x40 | rex);
  p += rex != 0 || (bytes && rm >= 4);
  if (code > 0xff) *p++ = 0x0f;
  *p++ = static_cast<uint8_t>(code);
  *p++ = static_cast<uint8_t>(0xc0 | (field & 7) << 3 | (rm & 7));
  return p;
}
/// With memory in r/m; `bytes`: the other operand is a byte register.
[[gnu::always_inline]] inline uint8_t* with_mem(uint8_t* p, bool wide, unsigned code, unsigned field,
                                                const Operand_& mem, bool bytes = false) {
  const ModRm place(mem);
  const unsigned rex = static_cast<unsigned>(wide) << 3 | field >> 3 << 2 | place.rex();
  *p = static_cast<uint8_t>(0x40 | rex);
  p += rex != 0 || (bytes && field >= 4);
  if (code > 0xff) *p++ = 0x0f;
  *p++ = static_cast<uint8_t>(code);
  return place.write(p, field);
}

}  // namespace vmrun::jit::baseline::encoding
