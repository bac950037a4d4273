// Many values at once: branches, calls and returns that carry a dozen, and functions made to cost a translator far more
// than their size.
#include <cstdint>
#include <vector>

#include "interp/careful/build.h"
#include "interp/careful/careful.h"
#include "interp/careful/limits.h"
#include "interp/quick/quick.h"
#include "tests/support/interp_fixture.h"
#include "tests/support/module_bytes.h"

using namespace vmrun;
using namespace vmrun::test;

TEST_CASE("a dozen values of all kinds travel together") {
  for (Effort effort : kEfforts) {
    World world(effort);
    Instance instance = world.run("interp_many_values");
    for (int32_t x : {0, 1, 2, 5, -3}) {
      CAPTURE(x);
      const double digest = 3945 + 315.0 * x;
      auto call = [&](const char* name) { return ok(func<double(int32_t)>(instance, name).call(x)); };
      CHECK(call("br") == digest);
      CHECK(call("br_if") == digest * (x % 2 != 0 ? 1 : 3));
      CHECK(call("br_if_pending") == digest * (x > 3 ? 1 : 4));
      CHECK(call("br_table") == digest * (x % 2 != 0 ? 1 : 2));
      CHECK(call("loop") == digest);
      CHECK(call("call") == digest + x + 1);
      CHECK(call("return") == digest);
      CHECK(call("held_back") == (5 ^ x) + 5);
      CHECK(call("held_back_argument") == (5 ^ x));
      CHECK(call("held_back_tail") == (5 ^ x));
    }
  }
}

namespace {

using test::Bytes;

void repeat(Bytes& out, const Bytes& what, size_t times) {
  for (size_t i = 0; i < times; ++i) test::append(out, what);
}

/// Type 0 is [] -> [], type 1 takes and gives a thousand i32; one function of type 0 with one i32 local.
std::shared_ptr<vm::Module> module_with(const Bytes& code) {
  Bytes image = test::kHeader, types = {2, 0x60, 0, 0, 0x60}, body = {1, 1, 0x7f}, section = {1};
  for (int i = 0; i < 2; ++i) {
    test::append_u32(types, 1000);
    repeat(types, {0x7f}, 1000);
  }
  test::append(body, code);
  body.push_back(0x0b);
  test::append_u32(section, static_cast<uint32_t>(body.size()));
  test::append(section, body);
  test::append_section(image, 1, types);
  test::append_section(image, 3, {1, 0});
  test::append_section(image, 4, {1, 0x70, 0, 0});  // a table of functions
  test::append_section(image, 10, section);
  return ok(test::decode(image));
}

/// A thousand operands, then `code`, then their sum.
Bytes on_a_thousand(const Bytes& code) {
  Bytes out;
  repeat(out, {0x20, 0}, 1000);
  test::append(out, code);
  repeat(out, {0x6a}, 999);
  out.push_back(0x1a);
  return out;
}

/// Cells of quick code for a byte of wasm.
double cells_per_byte(const Bytes& code) {
  const auto module = module_with(code);
  interp::QuickTranslator translator;
  interp::Draft draft;
  REQUIRE(translator.translate(*module, 0, interp::MemoryMode::guarded, draft));
  return static_cast<double>(draft.cells.size()) / static_cast<double>(code.size());
}

bool taken_carefully(const Bytes& code) {
  const auto module = module_with(code);
  interp::CarefulTranslator translator;
  interp::Draft draft;
  return translator.translate(*module, 0, interp::MemoryMode::guarded, draft);
}

}  // namespace

TEST_CASE("quick code does not grow by what branches and calls carry") {
  // A thousand values on top of one that the label lies below, and 2000 conditional branches with all of them.
  Bytes branches = {0x02, 0x01, 0x41, 0};
  repeat(branches, {0x41, 0}, 1000);
  repeat(branches, {0x20, 0, 0x0d, 0}, 2000);
  test::append(branches, {0x0c, 0, 0x0b});  // br
  CHECK(cells_per_byte(on_a_thousand(branches)) < 3);

  // 2000 indirect calls with a thousand arguments and results.
  Bytes calls;
  repeat(calls, {0x41, 0, 0x11, 1, 0}, 2000);
  CHECK(cells_per_byte(on_a_thousand(calls)) < 3);
}

TEST_CASE("the careful translator leaves what would take it too long to the quick one") {
  Bytes loops, ifs, merges;
  repeat(loops, {0x03, 0x01, 0x0b}, 10'000);  // a thousand values at each of ten thousand headers
  CHECK_FALSE(taken_carefully(on_a_thousand(loops)));
  repeat(merges, {0x02, 0x01, 0x0b}, 10'000);
  CHECK_FALSE(taken_carefully(on_a_thousand(merges)));
  repeat(ifs, {0x41, 0, 0x04, 0x40, 0x0b}, 100'000);  // a thousand values live across a hundred thousand blocks
  CHECK_FALSE(taken_carefully(on_a_thousand(ifs)));
  Bytes few;
  repeat(few, {0x41, 0, 0x04, 0x40, 0x0b}, 100);
  CHECK(taken_carefully(on_a_thousand(few)));
}

TEST_CASE("the careful translator stops where it declines") {
  auto registers = [](const Bytes& code) {
    const auto module = module_with(code);
    interp::ir::Function function;
    interp::ir::Builder builder(*module, function);
    CHECK_FALSE(builder.build(0, interp::MemoryMode::guarded));
    CHECK(function.code.size() < interp::kCarefulInsts + 3000);
    return function.regs.size();
  };
  // Eight bytes with two blocks of a thousand results, whose ends are not reached.
  Bytes blocks;
  repeat(blocks, {0x02, 0x01, 0x02, 0x01, 0x00, 0x0b, 0x00, 0x0b}, 20'000);
  CHECK(registers(on_a_thousand(blocks)) < interp::kCarefulRegs + 3000);

  // A table whose labels are 400 different blocks, each with a thousand results that have to move.
  Bytes code, table = {0x20, 0, 0x0e};
  test::append_u32(table, 399);
  for (uint32_t i = 0; i < 400; ++i) {
    test::append(code, {0x02, 0x01});
    test::append_u32(table, 399 - i);
  }
  test::append(code, table);
  repeat(code, {0x0b}, 400);
  CHECK(registers(on_a_thousand(code)) < interp::kCarefulRegs);
}

namespace {

/// What the deep functions compute.
constexpr uint32_t kDeep = 46'900;
/// The same for a function with vectors, in which each operand counts as two slots.
constexpr uint32_t kDeepBesideVectors = 23'500;
uint32_t sum_of(uint32_t x, uint32_t operands = kDeep) { return operands * x; }

/// Functions with frames of up to 49,000 slots; all take and give an i32 n:
///   sum       kDeep operands, each n
///   locals    kDeep locals, each set to n
///   call      a call with a thousand v128 on top of kDeepBesideVectors operands; gives their sum and 1000 n
///   nested    sum of n at a depth of n calls, each with kDeep operands of its own
Bytes deep_image() {
  Bytes types = {2, 0x60, 1, 0x7f, 1, 0x7f, 0x60};
  for (int i = 0; i < 2; ++i) {
    test::append_u32(types, 1000);
    repeat(types, {0x7b}, 1000);
  }
  // Operands that no translator makes less of: they live across a loop.
  Bytes operands, additions;
  repeat(operands, {0x20, 0}, kDeep);
  test::append(operands, {0x03, 0x40, 0x0b});
  repeat(additions, {0x6a}, kDeep - 1);

  Bytes sum = {0}, locals = {1}, call = {0}, many = {0}, nested = {0};
  test::append(sum, operands);
  test::append(sum, additions);

  test::append_u32(locals, kDeep);
  locals.push_back(0x7f);
  for (uint32_t i = 1; i <= kDeep; ++i) {
    test::append(locals, {0x20, 0, 0x21});
    test::append_u32(locals, i);
  }
  test::append(locals, {0x41, 0});
  for (uint32_t i = 1; i <= kDeep; ++i) {
    locals.push_back(0x20);
    test::append_u32(locals, i);
    locals.push_back(0x6a);
  }

  repeat(call, {0x20, 0}, kDeepBesideVectors);
  test::append(call, {0x03, 0x40, 0x0b});
  repeat(call, {0x20, 0, 0xfd, 0x11}, 1000);  // i32x4.splat
  test::append(call, {0x10, 3});
  repeat(call, {0xfd, 0xae, 0x01}, 999);      // i32x4.add
  test::append(call, {0xfd, 0x1b, 3, 0x6a});  // lane 3
  repeat(call, {0x6a}, kDeepBesideVectors - 1);

  for (uint32_t i = 0; i < 1000; ++i) {  // the other way round
    many.push_back(0x20);
    test::append_u32(many, 999 - i);
  }

  test::append(nested, {0x20, 0, 0x45, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b});  // 0: 0
  test::append(nested, operands);
  test::append(nested, {0x20, 0, 0x41, 1, 0x6b, 0x10, 4, 0x6a});  // + nested(n - 1)
  test::append(nested, additions);

  Bytes image = test::kHeader, code = {5};
  for (Bytes* body : {&sum, &locals, &call, &many, &nested}) {
    body->push_back(0x0b);
    test::append_u32(code, static_cast<uint32_t>(body->size()));
    test::append(code, *body);
  }
  test::append_section(image, 1, types);
  test::append_section(image, 3, {5, 0, 0, 0, 1, 0});
  test::append_section(image, 7, {4, 3,   's', 'u', 'm', 0, 0, 6, 'l', 'o', 'c', 'a', 'l', 's', 0, 1,
                                  4, 'c', 'a', 'l', 'l', 0, 2, 6, 'n', 'e', 's', 't', 'e', 'd', 0, 4});
  test::append_section(image, 10, code);
  return image;
}

}  // namespace

TEST_CASE("a frame of 49,000 slots is one like any other") {
  const Bytes image = deep_image();
  auto run = [&](const Config& config) {
    Engine engine(config);
    Store store(engine);
    Linker linker(engine);
    Instance instance = ok(linker.instantiate(store, ok(Module::compile(engine, image))));
    auto call = [&](const char* name, int32_t n) {
      return static_cast<uint32_t>(ok(func<int32_t(int32_t)>(instance, name).call(n)));
    };
    for (int32_t n : {1, 3, -5}) {
      const auto x = static_cast<uint32_t>(n);
      CAPTURE(n);
      CHECK(call("sum", n) == sum_of(x));
      CHECK(call("locals", n) == sum_of(x));
      CHECK(call("call", n) == sum_of(x, kDeepBesideVectors) + 1000 * x);
    }
    CHECK(call("nested", 5) == sum_of(15));
    auto endless = func<int32_t(int32_t)>(instance, "nested").call(-1);
    REQUIRE_FALSE(endless);
    CHECK(endless.error().trap == TrapCode::StackOverflow);
    CHECK(call("nested", 5) == sum_of(15));
  };
  for (Effort effort : kEfforts) {
    CAPTURE(static_cast<int>(effort));
    run(with(effort));
  }
  Config baseline;
  baseline.tiers = Tiers::Baseline;
  CAPTURE("baseline");
  run(baseline);
}
