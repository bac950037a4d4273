// What this processor can do; see format.h. LLVM's code uses whatever it finds, baseline code x86-64-v3 and what it asks
// the same leaves for.
#include <cpuid.h>

#include "jit/stored/format.h"

namespace vmrun::jit::stored {
namespace {

// Bits that say nothing about instructions which code uses, and change with the system, the boot or the core.
constexpr uint32_t kNotInstructions1 =
    1u << 27 | 1u << 31 | 1u << 21 | 1u << 24;  // OSXSAVE, hypervisor, x2APIC, deadline
constexpr uint32_t kNotInstructions7 = 1u << 14 | 1u << 15 | 1u << 12 | 1u << 13;  // MPX, RDT: of the system
constexpr uint32_t kNotInstructions7c = 1u << 4;                                   // OSPKE
// What needs registers that the system saves: of AVX and of AVX-512.
constexpr uint32_t kAvx1 = 1u << 28 | 1u << 12 | 1u << 29;  // AVX, FMA, F16C
constexpr uint32_t kAvx512In7 = 0xdc230000, kAvx2In7 = 1u << 5, kAvx512In7c = 1u << 1 | 1u << 6 | 0x5800;
constexpr uint32_t kVexIn7c = 1u << 9 | 1u << 10;  // VAES, VPCLMULQDQ
constexpr uint64_t kSavesAvx = 6, kSavesAvx512 = 0xe6;

struct Leaf {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};
Leaf leaf(uint32_t number, uint32_t sub) {
  Leaf out;
  __get_cpuid_count(number, sub, &out.a, &out.b, &out.c, &out.d);
  return out;
}

uint64_t saved_state(bool known) {
  if (!known) return 0;
  uint32_t low = 0, high = 0;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

}  // namespace

ProcessorBits this_processor() {
  const Leaf one = leaf(1, 0), seven = leaf(7, 0), more = leaf(7, 1), extended = leaf(0x80000001, 0);
  const uint64_t saved = saved_state((one.c & 1u << 27) != 0);
  const bool avx = (saved & kSavesAvx) == kSavesAvx, avx512 = (saved & kSavesAvx512) == kSavesAvx512;
  ProcessorBits bits = {};
  bits[0] = one.c & ~kNotInstructions1 & ~(avx ? 0 : kAvx1);
  bits[1] = seven.b & ~kNotInstructions7 & ~(avx ? 0 : kAvx2In7) & ~(avx512 ? 0 : kAvx512In7);
  bits[2] = seven.c & ~kNotInstructions7c & ~(avx ? 0 : kVexIn7c) & ~(avx512 ? 0 : kAvx512In7c);
  bits[3] = avx ? more.a : 0;
  bits[4] = extended.c & ~(avx ? 0 : 1u << 11 | 1u << 16);  // XOP, FMA4
  return bits;
}

bool runs_on(const ProcessorBits& wanted, const ProcessorBits& present) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if ((wanted[i] & ~present[i]) != 0) return false;
  }
  return true;
}

}  // namespace vmrun::jit::stored
