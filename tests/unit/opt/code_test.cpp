// The optimising tier's code: what it computes, and what it must not contain.
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <sstream>
#include <thread>

#include "tests/support/module_bytes.h"
#include "tests/unit/opt/fixture.h"
#include "vm/wasm/func_decoder_base.h"

using namespace vmrun;
using namespace vmrun::test;

namespace {

std::string text_of(const jit::CodeObject* code) {
  return plugin().disassemble(code->begin, code->text, reinterpret_cast<uint64_t>(code->begin));
}

}  // namespace

TEST_CASE("compiled functions compute what they say") {
  Bench bench("opt_basic");
  CHECK(bench.run<uint64_t>("add", {3, 0xffffffff}) == 2);
  CHECK(bench.run<double>("float", {}, {vector_of(1.5), vector_of(3.0f)}) == 6.0);
  CHECK(bench.run<uint64_t>("loop", {1000}) == 499500);
  CHECK(bench.run<uint64_t>("fact", {10}) == 3628800);
  CHECK(bench.run<uint64_t>("table", {0}) == 10);
  CHECK(bench.run<uint64_t>("table", {1}) == 20);
  CHECK(bench.run<uint64_t>("table", {77}) == 30);
  CHECK(bench.run<uint64_t>("tail", {3000000, 0}) == 4500001500000);
  bench.globals[0].value[0].bits = 7;
  CHECK(bench.run<uint64_t>("global", {5}) == 12);
  CHECK(bench.globals[0].value[0].bits == 12);
}

TEST_CASE("memory") {
  Bench bench("opt_basic");
  bench.run<uint64_t>("store", {100, 0x12345678});
  CHECK(bench.bytes[108] == std::byte{0x78});
  CHECK(bench.run<uint64_t>("load", {104}) == 0x12345678);
  bench.run<uint64_t>("fill", {108, 2});
  CHECK(bench.run<uint64_t>("load", {104}) == 0x12340000);
}

TEST_CASE("traps are tested for") {
  Bench bench("opt_basic");
  CHECK(bench.run<uint64_t>("div", {uint32_t(-7), 2}) == uint32_t(-3));
  bench.run<uint64_t>("div", {1, 0});
  CHECK(bench.trap == vm::TrapCode::IntegerDivideByZero);
  bench.run<uint64_t>("div", {0x80000000, 0xffffffff});
  CHECK(bench.trap == vm::TrapCode::IntegerOverflow);
  CHECK(bench.run<uint64_t>("trunc", {}, {vector_of(-2147483648.9)}) == 0x80000000);
  bench.run<uint64_t>("trunc", {}, {vector_of(2147483648.0)});
  CHECK(bench.trap == vm::TrapCode::IntegerOverflow);
  bench.run<uint64_t>("trunc", {}, {vector_of(__builtin_nan(""))});
  CHECK(bench.trap == vm::TrapCode::InvalidConversionToInteger);
}

TEST_CASE("indirect calls check the index, the entry and the type") {
  Bench bench("opt_basic");
  bench.compile("add");
  bench.elems[0] = vm::Ref::of(&bench.records[bench.index("add")]);
  bench.elems[1] = vm::Ref::of(&bench.records[bench.index("fact")]);
  CHECK(bench.run<uint64_t>("indirect", {40, 2, 0}) == 42);
  bench.run<uint64_t>("indirect", {40, 2, 1});
  CHECK(bench.trap == vm::TrapCode::IndirectCallTypeMismatch);
  bench.run<uint64_t>("indirect", {40, 2, 2});
  CHECK(bench.trap == vm::TrapCode::UninitializedElement);
  bench.run<uint64_t>("indirect", {40, 2, 4});
  CHECK(bench.trap == vm::TrapCode::UndefinedElement);
}

TEST_CASE("parameters and results beyond the registers travel through the area") {
  Bench bench("opt_basic");
  bench.area[0].bits = 7;  // the seventh and eighth of integer class, 16 bytes each
  bench.area[2].bits = 800;
  Vector v{};
  double two[2] = {0, 2.5};
  memcpy(&v, two, sizeof v);
  CHECK(bench.run<uint64_t>("many", {1, 200, 3, 400, 5, 600}, {v}) == 16);
  CHECK(bench.area[0].bits == 2000);
  CHECK(bench.call<double>(bench.module->code(bench.index("many")).machine, {1, 200, 3, 400, 5, 600}, {v}) == 2.5);
}

TEST_CASE("operations that change no number make a signalling NaN quiet") {
  Bench bench("opt_basic");
  const float signalling = std::bit_cast<float>(0x7fa00000u);
  for (const char* name : {"quiet_add", "quiet_mul", "quiet_demote"}) {
    CAPTURE(name);
    CHECK((std::bit_cast<uint32_t>(bench.run<float>(name, {}, {vector_of(signalling)})) & 0x7fc00000) == 0x7fc00000);
    CHECK(bench.run<float>(name, {}, {vector_of(-3.5f)}) == -3.5f);
  }
  CHECK((std::bit_cast<uint32_t>(bench.run<float>("min", {}, {vector_of(signalling), vector_of(1.0f)})) & 0x7fc00000) ==
        0x7fc00000);
  CHECK(std::signbit(bench.run<float>("min", {}, {vector_of(0.0f), vector_of(-0.0f)})));
}

TEST_CASE("an OSR unit goes on from the state at its header, in outer and inner loops") {
  Bench bench("opt_basic");
  const uint32_t nest = bench.index("nest");
  const uint64_t whole = bench.run<uint64_t>("nest", {20});
  // The loops of the function, by their offsets.
  std::vector<uint32_t> loops;
  const uint8_t* image = bench.module->bytes();
  const vm::ByteRange body = bench.module->funcs[nest].body;
  for (const uint8_t* p = vm::skip_locals(image + body.begin); p < image + body.end;) {
    const auto offset = static_cast<uint32_t>(p - image);
    if (vm::skip_instruction(p) == vm::Op::loop) loops.push_back(offset);
  }
  REQUIRE(loops.size() == 2);

  // Locals n, i, j, sum, f, v (two slots), then operands: the i64, and in the inner loop the f32.
  auto state = [](uint64_t i, uint64_t j) {
    uint64_t sum = 0, steps = 0;
    for (uint64_t x = 0; x <= i; ++x) {
      for (uint64_t y = 0; y < (x < i ? 20 : j); ++y, ++steps) sum += x + y;
    }
    std::vector<uint64_t> slots = {20, i, j, sum, std::bit_cast<uint64_t>(static_cast<double>(steps))};
    const uint32_t lanes[4] = {static_cast<uint32_t>(steps), static_cast<uint32_t>(2 * steps),
                               static_cast<uint32_t>(3 * steps), static_cast<uint32_t>(4 * steps)};
    uint64_t halves[2];
    memcpy(halves, lanes, sizeof halves);
    slots.insert(slots.end(), {halves[0], halves[1], 1000000 + i, std::bit_cast<uint32_t>(0.5f)});
    return slots;
  };
  for (const uint32_t loop : loops) {
    const jit::CodeObject* code = bench.compile(nest, loop);
    CAPTURE(loop);
    REQUIRE(code->osr.size() == 1);
    CHECK(code->osr[0].loop_offset == loop);
    for (uint64_t i : {0, 1, 7, 19}) {
      CAPTURE(i);
      std::vector<uint64_t> slots = state(i, loop == loops[0] ? 0 : 5);
      CHECK(bench.call<uint64_t>(code->begin + code->osr[0].pc, {reinterpret_cast<uint64_t>(slots.data())}) == whole);
    }
  }
}

TEST_CASE("code has no poll, no counter, no absolute address and pushes nothing but the frame pointer") {
  Bench bench("opt_basic");
  for (uint32_t i = 0; i < bench.module->funcs.size(); ++i) {
    const jit::CodeObject* code = bench.compile(i);
    const std::string text = text_of(code);
    INFO(text);
    int pushes = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("push") != std::string::npos) {
        ++pushes;
        CHECK(line.find("rbp") != std::string::npos);
      }
      // A number of more than 32 bits counts a loop's iterations; this process's addresses lie far above.
      if (line.find("movabs") != std::string::npos)
        CHECK(std::stoull(line.substr(line.rfind(' ') + 1)) < uint64_t{1} << 40);
      // Whatever refers to memory goes through a register or lies in the code itself, as the function does.
      if (line.find("call") != std::string::npos && line.find('[') == std::string::npos) {
        const uint64_t target = std::stoull(line.substr(line.rfind('\t') + 1), nullptr, 16);
        CHECK(target == reinterpret_cast<uint64_t>(code->begin) + code->entry);
      }
    }
    CHECK(pushes == 1);
  }
  // The loop that stores bytes: no load at all, and nothing is compared but its own counter.
  const std::string fill = text_of(bench.compile("fill"));
  INFO(fill);
  CHECK(fill.find("r12") == std::string::npos);
  CHECK(fill.find("call") == std::string::npos);
}

TEST_CASE("a load whose value nobody wants stays") {
  Bench bench("opt_basic");
  const std::string text = text_of(bench.compile("dead_load"));
  INFO(text);
  CHECK(text.find("[r14") != std::string::npos);
}

TEST_CASE("tables name the place of each return, and a pad for calls inside a try") {
  // f0 throws (i32, f64); f1 calls it in a try_table whose clause leads out of a block:
  // (local.set 1 5) (block (result i32 f64) (try_table (catch 0 0) (local.set 1 (local.get 1 + 1)) (call 0)) (return
  // -1)) (drop) (i32.add (local.get 1))
  test::Bytes bytes = test::kHeader;
  test::append_section(bytes, 1,
                       {4, 0x60, 1, 0x7f, 0, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 2, 0x7f, 0x7c, 0, 0x60, 0, 2, 0x7f, 0x7c});
  test::append_section(bytes, 3, {2, 0, 1});
  test::append_section(bytes, 13, {1, 0, 2});
  test::append_section(bytes, 10, {2,    15, 0,    0x20, 0,    0x44, 0,    0,    0,    0,    0,    0,   4,    0x40,
                                   8,    0,  0x0b, 36,   1,    1,    0x7f, 0x41, 5,    0x21, 1,    2,   3,    0x1f,
                                   0x40, 1,  0,    0,    0,    0x20, 1,    0x41, 1,    0x6a, 0x21, 1,   0x20, 0,
                                   0x10, 0,  0x0b, 0x41, 0x7f, 0x0f, 0x0b, 0x1a, 0x20, 1,    0x6a, 0x0b});
  Bench bench{std::span<const uint8_t>(bytes)};
  const uint32_t index = 1;
  bench.compile(0);
  const jit::CodeObject* code = bench.compile(index);
  INFO(text_of(code));
  const vm::ByteRange body = bench.module->funcs[index].body;
  REQUIRE(code->pads.size() == 1);
  const jit::PadMark pad = code->pads[0];
  const uint32_t offset = code->source_offset(code->begin + pad.return_pc, true);
  CHECK(bench.module->bytes()[offset] == vm::op_info(vm::Op::call).code);
  CHECK(offset > body.begin);
  CHECK(offset < body.end);
  CHECK(code->pad(code->begin + pad.return_pc) == code->begin + pad.pad);
  CHECK(code->preemptible(code->begin + pad.return_pc));
  CHECK_FALSE(code->preemptible(code->begin + code->entry));
  for (size_t i = 1; i < code->marks.size(); ++i) CHECK(code->marks[i - 1].pc <= code->marks[i].pc);
}

TEST_CASE("code polls at back-edges where that was asked for") {
  Bench bench("opt_basic");
  jit::CompileRequest request = bench.request(bench.index("fill"));
  request.polls = true;
  const std::string text = text_of(&installed(plugin().compiler->compile(request), *bench.module));
  INFO(text);
  // Once in the prologue, once in the loop.
  const std::string limit = "[r12 + " + std::to_string(offsetof(vm::Vcpu, native_limit)) + "]";
  size_t compared = 0;
  for (size_t at = text.find(limit); at != std::string::npos; at = text.find(limit, at + 1)) ++compared;
  CHECK(compared == 2);
}

TEST_CASE("entries and OSR entries are counted where that was asked for") {
  Bench bench("opt_basic");
  const uint32_t index = bench.index("loop");
  vm::TierCounts counts[vm::kTiers];
  bench.module->code(index).counts = counts;
  jit::CompileRequest request = bench.request(index);
  request.count_runs = true;
  const jit::CodeObject& code = installed(plugin().compiler->compile(request), *bench.module);
  for (int i = 0; i < 3; ++i) {
    CHECK(bench.call<uint64_t>(entry_of(code), {10}, {}, &bench.module->code(index)) == 45);
  }
  CHECK(counts[static_cast<int>(vm::Tier::opt)].runs == 3);
  CHECK(counts[static_cast<int>(vm::Tier::opt)].osr_entries == 0);
}

TEST_CASE("what the tier does not take it names; what nobody wants any more it gives up") {
  // (drop (array.len (ref.null array)))
  Bench bench(std::span<const uint8_t>(test::func_module({0x60, 0, 0}, {0, 0xd0, 0x6a, 0xfb, 0x0f, 0x1a, 0x0b})));
  jit::CompileResult result = plugin().compiler->compile(bench.request(0));
  CHECK(result.status == jit::CompileResult::Status::unsupported);
  CHECK(result.code.bytes.empty());
  CHECK(result.reason == "array.len at offset " + std::to_string(bench.module->funcs[0].body.begin + 3));

  // 200 loops with a thousand parameters and results each.
  test::Bytes types = {2, 0x60, 0, 0, 0x60}, code = {0}, image = test::kHeader, section = {1};
  for (int i = 0; i < 2; ++i) {
    test::append_u32(types, 1000);
    types.insert(types.end(), 1000, 0x7f);
  }
  for (int i = 0; i < 1000; ++i) test::append(code, {0x41, 0});
  for (int i = 0; i < 200; ++i) test::append(code, {0x03, 0x01, 0x0b});
  code.insert(code.end(), 1000, 0x1a);
  code.push_back(0x0b);
  test::append_u32(section, static_cast<uint32_t>(code.size()));
  test::append(section, code);
  test::append_section(image, 1, types);
  test::append_section(image, 3, {1, 0});
  test::append_section(image, 10, section);
  Bench wide{std::span<const uint8_t>(image)};
  result = plugin().compiler->compile(wide.request(0));
  CHECK(result.status == jit::CompileResult::Status::unsupported);
  CHECK(result.reason.find("more than 100000 values at merges at offset") == 0);

  Bench basic("opt_basic");
  result = plugin().compiler->compile(basic.request(basic.index("nest"), 12345));
  CHECK(result.status == jit::CompileResult::Status::unsupported);
  CHECK(result.reason == "no loop at offset 12345");

  const std::atomic<bool> cancelled{true};
  jit::CompileRequest request = basic.request(basic.index("nest"));
  request.cancelled = &cancelled;
  CHECK(plugin().compiler->compile(request).status == jit::CompileResult::Status::cancelled);
}

TEST_CASE("several threads compile at once") {
  Bench bench("opt_basic");
  const uint32_t count = static_cast<uint32_t>(bench.module->funcs.size());
  std::vector<std::thread> threads;
  std::atomic<uint32_t> done{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (uint32_t i = 0; i < count; ++i) {
        done += plugin().compiler->compile(bench.request(i)).status == jit::CompileResult::Status::done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(done == 4 * count);
}
