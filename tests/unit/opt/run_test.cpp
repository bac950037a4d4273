// Tier-2 code in a whole instance: the same calls give the same results, traps, backtraces and exceptions as in the
// interpreter.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "jit/crossing/publish.h"
#include "jit/crossing/trampoline.h"
#include "jit/plugin.h"
#include "tests/support/installed.h"
#include "tests/support/module_builder.h"
#include "tests/support/module_bytes.h"
#include "tests/support/ok.h"
#include "vm/runtime/store.h"
#include "vmrun/vmrun.h"

using namespace vmrun;

namespace {

using test::ok;

/// Compiles every function that the tier takes; returns how many those are.
unsigned compile_all(Instance instance, const char* some_export) {
  std::string why;
  jit::Compiler* compiler = jit::load_opt_compiler(&why);
  if (compiler == nullptr) FAIL(why);
  const vm::Module& module = *ok(instance.func(some_export)).impl()->instance->module;
  unsigned done = 0;
  for (uint32_t i = module.imported_funcs; i < module.funcs.size(); ++i) {
    jit::CompileRequest request;
    request.module = &module;
    request.func_index = i;
    jit::CompileResult result = compiler->compile(request);
    INFO(module.func_label(i) << ": " << result.reason);
    CHECK(result.status == jit::CompileResult::Status::done);
    if (result.status != jit::CompileResult::Status::done) continue;
    const jit::CodeObject& code = test::installed(std::move(result), module);
    REQUIRE(jit::publish_function(module.code(i), test::entry_of(code), vm::Tier::opt));
    ++done;
  }
  return done;
}

/// A fixture in the interpreter and in compiled code.
struct Both {
  Engine engine{[] {
    jit::initialize();
    return Config{};
  }()};
  Linker linker{engine};
  Store stores[2] = {Store(engine), Store(engine)};
  std::vector<Instance> instances;

  Both(const std::string& fixture, const char* some_export, const std::function<void(Linker&)>& define = {}) {
    if (define) define(linker);
    start([&] { return Module::compile_file(engine, std::string(VMRUN_FIXTURES "/") + fixture + ".wasm"); },
          some_export);
  }
  Both(const test::Bytes& image, const char* some_export) {
    start([&] { return Module::compile(engine, image, "bytes"); }, some_export);
  }
  void start(const std::function<Result<Module>()>& module, const char* some_export) {
    // Two modules, so that one stays in the interpreter.
    for (int i = 0; i < 2; ++i) instances.push_back(ok(linker.instantiate(stores[i], ok(module()))));
    compile_all(instances[1], some_export);
  }

  template <class Signature, class... Args>
  void same(const char* name, Args... args) {
    CAPTURE(name);
    auto interpreted = ok(ok(instances[0].func(name)).template typed<Signature>()).call(args...);
    auto compiled = ok(ok(instances[1].func(name)).template typed<Signature>()).call(args...);
    REQUIRE(bool(interpreted) == bool(compiled));
    if (interpreted) {
      if constexpr (requires { *interpreted; }) CHECK(*interpreted == *compiled);
      return;
    }
    const Error& a = interpreted.error();
    const Error& b = compiled.error();
    CHECK(a.kind == b.kind);
    CHECK(a.trap == b.trap);
    INFO(a.to_string());
    INFO(b.to_string());
    REQUIRE(a.backtrace.size() == b.backtrace.size());
    for (size_t i = 0; i < a.backtrace.size(); ++i) {
      CHECK(a.backtrace[i].func_index == b.backtrace[i].func_index);
      CHECK(a.backtrace[i].offset == b.backtrace[i].offset);
    }
  }
};

}  // namespace

TEST_CASE("traps and their backtraces") {
  Both both("interp_traps", "divide", [](Linker& linker) {
    ok(linker.func_wrap("env", "back", [](Caller& caller, int32_t n) -> Result<void> {
      Result<Func> divide = caller.instance().func("divide");
      if (!divide) return divide.error();
      Result<TypedFunc<int32_t(int32_t)>> typed = divide->typed<int32_t(int32_t)>();
      if (!typed) return typed.error();
      Result<int32_t> result = typed->call(n);
      if (!result) return result.error();
      return {};
    }));
  });
  for (int32_t n : {0, 1, 7, -1}) {
    both.same<int32_t(int32_t)>("divide", n);
    both.same<int32_t(int32_t)>("overflow", n);
    both.same<void(int32_t)>("through_host", n);
  }
  for (double v : {1.5, 1e10, -1e10, std::nan("")}) both.same<int32_t(double)>("convert", v);
  for (int32_t address : {0, 8, 65536 - 8, 65536 - 7, 65536, -1, -4, 0x7fffffff}) {
    both.same<int32_t(int32_t)>("load", address);
    both.same<int32_t(int32_t, int32_t)>("load8_fused", address, 4);
    both.same<void(int32_t, int64_t)>("store", address, 1);
    both.same<void(int32_t, float)>("store_f", address, 1.f);
    both.same<void(int32_t)>("vector_load", address);
    both.same<void(int32_t)>("fill", address);
    both.same<int32_t(int32_t)>("partial", address);
    both.same<int32_t()>("peek");
  }
  both.same<void()>("unreachable");
  both.same<void()>("wrong_type");
  for (int32_t i : {0, 1, 2, 4, -1}) both.same<int32_t(int32_t)>("indirect", i);
}

namespace {

using test::Bytes;

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) test::append(out, part);
  return out;
}

/// Functions (i32) -> i32 that catch what others throw, in the final form of exceptions, which wabt does not write.
Bytes exceptions_image() {
  const Bytes types = {6,                                       //
                       0x60, 1, 0x7f, 0,                        // 0: i32 ->
                       0x60, 1, 0x7f, 1,    0x7f,               // 1: i32 -> i32
                       0x60, 3, 0x7f, 0x7c, 0x7b, 0,            // 2: i32 f64 v128 ->
                       0x60, 0, 3,    0x7f, 0x7c, 0x7b,         // 3: -> i32 f64 v128
                       0x60, 0, 1,    0x69,                     // 4: -> exnref
                       0x60, 0, 4,    0x7f, 0x7c, 0x7b, 0x69};  // 5: -> i32 f64 v128 exnref
  // A payload (local 0, 4.0, lanes 1 2 3 4) for tag 0.
  const Bytes thrown = {0x20, 0, 0x44, 0, 0, 0, 0, 0, 0, 0x10, 0x40, 0xfd, 0x0c, 1,    0, 0,
                        0,    2, 0,    0, 0, 3, 0, 0, 0, 4,    0,    0,    0,    0x08, 0};
  // i32 + 100 * local 1 + trunc(f64) + lane 2
  const Bytes sum = {0xfd, 0x1b, 2, 0x21, 2, 0xaa, 0x6a, 0x20, 2, 0x6a, 0x20, 1, 0x41, 0xe4, 0, 0x6c, 0x6a};
  const Bytes two_locals = {1, 2, 0x7f};
  const Bytes count = {0x20, 1, 0x41, 1, 0x6a, 0x21, 1};  // local 1 += 1
  const Bytes minus_one = {0x41, 0x7f};
  const Bytes bodies[] = {
      // 0: throws
      joined({{0}, thrown, {0x0b}}),
      // 1: throws beneath so many frames
      {0, 0x20, 0, 0x45, 0x04, 0x40, 0x41, 7, 0x10, 0, 0x05, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x0b, 0x0b},
      // 2 "catch": from below
      joined({two_locals,
              count,
              {0x02, 3, 0x1f, 0x40, 1, 0, 0, 0},
              count,
              {0x20, 0, 0x10, 1},
              count,
              {0x0b},
              minus_one,
              {0x0f, 0x0b},
              sum,
              {0x0b}}),
      // 3 "own": thrown in the try itself
      joined(
          {two_locals, {0x02, 3, 0x1f, 0x40, 1, 0, 0, 0}, count, thrown, {0x0b}, minus_one, {0x0f, 0x0b}, sum, {0x0b}}),
      // 4 "outer": past an inner try that wants another tag
      joined({two_locals,
              {0x02, 3, 0x1f, 0x40, 1, 0, 0, 0},
              {0x02, 0x7f, 0x1f, 0x40, 1, 0, 1, 0},
              count,
              {0x20, 0, 0x10, 1, 0x0b, 0x41, 5, 0x0b, 0x1a},
              {0x0b},
              minus_one,
              {0x0f, 0x0b},
              sum,
              {0x0b}}),
      // 5 "again": caught with its reference and thrown on
      joined({two_locals, {0x02, 4, 0x1f, 0x40, 1, 3, 0, 0x20, 0, 0x10, 1, 0x0b}, minus_one, {0x0f, 0x0b, 0x0a, 0x0b}}),
      // 6 "twice": what 5 throws on, with its reference
      joined({two_locals,
              {0x02, 5, 0x1f, 0x40, 1, 1, 0, 0, 0x20, 0, 0x10, 5, 0x1a, 0x0b},
              minus_one,
              {0x0f, 0x0b, 0xd1, 0x21, 1},
              sum,
              {0x0b}}),
      // 7 "null": throw_ref of null
      {0, 0xd0, 0x69, 0x0a, 0x0b},
      // 8 "loop": catches so many times, into the loop's header
      joined({{1, 2, 0x7f},
              {0x03, 0x40, 0x20, 1, 0x20, 0, 0x49, 0x04, 0x40},
              count,
              {0x1f, 0x40, 1, 2, 1, 0x20, 1, 0x41, 3, 0x71, 0x10, 1, 0x0b, 0x0b, 0x0b, 0x20, 1, 0x0b}}),
  };
  Bytes out = test::kHeader, code = {9}, exports = {8};
  test::append_section(out, 1, types);
  test::append_section(out, 3, {9, 0, 0, 1, 1, 1, 1, 1, 1, 1});
  test::append_section(out, 13, {2, 0, 2, 0, 0});
  uint8_t index = 1;
  for (const char* name : {"deep", "catch", "own", "outer", "again", "twice", "null", "loop"}) {
    const std::string text = name;
    exports.push_back(static_cast<uint8_t>(text.size()));
    exports.insert(exports.end(), text.begin(), text.end());
    exports.insert(exports.end(), {0, index++});
  }
  test::append_section(out, 7, exports);
  for (const Bytes& body : bodies) {
    test::append_u32(code, static_cast<uint32_t>(body.size()));
    test::append(code, body);
  }
  test::append_section(out, 10, code);
  return out;
}

}  // namespace

TEST_CASE("exceptions") {
  Both both(exceptions_image(), "catch");
  for (int32_t n : {0, 1, 2, 30}) {
    both.same<void(int32_t)>("deep", n);
    for (const char* name : {"catch", "own", "outer", "again", "twice", "null", "loop"}) {
      both.same<int32_t(int32_t)>(name, n);
    }
  }
}

TEST_CASE("calls and throws that look alike have places of their own") {
  spine::ModuleBuilder m;
  const uint32_t tag = m.tag(m.type({}, {})), type = m.type({spine::i32}, {});
  const uint32_t count = m.func("count", m.type({}, {spine::i32})), h = m.func("h", type);
  const uint32_t either = m.func("either", type), again = m.func("again", type);
  // Adds one to the word at 0; throws when that has come to the argument.
  m.define(
      count,
      spine::Code().i32_const(0).i32_const(0).i32_load().i32_const(1).i32_add().i32_store().i32_const(0).i32_load());
  m.define(h, spine::Code().call(count).get(0).i32_eq().op({0x04, 0x40}).throw_(tag).end());
  m.define(either, spine::Code().get(0).op({0x04, 0x40}).throw_(tag).op({0x05}).throw_(tag).end());
  spine::Code c;
  for (int i = 0; i < 2; ++i) {
    if (i == 1) c.loop();
    c.call(count).drop().get(0).call(h).call(count).drop().get(0).call(h);
  }
  m.define(again, c.br(0).end());
  const spine::Bytes image = m.build();
  for (int32_t n : {0, 1}) Both(image, "either").same<void(int32_t)>("either", n);
  for (int32_t n = 2; n < 12; n += 2) Both(image, "again").same<void(int32_t)>("again", n);
}

TEST_CASE("accesses that look alike have places of their own") {
  using namespace spine;
  ModuleBuilder m;
  const uint32_t type = m.type({i32, i32}, {i32});
  auto either = [&](const char* name, auto access, bool among_others = false) {
    Code c;
    auto side = [&](uint32_t offset) {
      if (among_others) c.i32_const(64).i32_const(1).i32_store();
      access(c, offset);
      if (among_others) c.i32_const(64).i32_const(2).i32_store();
    };
    c.get(0).op({0x04, 0x40});
    side(0);
    c.op({0x05, 0x01, 0x01, 0x01});
    side(16);
    m.define(m.func(name, type), c.end().get(2), {i32});
  };
  auto loads = [](uint8_t opcode) {
    return [opcode](Code& c, uint32_t offset) { c.get(1).op({opcode, 0}).u(offset).set(2); };
  };
  either("load", loads(0x28));
  either("load8_u", loads(0x2d));
  either("load16_s", loads(0x2e));
  either("load between", loads(0x28), true);
  either("load and add",
         [](Code& c, uint32_t offset) { c.get(1).op({0x28, 0}).u(offset).i32_const(3).i32_add().set(2); });
  either("store", [](Code& c, uint32_t offset) { c.get(1).i32_const(7).op({0x36, 0}).u(offset); });
  either("store something else",
         [](Code& c, uint32_t offset) { c.get(1).i32_const(static_cast<int32_t>(offset)).i32_store(); });
  either("the same load", [](Code& c, uint32_t) { c.get(1).i32_load().set(2); });
  either("the same store", [](Code& c, uint32_t) { c.get(1).i32_const(1).i32_store(); });
  // A pointer that is loaded in front of a loop and again in each turn: the same phi takes both.
  m.define(m.func("chain", type),
           Code()
               .get(1)
               .i32_load()
               .set(2)
               .loop()
               .get(2)
               .i32_load()
               .tee(2)
               .get(0)
               .i32_const(1)
               .i32_sub()
               .tee(0)
               .br_if(0)
               .drop()
               .end()
               .get(2),
           {i32});
  const Bytes image = m.build();
  Both both(image, "load");
  for (const char* name : {"load", "load8_u", "load16_s", "load between", "load and add", "store",
                           "store something else", "the same load", "the same store", "chain"}) {
    for (int32_t which : {0, 1, 2}) {
      for (int32_t address : {-1, -16, 65536, 65520, 65521, 1000})
        both.same<int32_t(int32_t, int32_t)>(name, which, address);
    }
  }
}

TEST_CASE("what reads and writes memory in one instruction traps where it reads") {
  using namespace spine;
  struct Width {
    uint8_t load, store;
  };
  ModuleBuilder m;
  const uint32_t type = m.type({i32, i32}, {i32});
  std::vector<std::string> names;
  for (const Width width : {Width{0x28, 0x36}, Width{0x2d, 0x3a}, Width{0x2f, 0x3b}}) {
    // add, sub, and, or, xor, shl, shr_u, rotl
    for (const uint8_t op : {0x6a, 0x6b, 0x71, 0x72, 0x73, 0x74, 0x76, 0x77}) {
      names.push_back(std::to_string(width.load) + ' ' + std::to_string(op));
      Code c;
      c.get(1).get(1).op({width.load, 0}).u(8).get(0).op({op}).op({width.store, 0}).u(8);
      m.define(m.func(names.back(), type), c.get(1).op({width.load, 0}).u(8));
    }
  }
  const Bytes image = m.build();
  Both both(image, names.front().c_str());
  for (const std::string& name : names) {
    for (int32_t address : {-1, -8, 65536 - 8, 65536 - 9, 65536 - 12, 1000})
      both.same<int32_t(int32_t, int32_t)>(name.c_str(), 3, address);
  }
}

TEST_CASE("recursion without end is a trap") {
  Both both(exceptions_image(), "catch");
  for (Instance& instance : both.instances) {
    auto result = ok(ok(instance.func("deep")).typed<void(int32_t)>()).call(-1);
    REQUIRE_FALSE(result);
    CHECK(result.error().trap == TrapCode::StackOverflow);
    CHECK(result.error().backtrace.size() > 100);
    // And again, and then something else.
    CHECK_FALSE(ok(ok(instance.func("deep")).typed<void(int32_t)>()).call(-1));
    CHECK(ok(ok(instance.func("own")).typed<int32_t(int32_t)>()).call(1));
  }
}
