// What a function asks for is bounded: its frame, its machine code, the memory that a compile takes. Beyond a bound the
// compiler refuses the function, and never makes wrong code or ends the process.
#include "vm/wasm/limits.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "jit/code/code.h"
#include "jit/compiler.h"
#include "tests/support/module_bytes.h"
#include "vmrun/vmrun.h"

using namespace vmrun;
using test::append;
using test::append_u32;
using test::Bytes;

namespace {

constexpr uint8_t i64 = 0x7e, v128 = 0x7b;

void repeat(Bytes& out, uint32_t count, uint8_t byte) {
  append_u32(out, count);
  out.insert(out.end(), count, byte);
}

/// Type 0: () -> (); 1: () -> 1,000 i64; 2: () -> 1,000 v128; 3: 1,000 v128 -> 1,000 v128; 4: i64 -> i64; 5: 1,000 i64
/// -> 1,000 i64. Function i has types[i] and bodies[i]; the last is exported as "f". Tags 0 and 1 carry nothing; a global of i64 is there per `globals`.
Bytes module_with(const Bytes& types, const std::vector<Bytes>& bodies, uint32_t globals = 0) {
  Bytes out = test::kHeader, all = {6, 0x60, 0, 0}, funcs, code, exports = {1, 1, 'f', 0};
  append(all, {0x60, 0}), repeat(all, 1000, i64);
  append(all, {0x60, 0}), repeat(all, 1000, v128);
  append(all, {0x60}), repeat(all, 1000, v128), repeat(all, 1000, v128);
  append(all, {0x60, 1, i64, 1, i64});
  append(all, {0x60}), repeat(all, 1000, i64), repeat(all, 1000, i64);
  test::append_section(out, 1, all);
  append_u32(funcs, static_cast<uint32_t>(types.size()));
  append(funcs, types);
  test::append_section(out, 3, funcs);
  test::append_section(out, 13, {2, 0, 0, 0, 0});
  if (globals != 0) {
    Bytes section;
    append_u32(section, globals);
    for (uint32_t i = 0; i < globals; ++i) append(section, {i64, 1, 0x42, 5, 0x0b});
    test::append_section(out, 6, section);
  }
  append_u32(exports, static_cast<uint32_t>(types.size() - 1));
  test::append_section(out, 7, exports);
  append_u32(code, static_cast<uint32_t>(bodies.size()));
  for (const Bytes& body : bodies) {
    append_u32(code, static_cast<uint32_t>(body.size()));
    append(code, body);
  }
  test::append_section(out, 10, code);
  return out;
}

jit::CompileResult compile(const Bytes& bytes, uint32_t func_index, bool check = false) {
  auto module = test::decode(bytes);
  if (!module) FAIL(module.error().to_string());
  jit::CompileRequest request;
  request.module = module->get();
  request.func_index = func_index;
  request.check_merges = check;
  return jit::make_baseline_compiler()->compile(request);
}

int64_t run(const Bytes& bytes, int64_t argument) {
  Config config;
  config.tiers = Tiers::Baseline;
  Engine engine(config);
  Result<Module> module = Module::compile(engine, bytes);
  if (!module) FAIL(module.error().to_string());
  Store store(engine);
  Result<Instance> instance = Instance::instantiate(store, *module, {});
  REQUIRE(instance);
  auto f = instance->func("f")->typed<int64_t(int64_t)>();
  REQUIRE(f);
  Result<int64_t> result = f->call(argument);
  if (!result) FAIL(result.error().to_string());
  CHECK(module->tier_stats(Tier::Baseline).functions >= 1);
  CHECK(module->tier_stats(Tier::Baseline).failed == 0);
  return *result;
}

void set(Bytes& code, uint32_t local) { code.push_back(0x21), append_u32(code, local); }
void get(Bytes& code, uint32_t local) { code.push_back(0x20), append_u32(code, local); }

const Bytes kNothing = {0, 0x0b};

}  // namespace

TEST_CASE("a frame of almost as many slots as there may be, under a call of a thousand vectors each way") {
  constexpr uint32_t kLocals = 47'000, kLast = kLocals;
  Bytes same = {0}, body = {1};
  for (uint32_t i = 0; i < 1000; ++i) get(same, i);
  same.push_back(0x0b);
  append_u32(body, kLocals), body.push_back(i64);
  get(body, 0), set(body, kLast);
  for (uint32_t i = 0; i < 1000; ++i) get(body, 0), append(body, {0xfd, 18});  // i64x2.splat
  append(body, {0x10, 0});
  for (uint32_t i = 1; i < 1000; ++i) append(body, {0xfd, 0xce, 0x01});  // i64x2.add
  append(body, {0xfd, 29, 1});
  get(body, kLast), append(body, {0x7c, 0x0b});
  CHECK(run(module_with({3, 4}, {same, body}), 77) == 77 * 1000 + 77);
}

TEST_CASE("frames that are too large are refused") {
  // Blocks that end in a trap and are said to leave a thousand vectors: four bytes make the stack 2,000 slots deeper.
  auto blocks = [](uint32_t count) {
    Bytes deep = {0};
    for (uint32_t i = 0; i < count; ++i) append(deep, {0x02, 2, 0x00, 0x0b});
    append(deep, {0x10, 0, 0x00, 0x0b});
    return module_with({0, 0}, {kNothing, deep});
  };
  CHECK(compile(blocks(24), 1).status == jit::CompileResult::Status::done);
  // Validation refuses them, and for what the compiler meets all the same it has a limit of its own.
  Bytes wide = {1};
  append_u32(wide, 25'001), append(wide, {v128, 0x0b});
  for (const Bytes& bytes : {blocks(26), blocks(4000), module_with({0}, {wide})}) {
    const auto module = test::decode(bytes);
    REQUIRE(!module);
    CHECK(module.error().to_string().find("50000") != std::string::npos);
  }
}

TEST_CASE("as many slots as validation lets catches of the older kind have") {
  // Each open one has a slot for the exception.
  auto catches = [](uint32_t count) {
    Bytes body = {1};
    append_u32(body, 35'000), body.push_back(i64);
    for (uint32_t i = 0; i < count; ++i) append(body, {0x06, 0x40, 0x19});  // try catch_all
    body.insert(body.end(), count, 0x0b);
    append(body, {0x10, 0, 0x0b});
    return module_with({0, 0}, {kNothing, body});
  };
  CHECK(compile(catches(15'000), 1).status == jit::CompileResult::Status::done);
  const auto module = test::decode(catches(15'001));
  REQUIRE(!module);
  CHECK(module.error().to_string().find("50000 stack slots") != std::string::npos);
}

TEST_CASE("machine code is in proportion to the body") {
  // A call of two bytes takes some 17 KB: a few of them are fine, thousands are not.
  auto calls = [](uint32_t count) {
    Bytes body = {0};
    for (uint32_t i = 0; i < count; ++i) append(body, {0x02, 0x40, 0x10, 0, 0x0c, 0, 0x0b});
    body.push_back(0x0b);
    return body;
  };
  Bytes thousand = {0};
  for (uint32_t i = 0; i < 1000; ++i) append(thousand, {0x42, 1});
  thousand.push_back(0x0b);
  CHECK(compile(module_with({1, 0}, {thousand, calls(5)}), 1).status == jit::CompileResult::Status::done);
  for (const bool check : {false, true}) {
    const jit::CompileResult result = compile(module_with({1, 0}, {thousand, calls(5000)}), 1, check);
    CHECK(result.status == jit::CompileResult::Status::unsupported);
    CHECK(result.reason.find("machine code") != std::string::npos);
  }
  // The compiler goes on with the next function.
  CHECK(compile(module_with({1, 0}, {thousand, calls(1)}), 1).status == jit::CompileResult::Status::done);
}

TEST_CASE("values at blocks and branches are in proportion to the body, although no code comes of them") {
  struct Part {
    std::string name;
    Bytes before, each, after;
  };
  const Part parts[] = {
      {"block", {}, {0x02, 5, 0x0b}, {}},
      {"loop", {}, {0x03, 5, 0x0b}, {}},
      {"if", {}, {0x41, 1, 0x04, 5, 0x0b}, {}},
      {"if else", {}, {0x41, 1, 0x04, 5, 0x05, 0x0b}, {}},
      {"try_table", {}, {0x1f, 5, 0, 0x0b}, {}},
      {"try catch_all", {}, {0x06, 5, 0x19, 0x00, 0x0b}, {}},
      {"try delegate", {}, {0x06, 5, 0x18, 0}, {}},
      {"br", {}, {0x02, 5, 0x0c, 0, 0x0b}, {}},
      {"br_if", {0x02, 5}, {0x41, 0, 0x0d, 0}, {0x0b}},
      {"br_table", {}, {0x02, 5, 0x02, 5, 0x41, 0, 0x0e, 1, 0, 1, 0x0b, 0x0b}, {}},
      {"br_on_null", {0x02, 5}, {0xd0, 0x70, 0xd5, 0, 0x1a}, {0x0b}},
  };
  Bytes thousand = {0};
  for (uint32_t i = 0; i < 1000; ++i) append(thousand, {0x42, 1});
  thousand.push_back(0x0b);
  for (const Part& part : parts) {
    CAPTURE(part.name);
    auto compiled = [&](uint32_t count) {
      Bytes body = {0, 0x10, 0};
      append(body, part.before);
      for (uint32_t i = 0; i < count; ++i) append(body, part.each);
      append(body, part.after);
      body.insert(body.end(), 1000, 0x1a);
      body.push_back(0x0b);
      return compile(module_with({1, 0}, {thousand, body}), 1);
    };
    CHECK(compiled(100).status == jit::CompileResult::Status::done);
    const jit::CompileResult result = compiled(5000);
    CHECK(result.status == jit::CompileResult::Status::unsupported);
    CHECK(result.reason == "more values at blocks than are worth carrying");
  }
}

TEST_CASE("tries inside one another take code in proportion") {
  // The innermost call throws tag 0, which the outermost try alone catches; what it leads to adds 7.
  constexpr uint32_t kDepth = 1500;
  Bytes thrower = {0, 0x08, 0, 0x0b}, body = {0, 0x02, 0x40, 0x1f, 0x40, 1, 0, 0, 0};
  for (uint32_t i = 0; i < kDepth; ++i) append(body, {0x1f, 0x40, 1, 0, 1, 0, 0x10, 0});
  append(body, {0x10, 1});
  for (uint32_t i = 0; i < kDepth; ++i) body.push_back(0x0b);
  append(body, {0x0b, 0x42, 0, 0x0f, 0x0b, 0x20, 0, 0x42, 7, 0x7c, 0x0b});
  const Bytes bytes = module_with({0, 0, 4}, {kNothing, thrower, body});
  const jit::CompileResult result = compile(bytes, 2);
  REQUIRE(result.status == jit::CompileResult::Status::done);
  CHECK(result.code.text < 300 * kDepth);
  CHECK(run(bytes, 35) == 42);
}

TEST_CASE("a local that is named a million times is initialised") {
  // Loops make an access weigh more: of these, in four loops, 2^20 weigh 2^32.
  constexpr uint32_t kParam = 0, kLocal = 3, kAccesses = 1u << 20;
  Bytes fill = {1, 40, i64};  // leaves its argument all over the stack
  for (uint32_t i = 1; i <= 40; ++i) get(fill, 0), set(fill, i);
  for (uint32_t i = 1; i <= 40; ++i) get(fill, i), append(fill, {0x1a});
  append(fill, {0x42, 0, 0x0b});
  for (const uint32_t local : {kParam, kLocal}) {
    CAPTURE(local);
    Bytes body = {1, 3, i64};
    for (int i = 0; i < 4; ++i) append(body, {0x03, 0x40});
    for (uint32_t i = 1; i < kAccesses; ++i) append(body, {0x20, static_cast<uint8_t>(local), 0x1a});
    get(body, local), append(body, {0x0f, 0x0b, 0x0b, 0x0b, 0x0b, 0x42, 1, 0x0b});
    // (drop (call 0 (i64.const -1))) (call 1 (local.get 0))
    const Bytes both = {0, 0x42, 0x7f, 0x10, 0, 0x1a, 0x20, 0, 0x10, 1, 0x0b};
    CHECK(run(module_with({4, 4, 4}, {fill, body, both}), 77) == (local == kParam ? 77 : 0));
  }
}

TEST_CASE("globals at the far end") {
  constexpr uint32_t kGlobals = vm::kMaxGlobals;
  Bytes body = {0, 0x20, 0, 0x24};
  append_u32(body, kGlobals - 1), body.push_back(0x23), append_u32(body, kGlobals - 1);
  body.push_back(0x23), append_u32(body, kGlobals - 2), append(body, {0x7c, 0x0b});
  CHECK(run(module_with({4}, {body}, kGlobals), 37) == 42);
}

#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
TEST_CASE("a compile without memory says so") {
  Bytes body = {0};
  for (uint32_t i = 0; i < 1'500'000; ++i) append(body, {0x20, 0, 0x24, 0});  // global 0 = the parameter
  append(body, {0x20, 0, 0x0b});
  const Bytes bytes = module_with({4}, {body}, 1);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 1;
    auto module = test::decode(bytes);
    auto compiler = jit::make_baseline_compiler();
    jit::CodeSpace::get();
    const rlimit none{0, RLIM_INFINITY};
    if (module && setrlimit(RLIMIT_AS, &none) == 0) {
      jit::CompileRequest request;
      request.module = module->get();
      using Status = jit::CompileResult::Status;
      // All that is left is taken, in ever smaller pieces, and given back piece by piece from the largest.
      std::array<std::vector<void*>, 5> taken;
      for (std::vector<void*>& pieces : taken) pieces.reserve(100'000);
      constexpr size_t kSizes[] = {1 << 20, 64 << 10, 4 << 10, 256, 16};
      for (size_t i = 0; i < std::size(kSizes); ++i) {
        void* piece = nullptr;
        while (taken[i].size() < taken[i].capacity() && (piece = std::malloc(kSizes[i])) != nullptr) {
          taken[i].push_back(piece);
        }
      }
      bool refused = compiler->compile(request).status == Status::no_memory;
      for (size_t i = std::size(kSizes); i-- > 1;) {
        for (void* piece : taken[i]) std::free(piece);
        refused = refused && compiler->compile(request).status == Status::no_memory;
      }
      status = refused ? 0 : 2;
    }
    _exit(status);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif
