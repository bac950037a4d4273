// Compiling apart from installing: code lies anywhere, is installed as often as one likes, goes to another engine when the
// numbers of types are written over; a listing installs nothing.
#include "jit/code/install.h"

#include <doctest/doctest.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "jit/compiler.h"
#include "jit/crossing/publish.h"
#include "tests/support/child.h"
#include "tests/support/module_builder.h"
#include "tests/support/ok.h"
#include "tests/unit/jit/guest.h"
#include "tests/unit/jit/published.h"
#include "vm/runtime/store.h"
#include "vm/wasm/module.h"
#include "vmrun/vmrun.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

/// What a test does with each compiler.
struct Tiered {
  std::unique_ptr<jit::Compiler> baseline = jit::make_baseline_compiler();
  std::vector<jit::Compiler*> compilers;
  Tiered() {
    std::string why;
    jit::Compiler* opt = jit::load_opt_compiler(&why);
    if (opt == nullptr) FAIL(why);
    compilers = {baseline.get(), opt};
  }
};

/// The body of each function but the last: a table $t of (f0, f1, f2, null), whose types are $base, $derived (a subtype
/// of it) and $plain (final); all of them take an i32 and return one.
Bytes image() {
  Bytes out = kHeader;
  append_section(out, 1, {5,                                            //
                          0x50, 0, 0x60, 1,    0x7f, 1,    0x7f,        // $base
                          0x50, 1, 0,    0x60, 1,    0x7f, 1,    0x7f,  // $derived
                          0x60, 1, 0x7f, 1,    0x7f,                    // $plain
                          0x60, 2, 0x7f, 0x7f, 1,    0x7f,              // (i32 i32) -> i32
                          0x60, 1, 0x7c, 1,    0x7c});                  // (f64) -> f64
  const std::vector<std::pair<uint8_t, spine::Code>> funcs = {
      {0, spine::Code().get(0).i32_const(1).i32_add()},
      {1, spine::Code().get(0).i32_const(2).i32_add()},
      {2, spine::Code().get(0).i32_const(3).i32_add()},
      {3, spine::Code().get(0).get(1).call_indirect(0)},
      {3, spine::Code().get(0).get(1).call_indirect(2)},
      {2, spine::Code().get(0).op({0x25, 0, 0xfb, 0x14, 1})},             // ref.test (ref $derived)
      {2, spine::Code().get(0).op({0x25, 0, 0xfb, 0x15, 1})},             // ref.test (ref null $derived)
      {2, spine::Code().get(0).op({0x25, 0, 0xfb, 0x14, 0x70})},          // ref.test (ref func)
      {2, spine::Code().get(0).op({0x25, 0, 0xfb, 0x16, 0}).op({0xd1})},  // ref.is_null (ref.cast (ref $base))
      {4, spine::Code().get(0).f64_const(0.1).op({0xa2})},                // f64.mul
      {2, spine::Code()
              .op({0x02, 0x40, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40})
              .get(0)
              .op({0x0e, 3, 0, 1, 2, 3, 0x0b})  // br_table
              .i32_const(10)
              .ret()
              .end()
              .i32_const(20)
              .ret()
              .end()
              .i32_const(30)
              .ret()
              .end()
              .i32_const(40)},
  };
  const std::vector<std::string> names = {"f0",      "f1",  "f2",   "open",  "closed", "is",
                                          "is_null", "any", "cast", "tenth", "choose"};
  Bytes types = {static_cast<uint8_t>(funcs.size())}, exports = types, code = types;
  for (size_t i = 0; i < funcs.size(); ++i) {
    types.push_back(funcs[i].first);
    exports.push_back(static_cast<uint8_t>(names[i].size()));
    exports.insert(exports.end(), names[i].begin(), names[i].end());
    append(exports, {0, static_cast<uint8_t>(i)});
    const Bytes& body = funcs[i].second.bytes;
    code.push_back(static_cast<uint8_t>(body.size() + 2));
    code.push_back(0);
    append(code, body);
    code.push_back(0x0b);
  }
  append_section(out, 3, types);
  append_section(out, 4, {1, 0x70, 0, 4});
  append_section(out, 7, exports);
  append_section(out, 9, {1, 0, 0x41, 0, 0x0b, 3, 0, 1, 2});
  append_section(out, 10, code);
  return out;
}

/// Types that take numbers away.
Bytes other_types() {
  Bytes out = kHeader;
  append_section(out, 1, {2, 0x50, 0, 0x60, 1, 0x7d, 0, 0x60, 3, 0x7d, 0x7d, 0x7d, 0});
  return out;
}

struct Guest {
  Engine engine{interpreted()};
  Module module;
  Store store{engine};
  Instance instance;
  const vm::Module& image() const { return *module.impl(); }

  explicit Guest(const Bytes& before = {})
      : module([&] {
          if (!before.empty()) ok(Module::compile(engine, before));
          return ok(Module::compile(engine, ::image(), "install"));
        }()),
        instance(ok(Linker(engine).instantiate(store, module))) {}

  int32_t call(const char* name, int32_t a) {
    return ok(ok(ok(instance.func(name)).typed<int32_t(int32_t)>()).call(a));
  }
  Result<int32_t> call(const char* name, int32_t a, int32_t b) {
    return ok(ok(instance.func(name)).typed<int32_t(int32_t, int32_t)>()).call(a, b);
  }

  void check() {
    CHECK(ok(call("open", 40, 0)) == 41);
    CHECK(ok(call("open", 40, 1)) == 42);
    CHECK(call("open", 40, 2).error().trap == TrapCode::IndirectCallTypeMismatch);
    CHECK(call("open", 40, 3).error().trap == TrapCode::UninitializedElement);
    CHECK(ok(call("closed", 40, 2)) == 43);
    CHECK(call("closed", 40, 0).error().trap == TrapCode::IndirectCallTypeMismatch);
    CHECK(call("closed", 40, 4).error().trap == TrapCode::UndefinedElement);
    const int32_t is[4] = {0, 1, 0, 0}, is_null[4] = {0, 1, 0, 1}, any[4] = {1, 1, 1, 0};
    for (int32_t i = 0; i < 4; ++i) {
      CAPTURE(i);
      CHECK(call("is", i) == is[i]);
      CHECK(call("is_null", i) == is_null[i]);
      CHECK(call("any", i) == any[i]);
    }
    CHECK(call("cast", 0) == 0);
    CHECK(call("cast", 1) == 0);
    auto cast = ok(ok(instance.func("cast")).typed<int32_t(int32_t)>());
    CHECK(cast.call(2).error().trap == TrapCode::CastFailure);
    CHECK(ok(ok(ok(instance.func("tenth")).typed<double(double)>()).call(30)) == 3);
    const int32_t chosen[5] = {10, 20, 30, 40, 40};
    for (int32_t i = 0; i < 5; ++i) CHECK(call("choose", i) == chosen[i]);
  }
};

/// What a compiler makes of all functions.
std::vector<jit::CompiledCode> compile(jit::Compiler& compiler, const vm::Module& image) {
  std::vector<jit::CompiledCode> out;
  for (uint32_t i = image.imported_funcs; i < image.funcs.size(); ++i) {
    jit::CompileRequest request;
    request.module = &image;
    request.func_index = i;
    jit::CompileResult result = compiler.compile(request);
    INFO(image.func_label(i) << ": " << result.reason);
    REQUIRE(result.status == jit::CompileResult::Status::done);
    CHECK(result.code.func_index == i);
    out.push_back(std::move(result.code));
  }
  return out;
}

/// The same code once more, whose bytes lie with `code` or, if given, are `bytes`.
jit::CompiledCode again(const jit::CompiledCode& code, std::span<const std::byte> bytes = {}) {
  jit::CompiledCode out;
  static_cast<jit::CodeTables&>(out) = code;
  out.bytes = bytes.empty() ? code.bytes : bytes;
  out.func_index = code.func_index;
  out.types = code.types;
  out.counts_runs = code.counts_runs;
  return out;
}

const jit::CodeObject* enter(jit::CompiledCode code, Guest& guest) {
  vm::FuncCode& func = guest.image().code(code.func_index);
  const jit::CodeObject* object = jit::install(jit::CodeSpace::get(), std::move(code), guest.image(), nullptr);
  REQUIRE(object != nullptr);
  jit::test::until_end_of_case(object);
  CHECK(object->func == &func);
  REQUIRE(jit::publish_function(func, object->begin + object->entry, object->tier));
  return object;
}

uint32_t number_at(std::span<const std::byte> bytes, uint32_t at) {
  REQUIRE(size_t{at} + 4 <= bytes.size());
  uint32_t number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

}  // namespace

TEST_CASE("a function gives the same bytes each time") {
  Tiered tiered;
  Guest guest;
  const Module text = fixture(guest.engine, "jit_text");
  for (jit::Compiler* compiler : tiered.compilers) {
    CAPTURE(static_cast<int>(compiler->tier()));
    for (const vm::Module* image : {&guest.image(), static_cast<const vm::Module*>(text.impl().get())}) {
      const std::vector<jit::CompiledCode> first = compile(*compiler, *image), second = compile(*compiler, *image);
      REQUIRE(first.size() == second.size());
      for (size_t i = 0; i < first.size(); ++i) {
        const jit::CompiledCode &a = first[i], &b = second[i];
        CAPTURE(image->func_label(a.func_index));
        CHECK(a.bytes.data() != b.bytes.data());
        CHECK(std::ranges::equal(a.bytes, b.bytes));
        CHECK(a.text == b.text);
        CHECK(a.marks.size() == b.marks.size());
        CHECK(a.types.size() == b.types.size());
        CHECK(a.text <= a.bytes.size());
      }
    }
  }
}

TEST_CASE("code that is installed at two places gives the same results at both") {
  Tiered tiered;
  for (jit::Compiler* compiler : tiered.compilers) {
    CAPTURE(static_cast<int>(compiler->tier()));
    Guest guest;
    const std::vector<jit::CompiledCode> codes = compile(*compiler, guest.image());
    std::vector<const std::byte*> places;
    for (int round = 0; round < 2; ++round) {
      for (const jit::CompiledCode& code : codes) {
        const jit::CodeObject* object = enter(again(code), guest);
        CHECK(std::memcmp(object->begin, code.bytes.data(), code.bytes.size()) == 0);
        places.push_back(object->begin);
      }
      guest.check();
    }
    std::ranges::sort(places);
    CHECK(std::ranges::adjacent_find(places) == places.end());
  }
}

TEST_CASE("code runs in another engine once its types are named as there, whatever numbers it has for them") {
  Tiered tiered;
  for (jit::Compiler* compiler : tiered.compilers) {
    CAPTURE(static_cast<int>(compiler->tier()));
    Guest here, there(other_types());
    const std::vector<vm::TypeId>&from = here.image().types, &to = there.image().types;
    REQUIRE(from[0] != to[0]);
    size_t uses = 0;
    for (const jit::CompiledCode& code : compile(*compiler, here.image())) {
      std::vector<std::byte> bytes(code.bytes.begin(), code.bytes.end());
      jit::CompiledCode moved = again(code, bytes);
      for (jit::TypeUse& use : moved.types) {
        CHECK(number_at(code.bytes, use.at) == use.value(use.type));
        const auto index = static_cast<size_t>(std::ranges::find(from, use.type) - from.begin());
        REQUIRE(index < from.size());
        use.type = to[index];
        std::memset(bytes.data() + use.at, 0, sizeof(uint32_t));  // as stored code has it
        ++uses;
      }
      const jit::CodeObject* object = enter(std::move(moved), there);
      for (const jit::TypeUse& use : object->types) {
        CHECK(number_at({object->begin, object->size}, use.at) == use.value(use.type));
      }
    }
    CHECK(uses >= 6);  // one in each function of a type, and one more for the helper
    there.check();
    // All uses were listed: what is compiled there is the same.
    const std::vector<jit::CompiledCode> codes = compile(*compiler, there.image());
    for (const jit::CompiledCode& code : codes) {
      const vm::FuncCode& func = there.image().code(code.func_index);
      const jit::CodeObject* object = jit::CodeSpace::get().find(func.machine.load());
      REQUIRE(object != nullptr);
      CHECK(std::memcmp(object->begin, code.bytes.data(), code.bytes.size()) == 0);
    }
  }
}

TEST_CASE("an install that finds no memory leaves nothing behind") {
  Tiered tiered;
  Guest guest;
  jit::CodeSpace space(1 << 20);
  const std::vector<jit::CompiledCode> codes = compile(*tiered.baseline, guest.image());
  space.set_budget(0);
  for (const jit::CompiledCode& code : codes)
    CHECK(jit::install(space, again(code), guest.image(), nullptr) == nullptr);
  CHECK(space.live_objects() == 0);
  CHECK(space.live_bytes() == 0);
  space.set_budget(1 << 20);
  for (const jit::CompiledCode& code : codes)
    CHECK(jit::install(space, again(code), guest.image(), nullptr) != nullptr);
  CHECK(space.live_objects() == codes.size());
}

TEST_CASE("a listing installs nothing") {
  Guest guest;
  jit::CodeSpace& space = jit::CodeSpace::get();
  const size_t objects = space.live_objects(), bytes = space.live_bytes(), retired = space.retired_objects();
  for (const Tier tier : {Tier::Baseline, Tier::Opt}) {
    CHECK(ok(guest.module.disassemble_code(9, tier)).find("ret") != std::string::npos);
  }
  CHECK(space.live_objects() == objects);
  CHECK(space.live_bytes() == bytes);
  CHECK(space.retired_objects() == retired);
}

// In a process of its own, which has no code memory yet, and where the kernel can do that is refused any.
TEST_CASE("a listing without executable memory" * doctest::skip()) {
  Guest guest;
#ifdef PR_SET_MDWE
  prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0L, 0L, 0L);
#endif
  for (const Tier tier : {Tier::Baseline, Tier::Opt}) {
    CHECK(ok(guest.module.disassemble_code(9, tier)).find("ret") != std::string::npos);
  }
  CHECK(jit::CodeSpace::existing() == nullptr);
}
TEST_CASE("a listing needs no executable memory") {
  CHECK(in_child("a listing without executable memory").status == 0);
}
