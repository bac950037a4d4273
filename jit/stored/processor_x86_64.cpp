// What this processor can do; see format.h. LLVM's code uses whatever it finds, baseline code x86-64-v3 and what it asks
// the same leaves for.
#include <cpuid.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <string_view>

#include "jit/stored/processor.h"

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

ProcessorBits asked_processor() {
  const Leaf one = leaf(1, 0), seven = leaf(7, 0), more = leaf(7, 1), extended = leaf(0x80000001, 0);
  const uint64_t saved = saved_state((one.c & 1u << 27) != 0);
  const bool avx = (saved & kSavesAvx) == kSavesAvx, avx512 = (saved & kSavesAvx512) == kSavesAvx512;
  const auto of = [&](uint32_t there, const Mask& mask) {
    return there & (mask.plain | (avx ? mask.avx : 0) | (avx512 ? mask.avx512 : 0));
  };
  return {of(one.c, kLeaf1c),   of(seven.b, kLeaf7b),       of(seven.c, kLeaf7c), of(seven.d, kLeaf7d),
          of(more.a, kLeaf71a), of(extended.c, kExtendedC), of(more.d, kLeaf71d)};
}

}  // namespace

ProcessorBits this_processor() {
  // In a virtual machine each question is an exit to its host: 20 to 50 us for all.
  static const ProcessorBits bits = asked_processor();
  return bits;
}

bool runs_on(const ProcessorBits& wanted, const ProcessorBits& present) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if ((wanted[i] & ~present[i]) != 0) return false;
  }
  return true;
}

namespace {

struct Name {
  const char* name;
  uint8_t word, bit;  // of ProcessorBits
};
/// What a compiler may choose for a guest's code.
constexpr Name kNames[] = {
    {"sse3", 0, 0},
    {"pclmul", 0, 1},
    {"ssse3", 0, 9},
    {"fma", 0, 12},
    {"cx16", 0, 13},
    {"sse4.1", 0, 19},
    {"sse4.2", 0, 20},
    {"movbe", 0, 22},
    {"popcnt", 0, 23},
    {"avx", 0, 28},
    {"f16c", 0, 29},
    {"bmi", 1, 3},
    {"avx2", 1, 5},
    {"bmi2", 1, 8},
    {"avx512f", 1, 16},
    {"avx512dq", 1, 17},
    {"adx", 1, 19},
    {"avx512ifma", 1, 21},
    {"avx512cd", 1, 28},
    {"avx512bw", 1, 30},
    {"avx512vl", 1, 31},
    {"avx512vbmi", 2, 1},
    {"avx512vbmi2", 2, 6},
    {"gfni", 2, 8},
    {"vpclmulqdq", 2, 10},
    {"avx512vnni", 2, 11},
    {"avx512bitalg", 2, 12},
    {"avx512vpopcntdq", 2, 14},
    {"avx512vp2intersect", 3, 8},
    {"avx512fp16", 3, 23},
    {"raoint", 4, 3},
    {"avxvnni", 4, 4},
    {"avx512bf16", 4, 5},
    {"cmpccxadd", 4, 7},
    {"avxifma", 4, 23},
    {"sahf", 5, 0},
    {"lzcnt", 5, 5},
    {"sse4a", 5, 6},
    {"prfchw", 5, 8},
    {"xop", 5, 11},
    {"fma4", 5, 16},
    {"tbm", 5, 21},
    {"avxvnniint8", 6, 4},
    {"avxneconvert", 6, 5},
    {"avxvnniint16", 6, 10},
    {"egpr", 6, 21},
};
/// What it does not, because only somebody who wants just that asks for it: code needs none of these.
constexpr Name kByHand[] = {
    {"aes", 0, 25},        {"xsave", 0, 26},    {"rdrnd", 0, 30},   {"fsgsbase", 1, 0},   {"rdseed", 1, 18},
    {"clflushopt", 1, 23}, {"clwb", 1, 24},     {"sha", 1, 29},     {"waitpkg", 2, 5},    {"vaes", 2, 9},
    {"rdpid", 2, 22},      {"cldemote", 2, 25}, {"movdiri", 2, 27}, {"movdir64b", 2, 28}, {"serialize", 3, 14},
    {"sha512", 4, 0},      {"sm3", 4, 1},       {"sm4", 4, 2},      {"prefetchi", 6, 14},
};

/// The same, of what has no bit here, and what every x86-64 has.
constexpr const char* kOfNoMatter[] = {
    "64bit",   "amx-bf16", "amx-complex", "amx-fp16", "amx-int8", "amx-tile", "clzero", "cmov",   "crc32",
    "cx8",     "enqcmd",   "fxsr",        "hreset",   "invpcid",  "kl",       "lwp",    "mmx",    "mwaitx",
    "pconfig", "pku",      "ptwrite",     "rdpru",    "sgx",      "shstk",    "sse",    "sse2",   "tsxldtrk",
    "uintr",   "wbnoinvd", "widekl",      "x87",      "xsavec",   "xsaveopt", "xsaves", "usermsr"};

constexpr const char* kBaseline[] = {"sse3", "ssse3", "sse4.1", "sse4.2", "avx",  "avx2",  "fma",   "f16c",
                                     "bmi",  "bmi2",  "cx16",   "lzcnt",  "sahf", "movbe", "popcnt"};

}  // namespace

ProcessorBits baseline_processor() {
  static const ProcessorBits bits = *bits_of(std::vector<std::string>(std::begin(kBaseline), std::end(kBaseline)));
  return bits;
}

ProcessorBits native_processor() {
  ProcessorBits bits = this_processor();
  const auto clear = [&](const Name& known) { bits[known.word] &= ~(1u << known.bit); };
  for (const Name& known : kByHand) clear(known);
  for (const Name& known : kNames) {
    if (std::string_view(known.name).starts_with("avx512")) clear(known);
  }
  return bits;
}

std::vector<std::string> names_of(const ProcessorBits& bits) {
  std::vector<std::string> out;
  for (const Name& known : kNames) {
    if ((bits[known.word] >> known.bit & 1) != 0) out.emplace_back(known.name);
  }
  return out;
}

std::vector<std::string> lacking(const ProcessorBits& wanted) {
  ProcessorBits lacks = this_processor();
  for (size_t i = 0; i < lacks.size(); ++i) lacks[i] = wanted[i] & ~lacks[i];
  std::vector<std::string> names = names_of(lacks);
  if (names.empty() && lacks != ProcessorBits{}) names.emplace_back("some that have no name here");
  return names;
}

std::optional<ProcessorBits> bits_of(std::span<const std::string> names) {
  ProcessorBits bits = {};
  for (const std::string& name : names) {
    const auto* known = std::ranges::find(kNames, name, &Name::name);
    if (known != std::end(kNames)) {
      bits[known->word] |= 1u << known->bit;
    } else if (std::ranges::find(kByHand, name, &Name::name) == std::end(kByHand) &&
               std::ranges::find(kOfNoMatter, name) == std::end(kOfNoMatter)) {
      return std::nullopt;
    }
  }
  return bits;
}

}  // namespace vmrun::jit::stored
