// What the optimising tier refuses because LLVM would take too long for it or recur too deep, and what memory and stack
// it takes for what it lets through. Shapes and counts, not times.
#include "jit/opt/limits.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <fstream>

#include "tests/support/module_bytes.h"
#include "tests/unit/opt/fixture.h"
#include "vm/blocks/policy.h"

using namespace vmrun;
using namespace vmrun::test;
using test::Bytes;

namespace {

constexpr uint8_t kI32 = 0x7f;

/// A module of one global and of functions: types (parameters, results) and bodies without locals' declarations and `end`.
struct Function {
  uint32_t params, results;
  Bytes code;
  uint32_t locals = 0;
};
Bytes module_of(const std::vector<Function>& functions) {
  Bytes types, uses, bodies;
  test::append_u32(types, static_cast<uint32_t>(functions.size()));
  test::append_u32(uses, static_cast<uint32_t>(functions.size()));
  test::append_u32(bodies, static_cast<uint32_t>(functions.size()));
  for (uint32_t i = 0; i < functions.size(); ++i) {
    const Function& f = functions[i];
    types.push_back(0x60);
    for (uint32_t count : {f.params, f.results}) {
      test::append_u32(types, count);
      types.insert(types.end(), count, kI32);
    }
    test::append_u32(uses, i);
    Bytes body;
    test::append_u32(body, f.locals != 0);
    if (f.locals != 0) {
      test::append_u32(body, f.locals);
      body.push_back(kI32);
    }
    test::append(body, f.code);
    body.push_back(0x0b);
    test::append_u32(bodies, static_cast<uint32_t>(body.size()));
    test::append(bodies, body);
  }
  Bytes image = test::kHeader;
  test::append_section(image, 1, types);
  test::append_section(image, 3, uses);
  test::append_section(image, 6, {1, kI32, 1, 0x41, 0, 0x0b});
  test::append_section(image, 10, bodies);
  return image;
}

Bytes repeated(uint32_t times, const Bytes& code) {
  Bytes all;
  while (times-- != 0) test::append(all, code);
  return all;
}
Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) test::append(all, part);
  return all;
}
Bytes name(uint32_t n) {
  Bytes bytes;
  test::append_u32(bytes, n);
  return bytes;
}

const Bytes kGet0 = {0x20, 0}, kSet0 = {0x21, 0}, kConst = {0x41, 3}, kDrop = {0x1a}, kPopcnt = {0x69}, kMul = {0x6c},
            kAdd = {0x6a}, kXor = {0x73};

jit::CompileResult compile(const Bytes& image, uint32_t func) {
  Bench bench{std::span<const uint8_t>(image)};
  return plugin().compiler->compile(bench.request(func));
}
std::string refusal(const Bytes& image, uint32_t func) {
  const jit::CompileResult result = compile(image, func);
  CHECK(result.status == jit::CompileResult::Status::unsupported);
  return result.reason.substr(0, result.reason.find(" at offset"));
}

/// A function of n results from nothing, and one that calls it.
Bytes calls(uint32_t results, uint32_t times) {
  return module_of({{0, results, repeated(results, kConst)},
                    {0, 0, repeated(times, joined({{0x10, 0}, repeated(results, kDrop)}))}});
}

/// `arms` blocks around a switch, each of which goes on in the next.
Bytes switch_of(uint32_t arms) {
  Bytes code = joined({repeated(arms, {0x02, 0x40}), kGet0, {0x0e}, name(arms - 1)});
  for (uint32_t i = 0; i < arms; ++i) test::append(code, name(i));
  test::append(code, repeated(arms, joined({{0x0b}, {0x20, 1}, kConst, kAdd, {0x21, 1}})));
  return module_of({{1, 1, joined({code, {0x20, 1}}), 1}});
}

/// `count` times a branch out of one block and a local that differs behind it, and their sum.
Bytes merging(uint32_t count) {
  Bytes code = {0x02, 0x40};
  for (uint32_t i = 1; i <= count; ++i) {
    test::append(code, joined({kGet0, {0x41}, name(i % 64), kXor, {0x0d, 0}, kGet0, {0x41}, name(i % 64), kMul}));
    test::append(code, joined({{0x21}, name(i)}));
  }
  code.push_back(0x0b);
  test::append(code, kGet0);
  for (uint32_t i = 1; i <= count; ++i) test::append(code, joined({{0x20}, name(i), kAdd}));
  return module_of({{1, 1, code, count}});
}

/// Bytes of stack that a thread takes for a compile.
size_t stack_of(const Bytes& image, jit::CompileResult& result) {
  constexpr size_t kSize = size_t{256} << 20;
  void* stack = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(stack != MAP_FAILED);
  Bench bench{std::span<const uint8_t>(image)};
  const jit::CompileRequest request = bench.request(0);
  struct Work {
    const jit::CompileRequest& request;
    jit::CompileResult& result;
  } work{request, result};
  plugin();
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, kSize);
  pthread_t thread;
  auto run = [](void* env) -> void* {
    auto* w = static_cast<Work*>(env);
    w->result = plugin().compiler->compile(w->request);
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, run, &work) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  std::vector<unsigned char> resident(kSize / 4096);
  REQUIRE(mincore(stack, kSize, resident.data()) == 0);
  size_t untouched = 0;
  while (untouched < resident.size() && (resident[untouched] & 1) == 0) ++untouched;
  munmap(stack, kSize);
  return kSize - 4096 * untouched;
}

/// The main thread's stack grows when it is used, for which there must be memory; a compile thread's is all there.
[[gnu::noinline]] void grow_stack() {
  volatile char room[size_t{2} << 20];
  for (size_t i = 0; i < sizeof room; i += 4096) room[i] = 0;
}

}  // namespace

TEST_CASE("values outside of registers count as size, and a signature may have so many") {
  CHECK(compile(calls(jit::opt::kMaxAreaValues + 1, 1), 1).status == jit::CompileResult::Status::done);
  CHECK(refusal(calls(jit::opt::kMaxAreaValues + 2, 1), 1) ==
        "129 parameters, results or thrown values beyond the registers");
  CHECK(refusal(calls(400, 1), 0) == "399 parameters, results or thrown values beyond the registers");
  CHECK(refusal(calls(100, 30), 1).find("values outside of registers") != std::string::npos);
  // Each return writes them.
  const Bytes returns =
      module_of({{0, 100,
                  joined({repeated(30, joined({kConst, {0x04, 0x40}, repeated(100, kConst), {0x0f, 0x0b}})),
                          repeated(100, kConst)})}});
  CHECK(refusal(returns, 0).find("values outside of registers") != std::string::npos);
}

TEST_CASE("blocks may be nested so deep") {
  CHECK(compile(switch_of(jit::opt::kMaxNesting / 4), 0).status == jit::CompileResult::Status::done);
  CHECK(refusal(switch_of(jit::opt::kMaxNesting + 1), 0) == "more than 512 open blocks");
}

TEST_CASE("chains of instructions may be so long, on the operand stack and through locals") {
  const uint32_t most = jit::opt::kMaxChain;
  CHECK(compile(module_of({{1, 1, joined({kGet0, repeated(most - 10, kPopcnt)})}}), 0).status ==
        jit::CompileResult::Status::done);
  CHECK(refusal(module_of({{1, 1, joined({kGet0, repeated(most + 10, kPopcnt)})}}), 0).find("a chain of ") == 0);
  CHECK(refusal(
            module_of(
                {{1, 1, joined({repeated(most / 2 + 10, joined({kGet0, kGet0, kMul, kConst, kXor, kSet0})), kGet0})}}),
            0)
            .find("a chain of ") == 0);
  // Operands from calls of many values, a byte a level.
  const Bytes wide =
      module_of({{0, 100, repeated(100, kConst)}, {0, 1, joined({repeated(10, {0x10, 0}), repeated(999, kMul)})}});
  CHECK(compile(wide, 1).status == jit::CompileResult::Status::done);
  // A local that is set again and again is no chain.
  CHECK(compile(module_of({{1, 1, joined({repeated(3000, joined({{0x10, 1}, kConst, kMul, kSet0})), kGet0})},
                           {0, 1, kConst}}),
                0)
            .status == jit::CompileResult::Status::done);
}

TEST_CASE("chains may be so long through a global") {
  const auto chain = [](uint32_t count) {
    return module_of({{1, 1, joined({repeated(count, {0x23, 0, 0x23, 0, 0x77, 0x24, 0}), {0x23, 0}})}});
  };
  CHECK(compile(chain(jit::opt::kMaxChain / 4), 0).status == jit::CompileResult::Status::done);
  CHECK(refusal(chain(jit::opt::kMaxChain + 10), 0).find("a chain of ") == 0);
}

TEST_CASE("so many values of locals may be merged") {
  CHECK(compile(merging(100), 0).status == jit::CompileResult::Status::done);
  CHECK(refusal(merging(500), 0).find(" values at merges") != std::string::npos);
  CHECK(refusal(merging(2000), 0).find(" values at merges") != std::string::npos);
}

TEST_CASE("a function may have so many loops") {
  const auto loops = [](uint32_t count) {
    const Bytes one = joined({{0x03, 0x40}, kGet0, kConst, kAdd, {0x22, 0}, kPopcnt, {0x0d, 0, 0x0b}});
    return module_of({{1, 1, joined({repeated(count, one), kGet0})}});
  };
  CHECK(compile(loops(jit::opt::kMaxLoops), 0).status == jit::CompileResult::Status::done);
  CHECK(refusal(loops(jit::opt::kMaxLoops + 1), 0) == std::to_string(jit::opt::kMaxLoops + 1) + " loops");
}

TEST_CASE("the longest chains fit a compile thread's stack several times") {
  const uint32_t most = jit::opt::kMaxChain - 10;
  const Bytes chains[] = {
      module_of({{1, 1, joined({kGet0, repeated(most, kPopcnt)})}}),
      module_of({{1, 1, joined({kGet0, repeated(most, joined({kGet0, kMul}))})}}),
      module_of({{1, 1, joined({kGet0, repeated(most / 3, joined({kGet0, kMul, kGet0, kXor, kConst, kAdd}))})}}),
      module_of({{1, 1, joined({repeated(most / 2, joined({kGet0, kConst, kMul, kGet0, kXor, kSet0})), kGet0})}}),
  };
  for (const Bytes& image : chains) {
    jit::CompileResult result;
    const size_t used = stack_of(image, result);
    CHECK(result.status == jit::CompileResult::Status::done);
    CHECK(used > 8192);
    CHECK(used <= policy::kCompileStack / 8);
    MESSAGE("stack of a compile: ", used);
  }
}

/// A test of ctest by itself (opt_address_space).
TEST_CASE("memory that is missing ends a compile, not the process" * doctest::skip()) {
  const Bytes image = module_of({{1, 1, joined({kGet0, repeated(1500, joined({kGet0, kMul, kConst, kXor}))})}});
  Bench bench{std::span<const uint8_t>(image)};
  Bench small("opt_basic");
  small.compile("add");  // what the first compile of a process takes is there
  rlimit before;
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  unsigned refused = 0, done = 0;
  for (const rlim_t spare : {0, 256, 1024, 2048, 1 << 20}) {  // KiB
    jit::CompileResult result;
    grow_stack();
    malloc_trim(0);
    std::ifstream sizes("/proc/self/statm");
    rlim_t pages = 0;
    sizes >> pages;
    const rlimit limits{pages * 4096 + spare * 1024, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_AS, &limits) == 0);
    result = plugin().compiler->compile(bench.request(0));
    REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
    CAPTURE(spare);
    CAPTURE(result.reason);
    if (result.status == jit::CompileResult::Status::done) {
      ++done;
    } else {
      CHECK(result.status == jit::CompileResult::Status::no_memory);
      ++refused;
    }
  }
  CHECK(done > 0);
  CHECK(refused > 0);
  // And what comes later is not disturbed.
  const jit::CodeObject* code = bench.compile(0);
  CHECK(bench.call<uint64_t>(code->begin + code->entry, {1}) == 1);
}
