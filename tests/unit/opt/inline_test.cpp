// Which calls are inlined, what places in inlined code say, and that what is inlined is bounded. What inlined code does
// is compared with the other tiers elsewhere: tests/cross_tier, tests/exec, tests/fuzz.
#include <algorithm>
#include <set>

#include "jit/opt/limits.h"
#include "tests/support/module_builder.h"
#include "tests/unit/opt/fixture.h"

using namespace vmrun;
using spine::Code;
using spine::ModuleBuilder;

namespace {

constexpr spine::Type kI32 = spine::i32;

struct Compiled {
  jit::CompiledCode code;
  std::shared_ptr<vm::Module> module;

  /// Whether something of the function is seen in the code.
  bool contains(uint32_t func) const {
    return std::ranges::any_of(code.inlined, [&](const jit::InlinedPlace& p) { return p.func_index == func; });
  }
  using Frames = std::vector<std::pair<uint32_t, uint32_t>>;
  /// The functions that a place stands in, from the innermost outwards, each with the distance from its body's begin.
  Frames frames(uint32_t place) const {
    Frames out;
    for (; (place & jit::kInlined) != 0; place = code.inlined[place & ~jit::kInlined].caller) {
      const jit::InlinedPlace& p = code.inlined[place & ~jit::kInlined];
      out.emplace_back(p.func_index, p.offset - module->funcs[p.func_index].body.begin);
    }
    out.emplace_back(code.func_index, place - module->funcs[code.func_index].body.begin);
    return out;
  }
};

Compiled compile(ModuleBuilder& builder, uint32_t func, Inlining inlining = Inlining::All) {
  const test::Bytes image = builder.build();
  auto decoded = vm::decode_module(*vm::Image::copy(image), std::make_shared<vm::TypeRegistry>());
  REQUIRE(decoded);
  jit::CompileRequest request;
  request.module = decoded->get();
  request.func_index = func;
  request.inlining = inlining;
  jit::CompileResult result = test::plugin().compiler->compile(request);
  REQUIRE_MESSAGE(result.status == jit::CompileResult::Status::done, result.reason);
  return {std::move(result.code), *decoded};
}

/// Bytes that do nothing.
Code padded(Code code, size_t to) {
  while (code.bytes.size() < to) code.op({0x01});
  return code;
}

}  // namespace

TEST_CASE("inline: places in inlined code name the calls that led there") {
  ModuleBuilder m;
  const uint32_t type = m.type({kI32}, {kI32});
  const uint32_t inner = m.func("inner", type), middle = m.func("middle", type), outer = m.func("outer", type);
  m.define(inner, Code().get(0).mark("load").i32_load());
  m.define(middle, Code().i32_const(1).get(0).mark("call").call(inner).i32_add());
  m.define(outer, Code().get(0).mark("first").call(middle).get(0).mark("second").call(inner).i32_add());
  for (const Inlining inlining : {Inlining::On, Inlining::All}) {
    const Compiled c = compile(m, outer, inlining);
    const uint32_t load = m.offset(inner, "load");
    auto marks = [&](const Compiled::Frames& frames) {
      return std::ranges::count_if(c.code.marks, [&](const auto& mark) { return c.frames(mark.place) == frames; });
    };
    CHECK(marks({{inner, load}, {middle, m.offset(middle, "call")}, {outer, m.offset(outer, "first")}}) != 0);
    CHECK(marks({{inner, load}, {outer, m.offset(outer, "second")}}) != 0);
    // Nothing is kept that no mark names or leads to.
    CHECK(c.code.inlined.size() <= 2 * c.code.marks.size());
  }
  CHECK(compile(m, outer, Inlining::Off).code.inlined.empty());
}

TEST_CASE("inline: what needs a frame of its own stays a call") {
  ModuleBuilder m;
  const uint32_t type = m.type({kI32}, {kI32});
  const uint32_t host = m.import("host", type);
  const uint32_t tail = m.func("tail", type), plain = m.func("plain", type), caller = m.func("caller", type);
  m.define(plain, Code().get(0).i32_load());
  m.define(tail, Code().get(0).return_call(plain));
  m.define(caller, Code().get(0).call(tail).call(host).call(plain));
  for (const Inlining inlining : {Inlining::On, Inlining::All}) {
    const Compiled c = compile(m, caller, inlining);
    CHECK(c.contains(plain));
    CHECK_FALSE(c.contains(tail));
    CHECK_FALSE(c.contains(host));
  }
}

TEST_CASE("inline: usually small callees alone, and none that never returns") {
  ModuleBuilder m;
  const uint32_t type = m.type({kI32}, {kI32});
  const uint32_t small = m.func("small", type), large = m.func("large", type), never = m.func("never", type);
  const uint32_t caller = m.func("caller", type);
  m.define(small, Code().get(0).i32_load());
  m.define(large, padded(Code().get(0).i32_load(), jit::opt::kInlineUsual.direct_bytes + 1));
  m.define(never, Code().get(0).i32_load().drop().unreachable());
  m.define(caller, Code().get(0).call(small).call(large).call(never));
  const Compiled usual = compile(m, caller, Inlining::On);
  CHECK(usual.contains(small));
  CHECK_FALSE(usual.contains(large));
  CHECK_FALSE(usual.contains(never));
  const Compiled all = compile(m, caller, Inlining::All);
  CHECK(all.contains(large));
  CHECK(all.contains(never));
}

TEST_CASE("inline: what is inlined into a unit is bounded, however often it calls") {
  ModuleBuilder m;
  const uint32_t type = m.type({kI32}, {kI32});
  const uint32_t callee = m.func("callee", type), caller = m.func("caller", type);
  const uint32_t fibonacci = m.func("fibonacci", type);
  m.define(callee, padded(Code().get(0).i32_load(), 100));
  Code calls;
  calls.get(0);
  for (int i = 0; i < 500; ++i) calls.call(callee);
  m.define(caller, calls);
  Code twice;
  twice.get(0).i32_const(1).i32_sub().call(fibonacci).get(0).i32_const(2).i32_sub().call(fibonacci).i32_add();
  m.define(fibonacci, twice);
  for (const auto& [inlining, limits] :
       {std::pair(Inlining::On, jit::opt::kInlineUsual), std::pair(Inlining::All, jit::opt::kInlineAll)}) {
    const Compiled many = compile(m, caller, inlining);
    const size_t bytes = limits.unit_bytes + calls.bytes.size() * limits.unit_percent / 100;
    const auto loads = static_cast<size_t>(
        std::ranges::count_if(many.code.inlined, [&](const auto& p) { return p.func_index == callee; }));
    CHECK(loads >= bytes / 102 / 2);
    CHECK(loads <= bytes / 102);
    // A recursion doubles at each level.
    const Compiled recursive = compile(m, fibonacci, inlining);
    CHECK(recursive.contains(fibonacci));
    std::set<uint32_t> copies;
    for (const jit::InlinedPlace& p : recursive.code.inlined) copies.insert(p.caller);
    CHECK(copies.size() <= (size_t{2} << limits.recursions) - 2);
  }
}

TEST_CASE("inline: a unit that is too large with its callees is compiled without") {
  ModuleBuilder m;
  const uint32_t type = m.type({kI32}, {kI32});
  const uint32_t callee = m.func("callee", type), caller = m.func("caller", type);
  auto loops = [](uint32_t count) {
    Code c;
    for (uint32_t i = 0; i < count; ++i) {
      c.loop().get(0).i32_load().set(0).get(0).br_if(0).end();
    }
    return c.get(0);
  };
  m.define(callee, loops(15));
  m.define(caller, loops(jit::opt::kMaxLoops - 10).call(callee));
  const Compiled c = compile(m, caller, Inlining::All);
  CHECK(c.code.inlined.empty());
}

TEST_CASE("inline: locals of callees are bounded") {
  ModuleBuilder m;
  const uint32_t type = m.type({kI32}, {kI32});
  const uint32_t callee = m.func("callee", type), caller = m.func("caller", type);
  m.define(callee, Code().get(0).i32_load(), spine::Types(400, spine::i64));
  Code calls;
  calls.get(0);
  for (int i = 0; i < 4; ++i) calls.call(callee);
  m.define(caller, calls);
  const Compiled c = compile(m, caller, Inlining::All);
  CHECK(std::ranges::count_if(c.code.inlined, [&](const auto& p) { return p.func_index == callee; }) == 2);
}

TEST_CASE(
    "inline: indirect calls are compared with few functions, with more where they are small, and with none of many") {
  struct Case {
    uint32_t count, loads;  // functions, and how large each is
    bool inlined;
  };
  for (const Case& c : {Case{1, 1, true}, Case{4, 30, true}, Case{5, 30, false}, Case{8, 1, true}, Case{9, 1, false}}) {
    CAPTURE(c.count);
    ModuleBuilder m;
    const uint32_t type = m.type({kI32}, {kI32}), other = m.type({}, {kI32});
    std::vector<uint32_t> callees;
    for (uint32_t i = 0; i < c.count; ++i) {
      callees.push_back(m.func("callee" + std::to_string(i), type));
      Code body;
      body.get(0);
      for (uint32_t load = 0; load < c.loads; ++load) body.i32_load();
      m.define(callees[i], body);
      m.element(callees[i]);
      m.element(callees[i]);
    }
    const uint32_t different = m.func("different", other), caller = m.func("caller", type);
    m.define(different, Code().i32_const(0).i32_load());
    m.element(different);
    m.define(caller, Code().get(0).get(0).call_indirect(type));
    const Compiled compiled = compile(m, caller, Inlining::On);
    for (const uint32_t callee : callees) CHECK(compiled.contains(callee) == c.inlined);
    CHECK_FALSE(compiled.contains(different));
  }
}

TEST_CASE("inline: the head of an inlined loop is its callee's, not of what stands before it") {
  // LLVM gives the instruction that sets the inner loop's counter no line: it is the outer loop's head, behind `leaf`.
  ModuleBuilder m;
  const uint32_t type = m.type({}, {});
  const uint32_t leaf = m.func("leaf", type), nested = m.func("nested", type), outer = m.func("outer", type);
  m.define(leaf, Code().i32_const(0).i32_const(1).i32_store());
  m.define(nested,
           Code().loop().i32_const(1000).set(0).loop().get(0).i32_const(1).i32_sub().tee(0).br_if(0).end().br(0).end(),
           {kI32});
  m.define(outer, Code().call(leaf).call(nested));
  const Compiled c = compile(m, outer, Inlining::All);
  const auto* text = reinterpret_cast<const uint8_t*>(c.code.bytes.data());
  REQUIRE(c.code.text > 2);
  REQUIRE(text[c.code.text - 2] == 0xeb);  // jmp back
  const auto distance = static_cast<int8_t>(text[c.code.text - 1]);
  const auto head = static_cast<uint32_t>(static_cast<int64_t>(c.code.text) + distance);
  REQUIRE(head < c.code.text);
  const Compiled::Frames frames = c.frames(c.code.place_at(head, false));
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].first == nested);
}

TEST_CASE("inline: what a unit may inline goes to calls in the innermost loops, wherever they stand") {
  ModuleBuilder m;
  const uint32_t type = m.type({kI32}, {kI32});
  const uint32_t first = m.func("first", type), hot = m.func("hot", type), caller = m.func("caller", type);
  for (const uint32_t callee : {first, hot}) {
    Code body;
    body.get(0);
    for (int i = 0; i < 45; ++i) body.i32_load();  // 135 bytes and some
    m.define(callee, body);
  }
  // As many as fit in front of the loop would leave nothing for what is in it.
  Code code;
  code.get(0);
  for (int i = 0; i < 12; ++i) code.call(first);
  code.set(0).loop().get(0);
  for (int i = 0; i < 5; ++i) code.call(hot);
  code.tee(0).br_if(0).end().get(0);
  m.define(caller, code);
  const Compiled c = compile(m, caller, Inlining::On);
  auto calls = [&](uint32_t callee) {
    std::set<uint32_t> from;
    for (const auto& p : c.code.inlined) {
      if (p.func_index == callee) from.insert(p.caller);
    }
    return from.size();
  };
  CHECK(calls(hot) == 5);
  CHECK(calls(first) > 0);
  CHECK(calls(first) < 5);
}
