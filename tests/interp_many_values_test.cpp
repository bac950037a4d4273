// Many values at once: branches, calls and returns that carry a dozen, and functions made to cost a translator far more
// than their size.
#include <cstdint>
#include <vector>

#include "interp/careful.h"
#include "interp/quick.h"
#include "interp_fixture.h"
#include "vm_module_bytes.h"

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

using ::test::Bytes;

void repeat(Bytes& out, const Bytes& what, size_t times) {
  for (size_t i = 0; i < times; ++i) ::test::append(out, what);
}

/// Type 0 is [] -> [], type 1 takes and gives a thousand i32; one function of type 0 with one i32 local.
std::shared_ptr<vm::Module> module_with(const Bytes& code) {
  Bytes image = ::test::kHeader, types = {2, 0x60, 0, 0, 0x60}, body = {1, 1, 0x7f}, section = {1};
  for (int i = 0; i < 2; ++i) {
    ::test::append_u32(types, 1000);
    repeat(types, {0x7f}, 1000);
  }
  ::test::append(body, code);
  body.push_back(0x0b);
  ::test::append_u32(section, static_cast<uint32_t>(body.size()));
  ::test::append(section, body);
  ::test::append_section(image, 1, types);
  ::test::append_section(image, 3, {1, 0});
  ::test::append_section(image, 4, {1, 0x70, 0, 0});  // a table of functions
  ::test::append_section(image, 10, section);
  return ok(::test::decode(image));
}

/// A thousand operands, then `code`, then their sum.
Bytes on_a_thousand(const Bytes& code) {
  Bytes out;
  repeat(out, {0x20, 0}, 1000);
  ::test::append(out, code);
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
  ::test::append(branches, {0x0c, 0, 0x0b});  // br
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
