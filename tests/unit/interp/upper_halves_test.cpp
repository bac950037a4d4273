// What reads 32 bits of an i64 that i32.wrap_i64 would narrow: every pair of operations on such operands, in registers
// and, where many values live at once, in slots. What is right is computed here.
#include <cstdint>
#include <vector>

#include "interp/careful/build.h"
#include "tests/support/interp_fixture.h"
#include "tests/support/module_bytes.h"
#include "vm/numeric/numeric.h"

using namespace vmrun;
using namespace vmrun::test;
using vm::Op;
namespace ops = vm::ops;

namespace {

using test::Bytes;

struct Operation {
  uint8_t code;
  uint32_t (*compute)(uint32_t, uint32_t);
};
constexpr Operation kOperations[] = {
    {0x6a, ops::i32_add},   {0x6b, ops::i32_sub},  {0x6c, ops::i32_mul},  {0x71, ops::i32_and},
    {0x72, ops::i32_or},    {0x73, ops::i32_xor},  {0x74, ops::i32_shl},  {0x75, ops::i32_shr_s},
    {0x76, ops::i32_shr_u}, {0x77, ops::i32_rotl}, {0x78, ops::i32_rotr}, {0x46, ops::i32_eq},
    {0x48, ops::i32_lt_s},  {0x49, ops::i32_lt_u}, {0x4a, ops::i32_gt_s}, {0x4f, ops::i32_ge_u}};
// Identities, and what is near them.
constexpr int32_t kConstants[] = {0, 1, -1, 32, 7};

void constant(Bytes& out, int32_t n) {
  out.push_back(0x41);
  for (bool more = true; more;) {
    const uint8_t byte = n & 0x7f;
    n >>= 7;
    more = !((n == 0 && (byte & 0x40) == 0) || (n == -1 && (byte & 0x40) != 0));
    out.push_back(byte | (more ? 0x80 : 0));
  }
}

/// Writes code, and says what it computes of two i64 values.
struct Body {
  Bytes code;
  bool added;  // the wrapped operand is a sum, not a local: in a register of its own
  uint64_t y, z, result = 0;

  uint32_t operand(uint8_t local) {
    const uint64_t value = local == 0 ? y : z;
    test::append(code, {0x20, local});
    if (added) test::append(code, {0x42, 1, 0x7c});  // i64.const 1, i64.add
    code.push_back(0xa7);                            // i32.wrap_i64
    return static_cast<uint32_t>(value + (added ? 1 : 0));
  }
  /// result = rotl(result, 1) ^ the expression widened.
  template <class Expression>
  void mix(Expression expression) {
    test::append(code, {0x20, 2, 0x42, 1, 0x89});  // local.get, i64.const 1, i64.rotl
    const uint32_t value = expression();
    test::append(code, {0xad, 0x85, 0x21, 2});  // i64.extend_i32_u, i64.xor, local.set
    result = ops::i64_rotl(result, 1) ^ value;
  }
  uint32_t number(int32_t k) {
    constant(code, k);
    return static_cast<uint32_t>(k);
  }
  uint32_t apply(const Operation& o, uint32_t a, uint32_t b) {
    code.push_back(o.code);
    return o.compute(a, b);
  }

  void pairs() {
    for (const Operation& o1 : kOperations) {
      for (const Operation& o2 : kOperations) {
        for (int32_t k : kConstants) {
          mix([&] {
            uint32_t a = operand(0);
            a = apply(o1, a, number(k));
            return apply(o2, a, number(k));
          });
          mix([&] {
            uint32_t a = operand(0);
            a = apply(o1, a, number(k));
            return apply(o2, a, operand(1));
          });
          mix([&] {
            uint32_t a = operand(0);
            a = apply(o1, a, operand(1));
            return apply(o2, a, number(k));
          });
        }
        mix([&] {
          uint32_t a = operand(1), b = operand(0);
          b = apply(o1, b, operand(1));
          return apply(o2, a, b);
        });
        mix([&] {  // select
          uint32_t a = operand(0), b = operand(1), c = operand(0);
          c = apply(o1, c, operand(1));
          c = apply(o2, c, number(1));
          code.push_back(0x1b);
          return c != 0 ? a : b;
        });
      }
    }
  }
};

Bytes module_with(const Bytes& code, bool pressure) {
  Bytes body = {1, 9, 0x7e}, before, after;  // nine more i64 locals, 2 is the result
  for (uint8_t local = 3; pressure && local < 11; ++local) {
    test::append(before, {0x42, local, 0x21, local});                               // local.set of its number
    test::append(after, {0x20, local, 0x42, local, 0x52, 0x04, 0x40, 0x00, 0x0b});  // unreachable if it has changed
  }
  test::append(body, before);
  test::append(body, code);
  test::append(body, after);
  test::append(body, {0x20, 2, 0x0b});
  Bytes image = test::kHeader, section = {1};
  test::append_u32(section, static_cast<uint32_t>(body.size()));
  test::append(section, body);
  test::append_section(image, 1, {1, 0x60, 2, 0x7e, 0x7e, 1, 0x7e});
  test::append_section(image, 3, {1, 0});
  test::append_section(image, 7, {1, 1, 'f', 0, 0});
  test::append_section(image, 10, section);
  return image;
}

}  // namespace

TEST_CASE("operations on lower halves") {
  constexpr uint64_t kValues[][2] = {{0x1234500000041, 0xfedcba9800000007},
                                     {0xffffffffffffffff, 0x100000000},
                                     {0x80000000'7fffffff, 0x7fffffff'80000000}};
  for (bool added : {false, true}) {
    for (bool pressure : {false, true}) {
      for (Effort effort : {Effort::Quick, Effort::Careful}) {
        std::optional<World> world;
        for (auto [y, z] : kValues) {
          Body body{{}, added, y, z};
          body.pairs();
          world.emplace(effort);
          Module module = ok(Module::compile(world->engine, module_with(body.code, pressure)));
          Instance instance = ok(world->linker.instantiate(world->store, module));
          CAPTURE(added);
          CAPTURE(pressure);
          CAPTURE(y);
          auto f = func<int64_t(int64_t, int64_t)>(instance, "f");
          CHECK(static_cast<uint64_t>(ok(f.call(static_cast<int64_t>(y), static_cast<int64_t>(z)))) == body.result);
          if (effort == Effort::Careful) CHECK(module.translation_stats().careful_functions == 1);
        }
      }
    }
  }
}

TEST_CASE("a register that may have an upper half is no value") {
  using namespace interp::ir;
  const auto module = ok(test::decode(module_with({}, false)));
  module->memories = {{}, {}};
  module->memories[1].limits.is64 = true;
  Function f;
  f.regs.resize(3);
  f.regs[0].i32 = true;
  CHECK_FALSE(Use::low(f, 0).is_low());
  CHECK(Use::low(f, 1).is_low());
  CHECK_FALSE(Use::whole(1).is_low());

  auto inst = [](Kind kind, Op op, uint32_t d, uint32_t a, uint32_t b) {
    Inst x;
    x.kind = kind;
    x.op = op;
    x.d = d;
    x.a = a;
    x.b = b;
    return x;
  };
  // Register 0 holds an i32, 1 and 2 an i64 each.
  f.code = {inst(Kind::binary, Op::i32_add, 0, 1, 2)};
  CHECK(find_type_error(*module, f) == -1);
  for (const Inst& wrong : {inst(Kind::move, Op::nop, 0, 1, kNoReg), inst(Kind::select, Op::nop, 0, 0, 1),
                            inst(Kind::min_max, Op::i32_lt_s, 1, 1, 2), inst(Kind::min_max, Op::i64_lt_s, 0, 1, 2),
                            inst(Kind::binary, Op::i64_add, 0, 1, 2), inst(Kind::unary, Op::i64_clz, 0, 1, kNoReg)}) {
    f.code = {inst(Kind::move, Op::nop, 2, 1, kNoReg), wrong};
    CHECK(find_type_error(*module, f) == 1);
  }
  // Instructions that read all of an operand: an i32, an address in a memory of 32 and in one of 64 bits.
  f.extra = {1};
  f.immediates.resize(2);
  f.immediates[1].mem.memory = 1;
  auto generic = [&](Op op, uint64_t immediate) {
    Inst x = inst(Kind::generic, op, 2, kNoReg, kNoReg);
    x.list = 0;
    x.count = 1;
    x.imm = immediate;
    f.code = {x};
    return find_type_error(*module, f);
  };
  CHECK(generic(Op::i32x4_splat, 0) == 0);
  CHECK(generic(Op::i64x2_splat, 0) == -1);
  CHECK(generic(Op::v128_load, 0) == 0);
  CHECK(generic(Op::v128_load, 1) == -1);
  f.extra = {0};
  CHECK(generic(Op::v128_load, 0) == -1);
}
