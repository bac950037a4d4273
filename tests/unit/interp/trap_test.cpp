// Traps and their backtraces.
#include <cmath>

#include "tests/support/interp_fixture.h"
#include "tests/support/module_builder.h"
#include "vm/wasm/limits.h"
#include "vm/wasm/module.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

struct Traps : World {
  Instance instance;
  Instance start() {
    ok(linker.func_wrap("env", "back", [](Caller& caller, int32_t n) -> Result<void> {
      Result<Func> divide = caller.instance().func("divide");
      if (!divide) return divide.error();
      Result<TypedFunc<int32_t(int32_t)>> typed = divide->typed<int32_t(int32_t)>();
      if (!typed) return typed.error();
      Result<int32_t> result = typed->call(n);
      if (!result) return result.error();
      return {};
    }));
    return run("interp_traps");
  }
  explicit Traps(Effort effort, bool dense = false) : World(effort, dense), instance(start()) {}

  template <class Signature, class... Args>
  Error trap(const char* name, Args... args) {
    auto result = func<Signature>(instance, name).call(args...);
    if (result) FAIL(name << " did not trap");
    CHECK(result.error().kind == ErrorKind::Trap);
    REQUIRE_FALSE(result.error().backtrace.empty());
    return result.error();
  }
};

}  // namespace

TEST_CASE("every trap has its code") {
  for (Effort effort : kEfforts) {
    for (bool dense : {false, true}) {
      Traps t(effort, dense);
      CHECK(t.trap<int32_t(int32_t)>("divide", 0).trap == TrapCode::IntegerDivideByZero);
      CHECK(t.trap<int32_t(int32_t)>("overflow", -1).trap == TrapCode::IntegerOverflow);
      CHECK(t.trap<int32_t(double)>("convert", std::nan("")).trap == TrapCode::InvalidConversionToInteger);
      CHECK(t.trap<int32_t(double)>("convert", 1e10).trap == TrapCode::IntegerOverflow);
      for (int32_t address : {65536 - 7, 65536, -1, -4, 0x7fffffff}) {
        CAPTURE(address);
        CHECK(t.trap<int32_t(int32_t)>("load", address).trap == TrapCode::MemoryOutOfBounds);
        CHECK(t.trap<void(int32_t, int64_t)>("store", address, 1).trap == TrapCode::MemoryOutOfBounds);
        CHECK(t.trap<void(int32_t, float)>("store_f", address, 1.f).trap == TrapCode::MemoryOutOfBounds);
        CHECK(t.trap<void(int32_t)>("vector_load", address).trap == TrapCode::MemoryOutOfBounds);
        CHECK(t.trap<void(int32_t)>("fill", address).trap == TrapCode::MemoryOutOfBounds);
      }
      CHECK(t.trap<int32_t(int32_t, int32_t)>("load8_fused", 65535, 1).trap == TrapCode::MemoryOutOfBounds);
      CHECK(ok(func<int32_t(int32_t, int32_t)>(t.instance, "load8_fused").call(-1, 1)) == 0);  // the address wraps
      CHECK(t.trap<void()>("unreachable").trap == TrapCode::Unreachable);
      CHECK(t.trap<int32_t(int32_t)>("indirect", 4).trap == TrapCode::UndefinedElement);
      CHECK(t.trap<int32_t(int32_t)>("indirect", -1).trap == TrapCode::UndefinedElement);
      CHECK(t.trap<int32_t(int32_t)>("indirect", 0).trap == TrapCode::UninitializedElement);
      CHECK(t.trap<void()>("wrong_type").trap == TrapCode::IndirectCallTypeMismatch);
    }
  }
}

TEST_CASE("what was written before a trap stays") {
  for (Effort effort : kEfforts) {
    Traps t(effort);
    CHECK(t.trap<int32_t(int32_t)>("partial", 65536).trap == TrapCode::MemoryOutOfBounds);
    CHECK(ok(func<int32_t()>(t.instance, "peek").call()) == 77);
  }
}

TEST_CASE("a backtrace names frames and offsets") {
  for (Effort effort : kEfforts) {
    Traps t(effort);
    std::vector<FrameInfo> frames = t.trap<int32_t(int32_t)>("divide", 0).backtrace;
    REQUIRE(frames.size() == 3);
    CHECK(frames[0].function == "inner");
    CHECK(frames[1].function == "middle");
    CHECK(frames[2].function == "outer");
    CHECK(frames[0].module == "traps");
    // The offsets are those of the instructions: their bytes are a division and calls.
    Module module = t.load("interp_traps");
    for (size_t i = 0; i < frames.size(); ++i) {
      bool found = false;
      for (const DisassembledInstr& instr : ok(module.disassemble(frames[i].func_index))) {
        if (instr.offset != frames[i].offset) continue;
        found = true;
        CHECK(instr.text.starts_with(i == 0 ? "i32.div_s" : "call"));
      }
      CHECK(found);
    }
  }
}

TEST_CASE("a backtrace goes through the host") {
  for (Effort effort : kEfforts) {
    Traps t(effort);
    std::vector<FrameInfo> frames = t.trap<void(int32_t)>("through_host", 0).backtrace;
    REQUIRE(frames.size() == 4);
    CHECK(frames[0].function == "inner");
    CHECK(frames[3].function == "through_host");
    // And again, without what is left of the one before.
    CHECK(t.trap<void()>("unreachable").backtrace.size() == 1);
  }
}

TEST_CASE("of two accesses that are made as one the trap is the one's that failed") {
  // An address, and beside it another that is loaded from there: both at once, then with a store in the second place.
  spine::ModuleBuilder m;
  const uint32_t type = m.type({spine::i32, spine::i32}, {});
  struct Pair {
    std::string name;
    spine::Code first, second;
    bool store;
  };
  const Pair pairs[] = {
      {"i32 loads", spine::Code().i32_load(), spine::Code().i32_load(), false},
      {"f64 loads", spine::Code().op({0x2b, 3, 0}), spine::Code().op({0x2b, 3, 0}), false},
      {"i32 copy", spine::Code().i32_load(), spine::Code().i32_store(), true},
      {"i64 copy", spine::Code().op({0x29, 3, 0}), spine::Code().op({0x37, 3, 0}), true},
  };
  std::vector<uint32_t> funcs;
  for (const Pair& pair : pairs) {
    const uint32_t f = m.func(pair.name, type);
    funcs.push_back(f);
    spine::Code c;
    if (pair.store) c.get(1);
    c.get(0).mark("first");
    c.bytes.insert(c.bytes.end(), pair.first.bytes.begin(), pair.first.bytes.end());
    if (!pair.store) c.get(1);
    c.mark("second");
    c.bytes.insert(c.bytes.end(), pair.second.bytes.begin(), pair.second.bytes.end());
    if (!pair.store) c.drop().drop();
    m.define(f, c);
  }
  const spine::Bytes image = m.build();
  for (Effort effort : kEfforts) {
    World world(effort);
    const Module module = ok(Module::compile(world.engine, image, "pairs"));
    Instance instance = ok(world.linker.instantiate(world.store, module));
    for (size_t i = 0; i < std::size(pairs); ++i) {
      CAPTURE(pairs[i].name);
      for (bool second : {false, true}) {
        auto result =
            func<void(int32_t, int32_t)>(instance, pairs[i].name.c_str()).call(second ? 8 : -8, second ? -8 : 8);
        REQUIRE_FALSE(result);
        REQUIRE(result.error().backtrace.size() == 1);
        const uint32_t begin = module.impl()->funcs[funcs[i]].body.begin;
        CHECK(result.error().backtrace[0].offset - begin == m.offset(funcs[i], second ? "second" : "first"));
      }
    }
  }
}

TEST_CASE("a load that becomes part of another instruction traps at its own place, and in its turn") {
  spine::ModuleBuilder m;
  const uint32_t type = m.type({spine::i32, spine::i32}, {});
  std::vector<std::pair<std::string, uint32_t>> funcs;
  const auto define = [&](const std::string& name, const spine::Code& code) {
    funcs.emplace_back(name, m.func(name, type));
    m.define(funcs.back().second, code);
  };
  // memory[p] = memory[p] op q: add, sub, and, or, xor
  for (const uint8_t op : {0x6a, 0x6b, 0x71, 0x72, 0x73}) {
    for (const bool constant : {false, true}) {
      spine::Code c;
      c.get(1).get(1).mark("first").i32_load();
      constant ? c.i32_const(3) : c.get(0);
      define("in place " + std::to_string(op) + (constant ? " with 3" : ""), c.op({op}).i32_store());
    }
  }
  // Another load lies between the first one and what uses it, of (q << 2) + q, and traps as well.
  const auto other = [](spine::Code& c) -> spine::Code& {
    return c.get(0).i32_const(2).op({0x74}).get(0).i32_add().i32_load();
  };
  spine::Code sum;
  sum.get(1).mark("first").i32_load();
  define("sum", other(sum).i32_add().drop());
  spine::Code in_place;
  in_place.get(1).get(1).mark("first").i32_load();
  define("in place with another", other(in_place).i32_add().i32_store());
  spine::Code indexed;
  for (int i = 0; i < 2; ++i) indexed.get(1).i32_const(1).op({0x74}).get(0).i32_add();
  indexed.mark("first").i32_load();
  define("in place, indexed, with another", other(indexed).i32_add().i32_store());
  const spine::Bytes image = m.build();
  for (Effort effort : kEfforts) {
    World world(effort);
    const Module module = ok(Module::compile(world.engine, image, "parts"));
    Instance instance = ok(world.linker.instantiate(world.store, module));
    for (const auto& [name, index] : funcs) {
      CAPTURE(name);
      auto result = func<void(int32_t, int32_t)>(instance, name.c_str()).call(-100, -8);
      REQUIRE_FALSE(result);
      CHECK(result.error().trap == TrapCode::MemoryOutOfBounds);
      REQUIRE(result.error().backtrace.size() == 1);
      const uint32_t begin = module.impl()->funcs[index].body.begin;
      CHECK(result.error().backtrace[0].offset - begin == m.offset(index, "first"));
    }
  }
}

/// A function of v128 locals, two slots each, and one that calls it.
spine::Bytes of_vectors(uint32_t locals) {
  spine::ModuleBuilder m;
  const uint32_t type = m.type({}, {});
  const uint32_t large = m.func("large", type), caller = m.func("caller", type);
  m.define(large, spine::Code(), spine::Types(locals, spine::v128));
  m.define(caller, spine::Code().call(large));
  return m.build();
}

TEST_CASE("the largest frame there is runs, and a larger one is refused") {
  for (Effort effort : kEfforts) {
    World world(effort);
    const Module module = ok(Module::compile(world.engine, of_vectors(vm::kMaxFrameSlots / 2), "largest"));
    Instance instance = ok(world.linker.instantiate(world.store, module));
    for (int i = 0; i < 2; ++i) CHECK(func<void()>(instance, "caller").call());
    const auto refused = Module::compile(world.engine, of_vectors(vm::kMaxFrameSlots / 2 + 1), "larger");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::Limit);
  }
}
