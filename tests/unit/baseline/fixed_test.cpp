// Instructions for which the processor wants operands or results in certain registers, and those that take many, with any
// number of other operands in the registers beneath them and their own operands in every kind of place. Results are those
// of vm/numeric/numeric.h; what lies beneath must come out unharmed.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "jit/compiler.h"
#include "tests/support/numeric_probe.h"
#include "vm/numeric/numeric.h"
#include "vmrun/vmrun.h"

using namespace vmrun;
using test::append;
using test::append_u32;
using test::Bytes;
namespace ops = vmrun::vm::ops;
namespace probe = vmrun::test::probe;

namespace {

enum class At : uint8_t { constant, home, homeless, reg, slot };
constexpr At kPlaces[] = {At::constant, At::home, At::homeless, At::reg, At::slot};

/// An instruction of two operands, or a few around one. What it computes is of i64, its i32 operands the lower halves.
struct Subject {
  std::string name;
  char a, b;      // 'i' or 'l'
  Bytes between;  // behind the first operand
  Bytes code;     // behind the second; leaves `result` on the stack
  char result;
  std::function<uint64_t(uint64_t, uint64_t)> compute;
};

constexpr uint32_t kCell = 64;  // what atomics work on; holds kCellValue
constexpr uint64_t kCellValue = 0x8123456789abcdef;
constexpr uint32_t kCrowd = 128, kMostInts = 16, kMostVectors = 8;

Bytes op(uint8_t prefix, uint32_t code) {
  Bytes out = {prefix};
  append_u32(out, code);
  return out;
}
Bytes joined(Bytes a, const Bytes& b) {
  append(a, b);
  return a;
}

std::vector<Subject> subjects() {
  std::vector<Subject> out;
  auto low = [](uint64_t v) { return static_cast<uint32_t>(v); };
#define VMRUN_BINARY(name)                                                                              \
  out.push_back({"i32." #name,                                                                          \
                 'i',                                                                                   \
                 'i',                                                                                   \
                 {},                                                                                    \
                 {static_cast<uint8_t>(vm::op_info(vm::Op::i32_##name).code)},                          \
                 'i',                                                                                   \
                 [low](uint64_t a, uint64_t b) { return uint64_t{ops::i32_##name(low(a), low(b))}; }}); \
  out.push_back({"i64." #name,                                                                          \
                 'l',                                                                                   \
                 'l',                                                                                   \
                 {},                                                                                    \
                 {static_cast<uint8_t>(vm::op_info(vm::Op::i64_##name).code)},                          \
                 'l',                                                                                   \
                 [](uint64_t a, uint64_t b) { return ops::i64_##name(a, b); }});
  VMRUN_BINARY(shl)
  VMRUN_BINARY(shr_s)
  VMRUN_BINARY(shr_u)
  VMRUN_BINARY(rotl)
  VMRUN_BINARY(rotr)
  VMRUN_BINARY(add)
  VMRUN_BINARY(sub)
  VMRUN_BINARY(mul)
#undef VMRUN_BINARY
#define VMRUN_DIVISION(name)                                                               \
  out.push_back({"i32." #name,                                                             \
                 'i',                                                                      \
                 'i',                                                                      \
                 {},                                                                       \
                 {static_cast<uint8_t>(vm::op_info(vm::Op::i32_##name).code)},             \
                 'i',                                                                      \
                 [low](uint64_t a, uint64_t b) {                                           \
                   uint32_t result = 0;                                                    \
                   REQUIRE(ops::i32_##name(low(a), low(b), result) == vm::TrapCode::None); \
                   return uint64_t{result};                                                \
                 }});                                                                      \
  out.push_back({"i64." #name,                                                             \
                 'l',                                                                      \
                 'l',                                                                      \
                 {},                                                                       \
                 {static_cast<uint8_t>(vm::op_info(vm::Op::i64_##name).code)},             \
                 'l',                                                                      \
                 [](uint64_t a, uint64_t b) {                                              \
                   uint64_t result = 0;                                                    \
                   REQUIRE(ops::i64_##name(a, b, result) == vm::TrapCode::None);           \
                   return result;                                                          \
                 }});
  VMRUN_DIVISION(div_s)
  VMRUN_DIVISION(div_u)
  VMRUN_DIVISION(rem_s)
  VMRUN_DIVISION(rem_u)
#undef VMRUN_DIVISION
  const uint8_t add64 = 0x7c, sub64 = 0x7d;
  using Wide = unsigned __int128;
  out.push_back({"i64.mul_wide_u", 'l', 'l', {}, joined(op(0xfc, 22), {add64}), 'l', [](uint64_t a, uint64_t b) {
                   const Wide p = Wide{a} * b;
                   return static_cast<uint64_t>(p) + static_cast<uint64_t>(p >> 64);
                 }});
  out.push_back({"i64.mul_wide_s", 'l', 'l', {}, joined(op(0xfc, 21), {sub64}), 'l', [](uint64_t a, uint64_t b) {
                   const __int128 p = static_cast<__int128>(static_cast<int64_t>(a)) * static_cast<int64_t>(b);
                   return static_cast<uint64_t>(p) - static_cast<uint64_t>(p >> 64);
                 }});
  // Atomics on a cell: the second operand is the value (compare and exchange: expected, then the first again).
  auto at_cell = [](uint8_t code, uint8_t align) { return Bytes{0xfe, code, align, kCell & 0x7f}; };
  auto rmw = [&](const char* name, char type, uint8_t code, uint8_t align, auto change) {
    const uint64_t mask = align == 0 ? 0xff : align == 1 ? 0xffff : align == 2 ? 0xffffffff : ~uint64_t{0};
    // The address, the value; then what was there plus what is there.
    Bytes load = {0x41, 0};
    append(load, at_cell(type == 'i' ? (align == 2   ? 0x10
                                        : align == 0 ? 0x12
                                                     : 0x13)
                                     : (align == 3   ? 0x11
                                        : align == 0 ? 0x14
                                        : align == 1 ? 0x15
                                                     : 0x16),
                         align));
    load.push_back(type == 'i' ? 0x6a : 0x7c);
    out.push_back({name, 'z', type, {}, joined(at_cell(code, align), load), type, [=](uint64_t, uint64_t b) {
                     const uint64_t before = kCellValue & mask;
                     const uint64_t after = change(before, b) & mask;
                     return type == 'i' ? static_cast<uint32_t>(before + after) : before + after;
                   }});
  };
  auto plus = [](uint64_t a, uint64_t b) { return a + b; };
  auto minus = [](uint64_t a, uint64_t b) { return a - b; };
  auto conjunction = [](uint64_t a, uint64_t b) { return a & b; };
  auto disjunction = [](uint64_t a, uint64_t b) { return a | b; };
  auto exclusive = [](uint64_t a, uint64_t b) { return a ^ b; };
  auto second = [](uint64_t, uint64_t b) { return b; };
  rmw("i32.atomic.rmw.add", 'i', 0x1e, 2, plus);
  rmw("i64.atomic.rmw.add", 'l', 0x1f, 3, plus);
  rmw("i32.atomic.rmw8.sub_u", 'i', 0x27, 0, minus);
  rmw("i64.atomic.rmw.sub", 'l', 0x26, 3, minus);
  rmw("i32.atomic.rmw.and", 'i', 0x2c, 2, conjunction);
  rmw("i64.atomic.rmw16.and_u", 'l', 0x31, 1, conjunction);
  rmw("i64.atomic.rmw.or", 'l', 0x34, 3, disjunction);
  rmw("i32.atomic.rmw16.xor_u", 'i', 0x3d, 1, exclusive);
  rmw("i64.atomic.rmw32.xchg_u", 'l', 0x47, 2, second);
  auto exchange = [&](const char* name, char type, uint8_t code, uint8_t align, bool equal) {
    const uint64_t mask = align == 0 ? 0xff : align == 2 ? 0xffffffff : ~uint64_t{0};
    // The address is in front of the first operand, which is what is expected plus or minus what is there.
    Bytes load = {0x41, 0};
    append(load, at_cell(type == 'i' ? (align == 2 ? 0x10 : 0x12) : 0x11, align));
    load.push_back(type == 'i' ? 0x6a : 0x7c);
    Bytes between;
    if (equal) {  // expects what is there, by way of the operand: a - a + cell
      between = {0x1a};
      probe::constant(between, type, vmrun::test::cell_of(kCellValue & mask));
    }
    out.push_back({name, type == 'i' ? 'I' : 'L', type, between, joined(at_cell(code, align), load), type,
                   [=](uint64_t a, uint64_t b) {
                     const uint64_t before = kCellValue & mask;
                     const uint64_t expected = equal ? before : type == 'i' ? static_cast<uint32_t>(a) : a;
                     const uint64_t after = expected == before ? b & mask : before;
                     return type == 'i' ? static_cast<uint32_t>(before + after) : before + after;
                   }});
  };
  exchange("i32.atomic.rmw.cmpxchg", 'i', 0x48, 2, true);
  exchange("i32.atomic.rmw.cmpxchg fails", 'i', 0x48, 2, false);
  exchange("i64.atomic.rmw.cmpxchg", 'l', 0x49, 3, true);
  exchange("i32.atomic.rmw8.cmpxchg_u", 'i', 0x4a, 0, true);
  // Shifts of vectors by a count in a register: the lower quad is the first operand.
  const Bytes splat = op(0xfd, 18), extract = joined(op(0xfd, 29), {0});
  auto vector_shift = [&](const char* name, uint32_t code, auto lane, bool left) {
    using T = decltype(lane);
    out.push_back({name, 'l', 'i', splat, joined(op(0xfd, code), extract), 'l', [left](uint64_t a, uint64_t b) {
                     uint64_t result = 0;
                     constexpr unsigned bits = sizeof(T) * 8;
                     for (unsigned at = 0; at < 64; at += bits) {
                       const auto value = static_cast<T>(a >> at);
                       const unsigned by = b & (bits - 1);
                       using U = std::make_unsigned_t<T>;
                       const auto out = left ? static_cast<U>(static_cast<uint64_t>(value) << by)
                                             : static_cast<U>(static_cast<int64_t>(value) >> by);
                       result |= uint64_t{out} << at;
                     }
                     return result;
                   }});
  };
  vector_shift("i8x16.shl", 107, int8_t{}, true);
  vector_shift("i8x16.shr_s", 108, int8_t{}, false);
  vector_shift("i16x8.shr_s", 140, int16_t{}, false);
  vector_shift("i32x4.shl", 171, int32_t{}, true);
  vector_shift("i64x2.shr_s", 204, int64_t{}, false);
  // A condition in the flags; calls, direct and by a table.
  out.push_back({"select", 'l', 'l', {}, {0x20, 1, 0x50, 0x45, 0x1b}, 'l', [](uint64_t a, uint64_t b) {
                   return b != 0 ? a : b;
                 }});
  out.push_back({"call", 'l', 'l', {}, {0x10, 0}, 'l', [](uint64_t a, uint64_t b) { return a - b; }});
  out.push_back(
      {"call_indirect", 'l', 'l', {}, {0x41, 0, 0x11, 0, 0}, 'l', [](uint64_t a, uint64_t b) { return a - b; }});
  out.push_back({"br_table", 'l', 'i', {}, {0x0e, 1, 0, 0}, 'l', [](uint64_t a, uint64_t) { return a; }});
  out.push_back({"f64.convert_i64_u", 'l', 'l', {0x1a}, {0xba, 0xbd}, 'l', [](uint64_t, uint64_t b) {
                   return std::bit_cast<uint64_t>(static_cast<double>(b));
                 }});
  // memory.fill of 0 bytes takes the second operand as the value.
  out.push_back(
      {"memory.fill", 'l', 'i', {0x41, 0}, {0x41, 0, 0xfc, 11, 0}, 'l', [](uint64_t a, uint64_t) { return a; }});
  return out;
}

struct Case {
  const Subject* subject;
  At a, b;
  unsigned ints, vectors;
  bool few_temporaries;  // six locals have the registers of homes
  bool to_home;          // the result goes to a local with a register
  uint64_t x, y;         // constants
};

uint64_t crowd_word(uint32_t index) { return 0x9e3779b97f4a7c15 * (index + 1); }

/// A function (i64 x, i64 y) -> (i64 result, i64 what the integers beneath were, i64 what the vectors were).
Bytes body_of(const Case& c) {
  using namespace probe;
  const Subject& s = *c.subject;
  auto type = [](char letter) { return letter == 'i' || letter == 'I' ? 'i' : 'l'; };
  const char ta = type(s.a), tb = type(s.b);
  constexpr uint32_t kA = 2, kB = 3, kResult = 4, kWord = 5, kDummies = 6;
  Bytes body = {5, 1, type_byte(ta), 1, type_byte(tb), 1, type_byte(s.result), 1, 0x7e, 6, 0x7e}, code;
  auto narrow = [&](char to) {
    if (to == 'i') code.push_back(0xa7);
  };
  auto uses = [&](uint32_t local, int times) {
    for (int i = 0; i < times; ++i) get(code, local), code.push_back(0x1a);
  };
  for (uint32_t i = 0; i < 2; ++i) {
    append(code, {0x41, 0}), get(code, i), store(code, 'l', 8 * i);
    get(code, i), narrow(i == 0 ? ta : tb), set(code, i == 0 ? kA : kB);
  }
  append(code, {0x41, 0}), constant(code, 'l', vmrun::test::cell_of(kCellValue)), store(code, 'l', kCell);
  for (uint32_t i = 0; i < 6 && c.few_temporaries; ++i) uses(kDummies + i, 20);
  if (c.a == At::home) uses(kA, 40);
  if (c.b == At::home) uses(kB, 40);
  if (c.to_home) uses(kResult, 40);
  for (uint32_t i = 0; i < c.vectors; ++i) append(code, {0x41, 0, 0xfd, 0, 0}), append_u32(code, kCrowd + 16 * i);
  for (uint32_t i = 0; i < c.ints; ++i) append(code, {0x41, 0, 0x29, 0}), append_u32(code, kCrowd + 8 * i);
  if (s.a == 'z' || s.a == 'I' || s.a == 'L') append(code, {0x41, 0});  // the address
  if (s.code[0] == 0x0e) append(code, {0x02, 0x04});                    // a block of type 4
  auto operand = [&](char t, At at, uint32_t index, uint64_t value) {
    switch (at) {
      case At::constant: constant(code, t, vmrun::test::cell_of(value)); return;
      case At::home:
      case At::homeless: get(code, kA + index); return;
      case At::reg:
        append(code, {0x41, 0}), code.push_back(t == 'i' ? 0x28 : 0x29), append(code, {0}), append_u32(code, 8 * index);
        return;
      case At::slot:
        append(code, {0x41, 0}), code.push_back(t == 'i' ? 0x28 : 0x29), append(code, {0}), append_u32(code, 8 * index);
        append(code, {0x02, 0x40, 0x0b});
        return;
    }
  };
  if (s.a != 'z') operand(ta, c.a, 0, c.x);
  append(code, s.between);
  operand(tb, c.b, 1, c.y);
  append(code, s.code);
  if (s.code[0] == 0x0e) code.push_back(0x0b);
  set(code, kResult);
  for (uint32_t i = 1; i < c.ints; ++i) append(code, {0x42, 7, 0x7e, 0x7c});
  if (c.ints == 0) append(code, {0x42, 0});
  set(code, kWord);
  for (uint32_t i = 1; i < c.vectors; ++i) append(code, {0x41, 1, 0xfd, 0xcb, 0x01, 0xfd, 0xce, 0x01});
  if (c.vectors == 0) append(code, {0x42, 0, 0xfd, 18});
  append(code, {0xfd, 29, 1}), set(code, 1);
  get(code, kResult);
  if (s.result == 'i') code.push_back(0xad);
  get(code, kWord), get(code, 1), code.push_back(0x0b);
  append(body, code);
  return body;
}

Bytes module_of(const std::vector<Case>& cases) {
  Bytes out = test::kHeader, funcs, exports, code;
  const uint8_t i64 = 0x7e;
  Bytes types = {5};
  append(types, {0x60, 2, i64, i64, 1, i64});            // 0: what is called
  append(types, {0x60, 2, i64, i64, 3, i64, i64, i64});  // 1: the cases
  append(types, {0x60, 0, 0});
  append(types, {0x60, 0, 0});
  append(types, {0x60, 0, 1, i64});  // 4: of a block
  test::append_section(out, 1, types);
  const auto count = static_cast<uint32_t>(cases.size());
  append_u32(funcs, count + 1), funcs.push_back(0);
  funcs.resize(funcs.size() + count, 1);
  test::append_section(out, 3, funcs);
  test::append_section(out, 4, {1, 0x70, 0, 1});
  test::append_section(out, 5, {1, 3, 1, 1});
  append_u32(exports, count);
  for (uint32_t i = 0; i < count; ++i) {
    const std::string name = std::to_string(i);
    append_u32(exports, static_cast<uint32_t>(name.size()));
    exports.insert(exports.end(), name.begin(), name.end());
    exports.push_back(0);
    append_u32(exports, i + 1);
  }
  test::append_section(out, 7, exports);
  test::append_section(out, 9, {1, 0, 0x41, 0, 0x0b, 1, 0});
  append_u32(code, count + 1);
  append(code, {7, 0, 0x20, 0, 0x20, 1, 0x7d, 0x0b});
  for (const Case& c : cases) {
    const Bytes body = body_of(c);
    append_u32(code, static_cast<uint32_t>(body.size()));
    append(code, body);
  }
  test::append_section(out, 10, code);
  Bytes data = {1, 0, 0x41};
  append(data, {0x80, 1, 0x0b});  // kCrowd
  append_u32(data, 16 * kMostVectors);
  for (uint32_t i = 0; i < 2 * kMostVectors; ++i) {
    const uint64_t word = crowd_word(i);
    data.insert(data.end(), reinterpret_cast<const uint8_t*>(&word), reinterpret_cast<const uint8_t*>(&word + 1));
  }
  test::append_section(out, 11, data);
  return out;
}
static_assert(kMostInts == 2 * kMostVectors);

void run(const std::vector<Case>& cases, size_t& compared) {
  Config config;
  config.tiers = Tiers::Baseline;
  Engine engine(config);
  Result<Module> module = Module::compile(engine, module_of(cases));
  if (!module) FAIL(module.error().to_string());
  Store store(engine);
  Result<Instance> instance = Instance::instantiate(store, *module, {});
  if (!instance) FAIL(instance.error().to_string());
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    auto func = instance->func(std::to_string(i))->typed<std::tuple<int64_t, int64_t, int64_t>(int64_t, int64_t)>();
    REQUIRE(func);
    auto result = func->call(static_cast<int64_t>(c.x), static_cast<int64_t>(c.y));
    if (!result) FAIL(std::string(c.subject->name + ": " + result.error().to_string()));
    uint64_t word = 0, vectors = 0;
    for (unsigned n = c.ints; n-- > 0;) word = crowd_word(n) + 7 * word;
    for (unsigned n = c.vectors; n-- > 0;) vectors = crowd_word(2 * n + 1) + 2 * vectors;
    ++compared;
    const auto [got, beneath, vectors_beneath] = *result;
    const bool right = static_cast<uint64_t>(got) == c.subject->compute(c.x, c.y) &&
                       static_cast<uint64_t>(beneath) == word && static_cast<uint64_t>(vectors_beneath) == vectors;
    if (right) continue;
    INFO(c.subject->name << ", operands at " << static_cast<int>(c.a) << " and " << static_cast<int>(c.b) << ", "
                         << c.ints << " integers and " << c.vectors << " vectors beneath, few temporaries "
                         << c.few_temporaries << ", to a home " << c.to_home << ", of " << c.x << " and " << c.y);
    CHECK(static_cast<uint64_t>(got) == c.subject->compute(c.x, c.y));
    CHECK(static_cast<uint64_t>(beneath) == word);
    CHECK(static_cast<uint64_t>(vectors_beneath) == vectors);
  }
  CHECK(module->tier_stats(Tier::Baseline).functions >= cases.size());
}

}  // namespace

TEST_CASE("instructions that want certain registers") {
  constexpr std::pair<uint64_t, uint64_t> kValues[] = {
      {0x0123456789abcdef, 4}, {0xfedcba9876543210, 33}, {0xffffffff80000001, 63}, {7, 0x8000000000000011}};
  size_t compared = 0, turn = 0;
  for (const Subject& subject : subjects()) {
    std::vector<Case> cases;
    for (const At a : kPlaces) {
      for (const At b : kPlaces) {
        for (unsigned ints = 0; ints <= kMostInts; ++ints) {
          for (unsigned vectors = 0; vectors <= kMostVectors; ++vectors) {
            if (vectors != 0 && vectors != kMostVectors && ints % 5 != 0) continue;
            for (const bool few : {false, true}) {
              const bool homeless = a == At::homeless || b == At::homeless;
              if (homeless && !few) continue;
              const auto& [x, y] = kValues[turn % std::size(kValues)];
              cases.push_back({&subject, a, b, ints, vectors, few, turn / 7 % 2 != 0, x, y});
              ++turn;
            }
          }
        }
      }
    }
    run(cases, compared);
  }
  MESSAGE(compared << " results compared");
}
