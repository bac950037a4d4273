// Traps and their backtraces.
#include <cmath>

#include "interp_fixture.h"

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
