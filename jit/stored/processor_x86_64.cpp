// What this processor can do; see format.h. LLVM's code uses whatever it finds, baseline code x86-64-v3 and what it asks
// the same leaves for.
#include <cpuid.h>

#include <initializer_list>

#include "jit/stored/format.h"

namespace vmrun::jit::stored {
namespace {

constexpr uint32_t bits(std::initializer_list<unsigned> numbers) {
  uint32_t out = 0;
  for (unsigned number : numbers) out |= 1u << number;
  return out;
}

// Of each leaf's register what a compiler may choose instructions by: of use without the system's help, with AVX's
// registers, and with those of AVX-512. Other bits are about the system, and differ between machines of one kind.
struct Mask {
  uint32_t plain, avx, avx512;
};
constexpr Mask kLeaf1c = {bits({0, 1, 9, 13, 19, 20, 22, 23, 25, 26, 30}), bits({12, 28, 29}), 0};
constexpr Mask kLeaf7b = {bits({0, 3, 8, 9, 18, 19, 23, 24, 29}), bits({5}), bits({16, 17, 21, 26, 27, 28, 30, 31})};
constexpr Mask kLeaf7c = {bits({0, 5, 8, 22, 25, 27, 28}), bits({9, 10}), bits({1, 6, 11, 12, 14})};
constexpr Mask kLeaf7d = {bits({14}), 0, bits({2, 3, 8, 23})};
constexpr Mask kLeaf71a = {bits({3, 7}), bits({0, 1, 2, 4, 23}), bits({5})};
constexpr Mask kLeaf71d = {bits({14, 21}), bits({4, 5, 10}), bits({19})};
constexpr Mask kExtendedC = {bits({0, 5, 6, 8, 21}), bits({11, 16}), 0};
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
  const auto of = [&](uint32_t there, const Mask& mask) {
    return there & (mask.plain | (avx ? mask.avx : 0) | (avx512 ? mask.avx512 : 0));
  };
  return {of(one.c, kLeaf1c),   of(seven.b, kLeaf7b),       of(seven.c, kLeaf7c), of(seven.d, kLeaf7d),
          of(more.a, kLeaf71a), of(extended.c, kExtendedC), of(more.d, kLeaf71d)};
}

bool runs_on(const ProcessorBits& wanted, const ProcessorBits& present) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if ((wanted[i] & ~present[i]) != 0) return false;
  }
  return true;
}

}  // namespace vmrun::jit::stored
