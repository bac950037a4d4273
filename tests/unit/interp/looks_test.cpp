// What the interpreter's translators may take: operands that the careful one looks at, in proportion to the function
// however deep the stack is; and bytes of code.
#include <algorithm>
#include <cstdint>
#include <new>

#include "interp/careful/build.h"
#include "interp/code_store.h"
#include "tests/support/interp_fixture.h"
#include "tests/support/module_bytes.h"

using namespace vmrun;

namespace {

using test::Bytes;

/// One function of 101 locals of type i32: `below` `deep` times, then `middle` `often` times, then drops.
Bytes module_with(const Bytes& below, uint32_t deep, const Bytes& middle, uint32_t often) {
  Bytes body = {1, 100, 0x7f};
  for (uint32_t i = 0; i < deep; ++i) test::append(body, below);
  for (uint32_t i = 0; i < often; ++i) test::append(body, middle);
  for (uint32_t i = 0; i < deep; ++i) body.push_back(0x1a);
  body.push_back(0x0b);
  Bytes out = test::kHeader, code = {1};
  test::append_u32(code, static_cast<uint32_t>(body.size()));
  test::append(code, body);
  test::append_section(out, 1, {1, 0x60, 1, 0x7f, 0});
  test::append_section(out, 3, {1, 0});
  test::append_section(out, 7, {1, 1, 'f', 0, 0});
  test::append_section(out, 10, code);
  return out;
}

struct Built {
  bool done;
  uint64_t looks;
};

Built build(const Bytes& bytes) {
  vmrun::test::World world(Effort::Quick);
  Module module = vmrun::test::ok(Module::compile(world.engine, bytes));
  interp::ir::Function function;
  interp::ir::Builder builder(*module.impl(), function);
  const bool done = builder.build(0, interp::MemoryMode::guarded);
  return {done, builder.looks()};
}

const Bytes kGet = {0x20, 0}, kGetDrop = {0x20, 0, 0x1a}, kConst = {0x41, 7};

}  // namespace

TEST_CASE("translations have a limit of bytes in a process, and are counted until they are gone") {
  const size_t limit = interp::most_code_bytes.load();
  for (Effort effort : {Effort::Quick, Effort::Careful}) {
    for (int round = 0; round < 3; ++round) {
      vmrun::test::World world(effort);
      auto call = [&](uint32_t constants) {
        const Module module =
            vmrun::test::ok(Module::compile(world.engine, module_with(kConst, constants, kGetDrop, 1)));
        const Instance instance = vmrun::test::ok(world.linker.instantiate(world.store, module));
        return vmrun::test::ok(instance.func("f")).call({Val::i32(1)});
      };
      // Room for one small module at a time: the code of an earlier round is there no more.
      interp::most_code_bytes = size_t{64} << 10;
      CHECK(call(1));
      interp::most_code_bytes = 0;
      const auto none = call(1);
      interp::most_code_bytes = limit;
      REQUIRE_FALSE(none);
      CHECK(none.error().trap == TrapCode::OutOfMemory);
      CHECK(call(1));
    }
  }
}

TEST_CASE("translations in the making count, and what they took is given back") {
  constexpr size_t kMiB = size_t{1} << 20;
  const size_t limit = interp::most_code_bytes.load();
  // A million assignments: 16 MiB of cells, for which a vector takes 16 and 32 MiB at once.
  const Bytes image = module_with(kConst, 1, {0x41, 7, 0x21, 1}, 1 << 20);
  for (Effort effort : {Effort::Quick, Effort::Careful}) {
    vmrun::test::World world(effort);
    const Module module = vmrun::test::ok(Module::compile(world.engine, image));
    const Instance instance = vmrun::test::ok(world.linker.instantiate(world.store, module));
    const auto call = [&](size_t most) {
      interp::most_code_bytes = most;
      const auto result = vmrun::test::ok(instance.func("f")).call({Val::i32(1)});
      interp::most_code_bytes = limit;
      CHECK(interp::buffer_bytes() <= interp::kFreeBufferBytes);
      return result;
    };
    const auto refused = call(24 * kMiB);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().trap == TrapCode::OutOfMemory);
    CHECK(call(80 * kMiB));
  }
}

TEST_CASE("a buffer of a translator grows as far as there is room") {
  const size_t limit = interp::most_code_bytes.load();
  constexpr size_t kRoom = size_t{1} << 20;
  interp::most_code_bytes = kRoom;
  const size_t others = interp::buffer_bytes();
  {
    interp::CodeVector<uint64_t> buffer;
    size_t most = 0;
    const auto fill = [&] {
      for (;; buffer.push_back(0)) most = std::max(most, interp::buffer_bytes());
    };
    CHECK_THROWS_AS(fill(), std::bad_alloc);
    CHECK(most > kRoom);
    CHECK(most <= kRoom + interp::kFreeBufferBytes);
  }
  CHECK(interp::buffer_bytes() == others);
  CHECK(interp::charge_code(kRoom));  // all of it is free again
  interp::credit_code(kRoom);
  interp::most_code_bytes = limit;
}

TEST_CASE("an assignment looks at few operands, and mostly at none twice") {
  constexpr uint32_t kOften = 10'000;
  const Bytes middles[] = {
      {0x20, 0, 0x1a, 0x41, 1, 0x21, 0},                 // drop(0); 0 = 1
      {0x20, 0, 0x20, 1, 0x41, 1, 0x21, 0, 0x1a, 0x1a},  // the same with two of them on the stack
      {0x20, 0, 0x22, 1, 0x20, 1, 0x21, 0, 0x1a},        // 1 = 0 and 0 = 1
      {0x02, 0x40, 0x20, 0, 0x21, 1, 0x0b},              // in a block
  };
  for (const Bytes& middle : middles) {
    for (const Bytes& below : {kGet, kConst}) {
      CAPTURE(middle.size());
      for (uint32_t deep : {100, 10'000, 40'000}) {
        const Built built = build(module_with(below, deep, middle, kOften));
        CHECK(built.done);
        CHECK(built.looks <= deep + 66 * kOften);
      }
    }
  }
}

TEST_CASE("a function whose loops find too much is declined") {
  const Bytes loop = {0x03, 0x40, 0x0b};
  CHECK(build(module_with(kConst, 100, loop, 1000)).done);
  const Built built = build(module_with(kConst, 40'000, loop, 100'000));
  CHECK_FALSE(built.done);
  CHECK(built.looks <= interp::kCarefulLooks + 40'000);
}

TEST_CASE("a function whose branches carry too much is declined") {
  // loop with 1000 parameters, which are what br_if 0 carries.
  for (uint32_t often : {100u, 100'000u}) {
    Bytes body = {0};
    for (int i = 0; i < 1000; ++i) test::append(body, kGet);
    body.insert(body.end(), {0x03, 1});
    for (uint32_t i = 0; i < often; ++i) body.insert(body.end(), {0x20, 0, 0x0d, 0});
    for (int i = 0; i < 1000; ++i) body.push_back(0x1a);
    body.insert(body.end(), {0x0b, 0x0b});
    Bytes out = test::kHeader, code = {1}, types = {2, 0x60, 1, 0x7f, 0, 0x60};
    test::append_u32(types, 1000);
    types.insert(types.end(), 1000, 0x7f);
    types.push_back(0);
    test::append_u32(code, static_cast<uint32_t>(body.size()));
    test::append(code, body);
    test::append_section(out, 1, types);
    test::append_section(out, 3, {1, 0});
    test::append_section(out, 10, code);
    const Built built = build(out);
    CHECK(built.done == (often == 100));
    CHECK(built.looks <= interp::kCarefulLooks + 1000);
  }
}

TEST_CASE("a function whose loops end with too much is declined") {
  // Loops inside one another, each of which has the 1000 results of a call for its own.
  for (uint32_t depth : {500u, 2000u}) {
    Bytes body = {0};
    for (uint32_t i = 0; i < depth; ++i) test::append(body, {0x03, 1});
    test::append(body, {0x10, 1});
    body.insert(body.end(), depth, 0x0b);
    body.insert(body.end(), 1000, 0x1a);
    body.push_back(0x0b);
    Bytes out = test::kHeader, code = {2}, types = {2, 0x60, 0, 0, 0x60, 0};
    test::append_u32(types, 1000);
    types.insert(types.end(), 1000, 0x7f);
    test::append_u32(code, static_cast<uint32_t>(body.size()));
    test::append(code, body);
    test::append(code, {3, 0, 0x00, 0x0b});
    test::append_section(out, 1, types);
    test::append_section(out, 3, {2, 0, 1});
    test::append_section(out, 10, code);
    const Built built = build(out);
    CHECK(built.done == (depth == 500));
    CHECK(built.looks <= interp::kCarefulLooks + 1000);
  }
}
